"""Phones and call controls on a fake wire with a clock of its own: a freeze of ninety seconds takes a millisecond."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from testbed.profile import PROFILES, Profile
from testbed.rtp import PACKET_S, SAMPLES, Received
from testbed.sccp.call_control import CallControl, CallControlEvent, Rules
from testbed.sccp.phone import Phone
from testbed.sccp.phone_call_state import NEVER, MediaFigures
from testbed.sccp.phone_state import PhoneEvent, PhoneSettings

LATENCY_S = 0.001
TCP_RETRIES_S = 22.0


@dataclass
class Connection:
    """A TCP connection; ``peer`` is its number at the call control, None while only the kernel has accepted it."""

    phone: int
    rank: int
    serial: int
    is_open: bool = False
    peer: int | None = None
    backlog: list[bytes] = field(default_factory=list)


@dataclass
class FakeMedia:
    """The media of one call at one phone: when it receives, and what it sends to whom, each with its times."""

    port: int = 0
    closed_at: float = NEVER
    sent: list[tuple[tuple[str, int], int, float, float]] = field(default_factory=list)
    """(remote, tos, from, until)."""

    def stop(self, now: float) -> None:
        if self.sent and self.sent[-1][3] == NEVER:
            remote, tos, began, _ = self.sent[-1]
            self.sent[-1] = (remote, tos, began, now)


class Pair:
    """``phones`` phones and ``controls`` call controls; faults by rank: kill, start, freeze, thaw, cut, heal. Call controls know each
    other once they are told to ``join``."""

    def __init__(
        self,
        *,
        phones: int = 1,
        controls: int = 2,
        profile: Profile = PROFILES["srnd"],
        monitor_s: float = 0.0,
        latency_s: float = LATENCY_S,
        lines: int = 1,
    ) -> None:
        self.now = 1000.0
        self.profile, self.latency_s = profile, latency_s
        self.phones = [
            Phone(
                PhoneSettings(
                    device_name=f"SEP{0x020000000001 + i:012X}",
                    address=f"172.26.16.{i + 1}",
                    group_size=controls,
                    profile=profile,
                    monitor_s=monitor_s,
                )
            )
            for i in range(phones)
        ]
        self.controls = [
            CallControl(host=f"ccm-{rank}", profile=profile, now=self.now, lines=lines) for rank in range(controls)
        ]
        self.phone_events: list[tuple[int, PhoneEvent]] = []
        self.control_events: list[tuple[int, CallControlEvent]] = []
        self.sent: list[tuple[float, str, int, int, bytes]] = []
        """(time, "up" or "down", phone, rank, bytes)."""
        self.drop: Callable[[str, int, int, bytes], bool] = lambda *_: False
        self.media: dict[tuple[int, int], FakeMedia] = {}
        """(phone, call reference) -> its media."""
        self.refused: set[tuple[int, int]] = set()
        """(phone, rank) that do not come together."""
        self.links_cut = False
        """What call controls tell each other gets lost."""
        self._links: dict[tuple[int, int], tuple[int, int]] = {}
        """(rank, link) -> the same connection's (rank, link) at its other end."""
        self.no_ports: set[int] = set()
        """Phones that have no port for media."""
        for index, phone in enumerate(self.phones):
            phone.calls.figures = lambda reference, i=index: self.figures(i, reference)
        self._dead: set[int] = set()
        self._frozen: set[int] = set()
        self._cut: set[int] = set()
        self._connections: dict[tuple[int, int], Connection] = {}
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._serials = itertools.count(1)

    # -- faults

    def kill(self, rank: int) -> None:
        """The process is gone: its connections are reset, new ones refused, its memory lost."""
        self._dead.add(rank)
        for end, other in [(end, other) for end, other in self._links.items() if end[0] == rank]:
            del self._links[end], self._links[other]
            self._later(self.latency_s, lambda end=other: self.controls[end[0]].exchange.across.lost(end[1], self.now))
        self.controls[rank] = CallControl(host=f"ccm-{rank}", profile=self.profile, now=self.now)
        for connection in [c for c in self._connections.values() if c.rank == rank]:
            self._later(self.latency_s, lambda c=connection: self._lost(c, "reset"))

    def start(self, rank: int, rules: Rules | None = None) -> None:
        self._dead.discard(rank)
        self.controls[rank] = CallControl(host=f"ccm-{rank}", profile=self.profile, rules=rules, now=self.now)

    def freeze(self, rank: int) -> None:
        """TCP goes on without the process: connections are accepted, nothing is answered."""
        self._frozen.add(rank)

    def thaw(self, rank: int) -> None:
        self._frozen.discard(rank)
        for connection in [c for c in self._connections.values() if c.rank == rank and c.is_open]:
            for data in [connection.backlog.pop(0) for _ in list(connection.backlog)]:
                self._arrive_up(connection, data)

    def cut(self, rank: int) -> None:
        self._cut.add(rank)

    def heal(self, rank: int) -> None:
        self._cut.discard(rank)

    # -- links between call controls

    def join(self, dialler: int = 0, other: int = 1) -> None:
        """A connection between these two."""
        here, there = (dialler, next(self._serials)), (other, next(self._serials))
        self._links |= {here: there, there: here}
        for end in (here, there):
            address = f"172.26.1.{100 + self._links[end][0]}"
            self.controls[end[0]].exchange.across.linked(end[1], address, self.now, dialled=end is here)
        self._pump()

    def part(self) -> None:
        """All of them end."""
        ends, self._links = list(self._links), {}
        for rank, link in ends:
            self.controls[rank].exchange.across.lost(link, self.now)
        self._pump()

    def _pump_links(self, rank: int, control: CallControl) -> None:
        across = control.exchange.across
        for link, data in across.to_send():
            if not self.links_cut:
                self._later(self.latency_s, lambda link=link, data=data: self._across(rank, link, data))
        for link in across.to_close():
            other = self._links.pop((rank, link), None)
            if other is not None:
                del self._links[other]
                self._later(
                    self.latency_s, lambda end=other: self.controls[end[0]].exchange.across.lost(end[1], self.now)
                )

    def _across(self, rank: int, link: int, data: bytes) -> None:
        other = self._links.get((rank, link))
        if other is not None and other[0] not in self._frozen:
            self.controls[other[0]].exchange.across.receive(other[1], data, self.now)

    # -- media

    def figures(self, index: int, reference: int) -> MediaFigures | None:
        """What a perfect network would have carried by now."""
        mine = self.media.get((index, reference))
        if mine is None:
            return None
        sent = sum(int((min(until, self.now) - began) / PACKET_S) for _, _, began, until in mine.sent)
        place = (self.phones[index].settings.address, mine.port)
        heard = [
            (began, min(until, self.now, mine.closed_at))
            for other in self.media.values()
            for remote, _, began, until in other.sent
            if remote == place
        ]
        received = sum(max(0, int((until - began) / PACKET_S)) for began, until in heard)
        return MediaFigures(
            packets_sent=sent,
            octets_sent=sent * SAMPLES,
            received=Received(
                packets=received,
                octets=received * SAMPLES,
                expected=received,
                lost=0,
                invalid=0,
                jitter_s=0.0,
                largest_jitter_s=0.0,
                gaps=0,
                largest_gap_s=PACKET_S,
            ),
            heard_at=max((until for _, until in heard), default=None),
        )

    def talks(self, index: int = 0) -> bool:
        """Whether this phone sends now, and is heard."""
        return any(
            until == NEVER
            and any(
                other.port == remote[1] and other.closed_at == NEVER and self.phones[i].settings.address == remote[0]
                for (i, _), other in self.media.items()
            )
            for (i, _), mine in self.media.items()
            if i == index
            for remote, _, _, until in mine.sent
        )

    def _follow_orders(self, index: int, phone: Phone) -> None:
        for order in phone.calls.orders():
            key = (index, order.reference)
            mine = self.media.setdefault(key, FakeMedia())
            if order.act == "open":
                mine.closed_at = NEVER
                mine.port = 0 if index in self.no_ports else 20480 + 2 * len(self.media)
                phone.calls.opened(order.reference, phone.settings.address, mine.port, self.now)
            elif order.act == "start":
                mine.sent.append((order.remote, order.tos, self.now, NEVER))
            elif order.act == "stop":
                mine.stop(self.now)
            elif order.act == "close":
                mine.closed_at = self.now
            else:
                assert order.act == "clear"
                del self.media[key]

    # -- time

    def boot(self) -> None:
        for phone in self.phones:
            phone.start(self.now)
        self._pump()

    def run_for(self, seconds: float) -> None:
        """Everything that happens in this time."""
        end = self.now + seconds
        self._pump()
        while (moment := self._next()) is not None and moment <= end:
            self._step(moment)
        self.now = max(self.now, end)

    def run_until(self, holds: Callable[[], bool], *, within: float = 600.0) -> float:
        """Run until it holds; the time it took. Fails where it does not within this time."""
        began = self.now
        self._pump()
        while not holds():
            moment = self._next()
            assert moment is not None, "nothing happens any more"
            assert moment <= began + within, f"did not come within {within} s"
            self._step(moment)
        return self.now - began

    def registered_at(self, phone: int = 0) -> int | None:
        home = self.phones[phone].home
        return None if home is None else home.rank

    def named(self, name: str, phone: int = 0) -> list[PhoneEvent]:
        return [event for index, event in self.phone_events if index == phone and event.name == name]

    def _next(self) -> float | None:
        moments = [self._queue[0][0]] if self._queue else []
        for machine in (*self.phones, *self._live()):
            timer = machine.next_timer()
            if timer is not None:
                moments.append(max(timer, self.now))
        return min(moments, default=None)

    def _live(self) -> list[CallControl]:
        return [c for rank, c in enumerate(self.controls) if rank not in self._dead | self._frozen]

    def _step(self, moment: float) -> None:
        self.now = moment
        while self._queue and self._queue[0][0] <= moment:
            heapq.heappop(self._queue)[2]()
            self._pump()
        for machine in (*self.phones, *self._live()):
            timer = machine.next_timer()
            if timer is not None and timer <= moment:
                machine.tick(moment)
        self._pump()

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now + seconds, next(self._serials), act))

    # -- wire

    def _pump(self) -> None:
        for index, phone in enumerate(self.phones):
            self._follow_orders(index, phone)
            for rank, data in phone.to_send():
                self._up(self._connections[index, rank], data)
            for rank in phone.to_close():
                self._closed_by_phone(index, rank)
            for rank in phone.to_connect():
                self._connect(index, rank)
            self.phone_events += [(index, event) for event in phone.events()]
        for rank, control in enumerate(self.controls):
            self._pump_control(rank, control)

    def _pump_control(self, rank: int, control: CallControl) -> None:
        self._pump_links(rank, control)
        by_peer = {c.peer: c for c in self._connections.values() if c.rank == rank}
        for peer, data in control.to_send():
            if peer in by_peer:
                self._down(by_peer[peer], data)
        for peer in control.to_close():
            if peer in by_peer:
                self._later(self.latency_s, lambda c=by_peer[peer]: self._lost(c, "closed"))
        self.control_events += [(rank, event) for event in control.events()]

    def _connect(self, index: int, rank: int) -> None:
        connection = Connection(phone=index, rank=rank, serial=next(self._serials))
        self._connections[index, rank] = connection
        if rank in self._cut:
            return
        if rank in self._dead or (index, rank) in self.refused:
            self._later(self.latency_s, lambda: self._lost(connection, "refused"))
        else:
            self._later(self.latency_s, lambda: self._opened(connection))

    def _opened(self, connection: Connection) -> None:
        if self._is_current(connection):
            connection.is_open = True
            self.phones[connection.phone].connected(connection.rank, self.now)

    def _up(self, connection: Connection, data: bytes) -> None:
        self.sent.append((self.now, "up", connection.phone, connection.rank, data))
        if connection.rank in self._cut:
            self._later(TCP_RETRIES_S, lambda: connection.rank in self._cut and self._lost(connection, "timeout"))
        elif not self.drop("up", connection.phone, connection.rank, data):
            self._later(self.latency_s, lambda: self._arrive_up(connection, data))

    def _arrive_up(self, connection: Connection, data: bytes) -> None:
        if not self._is_current(connection) or connection.rank in self._dead:
            return
        if connection.rank in self._frozen:
            connection.backlog.append(data)
            return
        control = self.controls[connection.rank]
        if connection.peer is None:
            connection.peer = next(self._serials)
            control.connected(connection.peer, self.phones[connection.phone].settings.address, self.now)
        control.receive(connection.peer, data, self.now)
        self._pump_control(connection.rank, control)

    def _down(self, connection: Connection, data: bytes) -> None:
        self.sent.append((self.now, "down", connection.phone, connection.rank, data))
        if connection.rank not in self._cut and not self.drop("down", connection.phone, connection.rank, data):
            self._later(self.latency_s, lambda: self._arrive_down(connection, data))

    def _arrive_down(self, connection: Connection, data: bytes) -> None:
        if self._is_current(connection):
            self.phones[connection.phone].receive(connection.rank, data, self.now)

    def _closed_by_phone(self, index: int, rank: int) -> None:
        connection = self._connections.pop((index, rank), None)
        if connection is not None and connection.peer is not None and rank not in self._dead | self._frozen | self._cut:
            peer = connection.peer
            self._later(2 * self.latency_s, lambda: self.controls[rank].connection_lost(peer, self.now))

    def _lost(self, connection: Connection, cause: str) -> None:
        if self._is_current(connection):
            del self._connections[connection.phone, connection.rank]
            self.phones[connection.phone].connection_lost(connection.rank, cause, self.now)

    def _is_current(self, connection: Connection) -> bool:
        return self._connections.get((connection.phone, connection.rank)) is connection
