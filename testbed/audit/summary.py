"""Lanes put together: packets and bytes by mark, openings and first packets apart, and flows that change their mark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from testbed.audit.flows import CAUSE_WORDS, WAY_WORDS, Flows, Traffic
from testbed.audit.lanes import NO_COS, OPENING, RESET, First, Index, Lanes, first_of
from testbed.packets import Mask
from testbed.packets.fetch import distinct

MAX_SHOWN = 5
"""Changes of marks that are shown one by one; all are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """Packets, and bytes on the wire, of one mark."""

    packets: int
    bytes: int
    first: First


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A flow goes from one mark to another, in this packet."""

    before: int
    after: int
    first: First


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """By code point: all packets but foreign resets (``counts``); of these, those with SYN (``openings``) and the first of each flow
    (``firsts``); and foreign resets, which no mark of this class says anything about. ``cos`` counts packets with a VLAN tag by their CoS.
    ``changing`` flows change their mark, some of which are ``changes``."""

    counts: Mapping[int, Count]
    openings: Mapping[int, int] = field(default_factory=dict)
    firsts: Mapping[int, int] = field(default_factory=dict)
    foreign: Mapping[int, int] = field(default_factory=dict)
    cos: Mapping[int, int] = field(default_factory=dict)
    flows: int = 0
    changing: int = 0
    changes: tuple[Change, ...] = ()

    @property
    def packets(self) -> int:
        return sum(count.packets for count in self.counts.values())

    @property
    def bytes(self) -> int:
        return sum(count.bytes for count in self.counts.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowSummary:
    """One flow; ``first`` is its first packet, ``length_s`` the time to its last."""

    traffic: str
    way: str
    cause: str
    first: First
    length_s: float
    bytes: int
    counts: Mapping[int, int]


class Summarizer:
    """Of all lanes of a survey, those that a mask names."""

    def __init__(self, lanes: Lanes, flows: Flows, files: list[str]) -> None:
        self._lanes, self._flows, self._files = lanes, flows, files
        columns, count = lanes.columns, lanes.count
        self._packets, self._bytes, self._first = columns.packets[:count], columns.bytes[:count], columns.first[:count]
        self._dscp, self._kind, self._cos = columns.dscp[:count], columns.kind[:count], columns.cos[:count]

    def summary(self, mask: Mask) -> Summary:
        """What these lanes hold."""
        foreign = np.flatnonzero(mask & self._flows.foreign)
        own = np.flatnonzero(mask & ~self._flows.foreign)
        by_time = own[np.argsort(self._first[own], kind="stable")]
        flows, starts = np.unique(self._flows.flow[by_time], return_index=True)
        changing, changes = self._changes(by_time)
        return Summary(
            counts=self._counts(by_time),
            openings=self._sums(own[self._kind[own] == OPENING], self._packets),
            firsts=self._sums(by_time[starts], np.ones(len(self._dscp), np.int64)),
            foreign=self._sums(foreign, self._packets),
            cos=self._by_cos(own[self._cos[own] != NO_COS]),
            flows=len(flows),
            changing=changing,
            changes=changes,
        )

    def each_flow(self) -> Iterator[FlowSummary]:
        """All of them, in the order in which they began; resets of nobody's are in them."""
        flows, columns = self._flows, self._lanes.columns
        by_time = np.argsort(self._first, kind="stable")
        order = by_time[np.argsort(flows.flow[by_time], kind="stable")]
        starts = np.flatnonzero(np.diff(flows.flow[order], prepend=-1))
        for index in (
            sorted(np.split(order, starts[1:]), key=lambda one: int(self._first[one[0]])) if len(order) else ()
        ):
            lane = int(index[0])
            yield FlowSummary(
                traffic=Traffic(int(flows.traffic[lane])).word,
                way=WAY_WORDS[int(flows.way[lane])],
                cause=CAUSE_WORDS[int(flows.cause[lane])],
                first=first_of(self._lanes, lane, self._files),
                length_s=float(columns.last_s[index].max() - columns.first_s[lane]),
                bytes=int(self._bytes[index].sum()),
                counts=self._sums(index, self._packets),
            )

    def _counts(self, by_time: Index) -> dict[int, Count]:
        packets, size = self._sums(by_time, self._packets), self._sums(by_time, self._bytes)
        values, starts = np.unique(self._dscp[by_time], return_index=True)
        firsts = dict(zip(values.tolist(), by_time[starts].tolist(), strict=True))
        return {
            dscp: Count(packets=packets[dscp], bytes=size[dscp], first=first_of(self._lanes, lane, self._files))
            for dscp, lane in firsts.items()
        }

    def _sums(self, index: Index, values: Index) -> dict[int, int]:
        sums: Counter[int] = Counter()
        for dscp in distinct(self._dscp[index]).tolist():
            sums[dscp] = int(values[index[self._dscp[index] == dscp]].sum())
        return dict(sums)

    def _by_cos(self, index: Index) -> dict[int, int]:
        cos = self._cos[index]
        return {value: int(self._packets[index[cos == value]].sum()) for value in distinct(cos).tolist()}

    def _changes(self, by_time: Index) -> tuple[int, tuple[Change, ...]]:
        """A flow that goes back to a mark it had before is not seen to: lanes know when they began, not each of their packets."""
        lasting = by_time[self._kind[by_time] != RESET]
        order = lasting[np.argsort(self._flows.flow[lasting], kind="stable")]
        flow, dscp = self._flows.flow[order], self._dscp[order]
        is_change = np.flatnonzero((flow[1:] == flow[:-1]) & (dscp[1:] != dscp[:-1]))
        shown = is_change[np.argsort(self._first[order[is_change + 1]], kind="stable")][:MAX_SHOWN]
        changes = (
            Change(
                before=int(dscp[place]),
                after=int(dscp[place + 1]),
                first=first_of(self._lanes, int(order[place + 1]), self._files),
            )
            for place in shown.tolist()
        )
        return len(distinct(flow[is_change])), tuple(changes)
