"""Which lanes a rule of a policy speaks of."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from testbed.audit.flows import CAUSE_WORDS, Flows, Traffic, Way, port_table
from testbed.packets import TCP, UDP, Mask

if TYPE_CHECKING:
    from testbed.policy import Rule

_PROTOCOLS = {"tcp": TCP, "udp": UDP}
_WAYS = {"up": Way.UP, "down": Way.DOWN}

Texts = Mapping[int, tuple[str, str]]
"""Of lanes of IPv6: source and destination."""


def matching(rule: Rule, flows: Flows, texts: Texts) -> Mask:
    """Lanes that meet every condition. One without a mark (no IP) never does."""
    mask: Mask = flows.version > 0
    if rule.traffic:
        mask = mask & (flows.traffic == Traffic[rule.traffic.upper()])
    if rule.protocol:
        mask = mask & (flows.proto == _PROTOCOLS[rule.protocol])
    if rule.direction != "both":
        mask = mask & (flows.way == _WAYS[rule.direction])
    if rule.cause:
        mask = mask & (flows.cause == CAUSE_WORDS.index(rule.cause))
    if rule.ports:
        table = port_table(rule.ports)
        mask = mask & np.isin(flows.proto, (TCP, UDP)) & (table[flows.sport] | table[flows.dport])
    if rule.prefixes:
        mask = mask & inside(flows, texts, rule.prefixes)
    return mask


def inside(flows: Flows, texts: Texts, prefixes: Sequence[str]) -> Mask:
    """Lanes with an address in one of these prefixes, on either side."""
    mask = np.zeros(len(flows.version), np.bool_)
    networks = [ipaddress.ip_network(prefix) for prefix in prefixes]
    for network in networks:
        if network.version == 4:
            first, last = int(network.network_address), int(network.broadcast_address)
            for column in (flows.src, flows.dst):
                mask |= (flows.version == 4) & (column >= first) & (column <= last)
    if any(network.version == 6 for network in networks):
        for lane, pair in texts.items():
            addresses = [ipaddress.ip_address(text) for text in pair]
            mask[lane] |= any(address in network for address in addresses for network in networks)
    return mask
