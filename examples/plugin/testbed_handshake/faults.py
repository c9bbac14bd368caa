"""A host that takes no new connection: a full backlog, a firewall that lost its rule. What is established goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from testbed.faults.base import Family, Fault, InNic, Plan
from testbed.faults.link import chain, matches, table_act
from testbed.faults.target import Place, places
from testbed.topology import Topology


class NoNew(Fault):
    """The SYN of every new connection to the target is dropped: ``{no-new: shop-1}``, ``{no-new: tcp/80 at client->slb}``."""

    kind: ClassVar[str] = "no-new"
    help: ClassVar[str] = "no new TCP connection to the host is made; established ones go on"
    example: ClassVar[str] = "{no-new: tcp/80 at client->slb}"
    family: ClassVar[Family] = "link"

    def plan(self, topology: Topology, fault_id: str) -> Plan:
        """One table a host, of the fault's own name."""
        return Plan(acts=tuple(self._act(place, fault_id) for place in self.places(topology)))

    def places(self, topology: Topology) -> tuple[Place, ...]:
        """Where it happens, and to what: TCP only. What its proof is made from is recorded there."""
        return tuple(replace(place, protocol=place.protocol or "tcp") for place in places(topology, self.at))

    def claims(self, topology: Topology) -> frozenset[str]:
        """Two of these at one host would be one too many to tell apart."""
        return frozenset(f"no-new:{place.host.name}" for place in places(topology, self.at))

    def _act(self, place: Place, fault_id: str) -> InNic:
        rules = [f"{match} tcp flags & (syn | ack) == syn counter drop" for match in matches(place, "in", "")]
        return table_act(place, fault_id, chain("in", rules))
