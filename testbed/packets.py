"""Captures as arrays: pcap in, one NumPy column per header field out.

Reads the classic pcap format (draft-ietf-opsawg-pcap), both byte orders, micro- and nanoseconds, link type Ethernet:
the form the bed's own tcpdump writes. Headers are read for IPv4, as the bed speaks no other; what is not IPv4 keeps its frame
number and time.
"""

from __future__ import annotations

import ipaddress
import json
import struct
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from testbed.errors import EXIT_USAGE, BedError

TCP, UDP = 6, 17
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_CANARY = 0x88B5
"""IEEE 802 local experimental EtherType 1: no host of the bed answers it, no fault of the bed stops it."""
CANARY_TAG = b"testbed-canary "

MAX_RECORD_BYTES = 1 << 20
"""A longer record is a damaged file: tcpdump's own largest snapshot length is 256 KiB."""

_MAGICS = {
    bytes.fromhex("d4c3b2a1"): ("<", 1e-6),
    bytes.fromhex("a1b2c3d4"): (">", 1e-6),
    bytes.fromhex("4d3cb2a1"): ("<", 1e-9),
    bytes.fromhex("a1b23c4d"): (">", 1e-9),
}
_LINKTYPE_ETHERNET = 1
_FILE_HEADER_BYTES = 24
_RECORD_HEADER_BYTES = 16
_TAGS = (0x8100, 0x88A8)

Mask = npt.NDArray[np.bool_]
Column = npt.NDArray[np.generic]


class CaptureError(BedError):
    """A file that is no capture we can read."""

    exit_code: ClassVar[int] = EXIT_USAGE


@dataclass(frozen=True, kw_only=True, slots=True)
class Canary:
    """A tagged frame that the NIC of ``host`` sent at the ``begin`` or ``end`` of a capture."""

    host: str
    place: str
    frame: int
    time_s: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Packets:
    """All frames of a capture, one element each in every column.

    ``frame`` counts from 1 as Wireshark does; ``time_s`` is seconds since the epoch; ``src`` and ``dst`` are IPv4 addresses
    as numbers (0 where the frame is not IPv4); ports, ``tcp_flags``, ``seq`` and ``ack`` are 0 where the packet has none.
    ``payload_at`` is the payload's place in ``data``, ``payload_len`` what of it was captured. ``truncated``: the file
    ends inside a record.
    """

    file: str
    data: bytes
    truncated: bool
    frame: npt.NDArray[np.uint32]
    time_s: npt.NDArray[np.float64]
    ethertype: npt.NDArray[np.uint16]
    src: npt.NDArray[np.uint32]
    dst: npt.NDArray[np.uint32]
    proto: npt.NDArray[np.uint8]
    tos: npt.NDArray[np.uint8]
    ip_id: npt.NDArray[np.uint16]
    sport: npt.NDArray[np.uint16]
    dport: npt.NDArray[np.uint16]
    tcp_flags: npt.NDArray[np.uint8]
    seq: npt.NDArray[np.uint32]
    ack: npt.NDArray[np.uint32]
    payload_at: npt.NDArray[np.int64]
    payload_len: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.frame)

    def payload(self, index: int) -> bytes:
        """What this packet carries above TCP or UDP (above Ethernet where it is not IPv4)."""
        begin = int(self.payload_at[index])
        return self.data[begin : begin + int(self.payload_len[index])]

    def only(self, mask: Mask) -> Packets:
        """These of them, with the frame numbers they have."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        columns: dict[str, Any] = {name: value[mask] for name, value in values.items() if isinstance(value, np.ndarray)}
        return replace(self, **columns)

    def canaries(self) -> list[Canary]:
        """Canary frames of every host that are whole; a damaged one counts as lost."""
        found = []
        for index in np.flatnonzero(self.ethertype == ETHERTYPE_CANARY):
            tag, _, rest = self.payload(int(index)).partition(b" ")
            if tag + b" " != CANARY_TAG:
                continue
            try:
                record, _ = json.JSONDecoder().raw_decode(rest.decode("utf-8", errors="replace"))
                host, place = str(record["host"]), str(record["place"])
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
            found.append(Canary(host=host, place=place, frame=int(self.frame[index]), time_s=float(self.time_s[index])))
        return found


def address_number(address: str) -> int:
    """``"172.26.1.1" -> 0xAC1A0101``."""
    return int(ipaddress.IPv4Address(address))


def address_text(number: int) -> str:
    """The inverse of address_number."""
    return str(ipaddress.IPv4Address(int(number)))


def read_capture(path: Path) -> Packets:
    """All frames of this file; CaptureError where it is no pcap of Ethernet frames."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CaptureError(f"{path}: {error.strerror or error}", hint="captures are under <run>/captures/") from None
    return parse_capture(data, file=path.name)


def parse_capture(data: bytes, *, file: str) -> Packets:
    """Frames of a pcap file's bytes; a file that ends too early gives the whole records and ``truncated``."""
    if len(data) < _FILE_HEADER_BYTES:
        if any(magic.startswith(data[:4]) for magic in _MAGICS):
            return _decode(data, file, _NO_RECORDS, truncated=True)
        raise _no_pcap(file, data)
    if data[:4] not in _MAGICS:
        raise _no_pcap(file, data)
    order, _ = _MAGICS[data[:4]]
    (linktype,) = struct.unpack_from(order + "I", data, 20)
    if linktype & 0xFFFF != _LINKTYPE_ETHERNET:
        raise CaptureError(
            f"{file}: link type {linktype & 0xFFFF}, not Ethernet", hint="capture on one interface, not on `any`"
        )
    records, truncated = _records(data, file)
    return _decode(data, file, records, truncated=truncated)


