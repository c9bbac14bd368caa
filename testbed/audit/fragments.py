"""Fragments of IP: only the first has ports, and the others are given its ports, so that all are of one flow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from testbed.packets import TCP, UDP, Packets
from testbed.packets.fetch import mixed

MAX_REMEMBERED = 1 << 14
"""First fragments of earlier blocks, in case the others come in the next one."""

Keys = npt.NDArray[np.uint64]


class Fragments:
    """Blocks in order. A fragment whose first one was not seen, or comes after it, stays without ports. Only of IPv4: nobody is known to
    fragment signalling or voice on IPv6."""

    def __init__(self) -> None:
        self._keys: Keys = np.zeros(0, np.uint64)
        self._ports: Keys = np.zeros(0, np.uint64)

    def with_ports(self, packets: Packets) -> Packets:
        """The same packets, later fragments with the ports of their first."""
        four = (packets.version == 4) & np.isin(packets.proto, (TCP, UDP))
        later = np.flatnonzero(four & packets.later)
        begun = self._remember(packets, np.flatnonzero(four & ~packets.later & (packets.ip_id != 0)))
        if not len(later) or not begun:
            return packets
        wanted = _keys(packets, later)
        place = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        found = self._keys[place] == wanted
        ports = self._ports[place[found]]
        sport, dport = packets.sport.copy(), packets.dport.copy()
        sport[later[found]] = ports >> np.uint64(16)
        dport[later[found]] = ports & np.uint64(0xFFFF)
        return replace(packets, sport=sport, dport=dport)

    def _remember(self, packets: Packets, index: npt.NDArray[np.int64]) -> bool:
        """The first fragments among these; whether any is known now."""
        first = index[packets.more_fragments(index)] if len(index) else index
        if len(first):
            ports = packets.sport[first].astype(np.uint64) << np.uint64(16) | packets.dport[first]
            # Of one key that comes twice the newer one counts: unique keeps the first of the reversed.
            keys = np.concatenate([_keys(packets, first)[::-1], self._keys])
            every = np.concatenate([ports[::-1], self._ports])
            self._keys, newest = np.unique(keys[:MAX_REMEMBERED], return_index=True)
            self._ports = every[newest]
        return len(self._keys) > 0


def _keys(packets: Packets, index: npt.NDArray[np.int64]) -> Keys:
    """Source, destination, identification and protocol as one number (RFC 791)."""
    addresses = packets.src[index].astype(np.uint64) << np.uint64(32) | packets.dst[index]
    rest = packets.ip_id[index].astype(np.uint64) << np.uint64(8) | packets.proto[index]
    return mixed(addresses, rest)
