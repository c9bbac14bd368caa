"""Probes: a stream of ICMP echo requests between two hosts, so that where traffic is rare the moment of a fault is seen in packets.

A *lane* runs one way, from a NIC to an address of another host, whose kernel answers. Each request carries its lane, a sequence number
from 0, its mark and the realtime clock; the answer repeats all of it. ``testbed.roles.prober`` sends them and notes, as *rows*, what it
sent and what its own kernel handed to it: captures see a packet before it is dropped or changed on the way in, the kernel after.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

MAGIC = b"tbProbe1"
_PAYLOAD = struct.Struct(">8sHBxIQ")
"""Magic, lane, TOS octet, sequence number, nanoseconds since the epoch; then filling up to the lane's size."""
PAYLOAD_BYTES = _PAYLOAD.size
ECHO_HEADER = struct.Struct(">BBHHH")
"""Type, code, checksum, identifier, sequence number (RFC 792)."""
ECHO_REQUEST, ECHO_REPLY, UNREACHABLE = 8, 0, 3

SENT, REQUEST, REPLY, FAILED, WITNESSED = range(5)
"""What a row tells of: a request left the prober, a request or a reply reached it, a request could not be sent, or a packet that is no
probe reached this host's kernel."""
ROW_FIELDS = 6
"""A row: what, lane, sequence number, nanoseconds since the epoch, TOS octet, and 1 where the packet came damaged (FAILED: errno). Of a
witnessed packet: WITNESSED, protocol, its fingerprint, nanoseconds, TOS octet, 0."""

FINGERPRINT_BYTES = 12
"""Of the transport header: ports, and TCP's sequence and acknowledgement numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """Requests from ``source`` (an address of the host ``from_``) to ``destination`` (of ``to``), ``burst`` of them every ``period_s``,
    each with ``size_bytes`` behind its ICMP header, marked ``tos``."""

    number: int
    from_: str
    to: str
    source: str
    destination: str
    tos: int = 0
    period_s: float = 0.02
    size_bytes: int = 64
    burst: int = 1

    def to_json(self) -> dict[str, Any]:
        """For the prober's parameters and for the event that says it started."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Lane:
        """The inverse; KeyError, TypeError or ValueError where it is none."""
        kinds = {"number": int, "tos": int, "size_bytes": int, "burst": int, "period_s": float}
        return cls(**{key: kinds.get(key, str)(record[key]) for key in cls.__dataclass_fields__})


def filling(size_bytes: int) -> bytes:
    """What follows the payload's own fields: known bytes, so that a damaged one is seen."""
    return bytes(number & 0xFF for number in range(PAYLOAD_BYTES, size_bytes))


def checksum(message: bytes) -> int:
    """The Internet checksum (RFC 1071); 0 of a message that carries its own."""
    padded = message + b"\0" * (len(message) % 2)
    total: int = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_request(lane: Lane, sequence: int, time_ns: int) -> bytes:
    """The ICMP message."""
    payload = _PAYLOAD.pack(MAGIC, lane.number, lane.tos, sequence, time_ns) + filling(lane.size_bytes)
    sums = [0, checksum(ECHO_HEADER.pack(ECHO_REQUEST, 0, 0, lane.number, sequence & 0xFFFF) + payload)]
    return ECHO_HEADER.pack(ECHO_REQUEST, 0, sums[1], lane.number, sequence & 0xFFFF) + payload


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """What an ICMP echo message of ours carries."""

    is_reply: bool
    lane: int
    tos: int
    sequence: int
    time_ns: int


def parse_probe(message: bytes) -> Probe | None:
    """None where the ICMP message is no probe."""
    if len(message) < ECHO_HEADER.size + PAYLOAD_BYTES or message[0] not in (ECHO_REQUEST, ECHO_REPLY):
        return None
    magic, lane, tos, sequence, time_ns = _PAYLOAD.unpack_from(message, ECHO_HEADER.size)
    if magic != MAGIC:
        return None
    return Probe(is_reply=message[0] == ECHO_REPLY, lane=lane, tos=tos, sequence=sequence, time_ns=time_ns)


def fingerprint(source: bytes, destination: bytes, ip_id: int, transport: bytes) -> int:
    """What tells a packet from others, from its addresses (4 bytes each), IP identifier and the begin of what follows the IP header."""
    return zlib.crc32(source + destination + ip_id.to_bytes(2, "big") + transport[:FINGERPRINT_BYTES])
