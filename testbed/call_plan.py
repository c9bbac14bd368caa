"""Who calls whom: pairs of phones, across two phones hosts where the bed has them, so that each stream crosses two NICs."""

from __future__ import annotations

from testbed.errors import UsageError
from testbed.topology import Role, Topology, device_name


def pairs(topology: Topology, count: int) -> tuple[tuple[str, str], ...]:
    """``count`` pairs (caller, called) of device names, no phone twice; UsageError where the bed has too few phones."""
    fleets = [
        [device_name(host.first_phone + place) for place in range(host.phones)]
        for host in topology.with_role(Role.PHONE)
        if host.phones
    ]
    if len(fleets) > 1:
        found = tuple(zip(fleets[0], fleets[1], strict=False))
    else:
        names = fleets[0] if fleets else []
        found = tuple(zip(names[::2], names[1::2], strict=False))
    if count > len(found):
        raise UsageError(
            f"{count} pairs are more than this bed has: {len(found)}",
            hint=f"{len(topology.phones)} phones; `phones: {2 * count}` are enough where two hosts have half of them each",
        )
    return found[:count]