def _no_pcap(file: str, data: bytes) -> CaptureError:
    if data[:4] == bytes.fromhex("0a0d0d0a"):
        return CaptureError(f"{file} is pcapng", hint=f"turn it into pcap: editcap -F pcap {file} {file}.pcap")
    return CaptureError(f"{file} is no pcap file", hint="captures are what `tcpdump -w` writes")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Records:
    """Where the frames are: offset and captured length in bytes, and when they were seen."""

    at: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]


_NO_RECORDS = _Records(at=np.zeros(0, np.int64), length=np.zeros(0, np.int64), time_s=np.zeros(0))


def _records(data: bytes, file: str) -> tuple[_Records, bool]:
    order, unit_s = _MAGICS[data[:4]]
    header = struct.Struct(order + "III")
    at, end = _FILE_HEADER_BYTES, len(data)
    rows: list[tuple[int, int, int, int]] = []
    while at + _RECORD_HEADER_BYTES <= end:
        seconds, fraction, length = header.unpack_from(data, at)
        if length > MAX_RECORD_BYTES:
            raise CaptureError(f"{file}: record {len(rows) + 1} claims {length} bytes", hint="the file is damaged")
        if at + _RECORD_HEADER_BYTES + length > end:
            break
        rows.append((at + _RECORD_HEADER_BYTES, length, seconds, fraction))
        at += _RECORD_HEADER_BYTES + length
    if not rows:
        return _NO_RECORDS, at != end
    table = np.array(rows, np.int64)
    return _Records(at=table[:, 0], length=table[:, 1], time_s=table[:, 2] + table[:, 3] * unit_s), at != end


class _Reader:
    """Big-endian fields at per-frame offsets; outside the file they read as zero (the caller masks such frames)."""

    def __init__(self, data: bytes) -> None:
        self._bytes = np.frombuffer(data, np.uint8) if data else np.zeros(1, np.uint8)

    def u8(self, at: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        inside = at < len(self._bytes)
        return np.where(inside, self._bytes[np.where(inside, at, 0)], 0).astype(np.int64)

    def u16(self, at: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return self.u8(at) << 8 | self.u8(at + 1)

    def u32(self, at: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return self.u16(at) << 16 | self.u16(at + 2)


def _decode(data: bytes, file: str, records: _Records, *, truncated: bool) -> Packets:
    read, end = _Reader(data), records.at + records.length
    ethertype, ip = _ethernet(read, records)
    version_length = read.u8(ip)
    header = (version_length & 0x0F) * 4
    is_ip = (ethertype == ETHERTYPE_IPV4) & (version_length >> 4 == 4) & (header >= 20) & (ip + header <= end)
    total = read.u16(ip + 2)
    # Segmentation offload leaves total length 0 in packets longer than 64 KiB; padding of short frames is no payload.
    packet_end = np.where(is_ip & (total >= header), np.minimum(ip + total, end), end)
    proto = np.where(is_ip, read.u8(ip + 9), 0)
    first_fragment = is_ip & (read.u16(ip + 6) & 0x1FFF == 0)
    l4 = ip + header
    data_offset = (read.u8(l4 + 12) >> 4) * 4
    is_tcp = first_fragment & (proto == TCP) & (l4 + 20 <= packet_end) & (data_offset >= 20)
    is_udp = first_fragment & (proto == UDP) & (l4 + 8 <= packet_end)
    payload_at = np.where(is_tcp, l4 + data_offset, np.where(is_udp, l4 + 8, np.where(is_ip, l4, ip)))
    payload_at = np.minimum(payload_at, packet_end)

    return Packets(
        file=file,
        data=data,
        truncated=truncated,
        frame=np.arange(1, len(records.at) + 1, dtype=np.uint32),
        time_s=records.time_s,
        ethertype=ethertype.astype(np.uint16),
        src=_only(is_ip, read.u32(ip + 12)).astype(np.uint32),
        dst=_only(is_ip, read.u32(ip + 16)).astype(np.uint32),
        proto=proto.astype(np.uint8),
        tos=_only(is_ip, read.u8(ip + 1)).astype(np.uint8),
        ip_id=_only(is_ip, read.u16(ip + 4)).astype(np.uint16),
        sport=_only(is_tcp | is_udp, read.u16(l4)).astype(np.uint16),
        dport=_only(is_tcp | is_udp, read.u16(l4 + 2)).astype(np.uint16),
        tcp_flags=_only(is_tcp, read.u8(l4 + 13)).astype(np.uint8),
        seq=_only(is_tcp, read.u32(l4 + 4)).astype(np.uint32),
        ack=_only(is_tcp, read.u32(l4 + 8)).astype(np.uint32),
        payload_at=payload_at,
        payload_len=packet_end - payload_at,
    )


def _only(mask: Mask, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.where(mask, values, 0)


def _ethernet(read: _Reader, records: _Records) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """EtherType and offset of what it names, behind one VLAN tag at most; EtherType 0 in frames cut before it."""
    type_at = records.at + 12
    type_at = np.where(np.isin(read.u16(type_at), _TAGS), type_at + 4, type_at)
    whole = type_at + 2 <= records.at + records.length
    return np.where(whole, read.u16(type_at), 0), np.where(whole, type_at + 2, records.at)
