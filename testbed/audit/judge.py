"""From counts to verdicts: does each class carry the marks of a policy; and without one, which known policy comes nearest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from testbed.audit.known import Marks, known_marks
from testbed.audit.summary import Count, Summary
from testbed.audit.survey import Survey
from testbed.dscp import name_of
from testbed.verdict import Evidence, Status, Verdict

if TYPE_CHECKING:
    from testbed.policy import Rule

MAX_EVIDENCE = 5


def judge(survey: Survey) -> list[Verdict]:
    """One verdict for each rule; and one on the captures where some of what they hold could not be read or told apart, since a packet that
    was not read might have been the wrong one."""
    unread = [source.unread for source in survey.sources if source.unread]
    if survey.folded:
        unread.append(f"{survey.folded} packets are of more flows than can be told apart")
    verdicts = [_judge_rule(rule, summary) for rule, summary in survey.rules]
    if unread:
        verdicts.insert(0, Verdict(check="captures", status=Status.INCONCLUSIVE, summary="; ".join(unread)))
    return verdicts


def _judge_rule(rule: Rule, summary: Summary) -> Verdict:
    check, counts = f"marks {rule.name}", summary.counts
    wrong = {dscp: count for dscp, count in counts.items() if dscp not in rule.allowed}
    figures = _figures(rule, summary)
    if not summary.packets:
        apart = f" but {sum(summary.foreign.values())} resets of nobody's" if summary.foreign else ""
        text = f"no packets of this class{apart}"
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary=text, figures=figures)
    if wrong:
        evidence = tuple(_evidence(dscp, count) for dscp, count in sorted(wrong.items(), key=_by_first))[:MAX_EVIDENCE]
        evidence += tuple(_changes(summary, rule))
        text = f"{figures['wrong']:.0f} of {summary.packets} packets carry another mark than {marks_text(rule.allowed)}"
        text += f"{_apart(figures)}: {evidence[0].text}"
        if rule.severity == "warn":
            return Verdict(
                check=check, status=Status.PASS, summary=f"only warned of: {text}", evidence=evidence, figures=figures
            )
        return Verdict(check=check, status=Status.FAIL, summary=text, evidence=evidence, figures=figures)
    text = f"{numbered(summary.packets, 'packet')} of {numbered(summary.flows, 'flow')}, all {marks_text(rule.allowed)} ({counts_text(counts)})"
    if figures.get("not_expected"):
        text += f"; {figures['not_expected']:.0f} are not {name_of(rule.expected or 0)}, which is expected"
    if summary.foreign:
        text += f"; {_foreign_text(summary)}"
    return Verdict(check=check, status=Status.PASS, summary=text, figures=figures)


def _figures(rule: Rule, summary: Summary) -> dict[str, float]:
    """Packets by mark; all; and those with a wrong mark: of all, of those with SYN, of the first of each flow."""
    figures = {f"packets_{name_of(dscp)}": float(count.packets) for dscp, count in summary.counts.items()}
    figures |= {
        "packets": float(summary.packets),
        "bytes": float(summary.bytes),
        "flows": float(summary.flows),
        "wrong": float(sum(count.packets for dscp, count in summary.counts.items() if dscp not in rule.allowed)),
        "syn": float(sum(summary.openings.values())),
        "syn_wrong": float(_outside(summary.openings, rule)),
        "first_wrong": float(_outside(summary.firsts, rule)),
        "changing_flows": float(summary.changing),
        "foreign_resets": float(sum(summary.foreign.values())),
    }
    if rule.expected is not None:
        figures["not_expected"] = summary.packets - figures.get(f"packets_{name_of(rule.expected)}", 0.0)
    return figures


def _outside(numbers: Mapping[int, int], rule: Rule) -> int:
    return sum(number for dscp, number in numbers.items() if dscp not in rule.allowed)


def _apart(figures: Mapping[str, float]) -> str:
    """Where the wrong ones are among SYNs and first packets, and how many flows change."""
    parts = [
        f"{figures['syn_wrong']:.0f} of {figures['syn']:.0f} with SYN" if figures["syn_wrong"] else "",
        f"the first of {figures['first_wrong']:.0f} of {numbered(figures['flows'], 'flow')}"
        if figures["first_wrong"]
        else "",
        f"change of mark within {numbered(figures['changing_flows'], 'flow')}" if figures["changing_flows"] else "",
    ]
    said = ", ".join(filter(None, parts))
    return f" ({said})" if said else ""


def numbered(number: float, word: str) -> str:
    """``2, "flow" -> "2 flows"``."""
    return f"{number:.0f} {word}{'' if number == 1 else 's'}"


def _foreign_text(summary: Summary) -> str:
    marks = ", ".join(f"{name_of(dscp)} {number}" for dscp, number in sorted(summary.foreign.items()))
    return f"resets with a mark of their own are counted apart ({marks})"


def _changes(summary: Summary, rule: Rule) -> Iterator[Evidence]:
    for change in summary.changes:
        if {change.before, change.after} - set(rule.allowed):
            text = f"{change.first.text} goes from {name_of(change.before)} to {name_of(change.after)}"
            text += f" ({change.first.file} frame {change.first.frame})"
            yield Evidence(text=text, capture=change.first.file, frame=change.first.frame)


def _by_first(item: tuple[int, Count]) -> tuple[float, int]:
    return item[1].first.time_s, item[1].first.frame


def _evidence(dscp: int, count: Count) -> Evidence:
    text = f"{count.first.text} is marked {name_of(dscp)} ({count.packets} packets; {count.first.file} frame {count.first.frame})"
    return Evidence(text=text, capture=count.first.file, frame=count.first.frame)


def marks_text(marks: tuple[int, ...]) -> str:
    """``AF31 or EF``."""
    return " or ".join(map(name_of, marks))


def counts_text(counts: Mapping[int, Count]) -> str:
    """``AF31 1200, default 3``, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1].packets, item[0]))
    return ", ".join(f"{name_of(dscp)} {count.packets}" for dscp, count in ordered)


