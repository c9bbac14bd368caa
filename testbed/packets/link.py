"""Link layers of a capture: what each frame carries, and where that begins.

Ethernet with any stack of VLAN tags and with SNAP, Linux cooked (v1, v2), raw IP, and the loopback of BSD. Link types are those of
https://www.tcpdump.org/linktypes.html.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from testbed.packets.fetch import Fetch, Offsets, distinct

ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0800, 0x86DD

NULL, ETHERNET, RAW, LOOP, SLL, IPV4, IPV6, SLL2 = 0, 1, 101, 108, 113, 228, 229, 276
_RAW_TYPES = (12, 14, RAW, IPV4, IPV6)
LINK_NAMES = {
    NULL: "null",
    ETHERNET: "Ethernet",
    **dict.fromkeys(_RAW_TYPES, "raw IP"),
    LOOP: "loop",
    SLL: "Linux cooked v1",
    SLL2: "Linux cooked v2",
}
"""Those that are read."""

NO_COS = 255
MAX_TAGS = 16
"""Deeper stacks than anybody builds; a frame made of tags alone must not cost a pass for each."""

_TAGS = np.array([0x8100, 0x88A8, 0x9100], np.uint16)
_LEAST_ETHERTYPE = 0x0600
"""Less is the length of an IEEE 802.3 frame."""
_SNAP = 0xAAAA0300
_FAMILY_IPV4 = 2
_FAMILIES_IPV6 = (10, 23, 24, 28, 30)
"""AF_INET6 of Linux, Windows, NetBSD, FreeBSD and macOS."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """Of each frame: the EtherType (0 where it is cut before it, or its link type is unknown), where that begins, and the CoS of its
    outermost tag (NO_COS without one)."""

    ethertype: npt.NDArray[np.uint16]
    at: Offsets
    cos: npt.NDArray[np.uint8]


def network_layer(fetch: Fetch, at: Offsets, end: Offsets, link: npt.NDArray[np.uint16]) -> Network:
    """What the frames from ``at`` to ``end`` (offsets) of these link types carry."""
    types = distinct(link).tolist()
    if len(types) == 1:
        return _of_one_type(fetch, at, end, types[0])
    found = Network(ethertype=np.zeros(len(at), np.uint16), at=at.copy(), cos=np.full(len(at), NO_COS, np.uint8))
    for one in types:
        mask = link == one
        part = _of_one_type(fetch, at[mask], end[mask], one)
        found.ethertype[mask], found.at[mask], found.cos[mask] = part.ethertype, part.at, part.cos
    return found


def _of_one_type(fetch: Fetch, at: Offsets, end: Offsets, link: int) -> Network:
    if link == ETHERNET:
        return _behind_tags(fetch, at, at + 12, end)
    if link == SLL:
        return _behind_tags(fetch, at, at + 14, end)
    if link == SLL2:
        return _with_length(fetch, at, end, fetch.u16(at), 20)
    if link in _RAW_TYPES:
        return _with_length(fetch, at, end, _by_version(fetch, at), 0)
    if link in (NULL, LOOP):
        return _with_length(fetch, at, end, _by_family(fetch, at), 4)
    return _with_length(fetch, at, end, np.zeros(len(at), np.uint16), 0)


def _with_length(
    fetch: Fetch, at: Offsets, end: Offsets, ethertype: npt.NDArray[np.uint16], header_bytes: int
) -> Network:
    whole = at + header_bytes < end
    return Network(
        ethertype=np.where(whole, ethertype, 0).astype(np.uint16),
        at=np.where(whole, at + header_bytes, at),
        cos=np.full(len(at), NO_COS, np.uint8),
    )


def _by_version(fetch: Fetch, at: Offsets) -> npt.NDArray[np.uint16]:
    version = fetch.u8(at) >> 4
    return np.select([version == 4, version == 6], [ETHERTYPE_IPV4, ETHERTYPE_IPV6], 0).astype(np.uint16)


def _by_family(fetch: Fetch, at: Offsets) -> npt.NDArray[np.uint16]:
    """In the byte order of the machine that captured, which the file does not say: families are small numbers."""
    rows = fetch.rows(at, 4)
    family = np.minimum(rows.u32(0, "<"), rows.u32(0, ">"))
    is_ipv6 = np.isin(family, _FAMILIES_IPV6)
    return np.select([family == _FAMILY_IPV4, is_ipv6], [ETHERTYPE_IPV4, ETHERTYPE_IPV6], 0).astype(np.uint16)


def _behind_tags(fetch: Fetch, frame_at: Offsets, type_at: Offsets, end: Offsets) -> Network:
    ethertype = fetch.u16(type_at)
    cos = np.full(len(type_at), NO_COS, np.uint8)
    tagged = np.flatnonzero(np.isin(ethertype, _TAGS) & (type_at + 4 <= end))
    if len(tagged):
        type_at = type_at.copy()
        cos[tagged] = fetch.u8(type_at[tagged] + 2) >> 5
    for _ in range(MAX_TAGS):
        if not len(tagged):
            break
        type_at[tagged] += 4
        ethertype[tagged] = fetch.u16(type_at[tagged])
        tagged = tagged[np.isin(ethertype[tagged], _TAGS) & (type_at[tagged] + 4 <= end[tagged])]
    whole = type_at + 2 <= end
    begin = type_at + 2
    short = np.flatnonzero(whole & (ethertype < _LEAST_ETHERTYPE) & (begin + 8 <= end))
    if len(short):
        rows = fetch.rows(begin[short], 8)
        snap = (rows.u32(0) == _SNAP) & (rows.u16(4) == 0)
        ethertype[short[snap]] = rows.u16(6)[snap]
        begin[short[snap]] += 8
    return Network(
        ethertype=np.where(whole, ethertype, 0).astype(np.uint16), at=np.where(whole, begin, frame_at), cos=cos
    )
