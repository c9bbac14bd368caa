"""RTP (RFC 3550) with G.711 mu-law in packets of 20 ms: headers, a paced sender, receive statistics. No input or output.

Times are seconds on one monotonic clock, given by the caller. A sender says when its next packet is due and makes it; a receiver
takes what came and keeps the figures of RFC 3550, appendix A.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import cache

from testbed.errors import LocalProtocolError, PeerProtocolError

VERSION = 2
PCMU = 0
"""Payload type of G.711 mu-law (RFC 3551, table 4)."""
CLOCK_HZ = 8000
PACKET_S = 0.02
SAMPLES = 160
"""Of one packet: 20 ms at 8000 Hz, one octet each."""
FIRST_PORT, LAST_PORT = 20480, 32768
"""UDP ports of RTP in the SRND's Table 11-4. RTP takes the even ones, RTCP the odd one above (RFC 3550, section 11)."""
TICK_S = 0.001
"""Packets are due at whole ticks of the clock: libuv's timers count whole milliseconds, so a loop waits for what is due in between
without sleeping; and streams whose packets are due together share a wake-up."""
LATE_S = 0.2
"""A sender that is later than this was stopped meanwhile: what it missed is not sent in a burst, and its timestamps jump."""
GAP_S = 1.5 * PACKET_S
"""Two packets farther apart than this make a gap: one packet in between is missing or as good as missing."""
MAX_DROPOUT, MAX_MISORDER, MIN_SEQUENTIAL = 3000, 100, 2
"""RFC 3550, appendix A.1."""

_HEADER = struct.Struct("!BBHII")
_SEQUENCES, _TIMESTAMPS = 1 << 16, 1 << 32


@dataclass(frozen=True, kw_only=True, slots=True)
class RtpPacket:
    """One packet. ``timestamp`` counts samples; padding, extension and contributing sources are no part of ``payload``."""

    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    payload_type: int = PCMU
    marker: bool = False

    def encode(self) -> bytes:
        """As it goes on the wire; raises LocalProtocolError where a value does not fit."""
        if not 0 <= self.payload_type < 128:
            raise LocalProtocolError(f"{self.payload_type} is no payload type")
        try:
            head = _HEADER.pack(
                VERSION << 6, self.marker << 7 | self.payload_type, self.sequence, self.timestamp, self.ssrc
            )
        except struct.error as error:
            raise LocalProtocolError(f"an RTP header cannot hold {self}") from error
        return head + self.payload

    @classmethod
    def decode(cls, data: bytes) -> RtpPacket:
        """Raises PeerProtocolError where it is no RTP packet, or contradicts itself."""
        second, sequence, timestamp, ssrc, begin, end = _read(data)
        return cls(
            sequence=sequence,
            timestamp=timestamp,
            ssrc=ssrc,
            payload=bytes(data[begin:end]),
            payload_type=second & 0x7F,
            marker=bool(second & 0x80),
        )


def _read(data: bytes) -> tuple[int, int, int, int, int, int]:
    """(second octet, sequence, timestamp, SSRC, where the payload begins, where it ends); raises PeerProtocolError.

    A receiver wants no more of a packet than these numbers, five thousand times a second.
    """
    if len(data) < _HEADER.size:
        raise PeerProtocolError(f"{len(data)} bytes are no RTP packet")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != VERSION:
        raise PeerProtocolError(f"RTP version {first >> 6}")
    if 72 <= second & 0x7F <= 76:  # RFC 3551, section 6: it would be taken for RTCP
        raise PeerProtocolError(f"RTP payload type {second & 0x7F} is reserved")
    begin = _HEADER.size + 4 * (first & 0x0F)
    if first & 0x10:
        if len(data) < begin + 4:
            raise PeerProtocolError("an RTP extension without its header")
        begin += 4 + 4 * int.from_bytes(data[begin + 2 : begin + 4], "big")
    end = len(data)
    if first & 0x20:
        if not 1 <= data[-1] <= end - begin:
            raise PeerProtocolError(f"{data[-1]} bytes of RTP padding")
        end -= data[-1]
    if begin > end:
        raise PeerProtocolError("an RTP header longer than its packet")
    return second, sequence, timestamp, ssrc, begin, end


def mu_law(sample: int) -> int:
    """A sample (-32768 to 32767) as a G.711 mu-law octet."""
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude, 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 0x0F) & 0xFF


@cache
def tone(frequency_hz: int = 400) -> bytes:
    """20 ms of a tone that fits the packet in whole periods: the same octets again and again make it go on."""
    return bytes(
        mu_law(round(8000 * math.sin(2 * math.pi * frequency_hz * sample / CLOCK_HZ))) for sample in range(SAMPLES)
    )


