"""Probes in a capture, as columns: which packets are echo requests or answers of ours, of which lane, with which number (testbed.probe)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from testbed.packets import Packets
from testbed.probe import ECHO_HEADER, ECHO_REPLY, ECHO_REQUEST, MAGIC, PAYLOAD_BYTES, checksum

ICMP = 1
_LANE_AT, _SEQUENCE_AT = ECHO_HEADER.size + 8, ECHO_HEADER.size + 12


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ProbePackets:
    """The probes of one capture, in its order. ``index`` is a probe's place in the capture's columns."""

    index: npt.NDArray[np.int64]
    is_reply: npt.NDArray[np.bool_]
    lane: npt.NDArray[np.int64]
    sequence: npt.NDArray[np.int64]


def probe_packets(packets: Packets) -> ProbePackets:
    """Echo messages whose payload begins with our magic; fields are read as they are, damaged or not."""
    long_enough = packets.payload_len >= ECHO_HEADER.size + PAYLOAD_BYTES
    index = np.flatnonzero((packets.proto == ICMP) & long_enough)
    data, at = np.frombuffer(packets.data, np.uint8), packets.payload_at[index]
    kind = data[at] if len(at) else np.zeros(0, np.uint8)
    ours = np.isin(kind, (ECHO_REQUEST, ECHO_REPLY))
    for place, byte in enumerate(MAGIC):
        ours &= data[at + ECHO_HEADER.size + place] == byte
    at = at[ours]
    return ProbePackets(
        index=index[ours],
        is_reply=kind[ours] == ECHO_REPLY,
        lane=_number(data, at + _LANE_AT, 2),
        sequence=_number(data, at + _SEQUENCE_AT, 4),
    )


def _number(data: npt.NDArray[np.uint8], at: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Big-endian numbers of ``size`` bytes."""
    total = np.zeros(len(at), np.int64)
    for place in range(size):
        total = total << 8 | data[at + place]
    return total


def is_damaged(packets: Packets, index: int) -> bool:
    """Whether this ICMP packet's checksum is wrong."""
    return checksum(packets.payload(index)) != 0
