"""Who probes whom, so that packets show when a fault of a link began and ended. Pure; the prober in the NICs performs it (testbed.probe).

Probes go both ways between the place of a fault and one peer, and, where the fault is about some packets only, between the place and a
bystander that it must leave alone. ICMP echo requests: a fault of one protocol only is seen in that protocol's own packets, of which
the place keeps a record too (``witness``), and lets the probes pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from itertools import count
from math import ceil
from typing import Any

from testbed.dscp import AF31, EF, tos_of
from testbed.faults.base import Fault
from testbed.faults.target import BOTH, Place, places
from testbed.probe import Lane
from testbed.topology import Host, Topology

PROBED = ("link", "impairment", "marking")
"""Families of faults that happen to packets; and those hosts' faults that cut the link first."""

PERIOD_S, SLOW_PERIOD_S = 0.02, 0.05
"""Between requests of a lane: how exactly the moment is seen. The longer one at real timers, where runs take minutes."""
MAX_FULL_SPEED_LANES = 8
"""400 requests a second and as many answers; with more lanes each goes slower."""

LEAD_S = 0.5
"""Probes go on for so long before a fault begins: that packets were well until then is part of its proof."""
LINGER_S, SHARE_LINGER_S = 0.5, 2.5
"""Long enough to see that a fault ended; the longer one where only a share of the packets tells."""
EVIDENT_PERCENT = 5.0
"""Of a share below it more probes are sent, so that some of them meet it."""
MAX_BURST = 10

PROBE_WIRE_BYTES = 106
"""A request with 64 bytes, its headers included."""
RATE_SHARE = 0.05
"""Probes may take this share of a link with a rate; a train of them more, for a moment."""
TRAIN_S = 0.04
MIN_TRAIN, MAX_TRAIN = 6, 40


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbePlan:
    """Lanes of a run, and host -> protocols whose packets it notes."""

    lanes: tuple[Lane, ...]
    witness: dict[str, tuple[str, ...]]
    linger_s: float = LINGER_S
    """How long probes go on after the last step."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts at which probes begin or end, or packets are noted."""
        ends = [name for lane in self.lanes for name in (lane.from_, lane.to)]
        return tuple(dict.fromkeys([*ends, *self.witness]))

    def sent_by(self, host: str) -> tuple[Lane, ...]:
        """Lanes that begin there."""
        return tuple(lane for lane in self.lanes if lane.from_ == host)


def places_of(topology: Topology, fault: Fault) -> tuple[Place, ...]:
    """Where it happens to packets; none for faults that don't. UsageError as its plan would raise."""
    if fault.family in PROBED:
        own = getattr(fault, "places", None)
        if own is not None:
            found: tuple[Place, ...] = own(topology)
            return found
        direction = getattr(fault, "direction", None)
        ways = getattr(fault, "ways", BOTH) if direction in (None, "both") else (direction,)
        return places(topology, fault.at, ways)
    return places(topology, fault.at) if fault.kind == "power-off" else ()


def watched_hosts(topology: Topology, faults: Iterable[Fault], preferred: Sequence[str] = ()) -> tuple[str, ...]:
    """Hosts at which a run with these faults captures, besides those the scenario names (``preferred``): the faulted and the probed.

    The same before the bed is up, when Docker has not handed out all addresses yet, as afterwards.
    """
    known, topology = list(faults), _addressed(topology)
    faulted = [host for fault in known for host in fault.hosts(topology)]
    return tuple(dict.fromkeys([*preferred, *faulted, *plan_probes(topology, known, preferred).hosts]))


def _addressed(topology: Topology) -> Topology:
    """With an address for every link that has none, of the block for benchmarks (RFC 2544)."""
    numbers = count(int(IPv4Address("198.18.0.1")))
    return replace(
        topology,
        hosts=tuple(
            replace(
                host,
                links=tuple(
                    link if link.address else replace(link, address=str(IPv4Address(next(numbers))))
                    for link in host.links
                ),
            )
            for host in topology.hosts
        ),
    )


