"""What `up`, `status`, `ls` and `phone` show of a standing bed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from testbed import claims, journal, show, state
from testbed.bed import Bed
from testbed.engine import containers, slb_stats
from testbed.errors import BedError, UsageError
from testbed.topology import Role

SERVER_COLUMNS = ("slb", "backend", "server", "status", "sessions_total", "retries", "redispatches")
"""In a table; JSON has the errors too."""


def hosts(bed: Bed) -> list[dict[str, Any]]:
    """One record a host: role, addresses, image, state of its workload."""
    states = bed.states()
    return [
        {
            "host": host.name,
            "role": str(host.role),
            "addresses": [*(link.address for link in host.links), *host.addresses],
            "state": states.get(host.name, "gone"),
            "image": host.image,
        }
        for host in bed.topology.hosts
    ]


def servers(bed: Bed) -> list[dict[str, Any]]:
    """One record a server behind an SLB, as HAProxy itself says: up or down, and what it counted."""
    return [
        {"slb": slb.name, **row} for slb in bed.topology.with_role(Role.SLB) for row in slb_stats.read(bed, slb.name)
    ]


def phones(bed: Bed) -> list[dict[str, Any]]:
    """One record a phone, as the phones themselves say; a phones host that does not answer is named instead."""
    fleet = [host.name for host in bed.topology.with_role(Role.PHONE) if host.phones]
    records: list[dict[str, Any]] = []
    for host in fleet:
        try:
            records += bed.ask(host, {"op": "ls"})["phones"]
        except BedError as error:
            show.say(f"{host}: {error.message.splitlines()[0]}")
    return records


def phone(bed: Bed, device: str) -> dict[str, Any]:
    """One phone with its URL table."""
    reply: dict[str, Any] = bed.ask(host_of(bed, device), {"op": "show", "phone": device})
    return reply


def screen(bed: Bed, device: str, keys: Sequence[str] = ()) -> dict[str, Any]:
    """The phone's display after these keys: ``screen``, ``picture`` (PNG in base64, or None), ``results`` of the keys."""
    request = {"op": "keys", "keys": list(keys)} if keys else {"op": "screen"}
    reply: dict[str, Any] = bed.ask(host_of(bed, device), {**request, "phone": device})
    return reply


def host_of(bed: Bed, device: str) -> str:
    """Name of the phones host that has this phone; raises UsageError."""
    names = bed.topology.phones
    if device not in names:
        raise UsageError(
            f"no phone {device!r} in this bed", hint=f"`testbed phone ls --name {bed.topology.bed}` lists them"
        )
    index = names.index(device) + 1
    return next(h.name for h in bed.topology.hosts if h.first_phone <= index < h.first_phone + h.phones)


def print_status(bed: Bed, output: str) -> None:
    """Hosts, the SLBs' servers and phones: a table each, or one JSON object."""
    host_rows, server_rows, phone_rows = hosts(bed), servers(bed), phones(bed)
    if output == "table":
        show.table(host_rows, f"bed {bed.topology.bed}: hosts in {bed.topology.prefix}")
        if server_rows:
            show.table(server_rows, "\nservers of the SLB", columns=SERVER_COLUMNS)
        if phone_rows:
            show.table(phone_rows, "\nphones")
    else:
        show.rows([{"bed": bed.topology.bed, "hosts": host_rows, "servers": server_rows, "phones": phone_rows}], output)


def beds() -> list[dict[str, Any]]:
    """One record a bed that has containers on this machine: who has it, and which faults are held in it."""
    found: dict[str, list[containers.Container]] = {}
    for container in containers.containers():
        found.setdefault(container.bed, []).append(container)
    records = []
    for name, members in sorted(found.items()):
        topology = state.read_topology(name)
        states = sorted({c.state for c in members})
        records.append(
            {
                "bed": name,
                "owner": _owner(name, known=topology is not None),
                "hosts": sum(c.is_nic for c in members),
                "phones": len(topology.phones) if topology else None,
                "block": topology.prefix if topology else "(its files are gone)",
                "profile": topology.profile if topology else None,
                "state": ", ".join(states),
                "faults": [f"{entry.kind} {entry.target}" for entry in journal.read(name).open.values()],
            }
        )
    return records


def _owner(name: str, *, known: bool) -> str:
    """A bed without a claim stands; whether one whose files are elsewhere has an owner, nobody here can say."""
    holders = [claims.holder_of(mark) for mark in claims.marks(name) if mark.what == "bed"]
    return holders[0] if holders else "standing" if known else "unknown"
