"""What became of every probe: when it was sent, where it was seen, what arrived behind the link. One lane at a time, as columns.

A capture at a host sees what comes in before a fault drops, delays or changes it, and what goes out after. So a request is seen, in
order, as *sent* (by the prober's record), *out* (in the capture at its sender), *in* (in that at its receiver), *got* (by the
receiver's kernel, by the prober's record there); and its answer as *answered*, *back*, and *done*, likewise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeGuard

import numpy as np
import numpy.typing as npt

from testbed.checks.capture import captures
from testbed.checks.facts import seen
from testbed.packets import Packets
from testbed.packets.probe import ProbePackets, is_damaged, probe_packets
from testbed.probe import REPLY, REQUEST, ROW_FIELDS, SENT, WITNESSED, Lane
from testbed.recording import Run

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Stage = Literal["sent", "out", "in", "got", "answered", "back", "done"]

MAX_PROBES = 1 << 20
"""Of one lane: three hours at 100 a second. A larger number comes from a damaged packet."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Column:
    """One stage of every probe of a lane, by sequence number: when it was first there (nan: never), how often, with which TOS octet
    (-1: none), and its place in the capture (-1: it is none's, or never was). ``damaged``: only known of what a kernel got."""

    time_s: Floats
    count: Numbers
    tos: Numbers
    index: Numbers
    damaged: npt.NDArray[np.bool_]
    packets: Packets | None = None

    @property
    def there(self) -> npt.NDArray[np.bool_]:
        """Which probes reached this stage."""
        return self.count > 0

    def frame(self, number: int) -> int | None:
        """Frame of this probe in the capture."""
        if self.packets is None or self.index[number] < 0:
            return None
        return int(self.packets.frame[self.index[number]])


class LaneView:
    """A lane and what became of its probes. ``available``: whether there is a record or capture for a stage at all."""

    def __init__(
        self,
        lane: Lane,
        columns: Mapping[Stage, Column],
        available: frozenset[Stage],
        span_s: tuple[float, float],
    ) -> None:
        self.lane, self._columns, self.available = lane, columns, available
        self.span_s = span_s
        """While the probers at both ends ran: what was sent outside it may have met nobody who noted it."""

    def __getitem__(self, stage: Stage) -> Column:
        return self._columns[stage]

    def __len__(self) -> int:
        return len(self["sent"].time_s)

    def damaged(self, stage: Stage) -> npt.NDArray[np.bool_]:
        """Which probes came to this stage with a wrong checksum."""
        column = self[stage]
        if column.packets is None:
            return column.damaged
        result = np.zeros(len(self), np.bool_)
        for number in np.flatnonzero(column.index >= 0).tolist():
            result[number] = is_damaged(column.packets, int(column.index[number]))
        return result


