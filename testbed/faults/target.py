"""Where a fault of a link happens, in words: ``ccm-1``, ``phones<->ccm-1``, ``slb->web-1``, ``tcp/2000 at ccm-1``, ``1/3 of phones``.

    target = [protocol[/port] at ] side [ <-> side | -> side ]
    side   = host | role (phones, call-control, web-host, …) | device name of a phone | share of phones (1/3 of phones)

A pair is performed at the hosts of its right side: everything between ``phones`` and ``ccm-1`` passes ccm-1's NIC, whichever phones
host it comes from. With ``->`` only what goes from left to right is meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from testbed.document import known_words
from testbed.errors import UsageError
from testbed.faults.base import Way
from testbed.topology import Host, Role, Topology

PROTOCOLS = ("tcp", "udp", "icmp")
MAX_LENGTH = 200
"""Of a target, in characters; errors show no more of it."""
BOTH: tuple[Way, ...] = ("in", "out")

_TARGET = re.compile(
    r"(?:(?P<protocol>[a-z]+)(?:/(?P<port>\d+))?\s+at\s+)?(?P<left>.+?)(?:\s*(?P<arrow><->|->)\s*(?P<right>.+))?"
)
_SHARE = re.compile(r"(\d{1,3})/(\d{1,3}) of phones")
_EXAMPLES = "write ccm-1, phones<->ccm-1, slb->web-1, tcp/2000 at ccm-1 or 1/3 of phones"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A host's links, and which of the packets there are meant: between ``own`` addresses and ``peers`` (CIDRs; none: all of them),
    of a protocol and port (on either side; none: any), into the host, out of it, or both."""

    host: Host
    own: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    protocol: str = ""
    port: int = 0
    ways: tuple[Way, ...] = BOTH

    @property
    def everything(self) -> bool:
        """Whether every packet of the links is meant, one way or both."""
        return not (self.own or self.peers or self.protocol)

    @property
    def addresses(self) -> tuple[str, ...]:
        """One address of each link."""
        return tuple(link.address for link in self.host.links if link.address)


@dataclass(frozen=True, slots=True)
class _Side:
    """Hosts of one side; ``own`` (host -> CIDRs) where only some of its phones are meant."""

    hosts: tuple[Host, ...]
    own: dict[str, tuple[str, ...]]


def places(topology: Topology, words: str, ways: tuple[Way, ...] = BOTH) -> tuple[Place, ...]:
    """The places these words mean, one a host; UsageError says what is wrong with them and lists what is known."""
    words = words.strip()
    match = _TARGET.fullmatch(words) if words.isprintable() and len(words) <= MAX_LENGTH else None
    if not match:
        raise UsageError(f"{words[:MAX_LENGTH]!r} is no target", hint=_EXAMPLES)
    protocol, port = _traffic(match["protocol"], match["port"])
    left = _side(topology, match["left"].strip())
    if match["arrow"] is None:
        found = [
            Place(host=host, own=left.own.get(host.name, ()), protocol=protocol, port=port, ways=ways)
            for host in left.hosts
        ]
    else:
        right = _side(topology, match["right"].strip())
        if shared := {host.name for host in left.hosts} & {host.name for host in right.hosts}:
            raise UsageError(f"{words!r}: {', '.join(sorted(shared))} is on both sides", hint=_EXAMPLES)
        if match["arrow"] == "->":
            ways = tuple(way for way in ways if way == "in")
        peers = tuple(cidr for host in left.hosts for cidr in left.own.get(host.name) or addresses_of(host))
        found = [
            Place(host=host, own=right.own.get(host.name, ()), peers=peers, protocol=protocol, port=port, ways=ways)
            for host in right.hosts
        ]
    # An address may still be Docker's to hand out; the link it will belong to is known before.
    if not found or not all(place.host.links for place in found):
        raise UsageError(f"{words!r}: there is no link to break", hint=_EXAMPLES)
    return tuple(found)


def host_word(words: str) -> str:
    """The first host, role or phone in the words: what errors about unknown hosts point at."""
    match = _TARGET.fullmatch(words.strip())
    return match["left"].strip() if match else words


def addresses_of(host: Host) -> tuple[str, ...]:
    """Every address that packets of this host carry, as CIDRs: its links', further ones, its phones'."""
    single = dict.fromkeys([*(link.address for link in host.links if link.address), *host.addresses])
    return (*(f"{address}/32" for address in single), *([host.phone_prefix] if host.phone_prefix else ()))


def _traffic(protocol: str | None, port: str | None) -> tuple[str, int]:
    if protocol is None:
        return "", 0
    if protocol not in PROTOCOLS:
        raise UsageError(f"unknown protocol {protocol!r}", hint=known_words(protocol, PROTOCOLS))
    number = int(port or 0)
    if number > 65535 or (port and (not number or protocol == "icmp")):
        raise UsageError(f"{protocol}/{port} is no port", hint="tcp/2000: ports go from 1 to 65535, of tcp and udp")
    return protocol, number


def _side(topology: Topology, word: str) -> _Side:
    if share := _SHARE.fullmatch(word):
        return _phones(topology, _share(topology, int(share[1]), int(share[2])))
    if word in topology.phones:
        return _phones(topology, (word,))
    roles = {"phones": Role.PHONE, **{str(role): role for role in Role}}
    hosts = [host.name for host in topology.hosts]
    if word in hosts:
        return _Side((topology.host(word),), {})
    if word in roles and topology.with_role(roles[word]):
        return _Side(topology.with_role(roles[word]), {})
    there = [name for name, role in roles.items() if topology.with_role(role)]
    raise UsageError(f"no host {word!r} in this bed", hint=known_words(word, [*hosts, *there]))


def _share(topology: Topology, part: int, whole: int) -> tuple[str, ...]:
    """Every third phone for 1/3, so that each phones host has some of them."""
    if not 0 < part < whole:
        raise UsageError(f"{part}/{whole} of phones is no part of them", hint="1/3 of phones, 1/2 of phones")
    chosen = tuple(phone for place, phone in enumerate(topology.phones) if place % whole < part)
    if not chosen:
        raise UsageError(f"{part}/{whole} of phones: the bed has no phones", hint="`--phones 12`")
    return chosen


def _phones(topology: Topology, phones: tuple[str, ...]) -> _Side:
    own: dict[str, tuple[str, ...]] = {}
    for phone in phones:
        address = topology.phone_address(phone)
        host = topology.host_of(address)
        own[host] = (*own.get(host, ()), f"{address}/32")
    return _Side(tuple(topology.host(name) for name in own), own)
