"""A capture of any length, made quickly: 60 % RTP, 20 % SCCP, 10 % HTTP, the rest other, as one network of phones has it.

Frames are made a kind at a time, as rows of one table, and then put in their places. Sequence numbers of TCP are right; a few SCCP
messages span two segments; half of the RTP flows are named by call control.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

CHUNK = 100_000
CONNECTIONS, RTP_FLOWS = 400, 800
SHARES = {"rtp": 0.6, "sccp": 0.2, "http": 0.1, "other": 0.1}
_BEGAN_S = 1_700_000_000

Numbers = npt.NDArray[np.int64]


def _sccp(message_id: int, size: int) -> bytes:
    return struct.pack("<III", 4 + size, 0, message_id) + bytes(size)


_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + bytes(900)
_LONG = _sccp(0x0108, 652)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Frames of one form: ``share`` of their class, ``port`` of the server (0: RTP)."""

    traffic: str
    share: float
    payload: bytes
    proto: int = 6
    port: int = 2000
    tos: int = 104
    down: bool | None = None
    """Always that way; None: either."""
    follows: bool = False
    """Comes only behind the kind before it, on the same connection."""


KINDS = (
    Kind(traffic="rtp", share=0.99, payload=b"\x80" + bytes(171), proto=17, port=0, tos=184),
    Kind(traffic="rtp", share=0.01, payload=b"\x80" + bytes(171), proto=17, port=0, tos=0),
    Kind(traffic="sccp", share=0.3, payload=b""),
    Kind(traffic="sccp", share=0.3, payload=_sccp(0, 0)),
    Kind(traffic="sccp", share=0.15, payload=_sccp(0x0111, 24)),
    Kind(traffic="sccp", share=0.15, payload=_sccp(0x0110, 16) + _sccp(0x0112, 44) + _sccp(0x0082, 16)),
    Kind(traffic="sccp", share=0.05, payload=_sccp(0x008A, 116), down=True),
    Kind(traffic="sccp", share=0.02, payload=_sccp(0x0022, 20), down=False),
    Kind(traffic="sccp", share=0.03, payload=_LONG[:500], down=True),
    Kind(traffic="sccp", share=0.0, payload=_LONG[500:], down=True, follows=True),
    Kind(traffic="http", share=0.3, payload=b"", port=80, tos=0),
    Kind(traffic="http", share=0.3, payload=b"GET /menu HTTP/1.1\r\nHost: web\r\n\r\n", port=80, tos=0, down=False),
    Kind(traffic="http", share=0.4, payload=_ANSWER, port=80, tos=0, down=True),
    Kind(traffic="other", share=0.6, payload=bytes(400), port=443, tos=0),
    Kind(traffic="other", share=0.4, payload=b"\x12\x34\x01\x00" + bytes(40), proto=17, port=53, tos=0),
)
_FOLLOWERS = {number - 1: number for number, kind in enumerate(KINDS) if kind.follows}


def write(path: Path, count: int, seed: int = 1) -> None:
    """A pcap of ``count`` packets."""
    chance = np.random.default_rng(seed)
    sequence = np.zeros((len(SHARES), 2, CONNECTIONS), np.int64)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
        for begin in range(0, count, CHUNK):
            file.write(_chunk(chance, begin, min(CHUNK, count - begin), sequence).tobytes())


def _chunk(chance: np.random.Generator, begin: int, count: int, sequence: Numbers) -> npt.NDArray[np.uint8]:
    weights = np.array([SHARES[kind.traffic] * kind.share for kind in KINDS])
    kind = chance.choice(len(KINDS), size=count, p=weights / weights.sum())
    flow = chance.integers(0, RTP_FLOWS, count)
    down = chance.integers(0, 2, count)
    for first, follower in _FOLLOWERS.items():
        place = np.flatnonzero(kind[:-1] == first)
        kind[place + 1], flow[place + 1] = follower, flow[place]
    for number, one in enumerate(KINDS):
        if one.down is not None:
            down[kind == number] = one.down
    sizes = np.array([14 + 20 + (20 if one.proto == 6 else 8) + len(one.payload) for one in KINDS])[kind]
    ends = np.cumsum(sizes + 16)
    out = np.zeros(ends[-1], np.uint8)
    seq = _sequences(kind, flow % CONNECTIONS, down, sequence)
    for number, one in enumerate(KINDS):
        index = np.flatnonzero(kind == number)
        if len(index):
            rows = _rows(one, index + begin, flow[index], down[index], seq[index])
            at = (ends - sizes - 16)[index]
            out[at[:, None] + np.arange(rows.shape[1])] = rows
    return out


