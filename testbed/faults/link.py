"""Faults of a link: silence. Rules live in an nftables table of our own name in the host's NIC; nothing else is touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from testbed.faults.base import Command, InNic, Plan, linked_host
from testbed.topology import Topology


def table_name(fault_id: str) -> str:
    """Every rule of ours carries this mark."""
    return f"testbed_{fault_id.replace('-', '_')}"


@dataclass(frozen=True, slots=True)
class LinkCut:
    """No IP packet in or out, at the netdev hooks: senders in the host get no error, ARP goes on, tcpdump sees what arrives."""

    target: str

    kind: ClassVar[str] = "cut"
    help: ClassVar[str] = "no IP packet passes the host's link, in or out; the link stays up"

    def plan(self, topology: Topology, fault_id: str) -> Plan:
        """One table with two chains, removed as a whole."""
        host = linked_host(topology, self.target)
        table = table_name(fault_id)
        chains = "".join(
            f'  chain {way} {{ type filter hook {way} device "{{device}}" priority 0; policy accept;'
            f" meta protocol {{ ip, ip6 }} counter drop; }}\n"
            for way in ("ingress", "egress")
        )
        rules = f"table netdev {table} {{\n{chains}}}\n"
        address = host.address
        return Plan(
            do=InNic(host=host.name, address=address, commands=(Command(argv=("nft", "-f", "-"), input=rules),)),
            undo=InNic(
                host=host.name, address=address, commands=(Command(argv=("nft", "delete", "table", "netdev", table)),)
            ),
            confirm=(Command(argv=("nft", "list", "table", "netdev", table)),),
        )
