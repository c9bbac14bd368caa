"""Captures as arrays: a capture file in, one NumPy column per header field out.

Reads pcap and pcapng, all link types of testbed.packets.link, IPv4 and IPv6; what is neither keeps its frame number and time.
``read_capture`` holds a whole file, as the checks of a run want it; ``testbed.packets.file`` goes through a file of any size in blocks
of the same form.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from testbed.errors import EXIT_USAGE, BedError
from testbed.packets.fetch import SLACK_BYTES, Fetch, mixed
from testbed.packets.ip import TCP, UDP, Mask, read_network, read_transport
from testbed.packets.link import ETHERTYPE_IPV4, LINK_NAMES, network_layer
from testbed.packets.pcapng import SECTION, Pcapng
from testbed.packets.record import MAX_RECORD_BYTES, PCAP_HEADER_BYTES, PCAP_MAGICS, Container, Cut, Pcap, Records

__all__ = ["ETHERTYPE_IPV4", "MAX_RECORD_BYTES", "TCP", "UDP", "Mask"]

_MORE_FRAGMENTS = 0x2000
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
ETHERTYPE_CANARY = 0x88B5
"""IEEE 802 local experimental EtherType 1: no host of the bed answers it, no fault of the bed stops it."""
CANARY_TAG = b"testbed-canary "

PCAPNG_MAGIC = SECTION.to_bytes(4, "big")
GZIP_MAGIC = b"\x1f\x8b"

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
    """All frames of a capture, or of a block of it, one element each in every column.

    ``frame`` counts from 1 as Wireshark does; ``time_s`` is seconds since the epoch; ``wire_len`` the frame's bytes on the wire.
    ``version`` is 4, 6, or 0 where the frame is no IP packet; ``src`` and ``dst`` are IPv4 addresses as numbers (0 where it is not
    IPv4; ``endpoints`` tells IPv6 addresses apart too). ``tos`` is the octet of either version. ``later``: a fragment other than the
    first. Ports, ``tcp_flags``, ``seq`` and ``ack`` are 0 where the packet has none; ``cos`` is 255 without a VLAN tag.
    ``ip_at`` is the IP header's place in ``data``, ``payload_at`` the payload's, ``payload_len`` what of it was captured.
    ``source`` tells files apart where packets of several are together: the place of each one's file among them.
    ``truncated``: the file ends inside a record.
    """

    file: str
    data: bytes | bytearray
    truncated: bool
    frame: npt.NDArray[np.uint32]
    time_s: npt.NDArray[np.float64]
    wire_len: npt.NDArray[np.int64]
    link: npt.NDArray[np.uint16]
    ethertype: npt.NDArray[np.uint16]
    cos: npt.NDArray[np.uint8]
    version: npt.NDArray[np.uint8]
    ip_at: npt.NDArray[np.int64]
    src: npt.NDArray[np.uint32]
    dst: npt.NDArray[np.uint32]
    proto: npt.NDArray[np.uint8]
    tos: npt.NDArray[np.uint8]
    ip_id: npt.NDArray[np.uint16]
    later: Mask
    sport: npt.NDArray[np.uint16]
    dport: npt.NDArray[np.uint16]
    tcp_flags: npt.NDArray[np.uint8]
    seq: npt.NDArray[np.uint32]
    ack: npt.NDArray[np.uint32]
    payload_at: npt.NDArray[np.int64]
    payload_len: npt.NDArray[np.int64]
    source: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.frame)

    def payload(self, index: int) -> bytes:
        """What this packet carries above TCP or UDP (above Ethernet where it is not IP)."""
        begin = int(self.payload_at[index])
        return bytes(self.data[begin : begin + int(self.payload_len[index])])

    def addresses(self, index: int) -> tuple[str, str]:
        """Source and destination of this packet as people write them, of either version; "" where it is no IP packet."""
        at = int(self.ip_at[index])
        if self.version[index] == 6:
            source, destination = bytes(self.data[at + 8 : at + 24]), bytes(self.data[at + 24 : at + 40])
            return str(ipaddress.IPv6Address(source)), str(ipaddress.IPv6Address(destination))
        if self.version[index] == 4:
            return address_text(self.src[index]), address_text(self.dst[index])
        return "", ""

    def endpoints(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
        """Source and destination addresses as numbers that tell hosts of either version apart: an IPv4 address itself, of an IPv6
        address 63 bits that are mixed from all of it, and the uppermost bit."""
        src, dst = self.src.astype(np.uint64), self.dst.astype(np.uint64)
        six = np.flatnonzero(self.version == 6)
        if len(six):
            rows = Fetch(self.data).rows(self.ip_at[six] + 8, 32)
            src[six], dst[six] = (_ipv6_number(rows.u64(place), rows.u64(place + 8)) for place in (0, 16))
        return src, dst

    def ttl(self, index: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Of these packets the time to live, or the hop limit of IPv6."""
        return Fetch(self.data).u8(self.ip_at[index] + np.where(self.version[index] == 6, 7, 8))

    def more_fragments(self, index: npt.NDArray[np.int64]) -> Mask:
        """Of these packets, all of IPv4, whether a fragment follows."""
        mask: Mask = Fetch(self.data).u16(self.ip_at[index] + 6) & _MORE_FRAGMENTS > 0
        return mask

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


