"""Proofs for marks changed in flight: each packet's mark before and behind the change, per way.

Out of a host, a mark is asked for by who sends and seen in the capture behind the change. Into it, it is seen in the capture before the
change, and behind it by the host's kernel, whose word the prober there keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from testbed.checks.effect import Effect, Part, Units, combined, parts_of_time, whole_effect
from testbed.checks.effect_packets import Observed, fingerprints, is_about, meant
from testbed.checks.facts import FaultWindow
from testbed.checks.probes import LaneView
from testbed.dscp import code_point, name_of
from testbed.errors import UsageError
from testbed.faults.base import Way
from testbed.faults.target import Place
from testbed.packets import Packets

MARK_END_S = 0.25
"""A rule is gone at once; a busy machine may hold a probe up."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Marked:
    """Packets one way at a place with the TOS octet before and behind it."""

    where: str
    time_s: npt.NDArray[np.float64]
    before: Numbers
    behind: Numbers
    index: Numbers
    packets: Packets | None


def prove_bleach(observed: Observed, window: FaultWindow) -> Effect:
    """Whatever carries a mark loses it."""
    return _proved(observed, window, None, 0)


def prove_remark(observed: Observed, window: FaultWindow) -> Effect:
    """One mark becomes another; every other stays."""
    try:
        changed, new = (code_point(str(window.parameters.get(word))) for word in ("from", "to"))
    except UsageError:
        return combined(window, (), ["the history does not say which marks it was about"])
    return _proved(observed, window, changed, new)


def _proved(observed: Observed, window: FaultWindow, changed: int | None, new: int) -> Effect:
    """``changed``: the code point it is about; None: every one but default."""
    parts: list[Part] = []
    doubts = list(observed.probes.doubts)
    for place in observed.places(window):
        for way in place.ways:
            found = list(_marked(observed, window, place, way))
            own = [_changes(some, window, changed, new) for some in found]
            parts += [part for part in own if part is not None]
            doubts += [doubt for some in found for doubt in _untouched(some, window, changed)]
            if not any(own):
                doubts.append(f"no packet with a mark it changes passed {way} at {place.host.name}")
        doubts += _spared(observed, window, place)
    return combined(window, parts, doubts)


def _changes(marked: _Marked, window: FaultWindow, changed: int | None, new: int) -> Part | None:
    """Of the packets it is about: a hit is one that carries the new mark."""
    about = marked.before >> 2 != 0 if changed is None else marked.before >> 2 == changed
    if not about.any():
        return None
    units = Units.ordered(
        marked.where, marked.time_s[about], marked.behind[about] >> 2 == new, marked.index[about], marked.packets
    )
    part = whole_effect(units, window, end_within_s=MARK_END_S)
    was = "marked" if changed is None else name_of(changed)
    note = f"{was} became {name_of(new)} {marked.where}" if part.began else ""
    return Part(
        began=part.began,
        ended=part.ended,
        doubts=part.doubts,
        notes=(note,) if note else (),
        figures={"marks_changed": part.figures["hit"]},
    )


def _untouched(marked: _Marked, window: FaultWindow, changed: int | None) -> Iterator[str]:
    """Doubts where a mark was changed that the fault is not about."""
    if changed is None:
        return
    other = (marked.before >> 2 != changed) & (marked.behind >= 0)
    units = Units.ordered(marked.where, marked.time_s[other], (marked.before != marked.behind)[other])
    _, during, _ = parts_of_time(units, window)
    if wrong := int((during & units.hit).sum()):
        yield f"{wrong} of {int(during.sum())} packets {marked.where} changed another mark than {name_of(changed)}"


def _spared(observed: Observed, window: FaultWindow, place: Place) -> Iterator[str]:
    """Doubts where packets of other peers, or the other way, had their marks changed."""
    for view in observed.probes.of_host(place.host.name):
        for way in ("in", "out"):
            if is_about(place, view) and way in place.ways:
                continue
            marked = _of_lane(view, place.host.name, way)
            if marked is None:
                continue
            units = Units.ordered(marked.where, marked.time_s, marked.before >> 2 != marked.behind >> 2)
            clear = observed.undisturbed(view, units.time_s, window)
            _, during, _ = parts_of_time(units, window)
            if wrong := int((during & units.hit & clear).sum()):
                yield f"{wrong} packets {marked.where} had their marks changed, which it was not about"


def _marked(observed: Observed, window: FaultWindow, place: Place, way: Way) -> Iterator[_Marked]:
    for view in observed.probes.of_host(place.host.name):
        if is_about(place, view) and (marked := _of_lane(view, place.host.name, way)):
            clear = observed.undisturbed(view, marked.time_s, window)
            yield _Marked(
                where=marked.where,
                time_s=marked.time_s[clear],
                before=marked.before[clear],
                behind=marked.behind[clear],
                index=marked.index[clear],
                packets=marked.packets,
            )
    if place.protocol in ("tcp", "udp") and (packets := observed.capture(place.host.name)) is not None:
        yield from (_arriving if way == "in" else _leaving)(observed, window, place, packets)


def _of_lane(view: LaneView, host: str, way: Way) -> _Marked | None:
    """Requests that passed the host's link this way."""
    where = f"(probes {view.lane.from_} to {view.lane.to})"
    if way == "out" and view.lane.from_ == host and "out" in view.available:
        seen, there = view["out"], view["out"].there
        before, behind = np.full(len(view), view.lane.tos, np.int64), seen.tos
    elif way == "in" and view.lane.to == host and {"in", "got"} <= view.available:
        seen, there = view["in"], view["in"].there & view["got"].there
        before, behind = seen.tos, view["got"].tos
    else:
        return None
    return _Marked(
        where=f"{'into' if way == 'in' else 'out of'} {host} {where}",
        time_s=seen.time_s[there],
        before=before[there],
        behind=behind[there],
        index=seen.index[there],
        packets=seen.packets,
    )


def _arriving(observed: Observed, window: FaultWindow, place: Place, packets: Packets) -> Iterator[_Marked]:
    """Packets of the one protocol, beside what the witness noted of each."""
    noted = observed.probes.witnessed(place.host.name)
    if noted is None:
        return
    tos = dict(zip(noted[0].tolist(), noted[1].tolist(), strict=True))
    index = np.flatnonzero(meant(place, packets, "in"))
    behind = np.array([tos.get(mark, -1) for mark in fingerprints(packets, index)], np.int64)
    known = behind >= 0
    yield _packets_marked(place, packets, index[known], packets.tos[index[known]].astype(np.int64), behind[known])


def _leaving(observed: Observed, window: FaultWindow, place: Place, packets: Packets) -> Iterator[_Marked]:
    """Packets of the one protocol; what they were marked by their sender is what most of them carried before the fault."""
    index = np.flatnonzero(meant(place, packets, "out"))
    behind = packets.tos[index].astype(np.int64)
    earlier = behind[packets.time_s[index] < window.began_s]
    if len(earlier):
        usual = int(np.bincount(earlier).argmax())
        yield _packets_marked(place, packets, index, np.full(len(index), usual, np.int64), behind)


def _packets_marked(place: Place, packets: Packets, index: Numbers, before: Numbers, behind: Numbers) -> _Marked:
    port = f"/{place.port}" if place.port else ""
    return _Marked(
        where=f"at {place.host.name} ({place.protocol}{port})",
        time_s=packets.time_s[index],
        before=before,
        behind=behind,
        index=index,
        packets=packets,
    )
