"""IPv4 and IPv6 headers, and the TCP and UDP headers behind them, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from testbed.packets.fetch import Fetch, Offsets
from testbed.packets.link import ETHERTYPE_IPV4, ETHERTYPE_IPV6

TCP, UDP = 6, 17

Mask = npt.NDArray[np.bool_]

_FRAGMENT, _AUTHENTICATION = 44, 51
_EXTENSIONS = np.array([0, 43, 60, _FRAGMENT, _AUTHENTICATION, 135, 139, 140], np.uint8)
"""IPv6 headers that another header follows (IANA, IPv6 Extension Header Types), but ESP."""
MAX_EXTENSIONS = 16
"""More is no packet that anybody sends; a packet made of extension headers alone must not cost a pass for each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """Of each packet: ``version`` 4 or 6 (0: neither), what it carries and where (``l4_at``), and where it ends. ``later``: a fragment
    other than the first, whose transport header is elsewhere."""

    version: npt.NDArray[np.uint8]
    proto: npt.NDArray[np.uint8]
    tos: npt.NDArray[np.uint8]
    src: npt.NDArray[np.uint32]
    dst: npt.NDArray[np.uint32]
    ip_id: npt.NDArray[np.uint16]
    later: Mask
    l4_at: Offsets
    end: Offsets


def read_network(fetch: Fetch, ethertype: npt.NDArray[np.uint16], ip: Offsets, end: Offsets) -> Network:
    """IP headers at ``ip`` in frames that end at ``end``; where there is none, ``l4_at`` is ``ip``."""
    rows = fetch.rows(ip, 20)
    first = rows.u8(0)
    header = (first & 0x0F).astype(np.int64) * 4
    is_4 = (ethertype == ETHERTYPE_IPV4) & (first >> 4 == 4) & (header >= 20) & (ip + header <= end)
    total = rows.u16(2).astype(np.int64)
    # Segmentation offload leaves total length 0 in packets longer than 64 KiB; padding of short frames is no payload.
    bounded = is_4 & (total >= header)
    packet_end = np.where(bounded, np.minimum(ip + total, end), end)
    found = Network(
        version=np.where(is_4, np.uint8(4), np.uint8(0)),
        proto=only(is_4, rows.u8(9)),
        tos=only(is_4, rows.u8(1)),
        src=only(is_4, rows.u32(12)),
        dst=only(is_4, rows.u32(16)),
        ip_id=only(is_4, rows.u16(4)),
        later=is_4 & (rows.u16(6) & 0x1FFF != 0),
        l4_at=np.where(is_4, ip + header, ip),
        end=packet_end,
    )
    six = np.flatnonzero((ethertype == ETHERTYPE_IPV6) & (first >> 4 == 6) & (ip + 40 <= end))
    if len(six):
        _read_ipv6(fetch, found, six, ip[six], end[six])
    return found


def _read_ipv6(fetch: Fetch, found: Network, six: npt.NDArray[np.intp], ip: Offsets, end: Offsets) -> None:
    rows = fetch.rows(ip, 8)
    length = rows.u16(4).astype(np.int64)
    end = np.where(length > 0, np.minimum(ip + 40 + length, end), end)
    following, at, later = rows.u8(6), ip + 40, np.zeros(len(six), np.bool_)
    open_ = np.flatnonzero(np.isin(following, _EXTENSIONS) & (at + 8 <= end))
    for _ in range(MAX_EXTENSIONS):
        if not len(open_):
            break
        kind, extension = following[open_], fetch.rows(at[open_], 8)
        units = extension.u8(1).astype(np.int64)
        is_fragment = kind == _FRAGMENT
        size = np.select([is_fragment, kind == _AUTHENTICATION], [8, (units + 2) * 4], (units + 1) * 8)
        later[open_] |= is_fragment & (extension.u16(2) & 0xFFF8 != 0)
        following[open_] = extension.u8(0)
        at[open_] = np.minimum(at[open_] + size, end[open_])
        more = np.isin(following[open_], _EXTENSIONS) & (at[open_] + 8 <= end[open_]) & ~later[open_]
        open_ = open_[more]
    found.version[six], found.proto[six], found.later[six] = 6, following, later
    found.tos[six] = (rows.u16(0) >> 4 & 0xFF).astype(np.uint8)
    found.l4_at[six], found.end[six] = at, end


@dataclass(frozen=True, kw_only=True, slots=True)
class Transport:
    """Of each packet: ports, TCP's fields (0 where it has none), and where its payload begins."""

    sport: npt.NDArray[np.uint16]
    dport: npt.NDArray[np.uint16]
    tcp_flags: npt.NDArray[np.uint8]
    seq: npt.NDArray[np.uint32]
    ack: npt.NDArray[np.uint32]
    payload_at: Offsets


def read_transport(fetch: Fetch, network: Network) -> Transport:
    """TCP and UDP headers; of one that was captured in part, the ports if they are there."""
    at, end = network.l4_at, network.end
    rows = fetch.rows(at, 16)
    first = ~network.later & (network.version > 0)
    tcp, udp = first & (network.proto == TCP), first & (network.proto == UDP)
    size = (rows.u8(12) >> 4).astype(np.int64) * 4
    ports = (tcp | udp) & (at + 4 <= end)
    whole = tcp & (at + 20 <= end) & (size >= 20)
    payload_at = np.where(whole, at + size, np.where(udp & (at + 8 <= end), at + 8, at))
    return Transport(
        sport=only(ports, rows.u16(0)),
        dport=only(ports, rows.u16(2)),
        tcp_flags=only(tcp & (at + 14 <= end), rows.u8(13)),
        seq=only(tcp & (at + 8 <= end), rows.u32(4)),
        ack=only(tcp & (at + 12 <= end), rows.u32(8)),
        payload_at=np.minimum(payload_at, end),
    )


def only(mask: Mask, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """These values where the mask holds, 0 elsewhere."""
    return np.where(mask, values, values.dtype.type(0))
