"""Proofs for impairments: what probes show of delay, jitter, loss, rate, duplicates, reordering and damage, against what was asked for.

Out of a host, a probe's time is that between its own stamp and the capture behind the queue. Into it, it is that between the capture and
the answer of the host's kernel, or, where the way out is impaired too, the record of the prober there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from testbed.checks.effect import Effect, Mask, Part, Units, combined, parts_of_time, share_effect, whole_effect
from testbed.checks.effect_link import bystanders
from testbed.checks.effect_packets import Observed, crossing, lanes_about
from testbed.checks.facts import FaultWindow, quantiles
from testbed.checks.probes import LaneView, Stage
from testbed.faults.base import Way
from testbed.faults.target import Place

IMPAIRED_END_S = 0.25
"""Its rules are gone at once; what waits in the queue gets out within its delay, which is added."""
DELAY_TOLERANCE_S, DELAY_TOLERANCE_SHARE = 0.005, 0.05
"""Of the median: a 50 ms delay must measure 50 ms ± 7.5 ms; the figures have the 95th percentile."""
JITTER_SPREAD = (0.6, 1.5)
"""Measured standard deviation over that of the even distribution asked for (jitter / √3)."""
SHARP_S = 0.001
"""A delay below it is not told from a busy machine."""
RATE_TOLERANCE_SHARE = 0.2
FASTER = 3.0
"""A train of probes that went through at this many times the rate did not meet it."""
HELD_UP = 3.0
"""A train that its sender took this many times as long for as for most says nothing of the link."""
FASTEST_S_BIT = 1e-12
"""Seconds a bit: of trains whose packets left in no time at all."""
FRAME_OVERHEAD_BYTES = 42
"""Ethernet, IP and ICMP headers around a probe."""

Floats = npt.NDArray[np.float64]


def prove_impairment(observed: Observed, window: FaultWindow) -> Effect:
    """Every impairment in it, in each of its ways; packets it is not about are unharmed."""
    fault = observed.fault(window)
    asked = getattr(fault, "impairment", None)
    if asked is None:
        return combined(window, (), ["the history does not say what it was to impair"])
    wanted = asked(observed.run.topology.timers)
    parts: list[Part] = []
    doubts = list(observed.probes.doubts)
    for place in observed.places(window):
        for way in place.ways:
            found = [
                part
                for view in _lanes(observed, place, way)
                for part in _Way(observed, window, place, view, way).parts(wanted)
            ]
            parts += found
            if not found:
                doubts.append(f"no probe passed {way} at {place.host.name} that it was about")
        doubts += bystanders(observed, window, place)
    return combined(window, parts, doubts)


def _lanes(observed: Observed, place: Place, way: Way) -> Iterator[LaneView]:
    needed = {"in": {"in", "got", "answered"}, "out": {"sent", "out"}}[way]
    for view in lanes_about(observed, place)[0]:
        end = view.lane.to if way == "in" else view.lane.from_
        if end == place.host.name and needed <= view.available and len(view):
            yield view


class _Way:
    """Probes of one lane, one way through an impaired link: when each came to it, when it was through (nan: never)."""

    def __init__(self, observed: Observed, window: FaultWindow, place: Place, view: LaneView, way: Way) -> None:
        self.window, self.place, self.view, self.way = window, place, view, way
        self.where = (
            f"{'into' if way == 'in' else 'out of'} {place.host.name} (probes {view.lane.from_} to {view.lane.to})"
        )
        entry: Stage = "in" if way == "in" else "sent"
        self._exit: Stage = "out" if way == "out" else ("got" if "out" in place.ways else "answered")
        self._passed: Stage = "out" if way == "out" else "got"
        self._entered = view[entry]
        begin_s, end_s = view.span_s
        time_s = np.where(self._entered.there, self._entered.time_s, 0.0)
        self.keep = self._entered.there & (time_s >= begin_s) & (time_s <= end_s)
        self.keep &= observed.undisturbed(view, time_s, window)
        self._trains = [other for other in lanes_about(observed, place)[0] if other.lane.burst > 1]

    def parts(self, wanted: object) -> Iterator[Part]:
        """One for each impairment asked for; trains show rates, and single probes everything else."""
        value = {name: float(getattr(wanted, name)) for name in _NAMES}
        if self.view.lane.burst > 1 and value["rate_bit_s"]:
            yield self._rate(value["rate_bit_s"], value["delay_s"] + value["jitter_s"])
            return
        if value["delay_s"]:
            yield self._delay(value)
        shown = self._shares(value)
        for word, (percent, hit) in shown.items():
            if percent:
                yield share_effect(self._units(hit), self.window, share=percent / 100, word=word)

    def _shares(self, value: dict[str, float]) -> dict[str, tuple[float, Mask]]:
        passed = self.view[self._passed]
        missing = ~passed.there
        loss, corrupt = value["loss_percent"], value["corrupt_percent"]
        damaged = self.view.damaged(self._passed) if corrupt else missing
        # A flipped bit in its own fields makes a probe unknown; where packets are lost too, all that can be told is the sum.
        both = 100 - (100 - loss) * (100 - corrupt) / 100 if loss and corrupt else 0.0
        return {
            "lost": (0.0 if both else loss, missing),
            "damaged": (0.0 if both else corrupt, damaged | missing),
            "lost or damaged": (both, damaged | missing),
            "doubled": (value["duplicate_percent"], passed.count > self._entered.count.clip(1)),
        }

    def _units(self, hit: Mask, among: Mask | None = None) -> Units:
        keep = self.keep if among is None else self.keep & among
        column = self.view[self._passed if self._passed == "out" else "in"]
        return Units.ordered(self.where, self._entered.time_s[keep], hit[keep], column.index[keep], column.packets)

    def _delay(self, value: dict[str, float]) -> Part:
        delay_s, jitter_s, reorder = value["delay_s"], value["jitter_s"], value["reorder_percent"] / 100
        through = self.view[self._exit].there & self.keep
        if value["rate_bit_s"]:
            through &= ~self._behind_trains()
        took_s = np.where(through, self.view[self._exit].time_s - self._entered.time_s, 0.0)
        everyone = self._units(through, through)
        before, during, _ = parts_of_time(everyone, self.window)
        ordered = took_s[through][np.argsort(self._entered.time_s[through], kind="stable")]
        usual_s = float(np.median(ordered[before])) if before.any() else 0.0
        if value["rate_bit_s"]:
            usual_s += (self.view.lane.size_bytes + FRAME_OVERHEAD_BYTES) * 8 / value["rate_bit_s"]
        certain = (delay_s - jitter_s) / 2 >= SHARP_S and not reorder
        limit_s = usual_s + max(SHARP_S, (delay_s - jitter_s) / 2 if certain or not jitter_s else delay_s / 4)
        units = self._units(took_s > limit_s, through)
        if certain:
            window = self.window
            part = whole_effect(
                _not_waiting(units, window, delay_s + jitter_s),
                window,
                end_within_s=IMPAIRED_END_S + delay_s + jitter_s,
            )
        else:
            late = 1.0 if not jitter_s else (delay_s + jitter_s - (limit_s - usual_s)) / (2 * jitter_s)
            part = share_effect(units, self.window, share=min(1.0, late) * (1 - reorder), word="delayed")
        late_s = ordered[during & (ordered > limit_s)]
        return _with_delay(part, self.where, late_s - usual_s, delay_s, jitter_s, all_late=certain)

    def _behind_trains(self) -> Mask:
        """Probes that came while a train, or the answers to one, was at this link: they wait for it too."""
        behind = np.zeros(len(self.view), np.bool_)
        for other in self._trains:
            stages: tuple[Stage, ...] = (
                ("sent", "out") if other.lane.from_ == self.place.host.name else ("in", "answered")
            )
            burst = other.lane.burst
            for begin in range(0, len(other), burst):
                seen_s = np.concatenate([other[stage].time_s[begin : begin + burst] for stage in stages])
                if not np.isnan(seen_s).all():
                    at_s = self._entered.time_s
                    behind |= (at_s >= np.nanmin(seen_s)) & (at_s <= np.nanmax(seen_s))
        return behind

    def _rate(self, rate_bit_s: float, wait_s: float) -> Part:
        """Trains: how many bits a second left the link, a train's own and those of whatever shared it with them.

        The slope of a line through the packets' times, which jitter does not bend as it does the time from first to last.
        """
        burst = self.view.lane.burst
        exit_s, bits = self.view[self._exit].time_s, self._bits_before()
        whole = [
            begin
            for begin in range(0, len(self.view) - burst + 1, burst)
            if self.keep[begin : begin + burst].all() and not np.isnan(exit_s[begin : begin + burst]).any()
        ]
        places = np.array(whole, np.int64)
        entered, speed = (_speeds(times, bits, places, burst) for times in (self._entered.time_s, exit_s))
        # A sender that stood still in the middle of a train did not ask anything of the link.
        asking = entered * HELD_UP > np.median(entered) if len(entered) else np.zeros(0, np.bool_)
        # One that was under way when the queue was taken away left part by part, or all at once.
        left_s = np.array([exit_s[begin : begin + burst].max() for begin in whole])
        asking &= (self._entered.time_s[places] > self.window.healing_s) | (left_s < self.window.healing_s)
        places, speed = places[asking], speed[asking]
        column = self.view[self.way]
        everyone = Units.ordered(
            self.where,
            self._entered.time_s[places],
            speed < FASTER * rate_bit_s,
            column.index[places],
            column.packets,
        )
        part = whole_effect(everyone, self.window, end_within_s=IMPAIRED_END_S + wait_s + 1.0)
        before, during, _ = parts_of_time(everyone, self.window)
        return _with_rate(part, self.where, speed[before], speed[during], rate_bit_s)

    @property
    def _probe_bits(self) -> int:
        return (self.view.lane.size_bytes + FRAME_OVERHEAD_BYTES) * 8

    def _bits_before(self) -> Floats:
        """Bits that crossed the link before each probe: those of the probes before it by their order, for jitter turns packets
        round in a capture behind the queue, and those of everything else by the capture."""
        column = self.view[self.way]
        own = np.arange(len(self.view), dtype=np.float64) * self._probe_bits
        if column.packets is None:
            return own
        shared = crossing(self.place, column.packets, self.way)
        shared[column.index[column.index >= 0]] = False
        bits = np.cumsum(np.where(shared, column.packets.wire_len, 0)) * 8.0
        return np.asarray(own + np.where(column.index >= 0, bits[column.index], 0.0), np.float64)


def _speeds(time_s: Floats, bits: Floats, places: npt.NDArray[np.int64], burst: int) -> Floats:
    """Bits a second of the trains that begin at these places: ``bits`` and ``time_s`` of every probe."""
    slopes = [
        np.polyfit(bits[begin : begin + burst] - bits[begin], time_s[begin : begin + burst] - time_s[begin], 1)[0]
        for begin in places.tolist()
    ]
    return np.array([1 / max(FASTEST_S_BIT, float(slope)) for slope in slopes])


def _not_waiting(units: Units, window: FaultWindow, wait_s: float) -> Units:
    """Without those that may have waited in the queue when it was taken away: they left at once."""
    return units.within((units.time_s < window.healing_s - wait_s) | (units.time_s > window.healing_s))


_NAMES = (
    "delay_s",
    "jitter_s",
    "loss_percent",
    "rate_bit_s",
    "duplicate_percent",
    "reorder_percent",
    "corrupt_percent",
)


def _with_delay(part: Part, where: str, late_s: Floats, delay_s: float, jitter_s: float, *, all_late: bool) -> Part:
    """What was measured of those that were delayed, and doubts where it is not what was asked for."""
    if not len(late_s):
        return part
    middle_s, doubts = float(np.median(late_s)), list(part.doubts)
    tolerance_s = DELAY_TOLERANCE_S + DELAY_TOLERANCE_SHARE * delay_s + (0 if all_late else jitter_s)
    if abs(middle_s - delay_s) > tolerance_s:
        doubts.append(f"a delay of {middle_s * 1000:.1f} ms {where}, asked for {delay_s * 1000:g} ms")
    spread_s, asked_s = float(late_s.std()), jitter_s / 3**0.5
    low, high = JITTER_SPREAD
    if jitter_s and all_late and not low * asked_s - SHARP_S <= spread_s <= high * asked_s + 2 * SHARP_S:
        doubts.append(f"a jitter of {spread_s * 1000:.1f} ms (standard deviation) {where}, asked {asked_s * 1000:.1f}")
    note = f"a delay of {middle_s * 1000:.1f} ms {where}, asked for {delay_s * 1000:g} ms"
    note += f" ± {jitter_s * 1000:g} ms" if jitter_s else ""
    figures = {**part.figures, **quantiles("delay", late_s.tolist())}
    return replace(
        part,
        began=part.began if len(doubts) == len(part.doubts) else None,
        doubts=tuple(doubts),
        notes=(*part.notes, note),
        figures=figures,
    )


def _with_rate(part: Part, where: str, before: Floats, during: Floats, asked: float) -> Part:
    doubts = list(part.doubts)
    if len(before) and np.median(before) < 1.5 * FASTER * asked:
        doubts.append(f"probes {where} went no faster before: {np.median(before) / 1e6:.3f} Mbit/s")
    if not len(during):
        return replace(part, doubts=tuple(doubts))
    measured = float(np.median(during))
    if abs(measured - asked) > RATE_TOLERANCE_SHARE * asked:
        doubts.append(f"{measured / 1e6:.3f} Mbit/s {where}, asked for {asked / 1e6:g} Mbit/s")
    # Trains are far apart: they do not tell the moment.
    edges = [edge and replace(edge, before_s=None) for edge in (part.began, part.ended)]
    return replace(
        part,
        began=edges[0] if len(doubts) == len(part.doubts) else None,
        ended=edges[1],
        doubts=tuple(doubts),
        notes=(*part.notes, f"{measured / 1e6:.3f} Mbit/s {where}, asked for {asked / 1e6:g} Mbit/s"),
        figures={**part.figures, "rate_bit_s": round(measured)},
    )
