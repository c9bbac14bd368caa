"""SCCP messages that lie whole in their segments, stepped through many at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from testbed.audit.lanes import Index
from testbed.audit.media import (
    LEAST_START_BYTES,
    MEDIA_IDS,
    NAMING_BYTES,
    OPEN_RECEIVE_CHANNEL_ACK,
    WIDE_ADDRESSES_FROM,
    endpoint_of,
)
from testbed.packets import Mask, Packets, endpoint, endpoint_number
from testbed.packets.fetch import Fetch, Rows, distinct
from testbed.packets.sccp import HEADER, MAX_MESSAGE_BYTES, VERSIONS

MAX_STEPS = 64
"""Messages stepped through in one segment; a segment with more is read one by one."""
_VERSIONS = np.zeros(256, np.bool_)
_VERSIONS[list(VERSIONS)] = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Stepped:
    """Of each segment whether it is ``broken``: not made of whole messages alone. ``named`` are the endpoints that media messages name,
    as numbers of ``endpoint_number``."""

    broken: Mask
    named: set[int]


def step_through(packets: Packets, index: Index) -> Stepped:
    """The segments with these indices, each as if a message began where it does."""
    at = packets.payload_at[index]
    end = at + packets.payload_len[index]
    broken, named = np.zeros(len(index), np.bool_), set[int]()
    going, fetch = np.arange(len(index)), Fetch(packets.data)
    for _ in range(MAX_STEPS):
        if not len(going):
            return Stepped(broken=broken, named=named)
        here = at[going]
        rows = fetch.rows(here, HEADER.size)
        length, version, message_id = rows.u32(0, "<").astype(np.int64), rows.u32(4, "<"), rows.u32(8, "<")
        following = here + length + 8
        sound = (length >= 4) & (length <= MAX_MESSAGE_BYTES) & (version < 256) & _VERSIONS[version & 0xFF]
        sound &= following <= end[going]
        broken[going[~sound]] = True
        telling = sound & ((message_id == MEDIA_IDS[0]) | (message_id == MEDIA_IDS[1]))
        if telling.any():
            named |= _named(packets, fetch, here[telling], length[telling] - 4)
        at[going] = following
        going = going[sound & (following < end[going])]
    broken[going] = True
    return Stepped(broken=broken, named=named)


def _named(packets: Packets, fetch: Fetch, at: Index, body_bytes: Index) -> set[int]:
    """What these media messages name: the usual layout at once, that of newer versions one by one."""
    rows = fetch.rows(at, HEADER.size + 16)
    newer = rows.u32(4, "<") >= WIDE_ADDRESSES_FROM
    is_ack = rows.u32(8, "<") == OPEN_RECEIVE_CHANNEL_ACK
    named = set[int]()
    for begin, length in zip(at[newer].tolist(), body_bytes[newer].tolist(), strict=True):
        _, version, message_id = HEADER.unpack_from(packets.data, begin)
        body = bytes(packets.data[begin + HEADER.size : begin + HEADER.size + min(length, NAMING_BYTES)])
        if found := endpoint_of(message_id, version, body):
            named.add(endpoint_number(*found))
    opened = ~newer & is_ack & (body_bytes >= 16) & (rows.u32(12, "<") == 0)
    started = ~newer & ~is_ack & (body_bytes >= LEAST_START_BYTES)
    return named | _numbers(rows, 16, opened) | _numbers(rows, 20, started)


def _numbers(rows: Rows, place: int, mask: npt.NDArray[np.bool_]) -> set[int]:
    """An IPv4 address in network order, and a port behind it, little-endian."""
    address, port = rows.u32(place)[mask].astype(np.uint64), rows.u32(place + 4, "<")[mask]
    sound = (address > 0) & (port > 0) & (port < 1 << 16)
    numbers: list[int] = distinct(endpoint(address[sound], port[sound].astype(np.uint16))).tolist()
    return set(numbers)
