"""`testbed audit --html`: all that the table says and more, as one document to read, to print or to hand on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from testbed.audit import charts
from testbed.audit.compare import Comparison, remark_lines
from testbed.audit.judge import Likeness, numbered
from testbed.audit.ladder import Ladders, shortened
from testbed.audit.ladder_svg import picture
from testbed.audit.markup import Markup, escaped, joined, page, section, table, tag
from testbed.audit.report import apart_lines, flow_row, hop_row, likeness_lines, notes, source_lines
from testbed.audit.source import Source
from testbed.audit.summary import Summary
from testbed.audit.survey import Group, Survey
from testbed.audit.trace import MAX_PACKETS
from testbed.dscp import name_of
from testbed.verdict import Verdict

_NUMBERS = ("packets", "bytes", "share", "flows", "seconds", "frame", "frames", "sent", "matched", "lost", "loss")
MAX_MESSAGES = 500
"""More make a document that browsers are slow with, and that nobody reads."""
_DELAYS = ("p50_ms", "p95_ms", "max_ms")


def survey_page(
    found: Survey,
    verdicts: Sequence[Verdict],
    likeness: Likeness | None,
    *,
    policy: str,
    ladders: Ladders | None = None,
) -> str:
    """Of captures that were counted together; ``policy`` is "" where none judged. ``ladders`` are their SCCP connections, where they are to
    be drawn."""
    files = ", ".join(source.file for source in found.sources)
    parts = [
        tag("p", f"{numbered(found.packets, 'packet')} in {numbered(len(found.sources), 'file')}: {files}"),
        _judged(verdicts, policy) if policy else _described(likeness),
        *_of_survey(found),
        *(_signalling(ladders) if ladders else ()),
        _captures(found.sources),
    ]
    return page(f"Marks of {files}", *parts)


def comparison_page(found: Comparison, verdicts: Sequence[Verdict], *, policy: str) -> str:
    """Of captures along a way: the verdicts, the hops, then each capture."""
    files = " - ".join(file for file, _ in found.surveys)
    parts = [_judged(verdicts, policy)] if policy else []
    parts.append(_hops(found))
    for file, survey in found.surveys:
        parts.append(section(f"At {file}", *_of_survey(survey, heading="h3")))
    parts.append(_captures([source for _, survey in found.surveys for source in survey.sources]))
    return page(f"Marks along {files}", *parts)


def _judged(verdicts: Sequence[Verdict], policy: str) -> Markup:
    counts = Counter(verdict.status.name for verdict in verdicts)
    said = ", ".join(f"{counts[name]} {name}" for name in ("FAIL", "INCONCLUSIVE", "PASS") if counts[name])
    # Not by name: where every capture has its own verdicts, the order is that of the way.
    ordered = sorted(verdicts, key=lambda verdict: -verdict.status)
    entries = (_verdict(verdict) for verdict in ordered)
    return section("Verdicts", tag("p", f"Policy {policy}: {said}"), tag("ul", *entries, class_="verdicts"))


def _verdict(verdict: Verdict) -> Markup:
    proofs = (tag("li", item.text) for item in verdict.evidence)
    evidence = tag("ul", *proofs) if verdict.evidence else ""
    head = tag("p", tag("b", verdict.status.name), f" {verdict.check}")
    return tag("li", head, tag("p", verdict.summary), evidence, class_=verdict.status.name.lower())


def _described(likeness: Likeness | None) -> Markup:
    first, *others = likeness_lines(likeness)
    return section("Nearest known policy", tag("p", first), _list(line.strip() for line in others))


def _list(lines: Iterable[object]) -> Markup:
    items = [tag("li", line) for line in lines]
    return tag("ul", *items) if items else escaped("")


def _of_survey(found: Survey, *, heading: str = "h2") -> Iterator[Markup]:
    groups = [group for group in found.groups if group.traffic != "not ip"]
    if groups:
        yield tag(heading, "Marks by class, way and cause")
        yield joined(_group(group, several=len(found.sources) > 1) for group in groups)
    for group in found.groups:
        if group.traffic == "not ip":
            yield tag("p", f"Beside these {numbered(group.summary.packets, 'frame')} that are no IP packets.")
    if found.timeline:
        yield tag(heading, "Marks over time")
        yield tag("p", f"Packets by mark, from {moment_text(found.timeline.began_s)} on.", class_="soft")
        yield charts.strips(found.timeline)
    yield from _changes(groups, heading)
    if found.flows:
        yield tag(heading, "Flows")
        yield table([flow_row(flow) for flow in found.flows], numbers=_NUMBERS)


def _group(group: Group, *, several: bool) -> Markup:
    """``several``: the first packets are of one file or another."""
    summary = group.summary
    name = ", ".join(filter(None, (group.traffic.upper(), group.way, group.cause)))
    head = tag("h3", name, tag("span", f" {_sizes(summary)}", class_="soft"))
    said = "; ".join(notes(group))
    if not summary.counts:
        return tag("figure", head, tag("p", said))
    ordered = sorted(summary.counts.items(), key=lambda item: (-item[1].packets, item[0]))
    rows = [
        {
            "mark": joined((charts.swatch(dscp), name_of(dscp))),
            "packets": count.packets,
            "share": f"{count.packets / summary.packets:.1%}",
            "bytes": count.bytes,
            "first packet": count.first.text,
            **({"file": count.first.file} if several else {}),
            "frame": count.first.frame,
        }
        for dscp, count in ordered
    ]
    bar = charts.bar({dscp: count.packets for dscp, count in ordered})
    return tag("figure", head, bar, table(rows, numbers=_NUMBERS), tag("p", said) if said else "")


def _sizes(summary: Summary) -> str:
    return ", ".join(
        (numbered(summary.packets, "packet"), numbered(summary.bytes, "byte"), numbered(summary.flows, "flow"))
    )


def _changes(groups: Sequence[Group], heading: str) -> Iterator[Markup]:
    """Flows whose mark does not stay."""
    rows = [
        {
            "class": group.traffic,
            "way": group.way,
            "from": joined((charts.swatch(change.before), name_of(change.before))),
            "to": joined((charts.swatch(change.after), name_of(change.after))),
            "packet": change.first.text,
            "file": change.first.file,
            "frame": change.first.frame,
        }
        for group in groups
        for change in group.summary.changes
    ]
    if not rows:
        return
    changing = sum(group.summary.changing for group in groups)
    yield tag(heading, "Changes of marks within flows")
    yield tag("p", f"{numbered(changing, 'flow')} in all; of each class the first few changes.", class_="soft")
    yield table(rows, numbers=_NUMBERS)


def _signalling(ladders: Ladders) -> Iterator[Markup]:
    kept, left = shortened(ladders.every, messages=MAX_MESSAGES)
    if not kept:
        return
    yield tag("h2", "SCCP, message by message")
    if left:
        words = f"The first {MAX_MESSAGES} messages; {left} more are left out. `testbed ladder` shows all of one file."
        yield tag("p", words, class_="soft")
    if ladders.cut:
        yield tag("p", "There is more SCCP behind what was read for this part.", class_="soft")
    yield tag("div", picture(kept, keepalives=False), class_="wide")


def _hops(found: Comparison) -> Markup:
    rows = []
    for hop in found.hops:
        row = hop_row(hop)
        lost = row.pop("lost")
        sent = row["sent"]
        remarked = row.pop("remarked")
        rows.append({**row, "lost": lost, "loss": f"{lost / sent:.2%}" if sent else "", "remarked": remarked})
    words = [line for line, _, _ in remark_lines(found.hops)]
    words += apart_lines(found.apart)
    words += [f"no packet is in both {one} and {two}" for one, two, hops in found.pairs if not hops]
    words += [f"{file}: only the first {MAX_PACKETS} packets were compared" for file in found.cut]
    shown = table(rows, numbers=(*_NUMBERS, *_DELAYS)) if rows else ""
    note = "Delays are differences of two clocks; loss is counted while both captured."
    return section("Hops", shown, _list(words), tag("p", note, class_="soft"))


def _captures(sources: Sequence[Source]) -> Markup:
    rows = [
        {
            "file": source.file,
            "frames": source.frames,
            "from": moment_text(source.began_s),
            "to": moment_text(source.ended_s),
        }
        for source in sources
    ]
    unread = [line for source in sources for line in source_lines(source)]
    words = _list(unread) if unread else tag("p", "Nothing was skipped.")
    return section("What was read", table(rows, numbers=_NUMBERS) if rows else "", words)


def moment_text(time_s: float | None) -> str:
    """``2009-07-23 12:00:01.250 UTC``; of a time that no calendar has, the number."""
    if time_s is None:
        return ""
    try:
        moment = datetime.fromtimestamp(time_s, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{time_s:g} s"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03} UTC"
