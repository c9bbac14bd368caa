"""SCCP messages in a capture: TCP payload put back in order for each direction, then cut at the message headers.

Header (all little-endian u32): length of what follows offset 8, header version, message id. Packets may be missing, repeated,
overlap or come out of order; each message names the frame that carried its last byte, and the time when it was whole.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from testbed.packets import ACK, SYN, TCP, Mask, Packets

SCCP_PORT = 2000
KEEPALIVE, KEEPALIVE_ACK = 0x0000, 0x0100

MAX_MESSAGE_BYTES = 16_384
"""The longest defined message has about 2 KiB; more is no SCCP or a stream we joined in mid-message."""

_HEADER = struct.Struct("<III")
_VERSIONS = {0, *range(0x0A, 0x17)}
_WRAP = 1 << 32

Flow = tuple[int, int, int, int]
"""(source address, source port, destination address, destination port)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One SCCP message; ``connection`` counts connections that used the same addresses and ports, from 0."""

    id: int
    version: int
    body_bytes: int
    frame: int
    time_s: float
    flow: Flow
    connection: int

    @property
    def reverse(self) -> tuple[Flow, int]:
        """The other direction of its connection."""
        src, sport, dst, dport = self.flow
        return (dst, dport, src, sport), self.connection


@dataclass(slots=True)
class _Stream:
    """One direction of one connection: what is in order is parsed, what came too early waits."""

    flow: Flow
    connection: int
    next_seq: int
    pending: bytes = b""
    waiting: dict[int, tuple[bytes, int, float]] = field(default_factory=dict)

    def add(self, seq: int, payload: bytes, frame: int, time_s: float) -> Iterator[Message]:
        offset = (seq - self.next_seq + _WRAP // 2) % _WRAP - _WRAP // 2
        if offset > 0:
            self.waiting.setdefault(seq, (payload, frame, time_s))
            return
        yield from self._take(payload[-offset:] if offset else payload, frame, time_s)
        while self.waiting:
            early = min(self.waiting, key=lambda seq: (seq - self.next_seq + _WRAP // 2) % _WRAP)
            distance = (early - self.next_seq + _WRAP // 2) % _WRAP - _WRAP // 2
            if distance > 0:
                return
            payload, frame, _ = self.waiting.pop(early)
            yield from self._take(payload[-distance:] if distance else payload, frame, time_s)

    def skip_gap(self) -> Iterator[Message]:
        """Go on behind what the capture does not have; whole messages usually begin there."""
        while self.waiting:
            early = min(self.waiting, key=lambda seq: (seq - self.next_seq + _WRAP // 2) % _WRAP)
            payload, frame, time_s = self.waiting.pop(early)
            self.next_seq, self.pending = early, b""
            yield from self.add(early, payload, frame, time_s)

    def _take(self, payload: bytes, frame: int, time_s: float) -> Iterator[Message]:
        self.next_seq = (self.next_seq + len(payload)) % _WRAP
        self.pending += payload
        while len(self.pending) >= _HEADER.size:
            length, version, message_id = _HEADER.unpack_from(self.pending)
            if not 4 <= length <= MAX_MESSAGE_BYTES or version not in _VERSIONS:
                self.pending = b""
                return
            if len(self.pending) < length + 8:
                return
            self.pending = self.pending[length + 8 :]
            yield Message(
                id=message_id,
                version=version,
                body_bytes=length - 4,
                frame=frame,
                time_s=time_s,
                flow=self.flow,
                connection=self.connection,
            )


def sccp_mask(packets: Packets) -> Mask:
    """TCP packets with port 2000 on either side."""
    mask: Mask = (packets.proto == TCP) & ((packets.sport == SCCP_PORT) | (packets.dport == SCCP_PORT))
    return mask


class _Streams:
    """Both directions of every connection in a capture, fed packet by packet."""

    def __init__(self) -> None:
        self.streams: dict[Flow, _Stream] = {}

    def add(self, packets: Packets, index: int) -> Iterator[Message]:
        flow = (int(packets.src[index]), int(packets.sport[index]), int(packets.dst[index]), int(packets.dport[index]))
        seq, flags = int(packets.seq[index]), int(packets.tcp_flags[index])
        stream = self.streams.get(flow)
        if flags & SYN and (stream is None or stream.next_seq != (seq + 1) % _WRAP):
            yield from self._open(flow, (seq + 1) % _WRAP, is_answer=bool(flags & ACK))
        if flags & SYN or not packets.payload_len[index]:
            return
        stream = stream or self._begin(flow, seq)
        yield from stream.add(seq, packets.payload(index), int(packets.frame[index]), float(packets.time_s[index]))

    def end(self) -> Iterator[Message]:
        """What waits behind a gap that was never filled."""
        for stream in self.streams.values():
            yield from stream.skip_gap()

    def _open(self, flow: Flow, next_seq: int, *, is_answer: bool) -> Iterator[Message]:
        """A SYN ends what the same addresses and ports had before, in both directions; a SYN with ACK only answers it."""
        reverse = (*flow[2:], *flow[:2])
        own, other = self.streams.get(flow), self.streams.get(reverse)
        if own:
            yield from own.skip_gap()
        number = max((stream.connection for stream in (own, other) if stream), default=-1)
        if not is_answer and other:
            yield from other.skip_gap()
            del self.streams[reverse]
        number = max(number, 0) if is_answer else number + 1
        self.streams[flow] = _Stream(flow=flow, connection=number, next_seq=next_seq)

    def _begin(self, flow: Flow, seq: int) -> _Stream:
        """A connection that was there before the capture."""
        reverse = self.streams.get((*flow[2:], *flow[:2]))
        stream = self.streams[flow] = _Stream(flow=flow, connection=reverse.connection if reverse else 0, next_seq=seq)
        return stream


def sccp_messages(packets: Packets) -> list[Message]:
    """All SCCP messages of the capture in order of time."""
    streams = _Streams()
    messages = [
        message for index in np.flatnonzero(sccp_mask(packets)).tolist() for message in streams.add(packets, index)
    ]
    messages += streams.end()
    return sorted(messages, key=lambda message: message.time_s)


@dataclass(frozen=True, kw_only=True, slots=True)
class Keepalive:
    """A KeepAlive and the answer to it, or None where none was captured."""

    sent: Message
    answer: Message | None


def keepalives(messages: list[Message]) -> list[Keepalive]:
    """Every KeepAlive in order of time; answers are paired with the oldest KeepAlive of their connection that has none."""
    open_: dict[tuple[Flow, int], list[Message]] = {}
    answers: dict[int, Message] = {}
    sent = [message for message in messages if message.id == KEEPALIVE]
    for message in messages:
        if message.id == KEEPALIVE:
            open_.setdefault((message.flow, message.connection), []).append(message)
        elif message.id == KEEPALIVE_ACK and (waiting := open_.get(message.reverse)):
            answers[id(waiting.pop(0))] = message
    return [Keepalive(sent=message, answer=answers.get(id(message))) for message in sent]
