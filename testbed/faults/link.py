"""Faults of a link: silence, refusal, or a link that comes and goes. Rules live in an nftables table of the fault's own name in the
host's NIC, at the netdev hooks: senders in the host get no error, ARP goes on, and tcpdump sees what arrives. Nothing else is touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import ClassVar, Literal

from testbed.duration import PositiveDuration, parse_duration
from testbed.errors import UsageError
from testbed.faults.base import Command, Cycle, Family, Fault, InNic, Plan, Way, mark_of
from testbed.faults.draw import Drawn, a_host, a_way, milliseconds
from testbed.faults.target import BOTH, Place, places
from testbed.topology import Topology

_HOOKS: dict[Way, str] = {"in": "ingress", "out": "egress"}
_MIN_FLAP_S = 0.05
"""A shorter one is over before a packet notices."""


def chain(way: Way, rules: Sequence[str]) -> str:
    """A chain at one netdev hook of the act's devices."""
    hook = f"type filter hook {_HOOKS[way]} devices = {{ {{devices}} }} priority 0; policy accept;"
    return "\n".join([f"  chain {_HOOKS[way]} {{", *(f"    {line}" for line in (hook, *rules)), "  }"]) + "\n"


def chains(place: Place, verdict: str, everything: str = "meta protocol { ip, ip6 }") -> str:
    """A chain for each way, in which the packets meant get this verdict."""
    return "".join(
        chain(way, [f"{match} counter {verdict}" for match in matches(place, way, everything)]) for way in place.ways
    )


IPV4 = "meta protocol ip"
"""What only IPv4 can have done to it; the bed speaks nothing else, and ARP must go on."""


def matches(place: Place, way: Way, everything: str) -> list[str]:
    """nft expressions, one a rule, that hold for the packets meant on their way in or out."""
    own, peer = ("daddr", "saddr") if way == "in" else ("saddr", "daddr")
    parts = [f"ip {side} {{ {', '.join(cidrs)} }}" for side, cidrs in ((own, place.own), (peer, place.peers)) if cidrs]
    if not place.protocol:
        return [" ".join(parts) or everything]
    parts.append(f"ip protocol {place.protocol}")
    if not place.port:
        return [" ".join(parts)]
    return [" ".join([*parts, f"{place.protocol} {port} {place.port}"]) for port in ("dport", "sport")]


def table_act(place: Place, fault_id: str, text: str, cycle: Cycle | None = None) -> InNic:
    """One table with these chains, removed as a whole."""
    table = mark_of(fault_id)
    return InNic(
        host=place.host.name,
        addresses=place.addresses,
        do=(Command(argv=("nft", "-f", "-"), input=f"table netdev {table} {{\n{text}}}\n"),),
        undo=(Command(argv=("nft", "delete", "table", "netdev", table)),),
        confirm=(Command(argv=("nft", "list", "table", "netdev", table)),) if cycle is None else (),
        cycle=cycle,
    )


class _LinkFault(Fault):
    family: ClassVar[Family] = "link"

    @classmethod
    def drawn(cls, topology: Topology, chance: Random) -> Drawn | None:
        """A host's link, or a part of what passes there."""
        at = a_way(topology, chance)
        return {"at": at} if at else None


class LinkCut(_LinkFault):
    """No packet in or out, one table with a chain a way."""

    kind: ClassVar[str] = "cut"
    help: ClassVar[str] = "no IP packet passes the host's link, in or out; the link stays up"
    example: ClassVar[str] = '{cut: "phones<->ccm-1"}'
    ways: ClassVar[tuple[Way, ...]] = BOTH

    def plan(self, topology: Topology, fault_id: str) -> Plan:
        """One table a host."""
        return Plan(acts=tuple(self._act(place, fault_id) for place in places(topology, self.at, self.ways)))

    def _act(self, place: Place, fault_id: str) -> InNic:
        if not place.ways:
            raise UsageError(f"{self.kind} {self.at}: the arrow goes the other way", hint="a <-> b, or `cut: a->b`")
        return table_act(place, fault_id, chains(place, "drop"))


class LinkCutIn(LinkCut):
    """One-way: what arrives is dropped."""

    kind: ClassVar[str] = "cut-in"
    help: ClassVar[str] = "no IP packet comes in through the host's link; what it sends gets out"
    example: ClassVar[str] = "{cut-in: ccm-1}"
    ways: ClassVar[tuple[Way, ...]] = ("in",)


class LinkCutOut(LinkCut):
    """One-way: what is sent is dropped."""

    kind: ClassVar[str] = "cut-out"
    help: ClassVar[str] = "no IP packet goes out through the host's link; what is sent to it arrives"
    example: ClassVar[str] = "{cut-out: ccm-1}"
    ways: ClassVar[tuple[Way, ...]] = ("out",)


