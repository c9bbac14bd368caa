"""The bed as a value: hosts, roles, links and addresses, read from a resolved compose file and its labels.

Labels of a compose service: ``testbed.role`` (one of Role) or ``testbed.host: "true"`` makes it a host, ``testbed.host: "false"``
takes it out; ``testbed.rank`` orders call controls and web hosts (0 first); ``testbed.addresses`` are further addresses of its NIC,
``testbed.prefix`` is the block its phones live in; ``testbed.uplink`` (``2mbit``) makes its link to the network that narrow, with
what waits queued by its mark, or in one queue (``testbed.uplink-queue: fifo``).
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from testbed.errors import ScenarioError, UsageError
from testbed.profile import PROFILES, Profile
from testbed.rate import parse_rate

LABEL = "testbed."
LABELS = ("role", "host", "rank", "addresses", "prefix", "uplink", "uplink-queue")
UPLINK_QUEUES = ("dscp", "fifo")
MIN_UPLINK_BIT_S, MAX_UPLINK_BIT_S = 64e3, 1e9
OWN_LABELS = ("bed", "nic", "workload")
"""What the generated file says of its containers; nobody else does."""
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Role(StrEnum):
    """What a host is for."""

    PHONE = "phone"
    CALL_CONTROL = "call-control"
    SLB = "slb"
    TFTP_SERVER = "tftp-server"
    WEB_HOST = "web-host"
    PROXY = "proxy"
    CLIENT = "client"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """Attachment of a host to a network; ``address`` is empty where Docker hands one out."""

    host: str
    network: str
    address: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """One simulated machine. ``ours`` is False where the user's own image or configuration runs in it; ``uplink_bit_s`` is 0 where its
    link has no limit, ``uplink_queue`` is dscp or fifo."""

    name: str
    role: Role
    links: tuple[Link, ...]
    image: str
    rank: int = 0
    addresses: tuple[str, ...] = ()
    phone_prefix: str = ""
    phones: int = 0
    first_phone: int = 1
    ours: bool = True
    uplink_bit_s: float = 0.0
    uplink_queue: str = "dscp"

    @property
    def address(self) -> str:
        """The main address: that of the first link."""
        return self.links[0].address if self.links else ""

    def owns(self, address: str) -> bool:
        """Whether packets from or to this address are this host's."""
        if address in self.addresses or any(link.address == address for link in self.links):
            return True
        return bool(self.phone_prefix) and ipaddress.ip_address(address) in ipaddress.ip_network(self.phone_prefix)


@dataclass(frozen=True, kw_only=True, slots=True)
class Topology:
    """A bed: its hosts, its block of addresses (``prefix``, CIDR), its timer profile and the compose files it came from."""

    bed: str
    prefix: str
    profile: str
    hosts: tuple[Host, ...]
    files: tuple[str, ...] = ()

    @property
    def timers(self) -> Profile:
        """The timer profile itself."""
        return PROFILES[self.profile]

    @property
    def phones(self) -> tuple[str, ...]:
        """Device names of all phones, in order."""
        return tuple(device_name(host.first_phone + i) for host in self.hosts for i in range(host.phones))

    def host(self, name: str) -> Host:
        """The host of this name; UsageError lists the known ones."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise UsageError(f"no host {name!r} in this bed", hint="known hosts: " + ", ".join(h.name for h in self.hosts))

    def with_role(self, role: Role) -> tuple[Host, ...]:
        """Hosts of this role, by rank."""
        return tuple(sorted((h for h in self.hosts if h.role is role), key=lambda h: (h.rank, h.name)))

    def host_of(self, address: str) -> str:
        """Name of the host that owns this address, or the address itself where none does."""
        return next((host.name for host in self.hosts if host.owns(address)), address)

    def phone_address(self, phone: str) -> str:
        """Address of this phone (device name)."""
        index = int(phone[3:], 16) - FIRST_MAC
        for host in self.hosts:
            if host.first_phone <= index < host.first_phone + host.phones:
                network = ipaddress.ip_network(host.phone_prefix)
                return str(network[1 + index - host.first_phone])
        raise UsageError(f"no phone {phone!r} in this bed", hint="`testbed phone ls` lists them")

    def to_json(self) -> dict[str, Any]:
        """What ``topology.json`` holds."""
        return asdict(self)


FIRST_MAC = 0x020000000000
"""Locally administered, so that no simulated phone carries a vendor's address."""


