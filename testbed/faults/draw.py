"""Where a fault may happen in a random schedule: places of this bed at which something always passes, so that its effect can be proved."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from testbed.topology import Role, Topology

Drawn = Mapping[str, Any]
"""A fault as a scenario writes it: ``at`` and its own parameters."""


def servers(topology: Topology) -> list[str]:
    """What an SLB sends requests to: web hosts, or in a bed without any the hosts that are nothing else."""
    web = topology.with_role(Role.WEB_HOST) or topology.with_role(Role.OTHER)
    return [host.name for host in web] if topology.with_role(Role.SLB) else []


def controls(topology: Topology) -> list[str]:
    """Call controls of a bed with phones, by rank."""
    return [host.name for host in topology.with_role(Role.CALL_CONTROL)] if topology.phones else []


def busy_hosts(topology: Topology) -> list[str]:
    """Hosts that are asked for something all the time."""
    return [*controls(topology), *servers(topology), *(host.name for host in topology.with_role(Role.SLB))]


def a_host(topology: Topology, chance: Random) -> str | None:
    """One of these; None where there is none."""
    names = busy_hosts(topology)
    return chance.choice(names) if names else None


def a_way(topology: Topology, chance: Random) -> str | None:
    """A whole host, all or some between two, or one protocol at a host."""
    ways = between_two(topology)
    if not ways or chance.random() < 0.4:
        return a_host(topology, chance)
    return chance.choice(ways)


def between_two(topology: Topology) -> list[str]:
    """Targets in words that are less than all of a host."""
    balancers = [host.name for host in topology.with_role(Role.SLB)]
    clients = [host.name for host in topology.with_role(Role.CLIENT)]
    pairs = [f"phones<->{name}" for name in (*controls(topology), *balancers)] if topology.phones else []
    pairs += [f"1/{whole} of phones<->{name}" for name in controls(topology) for whole in (2, 3) if topology.phones]
    pairs += [f"tcp/2000 at {name}" for name in controls(topology)]
    pairs += [f"{slb}<->{name}" for slb in balancers for name in (*servers(topology), *controls(topology))]
    return pairs + [f"{client}<->{slb}" for client in clients for slb in balancers]


def milliseconds(chance: Random, least: int, most: int) -> str:
    """A time between the two."""
    return f"{chance.randint(least, most)}ms"
