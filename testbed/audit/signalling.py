"""Finds the endpoints of RTP that SCCP and pushes name, without following every connection.

Most segments hold whole SCCP messages, which ``sccp_steps`` goes through. A direction whose messages span segments is reassembled from
there until it is at a message's end again, and so is a push until it is whole. What that holds is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from testbed.audit.lanes import Columns, Index
from testbed.audit.media import (
    MEDIA_IDS,
    NAMING_BYTES,
    PUSH_PATH,
    Endpoint,
    endpoint_of,
    pushed_endpoints,
    pushed_sources,
)
from testbed.audit.sccp_steps import step_through
from testbed.packets import SYN, TCP, Packets, endpoint_number
from testbed.packets.fetch import mixed
from testbed.packets.sccp import MessageReader
from testbed.packets.tcp import Half

MAX_STREAMS = 1024
MAX_WAITING, MAX_WAITING_BYTES = 64, 32 * 1024
"""Segments that wait for one that is missing; then it is given up."""
MAX_PUSH_BYTES = 16 * 1024
MAX_NAMED = 1 << 18


class _Stream:
    """One direction of a connection that is being reassembled."""

    def __init__(self, seq: int, *, is_push: bool) -> None:
        self._half = Half(flow=(0, 0, 0, 0), connection=0, next_seq=seq)
        self._reader = MessageReader()
        self.push = bytearray() if is_push else None
        """What there is of a push; None where this is SCCP."""

    def add(self, seq: int, payload: bytes) -> list[Endpoint]:
        """The endpoints that this segment names, with what had waited for it."""
        half = self._half
        half.add(seq, payload, 0, 0.0)
        waiting = half.waiting
        if waiting and (len(waiting) > MAX_WAITING or sum(len(one[0]) for one in waiting.values()) > MAX_WAITING_BYTES):
            half.skip_gaps()
        chunks, half.chunks = half.chunks, []
        if self.push is not None:
            self.push += b"".join(chunk.data for chunk in chunks)
            return []
        named = []
        for chunk in chunks:
            for message_id, version, body in self._reader.feed(chunk):
                if message_id in MEDIA_IDS and (one := endpoint_of(message_id, version, body[:NAMING_BYTES])):
                    named.append(one)
        return named

    @property
    def is_idle(self) -> bool:
        """Whether it is at the end of a message, and nothing waits."""
        return self.push is None and not self._reader.pending and not self._half.waiting


class Signalling:
    """``by_call_control`` and ``by_service`` hold what was named, as numbers of ``endpoint_number``; ``from_service`` pairs of a source and
    a phone whose port nobody named, as numbers that ``mixed`` makes of endpoints with port 0."""

    def __init__(self, sccp_ports: npt.NDArray[np.bool_]) -> None:
        self._ports = sccp_ports
        self._streams: dict[int, _Stream] = {}
        """By flow."""
        self.by_call_control: set[int] = set()
        self.by_service: set[int] = set()
        self.from_service: set[int] = set()

    def add(self, packets: Packets, lane: Index, columns: Columns, posts: Index, flows: int) -> None:
        """A block whose packets are in these lanes, of ``flows`` flows; ``posts`` are the packets that begin with a POST."""
        is_tcp = (packets.proto == TCP) & ~packets.later
        is_sccp = is_tcp & (self._ports[packets.dport] | self._ports[packets.sport])
        index = np.flatnonzero(is_sccp & (packets.payload_len > 0))
        stepped = step_through(packets, index)
        self._name(self.by_call_control, stepped.named)
        pushes = np.array([post for post in posts.tolist() if self._is_push(packets, post)], np.int64)
        if self._streams or stepped.broken.any() or len(pushes):
            broken = np.zeros(len(packets), np.bool_)
            broken[index[stepped.broken]] = True
            broken[pushes] = True
            self._follow(packets, columns.flow[lane], np.flatnonzero(is_tcp), broken, set(pushes.tolist()), flows)

    def _follow(
        self, packets: Packets, flow: Index, tcp: Index, broken: npt.NDArray[np.bool_], pushes: set[int], flows: int
    ) -> None:
        """Directions that are being reassembled, and those where that begins. In between there is nothing to be done."""
        dirty = np.zeros(flows, np.bool_)
        dirty[flow[broken]] = True
        dirty[list(self._streams)] = True
        index = tcp[dirty[flow[tcp]]]
        index = index[(packets.payload_len[index] > 0) | (packets.tcp_flags[index] & SYN > 0)]
        begin, end = packets.payload_at[index], packets.payload_at[index] + packets.payload_len[index]
        columns = (index, flow[index], broken[index], packets.seq[index], packets.tcp_flags[index] & SYN, begin, end)
        for place, key, is_broken, seq, syn, first, last in zip(*(column.tolist() for column in columns), strict=True):
            stream = self._streams.get(key)
            if stream is None and not is_broken:
                continue
            if syn:
                self._streams.pop(key, None)
                continue
            if stream is None or place in pushes:
                stream = self._open(key, seq, is_push=place in pushes)
            if named := stream.add(seq, bytes(packets.data[first:last])):
                self._name(self.by_call_control, (endpoint_number(*one) for one in named))
            if stream.push is not None and _is_whole(stream.push):
                self._take_push(bytes(stream.push), packets.addresses(place)[1])
                del self._streams[key]
            elif stream.is_idle:
                del self._streams[key]

    def _take_push(self, push: bytes, phone: str) -> None:
        self._name(self.by_service, (endpoint_number(*one) for one in pushed_endpoints(push, phone)))
        to = np.array([endpoint_number(phone, 0)], np.uint64)
        for source in pushed_sources(push):
            pair = mixed(np.array([endpoint_number(source, 0)], np.uint64), to)
            self._name(self.from_service, set(pair.tolist()))

    def _open(self, key: int, seq: int, *, is_push: bool) -> _Stream:
        """The one that was opened first makes room."""
        while len(self._streams) >= MAX_STREAMS:
            del self._streams[next(iter(self._streams))]
        stream = self._streams[key] = _Stream(seq, is_push=is_push)
        return stream

    @staticmethod
    def _name(named: set[int], endpoints: Iterator[int] | set[int]) -> None:
        if len(named) < MAX_NAMED:
            named.update(endpoints)

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