def device_name(index: int) -> str:
    """Device name of the phone with this index (from 1): SEP + MAC, upper-case hexadecimal."""
    return f"SEP{FIRST_MAC + index:012X}"


def topology_from_json(record: Mapping[str, Any]) -> Topology:
    """The inverse of Topology.to_json."""
    hosts = tuple(
        Host(
            **{
                **host,
                "role": Role(host["role"]),
                "links": tuple(Link(**link) for link in host["links"]),
                "addresses": tuple(host["addresses"]),
            }
        )
        for host in record["hosts"]
    )
    return Topology(**{**record, "hosts": hosts, "files": tuple(record.get("files", ()))})


def labels_of(service: Mapping[str, Any]) -> dict[str, str]:
    """Labels of a compose service, in either of compose's two forms."""
    labels = service.get("labels") or {}
    if isinstance(labels, list):
        return dict(item.partition("=")[::2] for item in labels)
    return {key: str(value) for key, value in labels.items()}


def topology_of(
    config: Mapping[str, Any], *, bed: str, prefix: str, profile: str, phones: int, files: tuple[str, ...] = ()
) -> Topology:
    """Topology of a resolved compose file; ``phones`` are spread over the phone hosts, half in each where there are two."""
    file = files[-1] if files else "compose file"
    services = config.get("services") or {}
    for name, service in services.items():
        if problem := label_problem(labels_of(service)):
            raise ScenarioError(problem[0], file=file, path=f"services.{name}.labels", hint=problem[1])
    labelled = {name: service for name, service in services.items() if is_host(labels_of(service))}
    if not labelled:
        raise ScenarioError(
            "no service has a testbed label",
            file=file,
            path="services",
            hint='give each host the label testbed.role (or testbed.host: "true"); known services: '
            + ", ".join(services),
        )
    fleets = [name for name, service in labelled.items() if labels_of(service).get(LABEL + "role") == Role.PHONE]
    shares = _shares(phones, fleets)
    hosts = tuple(_host(name, service, file, shares.get(name, (0, 1)), prefix) for name, service in labelled.items())
    _refuse_shared_prefixes(hosts, file)
    return Topology(bed=bed, prefix=prefix, profile=profile, hosts=hosts, files=files)


def label_problem(labels: Mapping[str, str]) -> tuple[str, str] | None:
    """What is wrong with a service's labels that begin with ``testbed.``, and a hint; None where nothing is."""
    for label, value in labels.items():
        word = label.removeprefix(LABEL)
        if not label.startswith(LABEL) or (word in LABELS and word not in ("host", "role", "uplink-queue")):
            continue
        if word in OWN_LABELS:
            return f"the label {label} is the test-bed's own", "it puts it on the containers it makes: remove it"
        if word not in LABELS:
            return f"unknown label {label!r}", _closest(label, [LABEL + known for known in LABELS], "known labels: ")
        if word == "host" and value.lower() not in _BOOLEANS:
            return f"{label} is {value!r}", "true, yes or 1 makes the service a host; false, no or 0 does not"
        if word == "uplink-queue" and value not in UPLINK_QUEUES:
            return f"{label} is {value!r}", "dscp queues by mark, fifo has one queue for all"
        if word == "role" and value not in list(Role):
            return f"unknown role {value!r}", _closest(value, list(Role), "known roles: ")
    return None


def _closest(word: str, known: Sequence[str], intro: str) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return (f"did you mean {close[0]!r}? " if close else "") + intro + ", ".join(known)


