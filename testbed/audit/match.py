"""Which packets of a block a rule of a policy speaks of."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from testbed.audit.labels import CAUSE_WORDS, Labels, PortTable, Traffic, Way, port_table
from testbed.packets import TCP, UDP, Mask, Packets
from testbed.packets_fetch import Fetch
from testbed.policy import Rule

_PROTOCOLS = {"tcp": TCP, "udp": UDP}
_WAYS = {"up": Way.UP, "down": Way.DOWN}
_HALF = 1 << 64


class Matcher:
    """One rule, made ready to be asked of many blocks. A packet without a mark (no IP) matches none."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._ports: PortTable | None = port_table(rule.ports) if rule.ports else None

    def mask(self, packets: Packets, labels: Labels) -> Mask:
        """Packets that meet every condition."""
        rule = self._rule
        mask: Mask = packets.version > 0
        if rule.traffic:
            mask = mask & (labels.traffic == Traffic[rule.traffic.upper()])
        if rule.protocol:
            mask = mask & (packets.proto == _PROTOCOLS[rule.protocol])
        if rule.direction != "both":
            mask = mask & (labels.way == _WAYS[rule.direction])
        if rule.cause:
            mask = mask & (labels.cause == CAUSE_WORDS.index(rule.cause))
        if self._ports is not None:
            mask = mask & np.isin(packets.proto, (TCP, UDP))
            mask = mask & (self._ports[packets.sport] | self._ports[packets.dport])
        if rule.prefixes:
            mask = mask & inside(packets, rule.prefixes)
        return mask


def inside(packets: Packets, prefixes: Sequence[str]) -> Mask:
    """Packets with an address in one of these prefixes, on either side."""
    mask = np.zeros(len(packets), np.bool_)
    for network in map(ipaddress.ip_network, prefixes):
        first, last = int(network.network_address), int(network.broadcast_address)
        if network.version == 4:
            both = [(column >= first) & (column <= last) for column in (packets.src, packets.dst)]
            mask |= (packets.version == 4) & (both[0] | both[1])
        else:
            six = np.flatnonzero(packets.version == 6)
            rows = Fetch(packets.data).rows(packets.ip_at[six] + 8, 32)
            sides = [_between(rows.u64(place), rows.u64(place + 8), first, last) for place in (0, 16)]
            mask[six] |= sides[0] | sides[1]
    return mask


def _between(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64], first: int, last: int) -> Mask:
    first_high, first_low = divmod(first, _HALF)
    last_high, last_low = divmod(last, _HALF)
    above = (high > first_high) | (high == first_high) & (low >= first_low)
    below = (high < last_high) | (high == last_high) & (low <= last_low)
    mask: Mask = above & below
    return mask
