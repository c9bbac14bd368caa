"""When media leave a process that is busy reading: a loop, sockets and a clock of our own, so that no machine's load matters."""

from __future__ import annotations

import heapq
import itertools
import types
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.roles import media as media_module
from testbed.roles.media import Media
from testbed.rtp import PACKET_S, Sender

BEGAN_S = 1000.0
READ_S = 0.0002
"""What taking one datagram costs here."""
OTHER = ("172.26.24.1", 20480)


class FakeLoop:
    """One turn as libuv has it: the timers that are due, then whatever was ready when it looked, each once."""

    def __init__(self) -> None:
        self.now = BEGAN_S
        self._timers: list[tuple[float, int, types.SimpleNamespace]] = []
        self._order = itertools.count()
        self._readers: dict[int, Callable[[], None]] = {}
        self.sockets: dict[int, FakeSocket] = {}

    def call_at(self, when: float, callback) -> types.SimpleNamespace:
        handle = types.SimpleNamespace(callback=callback, is_cancelled=False)
        handle.cancel = lambda: setattr(handle, "is_cancelled", True)
        heapq.heappush(self._timers, (when, next(self._order), handle))
        return handle

    def add_reader(self, number: int, callback) -> None:
        self._readers[number] = callback

    def remove_reader(self, number: int) -> None:
        del self._readers[number]

    def run_until(self, end: float) -> None:
        while self.now < end:
            while self._timers and self._timers[0][0] <= self.now:
                handle = heapq.heappop(self._timers)[2]
                if not handle.is_cancelled:
                    handle.callback()
            ready = [number for number in self._readers if self.sockets[number].waiting]
            for number in ready:
                self._readers[number]()
            if not ready:
                self.now = min([end, *(when for when, _, _ in self._timers)])


class FakeSocket:
    """Takes time to read; keeps when it sent."""

    def __init__(self, loop: FakeLoop) -> None:
        self._loop, self._number = loop, len(loop.sockets)
        self.waiting = 0
        self.sent_at: list[float] = []
        loop.sockets[self._number] = self

    def recvmsg(self, size: int, ancillary_size: int):
        if not self.waiting:
            raise BlockingIOError
        self.waiting -= 1
        self._loop.now += READ_S
        return b"no RTP", [], 0, OTHER

    def sendto(self, data: bytes, remote) -> None:
        self.sent_at.append(self._loop.now)

    def setsockopt(self, *option) -> None:
        pass

    def getsockname(self):
        return "172.26.16.1", 20480 + 2 * self._number

    def fileno(self) -> int:
        return self._number

    def close(self) -> None:
        pass


def sent_in_a_flood(backlogs: list[int]) -> list[float]:
    """When the first port's stream left, while so many datagrams waited at each port from the start."""
    with pytest.MonkeyPatch.context() as patch:
        loop = FakeLoop()
        patch.setattr(media_module.asyncio, "get_running_loop", lambda: loop)
        patch.setattr(media_module.time, "monotonic", lambda: loop.now)
        patch.setattr(media_module, "_bound", lambda *where: FakeSocket(loop))
        media = Media()
        ports = [media.open("172.26.16.1") for _ in backlogs]
        ports[0].start(Sender(ssrc=1, sequence=0, timestamp=0, now=BEGAN_S), OTHER, 184)
        for number, backlog in enumerate(backlogs):
            loop.sockets[number].waiting = backlog
        loop.run_until(BEGAN_S + 0.5)
        media.close()
    return loop.sockets[0].sent_at


def largest_lateness_s(sent_at: list[float]) -> float:
    return max(at - (BEGAN_S + place * PACKET_S) for place, at in enumerate(sent_at))


@given(backlogs=st.lists(st.integers(0, 300), min_size=1, max_size=8))
def test_a_packet_is_late_by_one_read_at_most_whatever_came(backlogs):
    sent_at = sent_in_a_flood(backlogs)
    assert len(sent_at) >= 25
    assert largest_lateness_s(sent_at) <= READ_S + 1e-6


@pytest.mark.parametrize("backlogs", [[1] * 200, [1000], [20] * 50], ids=["each-port-one", "one-port", "all-ports"])
def test_a_flood_of_packets_does_not_hold_back_what_is_due(backlogs):
    assert largest_lateness_s(sent_in_a_flood(backlogs)) <= READ_S + 1e-6


def test_a_process_that_reads_everything_first_is_noticed(monkeypatch):
    """The mutant of the two tests above."""
    monkeypatch.setattr(Media, "send_due", lambda media: None)
    assert largest_lateness_s(sent_in_a_flood([1] * 200)) > 0.015
    assert largest_lateness_s(sent_in_a_flood([20] * 50)) > 0.005


def test_one_port_has_no_more_than_one_datagram_taken_before_the_others_have_their_turn():
    loop_order: list[int] = []

    def noted(sock: FakeSocket, size: int, ancillary_size: int, *, take=FakeSocket.recvmsg):
        if sock.waiting:
            loop_order.append(sock.fileno())
        return take(sock, size, ancillary_size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeSocket, "recvmsg", noted)
        sent_in_a_flood([3, 1, 2])
    assert loop_order == [0, 1, 2, 0, 2, 0]


def test_what_came_before_a_port_is_closed_counts(monkeypatch):
    loop = FakeLoop()
    monkeypatch.setattr(media_module.asyncio, "get_running_loop", lambda: loop)
    monkeypatch.setattr(media_module, "_bound", lambda *where: FakeSocket(loop))
    media = Media()
    port = media.open("172.26.16.1")
    loop.sockets[0].waiting = 5
    port.close()
    assert port.receiver.figures.invalid == 5
    media.close()