def is_host(labels: Mapping[str, str]) -> bool:
    """Whether a service with these labels is a host of the bed."""
    return _BOOLEANS[labels.get(LABEL + "host", str(LABEL + "role" in labels)).lower()]


def _refuse_shared_prefixes(hosts: tuple[Host, ...], file: str) -> None:
    blocks = [(host.name, ipaddress.ip_network(host.phone_prefix)) for host in hosts if host.phone_prefix]
    for place, (name, block) in enumerate(blocks):
        for other, other_block in blocks[:place]:
            if block.overlaps(other_block):
                raise ScenarioError(
                    f"testbed.prefix {block} overlaps that of {other} ({other_block})",
                    file=file,
                    path=f"services.{name}.labels",
                    hint="give each phones host a block of its own",
                )


def _shares(phones: int, fleets: list[str]) -> dict[str, tuple[int, int]]:
    """Fleet -> (number of phones, index of its first phone)."""
    shares: dict[str, tuple[int, int]] = {}
    first = 1
    for place, name in enumerate(fleets):
        count = phones // len(fleets) + (place < phones % len(fleets))
        shares[name] = (count, first)
        first += count
    return shares


def _host(name: str, service: Mapping[str, Any], file: str, share: tuple[int, int], prefix: str) -> Host:
    labels = labels_of(service)
    path = f"services.{name}.labels"
    phone_prefix = labels.get(LABEL + "prefix", "")
    try:
        capacity = ipaddress.ip_network(phone_prefix).num_addresses - 2 if phone_prefix else 0
        addresses = tuple(str(ipaddress.ip_address(word)) for word in labels.get(LABEL + "addresses", "").split())
        rank = int(labels.get(LABEL + "rank", "0"))
        uplink_bit_s = _uplink(labels.get(LABEL + "uplink", ""))
    except ValueError as error:
        raise ScenarioError(
            str(error),
            file=file,
            path=path,
            hint="addresses like 172.26.1.2, prefixes like 172.26.16.0/21, ranks 0, 1, …, uplinks like 2mbit",
        ) from None
    if share[0] > capacity:
        raise ScenarioError(
            f"{share[0]} phones do not fit into testbed.prefix {phone_prefix or '(none)'} ({capacity} addresses)",
            file=file,
            path=path,
            hint="ask for fewer phones or give the host a larger prefix",
        )
    return Host(
        name=name,
        role=Role(labels.get(LABEL + "role", Role.OTHER)),
        links=_links(name, service, prefix, file),
        image=str(service.get("image", "")),
        rank=rank,
        addresses=addresses,
        phone_prefix=phone_prefix,
        phones=share[0],
        first_phone=share[1],
        uplink_bit_s=uplink_bit_s,
        uplink_queue=labels.get(LABEL + "uplink-queue", UPLINK_QUEUES[0]),
    )


def _uplink(text: str) -> float:
    bit_s = parse_rate(text) if text else 0.0
    if text and not MIN_UPLINK_BIT_S <= bit_s <= MAX_UPLINK_BIT_S:
        raise ValueError(f"an uplink of {text} is not between 64kbit and 1gbit")
    return bit_s


def _links(name: str, service: Mapping[str, Any], prefix: str, file: str) -> tuple[Link, ...]:
    """The link in the bed's own block first (it has the host's main address): compose keeps no order of networks."""
    networks = service.get("networks") or {"default": None}
    if isinstance(networks, list):
        networks = dict.fromkeys(networks)
    block = ipaddress.ip_network(prefix)
    links = [
        Link(host=name, network=network, address=str((options or {}).get("ipv4_address") or ""))
        for network, options in networks.items()
    ]
    try:
        return tuple(sorted(links, key=lambda link: not (link.address and ipaddress.ip_address(link.address) in block)))
    except ValueError as error:
        hint = "an address like 172.26.1.100"
        raise ScenarioError(str(error), file=file, path=f"services.{name}.networks", hint=hint) from None
