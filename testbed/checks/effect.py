"""When a fault began and ended to take effect, as packets show it: what every proof of it is made of.

A proof looks at *units*: packets, or requests, at one place and one way, each of which shows either the fault (a *hit*) or its absence.
Before the command there must be no hit, between the fault's confirmation and its healing only hits (or the share asked for), and after
the healing none again. So a fault that did nothing, and a healing that did nothing, are both seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from testbed.checks.chance import fewest_hits
from testbed.checks.facts import FaultWindow
from testbed.packets import Packets
from testbed.verdict import Evidence

GRACE_S = 0.005
"""Between packets, stamped by the kernel, and confirmations, stamped by a process that has just done it."""
EARLY_S = 0.05
"""A process stamps a probe before it sends it, and may be held up in between."""
HEALTHY_SHARE = 0.1
"""Of units outside the fault that may be hit: a bed under load, another fault's end."""
FEWEST_WITH_A_STRAY = 5
"""Bursts that measure a rate come twice a second: before a fault there are about this many."""
MIN_EXPECTED_HITS = 3.0
"""With fewer expected, a share cannot be told from none."""
OUTSIDE_RATE = 0.5
"""Of the share measured while it lasted that those before or after it may reach at most."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Edge:
    """A change in packets: the last sign of how it was (None: not to be told), the first of how it is since then."""

    before_s: float | None
    after_s: float
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """Of one fault. ``doubts``: what is missing for a proof, in words; of a proved fault both edges are there."""

    window: FaultWindow
    began: Edge | None = None
    ended: Edge | None = None
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def proved(self) -> bool:
        """Whether packets and events show that it began and that it ended."""
        return not self.doubts and self.began is not None and self.ended is not None

    @property
    def happened(self) -> bool:
        """Whether they show that it began, at least."""
        return self.began is not None

    @property
    def command_to_effect_s(self) -> float | None:
        """From the command to the first packet that shows it; None where that packet may have come long after."""
        if self.began is None or self.began.before_s is None:
            return None
        return self.began.after_s - self.window.began_s

    @property
    def heal_to_effect_s(self) -> float | None:
        """The same for its healing."""
        if self.ended is None or self.ended.before_s is None:
            return None
        return self.ended.after_s - self.window.healing_s


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Units:
    """Packets at one place and one way, in order of time: when, whether the fault shows on it, and where it is in a capture (-1: nowhere)."""

    where: str
    time_s: npt.NDArray[np.float64]
    hit: Mask
    index: npt.NDArray[np.int64]
    packets: Packets | None = None

    @classmethod
    def ordered(
        cls,
        where: str,
        time_s: npt.NDArray[np.float64],
        hit: Mask,
        index: npt.NDArray[np.int64] | None = None,
        packets: Packets | None = None,
    ) -> Units:
        """Sorted by time."""
        order = np.argsort(time_s, kind="stable")
        places = np.full(len(time_s), -1, np.int64) if index is None else index
        return cls(where=where, time_s=time_s[order], hit=hit[order], index=places[order], packets=packets)

    def __len__(self) -> int:
        return len(self.time_s)

    def within(self, keep: Mask) -> Units:
        """Only these."""
        return Units(
            where=self.where,
            time_s=self.time_s[keep],
            hit=self.hit[keep],
            index=self.index[keep],
            packets=self.packets,
        )

    def proof(self, number: int, text: str) -> Evidence:
        """This unit as evidence."""
        if self.packets is None or self.index[number] < 0:
            return Evidence(text=f"{text}: {self.where}")
        return Evidence(
            text=f"{text}: {self.where}",
            capture=self.packets.file,
            frame=int(self.packets.frame[self.index[number]]),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What one place and way shows of a fault."""

    began: Edge | None = None
    ended: Edge | None = None
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)


