"""Finds the endpoints of RTP that SCCP and pushes name, without following every connection.

Most segments hold whole SCCP messages: they are stepped through many at a time, and only those with a media message are looked into. A
direction whose messages span segments is reassembled from there until it is at a message's end again, and so is a push until it is
whole. What that holds is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from testbed.audit.lanes import Columns, Index
from testbed.audit.media import MEDIA_IDS, PUSH_PATH, Endpoint, endpoint_of, pushed_endpoints
from testbed.packets import SYN, TCP, Packets, endpoint_number
from testbed.packets_fetch import Fetch
from testbed.packets_sccp import HEADER, MAX_MESSAGE_BYTES, VERSIONS, MessageReader
from testbed.packets_tcp import Half

MAX_STREAMS = 4096
MAX_WAITING = 64
"""Segments that wait for one that is missing; then it is given up."""
MAX_PUSH_BYTES = 16 * 1024
MAX_NAMED = 1 << 18
MAX_STEPS = 64
"""Messages stepped through in one segment; a segment with more is read one by one."""

_VERSIONS = np.array(sorted(VERSIONS), np.uint32)


class _Stream:
    """One direction of a connection that is being reassembled."""

    def __init__(self, seq: int) -> None:
        self._half = Half(flow=(0, 0, 0, 0), connection=0, next_seq=seq)
        self._reader = MessageReader()
        self.push: bytearray | None = None
        """What there is of a push; None where this is SCCP."""

    def add(self, packets: Packets, index: int) -> Iterator[Endpoint]:
        """The endpoints that this segment names, with what had waited for it."""
        half = self._half
        half.add(int(packets.seq[index]), packets.payload(index), int(packets.frame[index]), 0.0)
        if len(half.waiting) > MAX_WAITING:
            half.skip_gaps()
        chunks, half.chunks = half.chunks, []
        for chunk in chunks:
            if self.push is not None:
                self.push += chunk.data
                continue
            for message_id, version, body in self._reader.feed(chunk):
                named = endpoint_of(message_id, version, body)
                if named:
                    yield named

    @property
    def is_idle(self) -> bool:
        """Whether it is at the end of a message, and nothing waits."""
        return self.push is None and not self._reader.pending and not self._half.waiting


class Signalling:
    """``by_call_control`` and ``by_service`` hold what was named, as numbers of ``endpoint_number``."""

    def __init__(self, sccp_ports: npt.NDArray[np.bool_]) -> None:
        self._ports = sccp_ports
        self._streams: dict[int, _Stream] = {}
        self.by_call_control: set[int] = set()
        self.by_service: set[int] = set()

    def add(self, packets: Packets, lane: Index, columns: Columns, posts: Index) -> None:
        """A block; ``posts`` are the packets that begin with a POST."""
        is_sccp = (packets.proto == TCP) & (self._ports[packets.dport] | self._ports[packets.sport])
        index = np.flatnonzero(is_sccp & (packets.payload_len > 0) & ~packets.later)
        broken, telling = _stepped(packets, index)
        wanted = index[telling & ~broken]
        pushes = {post for post in posts.tolist() if self._is_push(packets, post)}
        if len(self._streams) or broken.any() or pushes:
            flow = _flows(columns, lane)
            dirty = np.array([*self._streams, *flow[index[broken]].tolist(), *flow[list(pushes)].tolist()], np.uint64)
            followed = np.flatnonzero(
                np.isin(flow, dirty) & ((packets.payload_len > 0) | (packets.tcp_flags & SYN > 0))
            )
            wanted = wanted[~np.isin(flow[wanted], dirty)]
            for place, key in zip(followed.tolist(), flow[followed].tolist(), strict=True):
                self._follow(packets, place, key, is_push=place in pushes)
        for place in wanted.tolist():
            self._name(self.by_call_control, _Stream(int(packets.seq[place])).add(packets, place))

    def _follow(self, packets: Packets, place: int, key: int, *, is_push: bool) -> None:
        if packets.tcp_flags[place] & SYN:
            self._streams.pop(key, None)
            return
        stream = self._streams.get(key)
        if stream is None or is_push:
            while len(self._streams) >= MAX_STREAMS:
                del self._streams[next(iter(self._streams))]
            stream = self._streams[key] = _Stream(int(packets.seq[place]))
            stream.push = bytearray() if is_push else None
        self._name(self.by_call_control, stream.add(packets, place))
        if stream.push is not None and _is_whole(stream.push):
            self._name(self.by_service, pushed_endpoints(bytes(stream.push), packets.addresses(place)[1]))
            del self._streams[key]
        elif stream.is_idle:
            del self._streams[key]

    @staticmethod
    def _name(named: set[int], endpoints: Iterator[Endpoint]) -> None:
        for address, port in endpoints:
            if len(named) < MAX_NAMED:
                named.add(endpoint_number(address, port))

    @staticmethod
    def _is_push(packets: Packets, post: int) -> bool:
        begin = int(packets.payload_at[post])
        return packets.data[begin : begin + len(PUSH_PATH)] == PUSH_PATH


def _is_whole(push: bytearray) -> bool:
    """Whether all of the request is there, or as much of it as is looked at."""
    head, blank, body = push.partition(b"\r\n\r\n")
    if not blank:
        return len(push) > MAX_PUSH_BYTES
    length = MAX_PUSH_BYTES
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            length = min(int(value.strip()[:12]), MAX_PUSH_BYTES)
    return len(body) >= length


def _flows(columns: Columns, lane: Index) -> npt.NDArray[np.uint64]:
    """One number for each packet's addresses and ports."""
    ports = columns.word[lane] & np.uint64(0xFFFFFFFF)
    mixed: npt.NDArray[np.uint64] = columns.addresses[lane] * np.uint64(0xBF58476D1CE4E5B9) ^ ports
    return mixed


def _stepped(packets: Packets, index: Index) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Of each of these segments: whether it is not made of whole messages alone, and whether one of them is about media."""
    at = packets.payload_at[index]
    end = at + packets.payload_len[index]
    broken, telling = np.zeros(len(index), np.bool_), np.zeros(len(index), np.bool_)
    going, fetch = np.arange(len(index)), Fetch(packets.data)
    for _ in range(MAX_STEPS):
        if not len(going):
            return broken, telling
        rows = fetch.rows(at[going], HEADER.size)
        length = rows.u32(0, "<").astype(np.int64)
        following = at[going] + length + 8
        sound = (length >= 4) & (length <= MAX_MESSAGE_BYTES) & np.isin(rows.u32(4, "<"), _VERSIONS)
        sound &= following <= end[going]
        broken[going[~sound]] = True
        telling[going[sound & np.isin(rows.u32(8, "<"), MEDIA_IDS)]] = True
        at[going] = following
        going = going[sound & (following < end[going])]
    broken[going] = True
    return broken, telling
