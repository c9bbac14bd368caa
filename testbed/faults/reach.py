"""Who is kept from whom by a fault of a host or a link: its target in words, held against the packets between two ends."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from testbed.faults.target import Place, places
from testbed.topology import Host, Topology

SCCP_PORT, HTTP_PORT = 2000, 80


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """One end of an exchange over TCP: a host, and the addresses its packets may carry there."""

    host: str
    addresses: tuple[str, ...]


def end_of(host: Host) -> End:
    """A host as it speaks for itself; of a phones host that is not what its phones say."""
    links = (link.address for link in host.links if link.address)
    return End(host=host.name, addresses=tuple(dict.fromkeys([*links, *host.addresses])))


def end_of_phone(topology: Topology, phone: str) -> End:
    """A phone: its own address, behind the NIC of its phones host."""
    address = topology.phone_address(phone)
    return End(host=topology.host_of(address), addresses=(address,))


def kept_apart(found: Sequence[Place], one: End, other: End, port: int) -> bool:
    """Whether packets of a TCP connection to ``port`` between the two pass one of these places, and are meant there.

    One way is enough: without answers, or without questions, nobody gets anything.
    """
    return any(
        place.protocol in ("", "tcp")
        and place.port in (0, port)
        and any(
            place.host.name == near.host and _within(near, place.own) and _within(far, place.peers)
            for near, far in ((one, other), (other, one))
        )
        for place in found
    )


def _within(end: End, cidrs: Sequence[str]) -> bool:
    """Whether one of the end's addresses is in one of these blocks; none are all."""
    networks = [ipaddress.ip_network(cidr) for cidr in cidrs]
    return not networks or any(
        ipaddress.ip_address(address) in network for address in end.addresses for network in networks
    )


def phones_kept_from(topology: Topology, words: str, control: Host) -> tuple[str, ...]:
    """Phones whose packets to and from this call control a fault at ``words`` means; UsageError where the words mean nothing here."""
    found, there = places(topology, words), end_of(control)
    return tuple(
        phone for phone in topology.phones if kept_apart(found, end_of_phone(topology, phone), there, SCCP_PORT)
    )