def _ipv6_number(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Never an IPv4 address, which has no uppermost bit."""
    return mixed(high, low + np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(1) | np.uint64(1 << 63)


def address_number(address: str) -> int:
    """``"172.26.1.1" -> 0xAC1A0101``."""
    return int(ipaddress.IPv4Address(address))


def address_text(number: int) -> str:
    """The inverse of address_number."""
    return str(ipaddress.IPv4Address(int(number)))


@lru_cache(1 << 12)
def endpoint_number(address: str, port: int) -> int:
    """One number for an address of either version, as ``Packets.endpoints`` has it, and a port."""
    parsed = ipaddress.ip_address(address)
    number = (
        np.array([int(parsed)], np.uint64)
        if parsed.version == 4
        else _ipv6_number(*np.frombuffer(parsed.packed, ">u8").astype(np.uint64)[:, None])
    )
    return int(endpoint(number, np.array([port], np.uint16))[0])


def endpoint(address: npt.NDArray[np.uint64], port: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint64]:
    """One number for each address (of ``Packets.endpoints``) and port."""
    turned = np.bitwise_or(address << np.uint64(16), address >> np.uint64(48))
    number: npt.NDArray[np.uint64] = np.bitwise_xor(turned, port.astype(np.uint64))
    return number


def read_capture(path: Path) -> Packets:
    """All frames of this file; CaptureError where it is no capture, or of a link type that is not read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CaptureError(f"{path}: {error.strerror or error}", hint="captures are under <run>/captures/") from None
    return parse_capture(data, file=path.name)


def parse_capture(data: bytes, *, file: str) -> Packets:
    """Frames of a capture file's bytes; a file that ends too early gives the whole records and ``truncated``."""
    container, begin = container_of(data, file)
    end = len(data)
    data += bytes(SLACK_BYTES)
    records, at = container.take(data, begin, end)
    if container.damage:
        raise CaptureError(f"{file}: {container.damage}", hint="the file is damaged")
    unknown = set(np.unique(records.link).tolist()) - set(LINK_NAMES)
    if isinstance(container, Pcap) and container.link not in LINK_NAMES:
        unknown.add(container.link)
    if unknown:
        raise CaptureError(
            f"{file}: link type {min(unknown)} is not read", hint="capture on an interface of Ethernet, or on `any`"
        )
    return decode(data, file, records, truncated=at != end)


def container_of(head: bytes | bytearray, file: str) -> tuple[Container, int]:
    """The format of a file that begins with these bytes, and where its records begin; CaptureError where it is none we know."""
    magic = bytes(head[:4])
    if magic in PCAP_MAGICS and len(head) >= PCAP_HEADER_BYTES:
        return Pcap(bytes(head[:PCAP_HEADER_BYTES])), PCAP_HEADER_BYTES
    if magic == PCAPNG_MAGIC:
        return Pcapng(), 0
    if any(known.startswith(magic) for known in (*PCAP_MAGICS, PCAPNG_MAGIC)):
        return Cut(), 0
    if magic.startswith(GZIP_MAGIC):
        raise CaptureError(
            f"{file} is compressed",
            hint="unpack it first: what is still written, or packed twice, is not unpacked here",
        )
    raise CaptureError(f"{file} is no pcap file", hint="captures are what `tcpdump -w` or Wireshark write")


def decode(data: bytes | bytearray, file: str, records: Records, *, truncated: bool, frames_before: int = 0) -> Packets:
    """The columns of these frames; ``data`` ends with SLACK_BYTES of padding."""
    fetch, end = Fetch(data), records.at + records.length
    layer = network_layer(fetch, records.at, end, records.link)
    network = read_network(fetch, layer.ethertype, layer.at, end)
    transport = read_transport(fetch, network)
    return Packets(
        file=file,
        data=data,
        truncated=truncated,
        frame=np.arange(frames_before + 1, frames_before + len(records.at) + 1, dtype=np.uint32),
        time_s=records.time_s,
        wire_len=records.wire_len,
        link=records.link,
        ethertype=layer.ethertype,
        cos=layer.cos,
        version=network.version,
        ip_at=layer.at,
        src=network.src,
        dst=network.dst,
        proto=network.proto,
        tos=network.tos,
        ip_id=network.ip_id,
        later=network.later,
        sport=transport.sport,
        dport=transport.dport,
        tcp_flags=transport.tcp_flags,
        seq=transport.seq,
        ack=transport.ack,
        payload_at=transport.payload_at,
        payload_len=network.end - transport.payload_at,
        source=np.zeros(len(records.at), np.uint32),
    )
