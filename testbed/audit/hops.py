"""Two captures of the same traffic at different points, matched packet by packet: what the way between them does to marks, what it loses,
and how long it takes.

Which point a flow passes first its TTL says, if there is a router in between; else the clocks. Delays are differences of two clocks:
where these do not agree, the shape of the distribution is right and its place is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from testbed.audit.flows import WAY_WORDS, Traffic
from testbed.audit.lanes import Index
from testbed.audit.trace import Trace
from testbed.packets import Mask

EDGE_S = 1.0
"""At both ends of the time that both captures have, a packet may be in one of them only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Remark:
    """Packets whose mark is another behind the hop; the first of them by its frame in both captures."""

    before: int
    after: int
    packets: int
    first: tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Hop:
    """One class and way from one capture to another. ``sent`` packets were seen at the first while both captured, ``lost`` of them not at
    the second. ``delay_s``: 50 %, 95 % and the greatest, of all that were matched."""

    source: str
    target: str
    traffic: str
    way: str
    sent: int
    matched: int
    lost: int
    delay_s: tuple[float, float, float]
    remarks: tuple[Remark, ...]

    @property
    def changed(self) -> int:
        return sum(remark.packets for remark in self.remarks)


@dataclass(frozen=True, kw_only=True, slots=True)
class Apart:
    """Packets, while both captured, of flows that one of two neighbours has and the other has nothing of: they take another way, or are
    stopped."""

    file: str
    other: str
    traffic: str
    way: str
    flows: int
    packets: int


def only_at(one: Trace, two: Trace) -> list[Apart]:
    """By class, what is at the first only."""
    if not len(one.key) or not len(two.key):
        return []
    begin_s, end_s = _common_span(one, two)
    alone = (one.time_s >= begin_s) & (one.time_s <= end_s) & ~np.isin(one.flow, np.unique(two.flow))
    code = one.traffic.astype(np.int64) * len(WAY_WORDS) + one.way
    found = []
    for value in np.unique(code[alone]).tolist():
        traffic, way = divmod(value, len(WAY_WORDS))
        own = alone & (code == value)
        flows, packets = len(np.unique(one.flow[own])), int(own.sum())
        word = Traffic(traffic).word
        found.append(
            Apart(file=one.file, other=two.file, traffic=word, way=WAY_WORDS[way], flows=flows, packets=packets)
        )
    return found


def hops_between(one: Trace, two: Trace) -> list[Hop]:
    """All of both ways, by class; classes of which no packet is in both captures are left out."""
    _, in_one, in_two = np.intersect1d(one.key, two.key, assume_unique=True, return_indices=True)
    if not len(in_one):
        return []
    is_from_one = _leaves(one, two, in_one, in_two)
    forth, back = is_from_one, ~is_from_one
    span = _common_span(one, two)
    found = [*_hops(one, two, in_one[forth], in_two[forth], span), *_hops(two, one, in_two[back], in_one[back], span)]
    return sorted(found, key=lambda hop: (hop.traffic, hop.way, hop.source))


def _leaves(one: Trace, two: Trace, in_one: Index, in_two: Index) -> Mask:
    """Of each matched packet whether its flow passes ``one`` first."""
    _, flow = np.unique(one.flow[in_one], return_inverse=True)
    routed = np.bincount(flow, weights=one.ttl[in_one].astype(np.int64) - two.ttl[in_two].astype(np.int64))
    later_s = two.time_s[in_two] - one.time_s[in_one]
    timed = np.bincount(flow, weights=np.sign(later_s))
    mask: Mask = np.where(routed != 0, routed > 0, timed >= 0)[flow]
    return mask


def _common_span(one: Trace, two: Trace) -> tuple[float, float]:
    edge_s = min(EDGE_S, (min(one.time_s.max(), two.time_s.max()) - max(one.time_s.min(), two.time_s.min())) / 10)
    return max(one.time_s.min(), two.time_s.min()) + edge_s, min(one.time_s.max(), two.time_s.max()) - edge_s


def _hops(source: Trace, target: Trace, left: Index, came: Index, span: tuple[float, float]) -> Iterator[Hop]:
    """Lost is what belongs to a flow that passes this way and was seen at its beginning only."""
    if not len(left):
        return
    matched = np.zeros(len(source.key), np.bool_)
    matched[left] = True
    this_way = np.isin(source.flow, np.unique(source.flow[left]))
    inside = (source.time_s >= span[0]) & (source.time_s <= span[1]) & this_way
    code = source.traffic.astype(np.int64) * len(WAY_WORDS) + source.way
    for value in np.unique(code[left]).tolist():
        traffic, way = divmod(value, len(WAY_WORDS))
        own = code[left] == value
        delays = target.time_s[came[own]] - source.time_s[left[own]]
        sent = inside & (code == value)
        p50, p95, most = (float(part) for part in np.quantile(delays, (0.5, 0.95, 1.0)))
        yield Hop(
            source=source.file,
            target=target.file,
            traffic=Traffic(traffic).word,
            way=WAY_WORDS[way],
            sent=int(sent.sum()),
            matched=int(own.sum()),
            lost=int((sent & ~matched).sum()),
            delay_s=(p50, p95, most),
            remarks=tuple(_remarks(source, target, left[own], came[own])),
        )


def _remarks(source: Trace, target: Trace, left: Index, came: Index) -> Iterator[Remark]:
    before, after = source.dscp[left].astype(np.int64), target.dscp[came].astype(np.int64)
    other = np.flatnonzero(before != after)
    pairs: npt.NDArray[np.int64] = before[other] * 64 + after[other]
    for pair, packets in Counter(pairs.tolist()).most_common():
        index = other[pairs == pair]
        first = index[np.argmin(source.frame[left[index]])]
        yield Remark(
            before=pair // 64,
            after=pair % 64,
            packets=packets,
            first=(int(source.frame[left[first]]), int(target.frame[came[first]])),
        )