def combined(window: FaultWindow, parts: Sequence[Part], doubts: Sequence[str] = ()) -> Effect:
    """A fault is there when it is everywhere, and over when it is over everywhere. One that was never healed has no proof of its end."""
    began = [part.began for part in parts if part.began]
    ended = [part.ended for part in parts if part.ended]
    found = [doubt for part in parts for doubt in part.doubts] + list(doubts)
    if not parts and not found:
        found.append("no packet and no event tells of it")
    if window.healed is None:
        found.append("it was never healed")
    complete = len(began) == len(parts) > 0
    return Effect(
        window=window,
        began=max(began, key=lambda edge: edge.after_s) if complete else None,
        ended=max(ended, key=lambda edge: edge.after_s) if len(ended) == len(parts) > 0 else None,
        doubts=tuple(dict.fromkeys(found)),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        figures={name: value for part in parts for name, value in part.figures.items()},
    )


def parts_of_time(units: Units, window: FaultWindow) -> tuple[Mask, Mask, Mask]:
    """Which units came before the command, while the fault was certainly there, and after it was certainly healed."""
    before = units.time_s < window.began_s - EARLY_S
    during = (units.time_s >= window.effect_s + GRACE_S) & (units.time_s <= window.healing_s)
    after = units.time_s > window.healed_s + GRACE_S
    return before, during, after


def whole_effect(units: Units, window: FaultWindow, *, end_within_s: float) -> Part:
    """Of a fault that hits every unit while it lasts. ``end_within_s``: how long after its healing units may still be hit."""
    before, during, after = parts_of_time(units, window)
    doubts = []
    if not during.any():
        doubts.append(f"no packet {units.where} while it lasted")
    if not before.any() or not _are_strays(units.hit, before):
        doubts.append(f"packets {units.where} were no better before")
    if escaped := int((during & ~units.hit).sum()):
        doubts.append(f"{escaped} of {int(during.sum())} packets {units.where} were spared while it lasted")
    began = _begin(units, window) if (during & units.hit).any() else None
    if began is None and during.any():
        doubts.append(f"no packet {units.where} shows it")
    ended, trouble = _end(units, window, after, end_within_s)
    figures = {"units": float(during.sum()), "hit": float((during & units.hit).sum())}
    return Part(began=began, ended=ended, doubts=(*doubts, *trouble), figures=figures)


def _are_strays(hit: Mask, among: Mask) -> bool:
    """Whether few enough of these were hit to be no sign of a fault; where there are few of them, one may be: a stall of the machine
    hits one."""
    total, hits = int(among.sum()), int(hit[among].sum())
    return hits <= max(HEALTHY_SHARE * total, 1 if total >= FEWEST_WITH_A_STRAY else 0)


def _begin(units: Units, window: FaultWindow) -> Edge | None:
    """The first hit, and the last unit without one before it."""
    hits = np.flatnonzero(units.hit & (units.time_s >= window.began_s - EARLY_S) & (units.time_s <= window.healing_s))
    if not len(hits):
        return None
    first = int(hits[0])
    spared = np.flatnonzero(~units.hit[:first])
    evidence = [units.proof(int(spared[-1]), "last packet without the fault")] if len(spared) else []
    return Edge(
        before_s=float(units.time_s[spared[-1]]) if len(spared) else None,
        # A unit lost on the spot is dated by the process that sent it: before the command nothing was done.
        after_s=max(float(units.time_s[first]), window.began_s),
        evidence=(*evidence, units.proof(first, "first packet with the fault")),
    )


def _end(units: Units, window: FaultWindow, after: Mask, end_within_s: float) -> tuple[Edge | None, list[str]]:
    """The first unit without a hit since the healing began, and the last hit before it."""
    spared = np.flatnonzero(~units.hit & (units.time_s >= window.healing_s))
    if not len(spared):
        if not after.any():
            return None, [f"no packet {units.where} after its healing"]
        return None, [f"it goes on after its healing: all of {int(after.sum())} packets {units.where} show it"]
    first = int(spared[0])
    hits = np.flatnonzero(units.hit[:first])
    late_s = float(units.time_s[first]) - window.healed_s
    doubts = []
    if late_s > end_within_s and (after & units.hit)[:first].any():
        doubts.append(f"it went on for {late_s:.3f} s after its healing, by packets {units.where}")
    since = np.arange(len(units)) > first
    if not _are_strays(units.hit, since):
        doubts.append(f"it goes on after its healing: {int(units.hit[since].sum())} packets {units.where} show it")
    evidence = [units.proof(int(hits[-1]), "last packet with the fault")] if len(hits) else []
    edge = Edge(
        before_s=float(units.time_s[hits[-1]]) if len(hits) else None,
        after_s=float(units.time_s[first]),
        evidence=(*evidence, units.proof(first, "first packet without it again")),
    )
    return edge, doubts


