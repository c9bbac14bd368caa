"""TCP connections in a capture: what each side sent, in order, and how it began and ended.

Packets may be missing, repeated, overlap or come out of order; a capture may begin in mid-connection. What waits behind a gap that is
never filled comes after the gap, which says how many bytes it lacks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from testbed.packets import ACK, FIN, RST, SYN, TCP, Mask, Packets

_WRAP = 1 << 32

FRAME_BITS = 32
"""Where packets of several files are together, a frame's number here has that of its file (``source`` of Packets) above so many bits."""

Flow = tuple[int, int, int, int]
"""(source address, source port, destination address, destination port)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """Bytes in order; ``frame`` carried them, at ``time_s`` they and all before them were there. ``missing`` bytes before them were
    not captured."""

    data: bytes
    frame: int
    time_s: float
    missing: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A packet with SYN, FIN or RST."""

    frame: int
    time_s: float


@dataclass(kw_only=True)
class Half:
    """One direction of one connection. ``connection`` counts connections that used the same addresses and ports, from 0.

    ``syn`` is the first of a SYN and its repetitions, ``is_answer`` whether it acknowledges another (the server's half).
    """

    flow: Flow
    connection: int
    next_seq: int
    is_answer: bool = False
    syn: Mark | None = None
    fin: Mark | None = None
    rst: Mark | None = None
    chunks: list[Chunk] = field(default_factory=list)
    waiting: dict[int, tuple[bytes, int, float]] = field(default_factory=dict)

    @property
    def reverse(self) -> Flow:
        """The other direction."""
        return (*self.flow[2:], *self.flow[:2])

    def add(self, seq: int, payload: bytes, frame: int, time_s: float) -> None:
        """Take a segment; what came too early waits."""
        offset = self._ahead(seq)
        if offset > 0:
            self.waiting.setdefault(seq, (payload, frame, time_s))
            return
        self._take(payload[-offset:] if offset else payload, frame, time_s)
        while self.waiting:
            early = min(self.waiting, key=self._ahead)
            distance = self._ahead(early)
            if distance > 0:
                return
            payload, frame, _ = self.waiting.pop(early)
            self._take(payload[-distance:] if distance else payload, frame, time_s)

    def skip_gaps(self) -> None:
        """Go on behind what the capture does not have."""
        waiting, self.waiting = self.waiting, {}
        since_s = 0.0
        for early in sorted(waiting, key=self._ahead):
            payload, frame, time_s = waiting[early]
            distance = self._ahead(early)
            if distance > 0:
                self.next_seq, since_s = early, time_s
                self._take(payload, frame, time_s, missing=distance)
            else:
                self._take(payload[-distance:] if distance else payload, frame, since_s)

    def _ahead(self, seq: int) -> int:
        return (seq - self.next_seq + _WRAP // 2) % _WRAP - _WRAP // 2

    def _take(self, payload: bytes, frame: int, time_s: float, missing: int = 0) -> None:
        self.next_seq = (self.next_seq + len(payload)) % _WRAP
        if payload:
            self.chunks.append(Chunk(data=payload, frame=frame, time_s=time_s, missing=missing))


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Both halves; ``up`` is the client's. One that was not captured is empty. ``began`` says whether its beginning was captured."""

    up: Half
    down: Half

    @cached_property
    def began(self) -> bool:
        return self.up.syn is not None


class Halves:
    """All directions of a capture, fed packet by packet; the latest of each flow is the one that goes on."""

    def __init__(self) -> None:
        self.every: list[Half] = []
        self._latest: dict[Flow, Half] = {}

    def add_all(self, packets: Packets, mask: Mask) -> None:
        """Those of these packets that tell something."""
        telling = (packets.tcp_flags & (SYN | FIN | RST) > 0) | (packets.payload_len > 0)
        for index in np.flatnonzero(mask & telling & (packets.proto == TCP)).tolist():
            self.add(packets, index)

    def add(self, packets: Packets, index: int) -> None:
        """The next packet, in the order of the capture."""
        flow = (int(packets.src[index]), int(packets.sport[index]), int(packets.dst[index]), int(packets.dport[index]))
        seq, flags = int(packets.seq[index]), int(packets.tcp_flags[index])
        frame = int(packets.source[index]) << FRAME_BITS | int(packets.frame[index])
        mark = Mark(frame=frame, time_s=float(packets.time_s[index]))
        half = self._latest.get(flow)
        if flags & SYN:
            # One that says the same again is a repetition.
            if half is None or half.next_seq != (seq + 1) % _WRAP:
                half = self._open(flow, (seq + 1) % _WRAP, is_answer=bool(flags & ACK))
            half.syn = half.syn or mark
            return
        half = half or self._begin(flow, seq)
        if packets.payload_len[index]:
            half.add(seq, packets.payload(index), mark.frame, mark.time_s)
        half.fin = half.fin or (mark if flags & FIN else None)
        half.rst = half.rst or (mark if flags & RST else None)

    def _open(self, flow: Flow, next_seq: int, *, is_answer: bool) -> Half:
        """A SYN ends what the same addresses and ports had before, in both directions; a SYN with ACK only answers it."""
        reverse: Flow = (*flow[2:], *flow[:2])
        own, other = self._latest.get(flow), self._latest.get(reverse)
        number = max((half.connection for half in (own, other) if half), default=-1)
        if not is_answer and other:
            del self._latest[reverse]
        number = max(number, 0) if is_answer else number + 1
        return self._keep(Half(flow=flow, connection=number, next_seq=next_seq, is_answer=is_answer))

    def _begin(self, flow: Flow, seq: int) -> Half:
        """A connection that was there before the capture, or one that is refused: its RST is all that the server says."""
        other = self._latest.get((*flow[2:], *flow[:2]))
        is_answer = other is not None and other.syn is not None and not other.is_answer
        number = other.connection if other else 0
        return self._keep(Half(flow=flow, connection=number, next_seq=seq, is_answer=is_answer))

    def _keep(self, half: Half) -> Half:
        self.every.append(half)
        self._latest[half.flow] = half
        return half


def halves(packets: Packets, mask: Mask) -> list[Half]:
    """Every direction of every TCP connection among these packets, in the order in which they were first seen."""
    found = Halves()
    found.add_all(packets, mask)
    for half in found.every:
        half.skip_gaps()
    return found.every


def connections(packets: Packets, mask: Mask) -> list[Connection]:
    """Every TCP connection among these packets. Where no SYN says who the client is, it is the side with the greater port."""
    by_key: dict[tuple[Flow, int], Half] = {}
    for half in halves(packets, mask):
        by_key.setdefault((half.flow, half.connection), half)
    found = []
    for (_, number), half in by_key.items():
        other = by_key.get((half.reverse, number))
        if other is not None and _is_client(other, half):
            continue  # told when its turn comes
        other = other or Half(flow=half.reverse, connection=number, next_seq=0, is_answer=not half.is_answer)
        up, down = (half, other) if _is_client(half, other) else (other, half)
        found.append(Connection(up=up, down=down))
    return found


def _is_client(half: Half, other: Half) -> bool:
    if half.syn or other.syn:
        return (half.syn is not None and not half.is_answer) or (other.syn is not None and other.is_answer)
    return half.flow[1] > half.flow[3] or (half.flow[1] == half.flow[3] and half.flow < other.flow)
