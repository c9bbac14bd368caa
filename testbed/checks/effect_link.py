"""Proofs for faults of a link: what was cut did not pass and the rest did, what was down saw nothing, what was refused was refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from testbed.checks.effect import Effect, Mask, Part, Units, combined, over, parts_of_time, whole_effect
from testbed.checks.effect_packets import Observed, arrival, lanes_about, passage
from testbed.checks.effect_protocol import answering, arriving
from testbed.checks.facts import FaultWindow
from testbed.checks.probes import LaneView
from testbed.faults.base import Way
from testbed.faults.target import BOTH, Place

CUT_END_S = 0.25
"""A rule is gone at once; a busy machine may hold a probe up."""
LINK_UP_END_S = 3.0
"""A link that comes up has its routes set anew, and neighbours whose ARP failed ask again once a second."""
SPARED_SHARE = 0.02
"""Of packets that a fault is not about, as many may be lost by a busy machine."""


def prove_cut(observed: Observed, window: FaultWindow) -> Effect:
    """Nothing meant passes while it lasts, in each of its ways; everything else does (selectivity)."""
    parts: list[Part] = []
    doubts: list[str] = []
    for place in observed.places(window):
        for way in place.ways:
            parts += _blocked(observed, window, place, way)
        doubts += bystanders(observed, window, place)
    return combined(window, parts, [*doubts, *observed.probes.doubts])


def _blocked(observed: Observed, window: FaultWindow, place: Place, way: Way) -> list[Part]:
    units = list(_passing(observed, window, place, way))
    if not units:
        ways = {"in": "came in", "out": "went out"}
        return [Part(doubts=(f"no packet {ways[way]} at {place.host.name} that it was about",))]
    return [whole_effect(some, window, end_within_s=CUT_END_S) for some in units]


def _passing(observed: Observed, window: FaultWindow, place: Place, way: Way) -> Iterator[Units]:
    """Probes that are meant; or, where it is about one protocol, what this protocol has there."""
    meant_lanes, _ = lanes_about(observed, place)
    yield from (units for view in meant_lanes if (units := passage(observed, view, place.host.name, way, window)))
    if place.protocol in ("tcp", "udp"):
        units = (arriving if way == "in" else answering)(observed, window, place)
        if units is not None:
            yield units


def bystanders(observed: Observed, window: FaultWindow, place: Place) -> Iterator[str]:
    """Doubts where something was hit that the fault is not about: other lanes, and the other way of its own."""
    own, others = lanes_about(observed, place)
    spared = [(view, way) for view in others for way in BOTH]
    spared += [(view, way) for view in own for way in BOTH if way not in place.ways]
    for view, way in spared:
        units = passage(observed, view, place.host.name, way, window)
        if units is None:
            continue
        _, during, _ = parts_of_time(units, window)
        lost = int((during & units.hit).sum())
        if lost > max(1.0, SPARED_SHARE * int(during.sum())):
            yield f"{lost} of {int(during.sum())} packets {units.where} were lost, which it was not about"


def prove_link_down(observed: Observed, window: FaultWindow) -> Effect:
    """Nothing gets out, and what is sent to the host does not even come to its link: that tells it from a cut."""
    parts: list[Part] = []
    for place in observed.places(window):
        name, (views, _) = place.host.name, lanes_about(observed, place)
        units = [arrival(observed, view, name, window) for view in views]
        units += [passage(observed, view, name, "out", window) for view in views]
        parts += [whole_effect(some, window, end_within_s=LINK_UP_END_S) for some in units if some is not None]
    return combined(window, parts, observed.probes.doubts)


def prove_flap(observed: Observed, window: FaultWindow) -> Effect:
    """Cut in each of its turns, whole between them."""
    parts = []
    turns = _turns(window)
    for place in observed.places(window):
        own = turns.get(place.host.name, [])
        views, _ = lanes_about(observed, place)
        for view in views:
            for way in place.ways:
                units = passage(observed, view, place.host.name, way, window)
                if units is not None:
                    parts.append(_flapping(view, units, window, own))
        if place.protocol:
            parts.append(Part(doubts=("turns of a flap are seen by probes only: name no protocol",)))
    return combined(window, parts, observed.probes.doubts)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Turn:
    """The holder cut the link, or healed it, between these instants (realtime seconds)."""

    began_s: float
    effect_s: float
    cut: bool


def _turns(window: FaultWindow) -> dict[str, list[_Turn]]:
    """Host -> its turns, by its holder's clock. Hosts follow each other, the last one first."""
    recorded = window.healed.event.data.get("turns") if window.healed else None
    found: list[list[_Turn]] = []
    last_s = float("inf")
    for turn in recorded if isinstance(recorded, list) else ():
        if not (isinstance(turn, list) and len(turn) == 3 and all(isinstance(word, int | float) for word in turn)):
            return {}
        if turn[0] < last_s:
            found.append([])
        last_s = float(turn[0])
        found[-1].append(_Turn(began_s=last_s, effect_s=float(turn[1]), cut=bool(turn[2])))
    return dict(zip(reversed(window.hosts), found, strict=False))


def _flapping(view: LaneView, units: Units, window: FaultWindow, turns: Sequence[_Turn]) -> Part:
    """Each turn of its own is a small fault: everything hit from it to the next, nothing hit afterwards."""
    if not turns:
        return Part(doubts=("the holder did not say when it turned",))
    healing = _Turn(began_s=window.healing_s, effect_s=window.healed_s, cut=False)
    ends = [*turns[1:], healing]
    doubts, latencies = [], []
    first: Part | None = None
    last: Part | None = None
    for number, (turn, end) in enumerate(zip(turns, ends, strict=True), 1):
        if not turn.cut:
            continue
        until_s = ends[number].began_s if number < len(ends) else window.healing_s
        own = replace(
            window,
            began_s=turn.began_s if number > 1 else window.began_s,
            effect_s=turn.effect_s,
            healing_s=end.began_s,
            healed_s=end.effect_s,
        )
        # Two probes at least: a shorter turn may pass between them.
        if end.began_s - turn.effect_s < 2 * view.lane.period_s:
            continue
        since_s = turns[number - 2].effect_s if number > 1 else -np.inf
        keep: Mask = (units.time_s >= since_s) & (units.time_s < (until_s if number < len(turns) else np.inf))
        last = whole_effect(units.within(keep), own, end_within_s=CUT_END_S)
        first = first or last
        doubts += [f"turn {number}: {doubt}" for doubt in last.doubts]
        edges = ((last.began, turn.began_s), (last.ended, end.began_s))
        latencies += [edge.after_s - begin_s for edge, begin_s in edges if edge]
    ended, goes_on = over(units, window)
    doubts += goes_on
    figures = {"turns": float(len(turns)), "turn_max_s": max(latencies, default=0.0)}
    note = f"{len(turns)} turns seen {units.where}, each within {figures['turn_max_s'] * 1000:.0f} ms"
    return Part(
        began=first.began if first else None,
        ended=last.ended if last and turns[-1].cut else ended,
        doubts=tuple(doubts) if first else ("every turn was shorter than two probes",),
        notes=(note,),
        figures=figures,
    )