def plan_probes(topology: Topology, faults: Iterable[Fault], preferred: Sequence[str] = ()) -> ProbePlan:
    """For all faults of a run. Peers are hosts that no fault is about, and rather those of ``preferred``, captured anyway."""
    found = [(fault, place) for fault in faults for place in places_of(topology, fault)]
    avoid = {place.host.name for _, place in found}
    wanted: list[Lane] = []
    witness: dict[str, tuple[str, ...]] = {}
    for fault, place in found:
        if place.protocol in ("tcp", "udp"):
            have = witness.get(place.host.name, ())
            witness[place.host.name] = tuple(dict.fromkeys([*have, place.protocol]))
        wanted += _lanes_of(topology, fault, place, avoid, preferred)
    lanes = _numbered(wanted)
    slower = max(1, -(-len(lanes) // MAX_FULL_SPEED_LANES))
    partly = any(_least_percent(fault, topology) for fault, _ in found)
    return ProbePlan(
        lanes=tuple(replace(lane, period_s=lane.period_s * slower) for lane in lanes),
        witness=witness,
        linger_s=SHARE_LINGER_S if partly else LINGER_S,
    )


@dataclass(frozen=True, slots=True)
class _End:
    """An address of a host."""

    host: str
    address: str


def _lanes_of(
    topology: Topology, fault: Fault, place: Place, avoid: set[str], preferred: Sequence[str]
) -> Iterator[Lane]:
    own = _own_end(place)
    others = _neighbours(topology, place.host, avoid, preferred)
    peer = _peer_end(topology, place) or next(iter(others), None)
    if peer is None:
        return
    forms = _forms(fault, topology)
    pairs = [(own, peer)]
    beside = _End(place.host.name, place.host.address)
    if place.peers:
        peers = {topology.host_of(cidr.partition("/")[0]) for cidr in place.peers}
        pairs += [(own, other) for other in others if other.host not in peers][:1]
    if place.own:
        pairs += [(_bystander_phone(topology, place) or beside, peer)]
    for one, other in pairs:
        for form in forms:
            yield _lane(other, one, form)
            yield _lane(one, other, form)


def _lane(start: _End, end: _End, form: dict[str, Any]) -> Lane:
    return Lane(number=0, from_=start.host, to=end.host, source=start.address, destination=end.address, **form)


def _own_end(place: Place) -> _End:
    return _End(place.host.name, place.own[0].partition("/")[0] if place.own else place.host.address)


def _peer_end(topology: Topology, place: Place) -> _End | None:
    """The first of the peers that is one address."""
    for cidr in place.peers:
        address, _, length = cidr.partition("/")
        if length == "32":
            return _End(topology.host_of(address), address)
    return None


def _bystander_phone(topology: Topology, place: Place) -> _End | None:
    """A phone of the same host that the fault is not about."""
    host, meant = place.host, set(place.own)
    for phone in topology.phones[host.first_phone - 1 : host.first_phone - 1 + host.phones]:
        address = topology.phone_address(phone)
        if f"{address}/32" not in meant:
            return _End(host.name, address)
    return None


def _neighbours(topology: Topology, host: Host, avoid: set[str], preferred: Sequence[str]) -> list[_End]:
    """Hosts on the network of the host's first link, best first."""
    network = host.links[0].network if host.links else ""
    ends = [
        _End(other.name, link.address)
        for other in topology.hosts
        for link in other.links
        if other.name != host.name and link.network == network
    ]
    return sorted(ends, key=lambda end: (end.host in avoid, end.host not in preferred, end.host))


def _forms(fault: Fault, topology: Topology) -> list[dict[str, Any]]:
    """Mark, pace and size of the probes this fault is seen by."""
    period_s = PERIOD_S if topology.timers.keepalive_s < 10 else SLOW_PERIOD_S
    if fault.kind == "bleach":
        return [{"tos": tos_of(AF31), "period_s": period_s}]
    if fault.kind == "remark":
        changed = int(getattr(fault, "from_", AF31))
        untouched = EF if changed != EF else AF31
        return [{"tos": tos_of(dscp), "period_s": period_s} for dscp in (changed, untouched)]
    rate_bit_s, percent = rate_of(fault, topology), _least_percent(fault, topology)
    more = min(MAX_BURST, ceil(EVIDENT_PERCENT / percent)) if percent else 1
    if not rate_bit_s:
        return [{"period_s": period_s, "burst": more}]
    # One after the other: those of a burst would wait for each other.
    slow_s = max(period_s / more, 2 * PROBE_WIRE_BYTES * 8 / (RATE_SHARE * rate_bit_s))
    size = 1000 if rate_bit_s >= 1e6 else 300
    train = min(MAX_TRAIN, max(MIN_TRAIN, round(rate_bit_s * TRAIN_S / 8 / size)))
    pause_s = max(0.5, 5 * train * size * 8 / rate_bit_s)
    return [{"period_s": slow_s}, {"period_s": pause_s, "size_bytes": size, "burst": train}]


def rate_of(fault: Fault, topology: Topology) -> float:
    """Bits a second that its link is slowed down to; 0 for faults that don't."""
    impairment = getattr(fault, "impairment", None)
    return float(impairment(topology.timers).rate_bit_s) if impairment else 0.0


def _least_percent(fault: Fault, topology: Topology) -> float:
    """The smallest share of packets that it hits; 0 for one that hits all of them."""
    impairment = getattr(fault, "impairment", None)
    if impairment is None:
        return 0.0
    value = impairment(topology.timers)
    words = ("loss_percent", "duplicate_percent", "reorder_percent", "corrupt_percent")
    return min((float(getattr(value, word)) for word in words if getattr(value, word)), default=0.0)


def _numbered(lanes: Iterable[Lane]) -> list[Lane]:
    """Each once; numbers from 1."""
    unique = dict.fromkeys(lanes)
    return [replace(lane, number=number) for number, lane in enumerate(unique, 1)]
