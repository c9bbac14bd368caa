"""A bed's links for probes, by hand: what captures and probers note of every probe, given what a fault does to packets at one link.

A link lets each packet out as a list of ``Out``: none where it is lost, two where it is doubled.
"""

from __future__ import annotations

import heapq
import ipaddress
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

from recordings import T0, Recording, ethernet, ipv4

from testbed.faults.base import Fault
from testbed.faults.probing import plan_probes
from testbed.packets import TCP
from testbed.probe import (
    ECHO_HEADER,
    ECHO_REPLY,
    REPLY,
    REQUEST,
    SENT,
    UNREACHABLE,
    WITNESSED,
    Lane,
    checksum,
    echo_request,
    fingerprint,
)

HOP_S = 0.0001
"""From one NIC to the next."""


@dataclass(frozen=True, kw_only=True)
class Packet:
    """A probe at a link."""

    at_s: float
    src: str
    dst: str
    tos: int
    message: bytes
    number: int
    burst_place: int


@dataclass(frozen=True, kw_only=True)
class Out:
    """How it leaves the link."""

    delay_s: float = 0.0
    tos: int | None = None
    damaged: bool = False


Passes = Callable[[Packet], list[Out]]
_WHOLE = [Out()]


@dataclass
class Links:
    """``ways``: (host, in or out) -> what its link does; ``absent``: whether nothing even comes to this host's link at this time;
    ``refusal``: (host, packet) -> whether the host's door answers a packet that it dropped with an ICMP prohibition."""

    ways: dict[tuple[str, str], Passes] = field(default_factory=dict)
    absent: Callable[[str, float], bool] = lambda host, at_s: False
    refusal: Callable[[str, Packet], bool] = lambda host, packet: False

    def passes(self, host: str, way: str, packet: Packet) -> list[Out]:
        return self.ways.get((host, way), lambda _: _WHOLE)(packet)


def damaged(message: bytes) -> bytes:
    """One bit flipped, behind everything that tells what it is."""
    return message[:-1] + bytes([message[-1] ^ 1])


def reply_to(message: bytes) -> bytes:
    """A kernel's answer."""
    _, code, _, identifier, sequence = ECHO_HEADER.unpack_from(message)
    rest = message[ECHO_HEADER.size :]
    total = checksum(ECHO_HEADER.pack(ECHO_REPLY, code, 0, identifier, sequence) + rest)
    return ECHO_HEADER.pack(ECHO_REPLY, code, total, identifier, sequence) + rest


