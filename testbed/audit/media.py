"""Who was told to send RTP where: media messages of SCCP, and RTP URIs that a service pushes to a phone.

What is named is an endpoint that RTP is sent to, as one number (``endpoint``). Message layouts are those of sections 1.4 and 1.6 of the
SCCP facts: from version 17 on addresses have 16 bytes and a family before them.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote_to_bytes

OPEN_RECEIVE_CHANNEL_ACK, START_MEDIA_TRANSMISSION = 0x0022, 0x008A
MEDIA_IDS = (OPEN_RECEIVE_CHANNEL_ACK, START_MEDIA_TRANSMISSION)

WIDE_ADDRESSES_FROM = 17
LEAST_START_BYTES = 44
"""A StartMediaTransmission of CallManager 2.x is shorter, and has another layout that is not known."""

Endpoint = tuple[str, int]
"""(address as people write it, UDP port)."""

PUSH_PATH = b"POST /CGI/Execute"
_RTP_URI = re.compile(rb"RTP(M?)([RT])x:((?:\d{1,3}\.){3}\d{1,3}):(\d{1,5})")


NAMING_BYTES = 48
"""What of a body ``endpoint_of`` looks at, at most."""


@lru_cache(1 << 12)
def endpoint_of(message_id: int, version: int, body: bytes) -> Endpoint | None:
    """Where this message says that RTP goes; None where it says no such thing. ``body`` may be cut to NAMING_BYTES."""
    if message_id == OPEN_RECEIVE_CHANNEL_ACK:
        if len(body) < 16 or struct.unpack_from("<I", body)[0]:
            return None
        return _address(body, 4, version)
    if message_id == START_MEDIA_TRANSMISSION and len(body) >= LEAST_START_BYTES:
        return _address(body, 8, version)
    return None


def _address(body: bytes, at: int, version: int) -> Endpoint | None:
    """An address and the port behind it."""
    if version >= WIDE_ADDRESSES_FROM:
        if len(body) < at + 24:
            return None
        family, raw, port = struct.unpack_from("<I16sI", body, at)
        address = str(ipaddress.IPv6Address(raw)) if family == 1 else str(ipaddress.IPv4Address(raw[:4]))
    else:
        raw, port = struct.unpack_from("<4sI", body, at)
        address = str(ipaddress.IPv4Address(raw))
    return (address, port) if 0 < port < 1 << 16 and address not in ("0.0.0.0", "::") else None


def pushed_endpoints(request: bytes, phone: str) -> Iterator[Endpoint]:
    """Where RTP goes because of this POST to /CGI/Execute of a phone: to the phone for RTPRx, to the URI's address for the others. An RTPRx
    without a port lets the phone choose one, which nobody sees."""
    _, _, body = request.partition(b"\r\n\r\n")
    for multicast, way, address, port in _RTP_URI.findall(unquote_to_bytes(body.replace(b"+", b" "))):
        try:
            named = str(ipaddress.IPv4Address(address.decode("ascii")))
        except ValueError:
            continue
        to = phone if way == b"R" and not multicast else named
        if 0 < int(port) < 1 << 16:
            yield to, int(port)