@dataclass(frozen=True, kw_only=True, slots=True)
class Departure:
    """Packets of a class that a policy does not allow."""

    traffic: str
    way: str
    dscp: int
    allowed: tuple[int, ...]
    count: Count


@dataclass(frozen=True, kw_only=True, slots=True)
class Likeness:
    """How far marks are from a policy: ``departing`` of ``judged`` packets. ``alike`` are other policies that come as near."""

    policy: str
    breadth: int
    judged: int
    departing: int
    departures: tuple[Departure, ...]
    alike: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        return self.departing / self.judged

    @property
    def farness(self) -> tuple[float, int]:
        """The fewer packets depart from it and the less it allows, the nearer it is."""
        return self.share, self.breadth


def nearest(survey: Survey) -> Likeness | None:
    """The built-in policy that the fewest packets depart from; of equals, the one that allows the least. None where no packet is of a
    class that has a rule."""
    judged = [one for name, marks in known_marks().items() if (one := _likeness(survey, name, marks)).judged]
    found = min(judged, key=lambda one: one.farness, default=None)
    if found is None:
        return None
    alike = (one.policy for one in judged if one is not found and one.farness == found.farness)
    return replace(found, alike=tuple(alike))


def _likeness(survey: Survey, name: str, marks: Marks) -> Likeness:
    departures = tuple(sorted(_departures(survey, marks), key=lambda one: -one.count.packets))
    return Likeness(
        policy=name,
        breadth=sum(map(len, marks.values())),
        judged=sum(group.summary.packets for group in survey.groups if group.traffic in marks),
        departing=sum(departure.count.packets for departure in departures),
        departures=departures,
    )


def _departures(survey: Survey, marks: Marks) -> Iterator[Departure]:
    for group in survey.groups:
        if group.traffic not in marks:
            continue
        allowed = marks[group.traffic]
        for dscp, count in group.summary.counts.items():
            if dscp not in allowed:
                yield Departure(traffic=group.traffic, way=group.way, dscp=dscp, allowed=allowed, count=count)
