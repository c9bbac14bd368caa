"""Which block of addresses a bed lives in: Figure 11-4's where it is free, else another that clashes with nothing on this machine."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from testbed.errors import EngineError, UsageError

FIGURE = "172.26"
CANDIDATES = (FIGURE, *(f"172.{n}" for n in (27, 28, 29, 30, 25, 24, 23)), *(f"10.{n}" for n in range(200, 240)))


@dataclass(frozen=True, slots=True)
class AddressBlock:
    """``prefix`` is two octets (172.26): the bed's /16. Its outside network is a /24 of the benchmarking range 198.18.0.0/15."""

    prefix: str

    @property
    def cidr(self) -> str:
        """The bed's block."""
        return f"{self.prefix}.0.0/16"

    @property
    def outside_prefix(self) -> str:
        """Three octets; derived, so that two beds whose blocks differ have different outside networks."""
        first, second = self.prefix.split(".")
        return f"198.{18 if first == '172' else 19}.{second}"

    @property
    def outside_cidr(self) -> str:
        """The outside network's block."""
        return f"{self.outside_prefix}.0/24"

    @property
    def values(self) -> dict[str, str]:
        """The variables that compose files and mounted files may use."""
        return {"BED_PREFIX": self.prefix, "BED_OUTSIDE_PREFIX": self.outside_prefix}


def free_block(taken: Iterable[str], wanted: str | None = None) -> AddressBlock:
    """The first candidate that overlaps none of ``taken`` (CIDRs of Docker networks and host routes); EngineError says who is in the way."""
    if wanted and not re.fullmatch(r"(\d{1,2}|1\d\d|2[0-4]\d|25[0-5])\.(\d{1,2}|1\d\d|2[0-4]\d|25[0-5])", wanted):
        raise UsageError(
            f"BED_PREFIX={wanted} is no block", hint="two numbers, the first half of an address: BED_PREFIX=10.77"
        )
    networks = [ipaddress.ip_network(cidr, strict=False) for cidr in taken]
    clash = ""
    for prefix in (wanted,) if wanted else CANDIDATES:
        block = AddressBlock(prefix)
        mine = ipaddress.ip_network(block.cidr), ipaddress.ip_network(block.outside_cidr)
        overlaps = [str(other) for other in networks if other.version == 4 and any(own.overlaps(other) for own in mine)]
        if not overlaps:
            return block
        clash = f"{block.cidr} overlaps {', '.join(overlaps)}"
    raise EngineError(
        f"no free block of addresses: {clash}",
        hint="`testbed ls` shows running beds, `docker network ls` all networks; BED_PREFIX=10.77 asks for another block",
    )