class Sender:
    """One stream: a packet each 20 ms by the clock of its first one, so that it never drifts."""

    __slots__ = ("_began_at", "_count", "_payload", "octets", "packets", "sequence", "ssrc", "timestamp")

    def __init__(self, *, ssrc: int, sequence: int, timestamp: int, now: float, payload: bytes | None = None) -> None:
        """RFC 3550 wants all three numbers to be random. The first packet is due at the next tick."""
        self.ssrc, self.sequence, self.timestamp = ssrc, sequence % _SEQUENCES, timestamp % _TIMESTAMPS
        self.packets = self.octets = 0
        """Sent so far; octets are those of payloads (RFC 3550, section 6.4.1)."""
        self._began_at, self._count = math.ceil(now / TICK_S) * TICK_S, 0
        self._payload = tone() if payload is None else payload

    @property
    def due(self) -> float:
        """When the next packet is to be sent."""
        return self._began_at + self._count * PACKET_S

    def packet(self, now: float) -> bytes | None:
        """The packet that is due, or None before its time. Call again: one that is a little late is followed at once by the next."""
        late_s = now - self.due
        if late_s < 0:
            return None
        if late_s > LATE_S:
            missed = int(late_s / PACKET_S)
            self._count += missed
            self.timestamp = (self.timestamp + missed * SAMPLES) % _TIMESTAMPS
        data = _HEADER.pack(
            VERSION << 6, PCMU if self.packets else 0x80 | PCMU, self.sequence, self.timestamp, self.ssrc
        )
        self.sequence = (self.sequence + 1) % _SEQUENCES
        self.timestamp = (self.timestamp + SAMPLES) % _TIMESTAMPS
        self._count += 1
        self.packets += 1
        self.octets += len(self._payload)
        return data + self._payload


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """Figures of one receiver. ``lost`` may be negative where packets came twice (RFC 3550, A.3); ``invalid`` were no RTP.

    ``jitter_s`` is the estimate at the end, ``largest_jitter_s`` the highest it was. ``gaps`` counts pauses of more than 30 ms
    between two packets, ``largest_gap_s`` is the longest pause of all.
    """

    packets: int
    octets: int
    expected: int
    lost: int
    invalid: int
    jitter_s: float
    largest_jitter_s: float
    gaps: int
    largest_gap_s: float


class Receiver:
    """What came in on one port. A source is what has one SSRC: where another one follows, counting goes on with it."""

    __slots__ = (
        "_bad",
        "_base",
        "_cycles",
        "_earlier_expected",
        "_gaps",
        "_invalid",
        "_jitter",
        "_largest_gap",
        "_largest_jitter",
        "_last_at",
        "_max",
        "_octets",
        "_quiet_at",
        "_received",
        "_ssrc",
        "_transit",
    )

    def __init__(self) -> None:
        self._ssrc: int | None = None
        self._base = self._max = self._cycles = self._earlier_expected = 0
        self._bad: int | None = None
        self._received = self._octets = self._invalid = 0
        self._transit: float | None = None
        self._jitter = self._largest_jitter = 0.0
        self._last_at: float | None = None
        self._quiet_at: float | None = None
        self._gaps, self._largest_gap = 0, 0.0

    @property
    def last_at(self) -> float | None:
        """When the last packet came."""
        return self._last_at

    def take(self, data: bytes, now: float) -> bool:
        """A datagram that came at ``now``; False where it is not RTP, or not of this stream."""
        try:
            _, sequence, timestamp, ssrc, begin, end = _read(data)
        except PeerProtocolError:
            self._invalid += 1
            return False
        if ssrc != self._ssrc:
            self._begin(ssrc, sequence)
        elif not self._follow(sequence):
            self._invalid += 1
            return False
        self._received += 1
        self._octets += end - begin
        self._note_arrival(timestamp, now)
        return True

    @property
    def figures(self) -> Received:
        """Up to now."""
        expected = self._earlier_expected + self._expected_of_source()
        return Received(
            packets=self._received,
            octets=self._octets,
            expected=expected,
            lost=expected - self._received,
            invalid=self._invalid,
            jitter_s=self._jitter / CLOCK_HZ,
            largest_jitter_s=self._largest_jitter / CLOCK_HZ,
            gaps=self._gaps,
            largest_gap_s=self._largest_gap,
        )

    def _expected_of_source(self) -> int:
        return 0 if self._ssrc is None else self._cycles + self._max - self._base + 1

    def _begin(self, ssrc: int, sequence: int) -> None:
        self._earlier_expected += self._expected_of_source()
        if ssrc != self._ssrc:  # what lay between two streams is no gap in either
            self._quiet_at = None
        self._ssrc, self._base, self._max, self._cycles = ssrc, sequence, sequence, 0
        self._bad, self._transit = None, None

    def _follow(self, sequence: int) -> bool:
        """RFC 3550, A.1; a source that jumps is followed only once two packets in a row say so."""
        ahead = (sequence - self._max) % _SEQUENCES
        if ahead < MAX_DROPOUT:
            if sequence < self._max:
                self._cycles += _SEQUENCES
            self._max = sequence
        elif ahead <= _SEQUENCES - MAX_MISORDER:
            if sequence != self._bad:
                self._bad = (sequence + 1) % _SEQUENCES
                return False
            assert self._ssrc is not None
            self._begin(self._ssrc, sequence)
        return True

    def _note_arrival(self, timestamp: int, now: float) -> None:
        """Jitter as in A.8, in samples; timestamps wrap, so transits are compared modulo their range."""
        transit = now * CLOCK_HZ - timestamp
        if self._transit is not None:
            difference = (transit - self._transit + _TIMESTAMPS / 2) % _TIMESTAMPS - _TIMESTAMPS / 2
            self._jitter += (abs(difference) - self._jitter) / 16
            self._largest_jitter = max(self._largest_jitter, self._jitter)
        self._transit = transit
        if self._quiet_at is not None:
            pause_s = now - self._quiet_at
            self._gaps += pause_s > GAP_S
            self._largest_gap = max(self._largest_gap, pause_s)
        self._last_at = self._quiet_at = now


def rtp_ports() -> range:
    """Ports that a phone may receive on: the even ones of the range that have their RTCP port in it too."""
    return range(FIRST_PORT, LAST_PORT, 2)