class Prober:
    """Puts down all probes of a run with these faults, in order of time: links may keep what they know of packets before.

    ``stall_s``: of the train with which number (from 0) the sender is how late with its second half. ``apart_s``: between lanes.
    """

    def __init__(
        self,
        recording: Recording,
        links: Links,
        *,
        stall_s: Mapping[int, float] = MappingProxyType({}),
        apart_s: float = 0.001,
    ) -> None:
        self.recording, self.links = recording, links
        self._stall_s, self._apart_s = stall_s, apart_s
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._planned = 0

    def run(self, faults: Iterable[Fault], begin_s: float, end_s: float) -> tuple[Lane, ...]:
        """From begin to end, as they are planned for these faults; the lanes."""
        plan = plan_probes(self.recording.topology, faults)
        for host in plan.hosts:
            self.recording.rows.setdefault(host, [])
            if host not in self.recording.wires:
                self.recording.capture(host, until_s=end_s + 0.5)
        for lane in plan.lanes:
            self.recording.event(begin_s, "testbed", "ProbeStarted", **lane.to_json())
            for period in range(int((end_s - begin_s) / lane.period_s)):
                for place in range(lane.burst):
                    at_s = begin_s + lane.number * self._apart_s + period * lane.period_s + place * 0.00005
                    at_s += self._stall_s.get(period, 0.0) if 2 * place >= lane.burst > 1 else 0.0
                    self._at(at_s, partial(self._send, lane, period * lane.burst + place, place, at_s))
        while self._agenda:
            heapq.heappop(self._agenda)[2]()
        for host in plan.hosts:
            rows = self.recording.rows[host]
            self.recording.event(end_s + 0.1, "testbed", "ProbeStopped", prober=host, rows=len(rows))
        return plan.lanes

    def _at(self, at_s: float, then: Callable[[], None]) -> None:
        self._planned += 1
        heapq.heappush(self._agenda, (at_s, self._planned, then))

    def _send(self, lane: Lane, number: int, place: int, at_s: float) -> None:
        message = echo_request(lane, number, round((T0 + at_s) * 1e9))
        self._row(lane.from_, SENT, lane, number, at_s, lane.tos)
        packet = Packet(
            at_s=at_s,
            src=lane.source,
            dst=lane.destination,
            tos=lane.tos,
            message=message,
            number=number,
            burst_place=place,
        )
        self._leave(lane.from_, lane.to, packet, partial(self._got, lane, number))

    def _got(self, lane: Lane, number: int, got: Packet) -> None:
        is_bad = checksum(got.message) != 0
        self._row(lane.to, REQUEST, lane, number, got.at_s, got.tos, is_bad)
        if not is_bad:
            self._at(got.at_s + 0.00002, partial(self._answer, lane, number, got))

    def _answer(self, lane: Lane, number: int, got: Packet) -> None:
        answer = Packet(
            at_s=got.at_s + 0.00002,
            src=got.dst,
            dst=got.src,
            tos=got.tos,
            message=reply_to(got.message),
            number=number,
            burst_place=got.burst_place,
        )
        self._leave(lane.to, lane.from_, answer, partial(self._done, lane, number))

    def _done(self, lane: Lane, number: int, back: Packet) -> None:
        self._row(lane.from_, REPLY, lane, number, back.at_s, back.tos, checksum(back.message) != 0)

    def _leave(self, start: str, end: str, packet: Packet, then: Callable[[Packet], None]) -> None:
        """Through both links; captures see it behind the first and before the second."""
        for left in self._through(start, "out", packet):
            self._tap(start, left)
            came = moved(left, HOP_S)
            self._at(came.at_s, partial(self._come, end, came, then))

    def _come(self, end: str, came: Packet, then: Callable[[Packet], None]) -> None:
        if self.links.absent(end, came.at_s):
            return
        self._tap(end, came)
        through = self._through(end, "in", came)
        if not through and self.links.refusal(end, came):
            self._refuse(end, came)
        for got in through:
            self._at(got.at_s, partial(then, got))

    def _through(self, host: str, way: str, packet: Packet) -> list[Packet]:
        return [
            Packet(
                at_s=packet.at_s + 0.00001 + out.delay_s,
                src=packet.src,
                dst=packet.dst,
                tos=packet.tos if out.tos is None else out.tos,
                message=damaged(packet.message) if out.damaged else packet.message,
                number=packet.number,
                burst_place=packet.burst_place,
            )
            for out in self.links.passes(host, way, packet)
        ]

    def _refuse(self, host: str, packet: Packet) -> None:
        quoted = ipv4(packet.src, packet.dst, 1, packet.message, tos=packet.tos)[:28]
        body = ECHO_HEADER.pack(UNREACHABLE, 13, 0, 0, 0) + quoted
        frame = ethernet(0x0800, ipv4(packet.dst, packet.src, 1, body))
        self.recording.wires[host].add(packet.at_s + 0.00001, frame)

    def _tap(self, host: str, packet: Packet) -> None:
        frame = ethernet(0x0800, ipv4(packet.src, packet.dst, 1, packet.message, tos=packet.tos))
        self.recording.wires[host].add(packet.at_s, frame)

    def _row(self, host: str, what: int, lane: Lane, number: int, at_s: float, tos: int, bad: bool = False) -> None:
        self.recording.rows[host].append((what, lane.number, number, round((T0 + at_s) * 1e9), tos, int(bad)))


def moved(packet: Packet, by_s: float) -> Packet:
    """The same, later."""
    return Packet(**{**packet.__dict__, "at_s": packet.at_s + by_s})


def witness(
    recording: Recording, host: str, own: str, dropped: Callable[[float, bytes], bool], tos: int | None = None
) -> None:
    """Note what this host's kernel got of the TCP packets in its capture: all but those dropped (of its time and
    its IP packet), with another mark where one is given."""
    rows = recording.rows.setdefault(host, [])
    for at_s, frame in list(recording.wires[host].frames):
        ip = frame[14:]
        if frame[12:14] != b"\x08\x00" or ip[9] != TCP or ip[16:20] != ipaddress.IPv4Address(own).packed:
            continue
        if dropped(at_s, ip) and tos is None:
            continue
        mark = fingerprint(ip[12:16], ip[16:20], struct.unpack(">H", ip[4:6])[0], ip[20:])
        seen = tos if tos is not None and dropped(at_s, ip) else ip[1]
        rows.append((WITNESSED, TCP, mark, round((T0 + at_s) * 1e9), seen, 0))
    recording.drop("ProbeStopped", prober=host)
    recording.event(20.0, "testbed", "ProbeStopped", prober=host, rows=len(rows))
