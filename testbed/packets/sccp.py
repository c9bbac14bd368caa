"""SCCP messages in a capture: TCP payload in order for each direction, cut at the message headers.

Header (all little-endian u32): length of what follows offset 8, header version, message id. Each message names the frame that
carried its last byte, and the time when it was whole.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from testbed.packets import TCP, Mask, Packets
from testbed.packets.tcp import Chunk, Flow, Half, halves

SCCP_PORT = 2000
KEEPALIVE, KEEPALIVE_ACK = 0x0000, 0x0100

MAX_MESSAGE_BYTES = 16_384
"""The longest defined message has about 2 KiB; more is no SCCP or a stream we joined in mid-message."""

HEADER = struct.Struct("<III")
VERSIONS = frozenset({0, *range(0x0A, 0x17)})


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One SCCP message; ``connection`` counts connections that used the same addresses and ports, from 0."""

    id: int
    version: int
    body: bytes
    frame: int
    time_s: float
    flow: Flow
    connection: int

    @property
    def reverse(self) -> tuple[Flow, int]:
        """The other direction of its connection."""
        src, sport, dst, dport = self.flow
        return (dst, dport, src, sport), self.connection


def sccp_mask(packets: Packets) -> Mask:
    """TCP packets with port 2000 on either side."""
    mask: Mask = (packets.proto == TCP) & ((packets.sport == SCCP_PORT) | (packets.dport == SCCP_PORT))
    return mask


def sccp_messages(packets: Packets) -> list[Message]:
    """All SCCP messages of the capture in order of time."""
    messages = [message for half in halves(packets, sccp_mask(packets)) for message in messages_of(half)]
    return sorted(messages, key=lambda message: message.time_s)


class MessageReader:
    """Cuts one direction of a connection into messages. Behind a gap, and behind what is no message, reading goes on with the next
    segment: whole messages usually begin there."""

    def __init__(self) -> None:
        self.pending = b""
        """The beginning of a message that is not whole yet."""

    def feed(self, chunk: Chunk) -> Iterator[tuple[int, int, bytes]]:
        """(message id, header version, body) of the messages that end in these bytes."""
        self.pending = chunk.data if chunk.missing else self.pending + chunk.data
        while len(self.pending) >= HEADER.size:
            length, version, message_id = HEADER.unpack_from(self.pending)
            if not 4 <= length <= MAX_MESSAGE_BYTES or version not in VERSIONS:
                self.pending = b""
                return
            if len(self.pending) < length + 8:
                return
            body = self.pending[HEADER.size : length + 8]
            self.pending = self.pending[length + 8 :]
            yield message_id, version, body


def messages_of(half: Half) -> Iterator[Message]:
    """All of one direction of a connection, in order."""
    reader = MessageReader()
    for chunk in half.chunks:
        for message_id, version, body in reader.feed(chunk):
            yield Message(
                id=message_id,
                version=version,
                body=body,
                frame=chunk.frame,
                time_s=chunk.time_s,
                flow=half.flow,
                connection=half.connection,
            )


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