def _sequences(kind: Numbers, connection: Numbers, down: Numbers, sequence: Numbers) -> Numbers:
    """Of each packet its TCP sequence number: what its direction of its connection had sent before."""
    lengths = np.array([len(one.payload) for one in KINDS])[kind]
    traffic = np.array([list(SHARES).index(one.traffic) for one in KINDS])[kind]
    lane = (traffic * 2 + down) * CONNECTIONS + connection
    order = np.argsort(lane, kind="stable")
    summed = np.cumsum(lengths[order])
    starts = np.flatnonzero(np.diff(lane[order], prepend=-1))
    before = summed - lengths[order]
    base = np.repeat(before[starts], np.diff(np.append(starts, len(order))))
    flat = sequence.reshape(-1)
    found = np.zeros(len(kind), np.int64)
    found[order] = before - base + flat[lane[order]]
    np.add.at(flat, lane, lengths)
    return found


def _rows(kind: Kind, number: Numbers, flow: Numbers, down: Numbers, seq: Numbers) -> npt.NDArray[np.uint8]:
    transport = 20 if kind.proto == 6 else 8
    total = 20 + transport + len(kind.payload)
    row = np.frombuffer(bytes(16 + 14 + 20 + transport) + kind.payload, np.uint8)
    rows = np.tile(row, (len(number), 1))
    _put(rows, 0, "<u4", _BEGAN_S + number // 5000)
    _put(rows, 4, "<u4", number % 5000 * 200)
    _put(rows, 8, "<u4", total + 14)
    _put(rows, 12, "<u4", total + 14)
    rows[:, 28], rows[:, 30], rows[:, 31] = 8, 0x45, kind.tos
    _put(rows, 32, ">u2", total)
    _put(rows, 34, ">u2", number % 65536)
    rows[:, 38], rows[:, 39] = 64, kind.proto
    phone = 0x0A000000 + flow
    server = 0x0A010001 if kind.port else 0x0A000000 + (flow ^ 1)
    _put(rows, 42, ">u4", np.where(down, server, phone))
    _put(rows, 46, ">u4", np.where(down, phone, server))
    port = 50_000 + flow % CONNECTIONS if kind.port else 20_480 + 2 * (flow % RTP_FLOWS)
    other = kind.port or 20_480 + 2 * (flow ^ 1)
    _put(rows, 50, ">u2", np.where(down, other, port))
    _put(rows, 52, ">u2", np.where(down, port, other))
    if kind.proto == 6:
        _put(rows, 54, ">u4", seq % 2**32)
        rows[:, 62], rows[:, 63] = 0x50, 0x18 if kind.payload else 0x10
    else:
        _put(rows, 54, ">u2", total - 20)
    _fill(rows, 16 + 34 + transport, kind, number, flow)
    return rows


def _fill(rows: npt.NDArray[np.uint8], at: int, kind: Kind, number: Numbers, flow: Numbers) -> None:
    """RTP's sequence and SSRC; where the media messages send it: half of the flows."""
    if not kind.port:
        _put(rows, at + 2, ">u2", number % 65536)
        _put(rows, at + 8, ">u4", flow + 1)
    named = flow // 2
    if kind.payload[8:12] == struct.pack("<I", 0x008A):
        _put(rows, at + 12 + 8, ">u4", 0x0A000000 + named)
        _put(rows, at + 12 + 12, "<u4", 20_480 + 2 * named)
    elif kind.payload[8:12] == struct.pack("<I", 0x0022):
        _put(rows, at + 12 + 4, ">u4", 0x0A000000 + named)
        _put(rows, at + 12 + 8, "<u4", 20_480 + 2 * named)


def _put(rows: npt.NDArray[np.uint8], at: int, dtype: str, values: Numbers | int) -> None:
    width = int(dtype[-1])
    column = np.broadcast_to(np.asarray(values).astype(dtype), (len(rows),)).copy()
    rows[:, at : at + width] = column.view(np.uint8).reshape(-1, width)
