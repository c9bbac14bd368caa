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

_PORTLESS_URI = re.compile(rb"RTPRx:((?:\d{1,3}\.){3}\d{1,3})(?!:\d|[\d.])")

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
    without a port names no endpoint: see ``pushed_sources``."""
    for multicast, way, address, port in _RTP_URI.findall(_form(request)):
        named = _ipv4(address)
        to = phone if way == b"R" and not multicast else named
        if named and 0 < int(port) < 1 << 16:
            yield to, int(port)


def pushed_sources(request: bytes) -> Iterator[str]:
    """From where this POST lets a phone play at a port that the phone chooses (RTPRx without one). The phone says which in its answer, in
    a form that no source lays down, so all that comes from there is the service's, unless call control named it."""
    yield from filter(None, map(_ipv4, _PORTLESS_URI.findall(_form(request))))


def _form(request: bytes) -> bytes:
    """The body, its letters as they were before they were put into a form."""
    return unquote_to_bytes(request.partition(b"\r\n\r\n")[2].replace(b"+", b" "))


def _ipv4(address: bytes) -> str:
    """As people write it; "" where it is none."""
    try:
        return str(ipaddress.IPv4Address(address.decode("ascii")))
    except ValueError:
        return ""