class LinkDown(_LinkFault):
    """``ip link set down``: ARP fails too, and routes of the device go; healing brings them back."""

    kind: ClassVar[str] = "link-down"
    help: ClassVar[str] = "the host's interfaces are down: no ARP either, new connections to it fail with EHOSTUNREACH"
    example: ClassVar[str] = "{link-down: ccm-1}"

    @classmethod
    def drawn(cls, topology: Topology, chance: Random) -> Drawn | None:
        """Whole hosts only."""
        at = a_host(topology, chance)
        return {"at": at} if at else None

    def plan(self, topology: Topology, fault_id: str) -> Plan:
        """Down; up and configured anew. Whole hosts only."""
        return Plan(acts=tuple(self._act(place) for place in places(topology, self.at)))

    def _act(self, place: Place) -> InNic:
        if not place.everything:
            raise UsageError(f"link-down {self.at}: a link is down for everybody", hint="name a host; or use cut")
        return InNic(
            host=place.host.name,
            addresses=place.addresses,
            do=(Command(argv=("ip", "link", "set", "{device}", "down")),),
            undo=(
                Command(argv=("ip", "link", "set", "{device}", "up")),
                Command(argv=("python3", "-m", "testbed.roles.nic", "configure")),
            ),
            means="ip",
        )

    def claims(self, topology: Topology) -> frozenset[str]:
        """The link: what else is done to it needs it up."""
        return frozenset(f"link:{place.host.name}" for place in places(topology, self.at))


class LinkReject(_LinkFault):
    """Refused by a rule at the host's door, as a firewall does. Its RSTs carry no mark."""

    kind: ClassVar[str] = "reject"
    help: ClassVar[str] = (
        "packets to the host are refused at once: TCP by RST, the rest by ICMP; with `by: icmp` all by ICMP"
    )
    example: ClassVar[str] = "{reject: {at: tcp/2000 at ccm-1, by: rst}}"

    by: Literal["rst", "icmp"] = "rst"

    @classmethod
    def drawn(cls, topology: Topology, chance: Random) -> Drawn | None:
        """Either way of refusing."""
        found = super().drawn(topology, chance)
        return found and {**found, "by": chance.choice(["rst", "icmp"])}

    def plan(self, topology: Topology, fault_id: str) -> Plan:
        """One table a host, on the way in."""
        return Plan(acts=tuple(self._act(place, fault_id) for place in places(topology, self.at, ("in",))))

    def _act(self, place: Place, fault_id: str) -> InNic:
        if self.by == "rst" and place.protocol not in ("", "tcp"):
            raise UsageError(f"reject {self.at}: only TCP can be refused by RST", hint="by: icmp")
        refused = [f"{match} counter reject with icmp admin-prohibited" for match in matches(place, "in", IPV4)]
        if self.by == "rst":
            tcp = matches(replace(place, protocol="tcp"), "in", IPV4)
            refused = [f"{rule} counter reject with tcp reset" for rule in tcp] + ([] if place.protocol else refused)
        return table_act(place, fault_id, chain("in", refused))


class LinkFlap(_LinkFault):
    """A cut that comes and goes by the holder's own clock."""

    kind: ClassVar[str] = "flap"
    help: ClassVar[str] = "the host's link is cut and healed over and over: `down` long cut, `up` long whole"
    example: ClassVar[str] = "{flap: {at: web-1, down: 500ms, up: 500ms}}"
    partial: ClassVar[bool] = True

    down: PositiveDuration = parse_duration("500ms")
    up: PositiveDuration = parse_duration("500ms")

    @classmethod
    def drawn(cls, topology: Topology, chance: Random) -> Drawn | None:
        """Half a second, more or less; of all packets, since only probes show its turns."""
        found = super().drawn(topology, chance)
        if found and " at " in found["at"]:
            return None
        return found and {**found, "down": milliseconds(chance, 300, 700), "up": milliseconds(chance, 300, 700)}

    def plan(self, topology: Topology, fault_id: str) -> Plan:
        """The table of a cut, put there and removed by turns."""
        timers = topology.timers
        cycle = Cycle(on_s=self.down.seconds(timers), off_s=self.up.seconds(timers))
        found = places(topology, self.at)
        if min(cycle.on_s, cycle.off_s) < _MIN_FLAP_S:
            raise UsageError(f"flap {self.at}: quicker than {_MIN_FLAP_S:g} s", hint="down: 500ms, up: 500ms")
        return Plan(acts=tuple(table_act(place, fault_id, chains(place, "drop"), cycle) for place in found))
