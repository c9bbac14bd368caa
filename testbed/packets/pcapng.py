"""Where the frames of a pcapng file lie (draft-ietf-opsawg-pcapng): sections of either byte order, interfaces of any link type and
clock, enhanced, simple and obsolete packet blocks. Every other block is stepped over."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from testbed.packets.fetch import Fetch
from testbed.packets.record import MAX_RECORD_BYTES, NO_RECORDS, Records

SECTION, INTERFACE, OLD_PACKET, SIMPLE_PACKET, ENHANCED_PACKET = 0x0A0D0D0A, 1, 2, 3, 6
_ORDERS = {bytes.fromhex("4d3c2b1a"): "<", bytes.fromhex("1a2b3c4d"): ">"}
_LEAST_BYTES = {SECTION: 28, INTERFACE: 20, OLD_PACKET: 32, SIMPLE_PACKET: 16, ENHANCED_PACKET: 32}
"""Of these blocks, what they cannot do without."""
_MAX_PACKET_BLOCK_BYTES = MAX_RECORD_BYTES + (1 << 17)
"""A packet with its options (64 KiB at most each)."""
_MAX_INTERFACES = 1 << 16
_END_OF_OPTIONS, _TSRESOL, _TSOFFSET = 0, 9, 14
_NO_INTERFACE = "packets of an interface that is not described"
_FRAME_AT = {OLD_PACKET: 28, SIMPLE_PACKET: 12, ENHANCED_PACKET: 28}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Interface:
    """``units``: clock ticks in a second."""

    link: int
    snaplen: int
    units: float = 1e6
    offset_s: int = 0


class Pcapng:
    """Reads block by block; ``damage`` and ``skipped`` as every container."""

    def __init__(self) -> None:
        self.damage = ""
        self.skipped: Counter[str] = Counter()
        self._order = "<"
        self._interfaces: list[_Interface] = []
        self._latest_s = 0.0
        """What a simple packet block is given, which has no time of its own."""

    def take(self, data: bytes | bytearray, begin: int, end: int) -> tuple[Records, int]:
        parts: list[Records] = []
        at = begin
        found: list[tuple[int, int]] = []
        """(offset, kind) of packet blocks of one section."""
        while at + 12 <= end and not self.damage:
            kind, length = struct.unpack_from(self._order + "II", data, at)
            if kind == SECTION:
                parts.append(self._records(data, found))
                found = []
                if not self._open(data[at + 8 : at + 12], at):
                    break
                (length,) = struct.unpack_from(self._order + "I", data, at + 4)
            if length < max(12, _LEAST_BYTES.get(kind, 0)):
                self.damage = f"a block of type {kind:#x} claims {length} bytes"
                break
            if kind in _FRAME_AT and length > _MAX_PACKET_BLOCK_BYTES:
                self.damage = f"a packet block claims {length} bytes"
                break
            padded = length + -length % 4
            if kind == INTERFACE and at + min(length, _MAX_PACKET_BLOCK_BYTES) > end:
                break
            if kind == INTERFACE:
                self._add_interface(bytes(data[at : at + min(length, _MAX_PACKET_BLOCK_BYTES)]))
            elif kind in _FRAME_AT:
                if at + padded > end:
                    break
                found.append((at, kind))
            elif kind != SECTION:
                self.skipped[_BLOCK_NAMES.get(kind, "pcapng blocks of other types")] += 1
            at += padded
        parts.append(self._records(data, found))
        return _joined(parts), at

    def _open(self, magic: bytes | bytearray, at: int) -> bool:
        order = _ORDERS.get(bytes(magic))
        if order is None:
            self.damage = "a section header without its byte-order magic"
            return False
        self._order, self._interfaces = order, []
        return True

    def _add_interface(self, block: bytes) -> None:
        if len(self._interfaces) >= _MAX_INTERFACES:
            self.damage = f"more than {_MAX_INTERFACES} interfaces"
            return
        link, snaplen = struct.unpack_from(self._order + "H2xI", block, 8)
        units, offset_s, at = 1e6, 0, 16
        while at + 4 <= len(block) - 4:
            code, length = struct.unpack_from(self._order + "HH", block, at)
            value = block[at + 4 : at + 4 + length]
            if code == _END_OF_OPTIONS:
                break
            if code == _TSRESOL and length == 1:
                units = 2.0 ** (value[0] & 0x7F) if value[0] & 0x80 else 10.0 ** value[0]
            elif code == _TSOFFSET and length == 8 and len(value) == 8:
                (offset_s,) = struct.unpack(self._order + "q", value)
            at += 4 + length + -length % 4
        self._interfaces.append(_Interface(link=link, snaplen=snaplen, units=units, offset_s=offset_s))

    def _records(self, data: bytes | bytearray, found: list[tuple[int, int]]) -> Records:
        if not found or not self._interfaces:
            self.skipped[_NO_INTERFACE] += len(found)
            return NO_RECORDS
        at, kind = np.array(found, np.int64).T
        order, rows = self._order, Fetch(data).rows(at, 28)
        block_len = rows.u32(4, order).astype(np.int64)
        simple, old = kind == SIMPLE_PACKET, kind == OLD_PACKET
        interface = np.where(simple, 0, np.where(old, rows.u16(8, order), rows.u32(8, order))).astype(np.int64)
        known = interface < len(self._interfaces)
        self.skipped[_NO_INTERFACE] += int(np.sum(~known))
        interface = np.where(known, interface, 0)
        wire_len = np.where(simple, rows.u32(8, order), rows.u32(24, order)).astype(np.int64)
        header = np.where(simple, 12, 28)
        room = block_len - header - 4
        limit = np.array([one.snaplen or MAX_RECORD_BYTES for one in self._interfaces], np.int64)[interface]
        captured = np.minimum(np.minimum(wire_len, limit), room)
        length = np.where(simple, captured, rows.u32(20, order).astype(np.int64))
        sound = known & (length <= room)
        self.skipped["packets longer than their block"] += int(np.sum(known & ~sound))
        ticks = rows.u32(12, order).astype(np.uint64) << np.uint64(32) | rows.u32(16, order)
        return Records(
            at=(at + header)[sound],
            length=length[sound],
            wire_len=wire_len[sound],
            time_s=self._times(ticks, interface, simple)[sound],
            link=np.array([one.link for one in self._interfaces], np.uint16)[interface][sound],
        )

    def _times(
        self, ticks: npt.NDArray[np.uint64], interface: npt.NDArray[np.int64], simple: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64]:
        time_s = np.zeros(len(ticks))
        for number in np.unique(interface).tolist():
            own, mask = self._interfaces[number], interface == number
            if own.units < 2**63 and own.units >= 1:
                units = np.uint64(own.units)
                seconds = (ticks[mask] // units).astype(np.float64) + (ticks[mask] % units) / own.units
            else:
                seconds = ticks[mask] / own.units
            time_s[mask] = seconds + own.offset_s
        if simple.any():
            self.skipped["packets without a time (they get that of the packet before)"] += int(simple.sum())
            latest = np.maximum.accumulate(np.where(simple, -1, np.arange(len(ticks))))
            time_s = np.where(latest >= 0, time_s[latest], self._latest_s)
        self._latest_s = float(time_s[-1])
        return time_s


_BLOCK_NAMES = {
    4: "pcapng name resolution blocks",
    5: "pcapng interface statistics blocks",
    10: "pcapng decryption secrets blocks",
}


def _joined(parts: list[Records]) -> Records:
    parts = [part for part in parts if len(part.at)]
    if len(parts) <= 1:
        return parts[0] if parts else NO_RECORDS
    return Records(
        at=np.concatenate([part.at for part in parts]),
        length=np.concatenate([part.length for part in parts]),
        wire_len=np.concatenate([part.wire_len for part in parts]),
        time_s=np.concatenate([part.time_s for part in parts]),
        link=np.concatenate([part.link for part in parts]),
    )
