"""Frames inside VXLAN (RFC 7348): Ethernet behind eight bytes in UDP to port 4789."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from testbed.packets import UDP, Packets, decode
from testbed.packets.fetch import Fetch
from testbed.packets.link import ETHERNET
from testbed.packets.record import Records

VXLAN_PORT = 4789
_HEADER_BYTES = 8
_HAS_NETWORK = 0x08
"""The flag without which there is no network identifier, and no VXLAN."""


def inner_packets(packets: Packets) -> Packets | None:
    """What the VXLAN packets among these carry, with the frame numbers and files of the outer ones; None where there are none. One level deep."""
    is_outer = (
        (packets.proto == UDP) & (packets.dport == VXLAN_PORT) & ~packets.later & (packets.payload_len > _HEADER_BYTES)
    )
    index = np.flatnonzero(is_outer)
    if not len(index):
        return None
    index = index[Fetch(packets.data).u8(packets.payload_at[index]) & _HAS_NETWORK > 0]
    if not len(index):
        return None
    length = packets.payload_len[index] - _HEADER_BYTES
    records = Records(
        at=packets.payload_at[index] + _HEADER_BYTES,
        length=length,
        wire_len=length,
        time_s=packets.time_s[index],
        link=np.full(len(index), ETHERNET, np.uint16),
    )
    found = decode(packets.data, packets.file, records, truncated=packets.truncated)
    return replace(found, frame=packets.frame[index], source=packets.source[index])
