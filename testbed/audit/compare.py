"""Captures along a way, in order: each surveyed by itself, neighbours matched packet by packet, and the hop that changes marks named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from testbed.audit.hops import Apart, Hop, hops_between, only_at
from testbed.audit.judge import judge
from testbed.audit.survey import Survey, Surveyor
from testbed.audit.timeline import Timekeeper
from testbed.audit.trace import MAX_PACKETS, Trace, trace_of
from testbed.dscp import name_of
from testbed.packets.file import CaptureFile
from testbed.verdict import Evidence, Status, Verdict

if TYPE_CHECKING:
    from testbed.policy import Policy


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """``surveys`` by capture; ``pairs`` are neighbours with the hops between them, none where no packet is in both. ``cut`` names captures
    whose later packets were not compared; ``apart`` is what only one of two neighbours has."""

    surveys: tuple[tuple[str, Survey], ...]
    pairs: tuple[tuple[str, str, tuple[Hop, ...]], ...]
    cut: tuple[str, ...]
    apart: tuple[Apart, ...]

    @property
    def hops(self) -> list[Hop]:
        return [hop for _, _, hops in self.pairs for hop in hops]


def compare(captures: Iterable[CaptureFile], policy: Policy | None = None, *, over_time: bool = False) -> Comparison:
    """Two traces at most are held at a time. ``over_time``: the surveys have timelines."""
    surveys: list[tuple[str, Survey]] = []
    pairs: list[tuple[str, str, tuple[Hop, ...]]] = []
    cut: list[str] = []
    apart: list[Apart] = []
    before: Trace | None = None
    for capture in captures:
        surveyor = Surveyor(policy, Timekeeper() if over_time else None)
        trace = trace_of(surveyor, capture)
        surveys.append((capture.file, surveyor.survey()))
        if trace.cut:
            cut.append(capture.file)
        if before is not None:
            pairs.append((before.file, trace.file, tuple(hops_between(before, trace))))
            apart += [*only_at(before, trace), *only_at(trace, before)]
        before = trace
    return Comparison(surveys=tuple(surveys), pairs=tuple(pairs), cut=tuple(cut), apart=tuple(apart))


def judge_comparison(found: Comparison) -> list[Verdict]:
    """The policy's verdicts at every capture, and one for each pair of neighbours: no packet changes its mark between them."""
    verdicts = [
        replace(verdict, check=f"{verdict.check} at {file}")
        for file, survey in found.surveys
        for verdict in judge(survey)
    ]
    return [*verdicts, *(_judge_pair(*pair, cut=bool(found.cut)) for pair in found.pairs)]


def _judge_pair(one: str, two: str, hops: tuple[Hop, ...], *, cut: bool) -> Verdict:
    check = f"marks kept {one} - {two}"
    matched, changed = sum(hop.matched for hop in hops), sum(hop.changed for hop in hops)
    figures = {
        "matched": float(matched),
        "changed": float(changed),
        "sent": float(sum(hop.sent for hop in hops)),
        "lost": float(sum(hop.lost for hop in hops)),
    }
    if changed:
        lines = list(remark_lines(hops))
        evidence = tuple(Evidence(text=line, capture=file, frame=frame) for line, file, frame in lines)
        summary = f"{changed} of {matched} packets change their mark: {evidence[0].text}"
        return Verdict(check=check, status=Status.FAIL, summary=summary, evidence=evidence, figures=figures)
    if not matched:
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary="no packet is in both", figures=figures)
    note = f"; only the first {MAX_PACKETS} packets were compared" if cut else ""
    status = Status.INCONCLUSIVE if cut else Status.PASS
    return Verdict(
        check=check,
        status=status,
        summary=f"{matched} packets are in both, none changes its mark{note}",
        figures=figures,
    )


def remark_lines(hops: Iterable[Hop]) -> Iterator[tuple[str, str, int]]:
    """(sentence, file, frame) of every change of a mark, where it was seen first."""
    for hop in hops:
        for remark in hop.remarks:
            text = (
                f"{' '.join(filter(None, (hop.traffic, hop.way)))}: {remark.packets} go from {name_of(remark.before)} to "
                f"{name_of(remark.after)} between {hop.source} (first frame {remark.first[0]}) and {hop.target} (frame {remark.first[1]})"
            )
            yield text, hop.target, remark.first[1]
