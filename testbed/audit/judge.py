"""From counts to verdicts: does each class carry the marks of a policy; and without one, which known policy comes nearest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from testbed.audit.survey import Survey
from testbed.audit.tally import Count
from testbed.dscp import name_of
from testbed.policy import Policy, Rule, known_policies, policy
from testbed.verdict import Evidence, Status, Verdict


def judge(survey: Survey) -> list[Verdict]:
    """One verdict for each rule; and one on the files where some of what they hold could not be read, since a packet that was not read
    might have been the wrong one."""
    unread = [source for source in survey.sources if source.unread]
    verdicts = [_judge_rule(rule, counts) for rule, counts in survey.rules]
    if unread:
        summary = "; ".join(source.unread for source in unread)
        verdicts.insert(0, Verdict(check="captures", status=Status.INCONCLUSIVE, summary=summary))
    return verdicts


def _judge_rule(rule: Rule, counts: Mapping[int, Count]) -> Verdict:
    total = sum(count.packets for count in counts.values())
    wrong = {dscp: count for dscp, count in counts.items() if dscp not in rule.allowed}
    wrong_total = sum(count.packets for count in wrong.values())
    figures = {f"packets_{name_of(dscp)}": float(count.packets) for dscp, count in counts.items()}
    figures |= {"packets": float(total), "wrong": float(wrong_total)}
    check, allowed = f"marks {rule.name}", marks_text(rule.allowed)
    if not total:
        summary = "no packets of this class"
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary=summary, figures=figures)
    if wrong:
        evidence = tuple(_evidence(dscp, count) for dscp, count in sorted(wrong.items(), key=_by_first))
        summary = f"{wrong_total} of {total} packets carry another mark than {allowed}: {evidence[0].text}"
        status = Status.FAIL if rule.severity == "fail" else Status.PASS
        summary = summary if rule.severity == "fail" else f"only warned of: {summary}"
        return Verdict(check=check, status=status, summary=summary, evidence=evidence, figures=figures)
    summary = f"{total} packets, all {allowed} ({counts_text(counts)})"
    if rule.expected is not None:
        other = total - (counts[rule.expected].packets if rule.expected in counts else 0)
        figures["not_expected"] = float(other)
        summary += f"; {other} are not {name_of(rule.expected)}, which is expected" if other else ""
    return Verdict(check=check, status=Status.PASS, summary=summary, figures=figures)


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
    """How far marks are from a policy: ``departing`` of ``judged`` packets."""

    policy: Policy
    judged: int
    departing: int
    departures: tuple[Departure, ...]
    alike: tuple[str, ...] = ()
    """Other policies that come as near."""

    @property
    def share(self) -> float:
        return self.departing / self.judged


def nearest(survey: Survey) -> Likeness | None:
    """The built-in policy that the fewest packets depart from; of equals, the one that allows the least. None where no packet is of a
    class that has a rule."""
    likenesses = [_likeness(survey, policy(name)) for name in known_policies()]
    judged = [likeness for likeness in likenesses if likeness.judged]
    found = min(judged, key=_farness, default=None)
    if found is None:
        return None
    alike = (one.policy.name for one in judged if one is not found and _farness(one) == _farness(found))
    return replace(found, alike=tuple(alike))


def _farness(likeness: Likeness) -> tuple[float, int]:
    return likeness.share, _breadth(likeness.policy)


def _breadth(chosen: Policy) -> int:
    return sum(len(marks) for marks in chosen.classes.values())


def _likeness(survey: Survey, chosen: Policy) -> Likeness:
    departures = tuple(sorted(_departures(survey, chosen), key=lambda one: -one.count.packets))
    return Likeness(
        policy=chosen,
        judged=sum(group.packets for group in survey.groups if group.traffic in chosen.classes),
        departing=sum(departure.count.packets for departure in departures),
        departures=departures,
    )


def _departures(survey: Survey, chosen: Policy) -> Iterator[Departure]:
    for group in survey.groups:
        allowed = {str(name): marks for name, marks in chosen.classes.items()}.get(group.traffic)
        for dscp, count in group.counts.items() if allowed else ():
            if allowed and dscp not in allowed:
                yield Departure(traffic=group.traffic, way=group.way, dscp=dscp, allowed=allowed, count=count)