def over(units: Units, window: FaultWindow) -> tuple[Edge | None, list[str]]:
    """Of a fault that did not hit when it was healed: units are spared from then on. The moment is not to be told."""
    _, _, after = parts_of_time(units, window)
    if not after.any() or not _are_strays(units.hit, after):
        return None, [
            f"{int((after & units.hit).sum())} of {int(after.sum())} packets {units.where} show it after its healing"
        ]
    first = int(np.flatnonzero(after & ~units.hit)[0])
    proof = units.proof(first, "first packet after its healing")
    return Edge(before_s=None, after_s=float(units.time_s[first]), evidence=(proof,)), []


def share_effect(units: Units, window: FaultWindow, *, share: float, word: str) -> Part:
    """Of a fault that hits this share of the units (0-1), by chance: the measured share must be near, before and after it near none."""
    before, during, after = parts_of_time(units, window)
    counts = {name: (int(mask.sum()), int((mask & units.hit).sum())) for name, mask in _named(before, during, after)}
    total, hits = counts["during"]
    measured = hits / total if total else 0.0
    tolerance = 4 * (share * (1 - share) / max(1, total)) ** 0.5 + 0.1 * share + 0.002
    absent = []
    if total * share < MIN_EXPECTED_HITS:
        absent.append(f"only {total} packets {units.where}: too few to see {share:.2%} {word}")
    elif not hits:
        absent.append(f"none of {total} packets {units.where} shows it")
    elif hits < (fewest := fewest_hits(total, share)):
        text = f"{hits} of {total} packets {units.where} {word}: {fewest} at least of {share:.2%}"
        absent.append(text)
    elif abs(measured - share) > tolerance:
        absent.append(f"{measured:.2%} {word} {units.where}, asked for {share:.2%}")
    shown = np.flatnonzero(units.hit & (units.time_s >= window.began_s) & (units.time_s <= window.healed_s))
    began = ended = None
    if len(shown) and not absent:
        first, last = int(shown[0]), int(shown[-1])
        proof = units.proof(first, f"first packet {word}")
        began = Edge(before_s=None, after_s=float(units.time_s[first]), evidence=(proof,))
        rest = np.flatnonzero(units.time_s > max(window.healing_s, float(units.time_s[last])))
        proof = units.proof(last, f"last packet {word}")
        ended = Edge(before_s=None, after_s=float(units.time_s[rest[0]]), evidence=(proof,)) if len(rest) else None
    return Part(
        began=began,
        ended=ended,
        doubts=(*absent, *_outside(units.where, word, share, counts)),
        notes=(f"{measured:.2%} of {total} packets {units.where} {word}, asked for {share:.2%}",),
        figures={f"{word}_percent": measured * 100},
    )


def _named(before: Mask, during: Mask, after: Mask) -> tuple[tuple[str, Mask], ...]:
    return ("before", before), ("during", during), ("after", after)


def _outside(where: str, word: str, share: float, counts: Mapping[str, tuple[int, int]]) -> list[str]:
    """Before and after the fault a tenth of it at most; and enough packets after it to tell."""
    doubts = []
    during = counts["during"]
    for name in ("before", "after"):
        total, hits = counts[name]
        often = during[1] * total * OUTSIDE_RATE < hits * during[0]
        if hits > 1 + HEALTHY_SHARE * share * total or (hits and often):
            doubts.append(f"{hits} of {total} packets {where} {word} {name} it: " + _MEANING[name])
    total, _ = counts["after"]
    if total * share < MIN_EXPECTED_HITS:
        doubts.append(f"only {total} packets {where} after its healing: too few to see that it ended")
    return doubts


_MEANING = {"before": "no better without it", "after": "it goes on after its healing"}
