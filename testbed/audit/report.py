"""What `testbed audit` prints: rows for tables and JSON, and lines below them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

from testbed.audit.hops import Apart, Hop
from testbed.audit.judge import Likeness, counts_text, marks_text, numbered
from testbed.audit.source import Source
from testbed.audit.summary import FlowSummary
from testbed.audit.survey import Group, Survey
from testbed.dscp import name_of
from testbed.verdict import Verdict

if TYPE_CHECKING:
    from testbed.audit.ladder import Ladder


def group_row(group: Group) -> dict[str, Any]:
    """For a table."""
    return {
        "class": group.traffic,
        "way": group.way,
        "cause": group.cause,
        "flows": group.summary.flows,
        "packets": group.summary.packets,
        "bytes": group.summary.bytes,
        "marks": counts_text(group.summary.counts) if group.traffic != "not ip" else "",
        "note": "; ".join(notes(group)),
    }


def notes(group: Group) -> Iterator[str]:
    """What the marks alone do not say."""
    summary = group.summary
    if group.traffic == "not ip":
        return
    if set(summary.openings) != set(summary.counts) and len(summary.counts) > 1 and summary.openings:
        yield f"SYN {_marks(summary.openings)}"
    if summary.changing:
        yield f"mark changes in {numbered(summary.changing, 'flow')}, first at frame {summary.changes[0].first.frame}"
    if summary.foreign:
        yield f"resets apart {_marks(summary.foreign)}"
    if summary.cos:
        yield "CoS " + ", ".join(f"{cos} {number}" for cos, number in sorted(summary.cos.items()))


def _marks(numbers: Mapping[int, int]) -> str:
    return ", ".join(f"{name_of(dscp)} {number}" for dscp, number in sorted(numbers.items()))


def group_record(group: Group) -> dict[str, Any]:
    """For JSON: by mark, its packets, bytes and first frame."""
    marks = {
        name_of(dscp): {
            "packets": count.packets,
            "bytes": count.bytes,
            "first": {"file": count.first.file, "frame": count.first.frame, "between": count.first.text},
        }
        for dscp, count in group.summary.counts.items()
    }
    summary = group.summary
    return {
        "kind": "class",
        **group_row(group),
        "marks": marks if group.traffic != "not ip" else {},
        "syn": _named(summary.openings),
        "first_packets": _named(summary.firsts),
        "foreign_resets": _named(summary.foreign),
        "cos": {str(cos): number for cos, number in summary.cos.items()},
        "changing_flows": summary.changing,
        "changes": [
            {
                "from": name_of(change.before),
                "to": name_of(change.after),
                "file": change.first.file,
                "frame": change.first.frame,
                "between": change.first.text,
            }
            for change in summary.changes
        ],
    }


def _named(numbers: Mapping[int, int]) -> dict[str, int]:
    return {name_of(dscp): number for dscp, number in numbers.items()}


def flow_row(flow: FlowSummary) -> dict[str, Any]:
    """For a table, and for JSON with ``kind`` flow."""
    ordered = sorted(flow.counts.items(), key=lambda item: (-item[1], item[0]))
    return {
        "class": flow.traffic,
        "way": flow.way,
        "cause": flow.cause,
        "flow": flow.first.text,
        "packets": sum(flow.counts.values()),
        "bytes": flow.bytes,
        "seconds": round(flow.length_s, 3),
        "marks": ", ".join(f"{name_of(dscp)} {number}" for dscp, number in ordered if flow.traffic != "not ip"),
        "first": f"{flow.first.file} frame {flow.first.frame}",
    }


def hop_row(hop: Hop) -> dict[str, Any]:
    """For a table, and for JSON with ``kind`` hop."""
    marks = [f"{name_of(one.before)} to {name_of(one.after)} {one.packets}" for one in hop.remarks]
    return {
        "from": hop.source,
        "to": hop.target,
        "class": hop.traffic,
        "way": hop.way,
        "sent": hop.sent,
        "matched": hop.matched,
        "lost": hop.lost,
        **{
            f"{name}_ms": round(value * 1000, 3) for name, value in zip(("p50", "p95", "max"), hop.delay_s, strict=True)
        },
        "remarked": ", ".join(marks),
    }


def apart_row(apart: Apart) -> dict[str, Any]:
    """For JSON with ``kind`` apart."""
    return {
        "at": apart.file,
        "not_at": apart.other,
        "class": apart.traffic,
        "way": apart.way,
        "flows": apart.flows,
        "packets": apart.packets,
    }


def apart_lines(every: Iterable[Apart]) -> Iterator[str]:
    """Below the table of hops: a line for each capture and neighbour."""
    for (file, other), group in groupby(every, key=lambda one: (one.file, one.other)):
        words = (
            f"{' '.join(filter(None, (one.traffic, one.way)))} {one.packets} of {numbered(one.flows, 'flow')}"
            for one in group
        )
        yield f"only at {file}, not at {other}: {', '.join(words)}"


def ladder_rows(ladder: Ladder, *, keepalives: bool) -> Iterator[dict[str, Any]]:
    """For JSON, one a message."""
    for rung in ladder.shown(keepalives=keepalives):
        yield {
            "device": ladder.device,
            "phone": ladder.phone,
            "call_control": ladder.call_control,
            "time_s": rung.time_s,
            "frame": rung.frame,
            "way": "up" if rung.up else "down",
            "message": rung.name,
            "details": rung.details,
        }


def source_record(source: Source) -> dict[str, Any]:
    """For JSON."""
    return {
        "kind": "file",
        "file": source.file,
        "frames": source.frames,
        "began_s": source.began_s,
        "ended_s": source.ended_s,
        "backwards": source.backwards,
        "truncated": source.truncated,
        "damage": source.damage,
        "skipped": dict(source.skipped),
    }


def likeness_record(likeness: Likeness) -> dict[str, Any]:
    """For JSON."""
    return {
        "kind": "nearest",
        "policy": likeness.policy,
        "alike": list(likeness.alike),
        "judged": likeness.judged,
        "departing": likeness.departing,
        "departures": [
            {
                "class": one.traffic,
                "way": one.way,
                "mark": name_of(one.dscp),
                "allowed": [name_of(dscp) for dscp in one.allowed],
                "packets": one.count.packets,
                "first": {"file": one.count.first.file, "frame": one.count.first.frame},
            }
            for one in likeness.departures
        ],
    }


def verdict_record(verdict: Verdict) -> dict[str, Any]:
    """For JSON."""
    return {"kind": "verdict", **verdict.to_json()}


def verdict_row(verdict: Verdict) -> Mapping[str, Any]:
    """For a table."""
    return {"status": verdict.status.name, "check": verdict.check, "summary": verdict.summary}


def records(survey: Survey, verdicts: list[Verdict], likeness: Likeness | None) -> Iterator[dict[str, Any]]:
    """All of it for JSON, each with its ``kind``."""
    yield from map(source_record, survey.sources)
    yield from map(group_record, survey.groups)
    yield from ({"kind": "flow", **flow_row(flow)} for flow in survey.flows)
    yield from map(verdict_record, verdicts)
    if likeness:
        yield likeness_record(likeness)


def likeness_lines(likeness: Likeness | None) -> Iterator[str]:
    """Below the table: the nearest policy, and what departs from it."""
    if likeness is None:
        yield "no packet is of a class that a known policy has a rule for"
        return
    names = ", ".join((likeness.policy, *likeness.alike))
    if not likeness.departing:
        yield f"nearest known policy: {names}; all {likeness.judged} packets of its classes keep to it"
        return
    yield (
        f"nearest known policy: {names}; {likeness.departing} of {likeness.judged} packets depart from it"
        f" ({likeness.share:.1%})"
    )
    for one in likeness.departures:
        first = one.count.first
        yield (
            f"  {' '.join(filter(None, (one.traffic, one.way)))}: {one.count.packets} {name_of(one.dscp)} instead of "
            f"{marks_text(one.allowed)}, first {first.text} ({first.file} frame {first.frame})"
        )


def source_lines(source: Source) -> Iterator[str]:
    """What was not read, and what is odd, of one file."""
    if source.unread:
        yield source.unread
    if source.backwards:
        yield f"{source.file}: time goes backwards {source.backwards} times"
    for what, count in source.skipped.items():
        yield f"{source.file}: skipped {count} {what}"