class ProbeView:
    """All lanes of a run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._captures = captures(run)
        self.doubts: list[str] = []
        """Records of probes that are not whole, in words."""

    @cached_property
    def lanes(self) -> tuple[LaneView, ...]:
        """Those that were started."""
        return tuple(self._view(lane) for lane in self._started())

    def of_host(self, host: str) -> tuple[LaneView, ...]:
        """Lanes that begin or end there."""
        return tuple(view for view in self.lanes if host in (view.lane.from_, view.lane.to))

    def witnessed(self, host: str) -> tuple[Numbers, Numbers, Floats] | None:
        """(fingerprint, TOS octet, time_s) of the packets that are no probes and reached this host's kernel; None: no record."""
        rows = self._rows(host)
        if rows is None or not len(rows):
            return None
        own = rows[rows[:, 0] == WITNESSED]
        return own[:, 2], own[:, 4], own[:, 3] / 1e9

    def _started(self) -> list[Lane]:
        lanes = {}
        for event in seen(self._run, "ProbeStarted"):
            try:
                lane = Lane.from_json(event.event.data)
            except (KeyError, TypeError, ValueError):
                continue
            lanes[lane.number] = lane
        return list(lanes.values())

    @cached_property
    def _logs(self) -> dict[str, Numbers | None]:
        return {}

    def _rows(self, host: str) -> Numbers | None:
        if host not in self._logs:
            rows = self._logs[host] = _rows_of(self._run.probe_text(host))
            self.doubts += self._missing(host, rows)
        return self._logs[host]

    def _missing(self, host: str, rows: Numbers | None) -> list[str]:
        stopped = seen(self._run, "ProbeStopped", prober=host)
        if rows is None or not stopped:
            return [f"the prober at {host} left no record"]
        counts = [event["rows"] for event in stopped]
        count = sum(counts) if all(isinstance(one, int) and one >= 0 for one in counts) else counts[-1]
        return [] if count == len(rows) else [f"the record of the prober at {host} has {len(rows)} of {count} rows"]

    @cached_property
    def _seen(self) -> dict[str, ProbePackets]:
        return {host: probe_packets(packets) for host, packets in self._captures.items()}

    def _view(self, lane: Lane) -> LaneView:
        logs: dict[Stage, tuple[str, int]] = {
            "sent": (lane.from_, SENT),
            "got": (lane.to, REQUEST),
            "done": (lane.from_, REPLY),
        }
        taps: dict[Stage, tuple[str, bool]] = {
            "out": (lane.from_, False),
            "in": (lane.to, False),
            "answered": (lane.to, True),
            "back": (lane.from_, True),
        }
        length = self._length(lane)
        columns: dict[Stage, Column] = {}
        for stage, (host, what) in logs.items():
            columns[stage] = _from_log(self._rows(host), what, lane, length)
        for stage, (host, is_reply) in taps.items():
            columns[stage] = self._from_tap(host, is_reply, lane, length)
        there = {stage for stage, (host, _) in logs.items() if self._rows(host) is not None}
        there |= {stage for stage, (host, _) in taps.items() if host in self._captures}
        return LaneView(lane, columns, frozenset(there), self._span(lane))

    def _span(self, lane: Lane) -> tuple[float, float]:
        spans = [(rows[0, 3] / 1e9, rows[-1, 3] / 1e9) for rows in map(self._rows, (lane.from_, lane.to)) if _any(rows)]
        if not spans:
            return 0.0, 0.0
        return max(begin for begin, _ in spans), min(end for _, end in spans)

    def _length(self, lane: Lane) -> int:
        """How many probes there were: by the sender's record, or else by what was seen."""
        rows = self._rows(lane.from_)
        numbers = rows[(rows[:, 0] == SENT) & (rows[:, 1] == lane.number), 2] if rows is not None else _NONE
        if not len(numbers):
            both = [self._seen[host] for host in (lane.from_, lane.to) if host in self._seen]
            numbers = np.concatenate([_NONE, *(found.sequence[found.lane == lane.number] for found in both)])
        return min(int(numbers.max(initial=-1)) + 1, MAX_PROBES)

    def _from_tap(self, host: str, is_reply: bool, lane: Lane, length: int) -> Column:
        if host not in self._captures:
            return _column(length, _NONE, _NO_TIMES, _NONE, _NONE)
        packets, found = self._captures[host], self._seen[host]
        own = (found.lane == lane.number) & (found.is_reply == is_reply) & (found.sequence < length)
        index = found.index[own]
        return _column(
            length,
            found.sequence[own],
            packets.time_s[index],
            packets.tos[index].astype(np.int64),
            index,
            packets=packets,
        )


def _any(rows: Numbers | None) -> TypeGuard[Numbers]:
    return rows is not None and len(rows) > 0


_NONE: Numbers = np.zeros(0, np.int64)
_NO_TIMES: Floats = np.zeros(0)


def _from_log(rows: Numbers | None, what: int, lane: Lane, length: int) -> Column:
    if rows is None:
        return _column(length, _NONE, _NO_TIMES, _NONE, _NONE)
    own = rows[(rows[:, 0] == what) & (rows[:, 1] == lane.number) & (rows[:, 2] < length)]
    return _column(length, own[:, 2], own[:, 3] / 1e9, own[:, 4], _NONE, damaged=own[:, 5] == 1)


def _column(
    length: int,
    numbers: Numbers,
    time_s: Floats,
    tos: Numbers,
    index: Numbers,
    *,
    damaged: npt.NDArray[np.bool_] | None = None,
    packets: Packets | None = None,
) -> Column:
    """Rows in order of time to columns by sequence number; of several rows of one probe the first counts."""
    first = numbers[::-1]
    times, marks, places = np.full(length, np.nan), np.full(length, -1, np.int64), np.full(length, -1, np.int64)
    bad = np.zeros(length, np.bool_)
    times[first], marks[first] = time_s[::-1], tos[::-1]
    if len(index):
        places[first] = index[::-1]
    if damaged is not None:
        bad[first] = damaged[::-1]
    counts = np.bincount(numbers, minlength=length).astype(np.int64) if length else np.zeros(0, np.int64)
    return Column(time_s=times, count=counts, tos=marks, index=places, damaged=bad, packets=packets)


def _rows_of(text: str | None) -> Numbers | None:
    """The whole rows of a prober's record; None where there is no record."""
    if text is None:
        return None
    lines = text.split("\n")[:-1]  # a record cut short ends in half a row
    return np.array(list(_whole(lines)), np.int64).reshape(-1, ROW_FIELDS)


def _whole(lines: Iterable[str]) -> Iterable[list[int]]:
    for line in lines:
        fields = line.split()
        if len(fields) == ROW_FIELDS and all(field.isdecimal() and len(field) < 20 for field in fields):
            row = [int(field) for field in fields]
            if max(row) < 1 << 63:
                yield row
