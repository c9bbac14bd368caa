"""Where the frames of a capture file lie: the classic pcap format (draft-ietf-opsawg-pcap), both byte orders, micro- and nanoseconds.

A container is asked for the records of a piece of the file, and says how far it came; what it could not use it counts.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from testbed.packets.fetch import Fetch, Offsets

MAX_RECORD_BYTES = 1 << 20
"""A longer record is a damaged file: tcpdump's own largest snapshot length is 256 KiB."""

PCAP_MAGICS = {
    bytes.fromhex("d4c3b2a1"): ("<", 1e-6),
    bytes.fromhex("a1b2c3d4"): (">", 1e-6),
    bytes.fromhex("4d3cb2a1"): ("<", 1e-9),
    bytes.fromhex("a1b23c4d"): (">", 1e-9),
}
PCAP_HEADER_BYTES = 24
_RECORD_HEADER_BYTES = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Records:
    """Of each frame: offset and captured length in bytes, the length it had on the wire, when it was seen (seconds since the epoch),
    and its link type."""

    at: Offsets
    length: npt.NDArray[np.int64]
    wire_len: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]
    link: npt.NDArray[np.uint16]


NO_RECORDS = Records(
    at=np.zeros(0, np.int64),
    length=np.zeros(0, np.int64),
    wire_len=np.zeros(0, np.int64),
    time_s=np.zeros(0),
    link=np.zeros(0, np.uint16),
)


class Container(Protocol):
    """A format of capture files. ``damage`` says why reading cannot go on, once it cannot; ``skipped`` counts what was left out."""

    damage: str
    skipped: Counter[str]

    def take(self, data: bytes | bytearray, begin: int, end: int) -> tuple[Records, int]:
        """The whole records in ``data[begin:end]``, and where the first one begins that is not whole (which may be behind ``end``)."""
        ...


class Pcap:
    """Built from the file's 24-byte header."""

    def __init__(self, header: bytes) -> None:
        self._order, self._unit_s = PCAP_MAGICS[header[:4]]
        (link,) = struct.unpack_from(self._order + "I", header, 20)
        # The upper bits say how long the frame check sequence is.
        self.link = link & 0xFFFF
        self.damage = ""
        self.skipped: Counter[str] = Counter()
        self._count = 0

    def take(self, data: bytes | bytearray, begin: int, end: int) -> tuple[Records, int]:
        offsets, end = self._walk(data, begin, end)
        if not offsets:
            return NO_RECORDS, end
        self._count += len(offsets)
        headers = np.array(offsets, np.int64)
        rows = Fetch(data).rows(headers, _RECORD_HEADER_BYTES)
        return (
            Records(
                at=headers + _RECORD_HEADER_BYTES,
                length=rows.u32(8, self._order).astype(np.int64),
                wire_len=rows.u32(12, self._order).astype(np.int64),
                time_s=rows.u32(0, self._order) + rows.u32(4, self._order) * self._unit_s,
                link=np.full(len(headers), self.link, np.uint16),
            ),
            end,
        )

    def _walk(self, data: bytes | bytearray, at: int, end: int) -> tuple[list[int], int]:
        """Offsets of the records, and where the walk ended."""
        length_at = struct.Struct(self._order + "8xI").unpack_from
        last = end - _RECORD_HEADER_BYTES
        found: list[int] = []
        append = found.append
        # The one loop that runs once a packet: what makes no sense leads out of it, or is found by the lengths afterwards.
        while at <= last:
            append(at)
            at += _RECORD_HEADER_BYTES + length_at(data, at)[0]
        sizes = np.diff(np.array([*found, at], np.int64)) - _RECORD_HEADER_BYTES
        for place in np.flatnonzero(sizes > MAX_RECORD_BYTES)[:1].tolist():
            self.damage = f"record {self._count + place + 1} claims {sizes[place]} bytes"
            return found[:place], found[place]
        if at > end:
            at = found.pop()
        return found, at


class Cut:
    """A file that ends within its own header: nothing can be said but that it is cut."""

    def __init__(self) -> None:
        self.damage = ""
        self.skipped: Counter[str] = Counter()

    def take(self, data: bytes | bytearray, begin: int, end: int) -> tuple[Records, int]:
        return NO_RECORDS, begin
