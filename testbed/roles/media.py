"""The RTP of a process: sockets of phones' own addresses, one timer for all streams that are sent, the kernel's time of arrival.

A port both receives and sends, as a phone's does; its mark is what ``start`` is told, and 0 until then.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import heapq
import itertools
import os
import socket
import struct
import time
from collections.abc import Callable

from testbed.rtp import SAMPLES, Receiver, Sender, rtp_ports

MAX_DATAGRAM_BYTES = 2048
LAST_DATAGRAMS = 64
"""As many that came before a port is closed are still taken."""
SO_TIMESTAMPNS = 35
"""asm-generic/socket.h: datagrams come with the time (realtime) at which the kernel got them."""
MULTICAST_TTL = 8
HELD_UP_S = 0.01
"""A process that sends this much too late says so, and how long it had waited for a processor."""
_TIMESPEC = struct.Struct("@qq")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)


class MediaPort:
    """One UDP port; ``receiver`` has the figures of what came, of every stream; ``sender`` is the stream that was started last."""

    __slots__ = (
        "_earlier",
        "_media",
        "_remote",
        "_sock",
        "address",
        "is_closed",
        "is_sending",
        "port",
        "receiver",
        "sender",
        "unsent",
    )

    def __init__(self, media: Media, sock: socket.socket, address: str) -> None:
        self._media, self._sock = media, sock
        self.address, self.port = address, int(sock.getsockname()[1])
        self.receiver = Receiver()
        self.sender: Sender | None = None
        self.is_sending = self.is_closed = False
        self._earlier = (0, 0)
        self.unsent = 0
        """Packets of this stream that the kernel did not take, for example while the link is down."""
        self._remote = ("", 0)

    def start(self, sender: Sender, remote: tuple[str, int], tos: int) -> None:
        """Send this stream to ``remote``, marked with ``tos`` (0-255); replaces what was sent before. Raises OSError."""
        self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
        self._earlier = (self.packets_sent, self.octets_sent)
        self.unsent = 0
        self.sender, self._remote, self.is_sending = sender, remote, True
        self._media.schedule(self)

    def go_on_from(self, before: MediaPort) -> None:
        """Count on where a closed port of the same call ended."""
        self.receiver, self._earlier = before.receiver, (before.packets_sent, before.octets_sent)

    @property
    def packets_sent(self) -> int:
        """That left this port, in all its streams."""
        return self._earlier[0] + (self.sender.packets - self.unsent if self.sender else 0)

    @property
    def octets_sent(self) -> int:
        """Of their payloads."""
        return self._earlier[1] + ((self.sender.packets - self.unsent) * SAMPLES if self.sender else 0)

    def stop(self) -> None:
        """Send no more."""
        self.is_sending = False

    def close(self) -> None:
        """Neither send nor receive any more; the figures stay."""
        self.is_sending = False
        if not self.is_closed:
            for _ in range(LAST_DATAGRAMS):
                if not self.read():
                    break
            self.is_closed = True
            self._media.forget(self)
            self._sock.close()

    def send_due(self, now: float) -> None:
        """Send what is due."""
        assert self.sender is not None
        while (packet := self.sender.packet(now)) is not None:
            try:
                self._sock.sendto(packet, self._remote)
            except OSError:
                self.unsent += 1

    def read(self) -> bool:
        """Take one datagram, False where there is none; whoever has more is asked again after all others.

        What is due leaves first: a burst on all ports is read in one turn of the loop, and its timers wait until the end of it.
        """
        self._media.send_due()
        try:
            data, ancillary, _, _ = self._sock.recvmsg(MAX_DATAGRAM_BYTES, _ANCILLARY_BYTES)
        except OSError:  # taken back by the kernel, or the echo of an ICMP message
            return False
        self.receiver.take(data, _arrival(ancillary, self._media.realtime_offset_s))
        return True

    def fileno(self) -> int:
        return self._sock.fileno()


class Media:
    """All ports of a process."""

    def __init__(
        self, held_up: Callable[[float, float], None] = lambda late_s, waited_s: None, interface: str = ""
    ) -> None:
        """``held_up`` is told when packets leave late: how late, and for how much of the time since the last ones the kernel let this
        process wait though it was ready to run. ``interface``: an address of the interface that multicast goes by, where the ports' own
        addresses are on none (a host's further addresses may be routes only); "" for the ports' own."""
        self._interface = interface
        self._loop = asyncio.get_running_loop()
        self._held_up, self._run_queue, self._waited_s = held_up, RunQueue(), 0.0
        self.realtime_offset_s = time.time() - time.monotonic()
        """Realtime minus monotonic, at the start: a clock that is set meanwhile makes no gap."""
        self._ports: set[MediaPort] = set()
        self._choice = itertools.cycle(rtp_ports())
        self._due: list[tuple[float, int, MediaPort]] = []
        self._turns = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = float("inf")

    def open(self, address: str, port: int = 0, *, group: str = "") -> MediaPort:
        """Bind ``port`` of this address (0: the next free even one of 20480-32766), or of a multicast ``group`` joined there.

        Raises OSError where it is taken or the address is not ours.
        """
        sock = _bound(address, port, group, self._interface or address) if port else self._bound_anywhere(address)
        opened = MediaPort(self, sock, address)
        self._ports.add(opened)
        self._loop.add_reader(sock.fileno(), opened.read)
        return opened

    def close(self) -> None:
        """Close all ports."""
        for port in list(self._ports):
            port.close()
        if self._timer is not None:
            self._timer.cancel()
        self._due.clear()
        self._run_queue.close()

    def _bound_anywhere(self, address: str) -> socket.socket:
        for port in itertools.islice(self._choice, len(rtp_ports())):
            try:
                return _bound(address, port, "", self._interface or address)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        raise OSError(errno.EADDRINUSE, f"all RTP ports of {address} are taken")

    # -- used by ports

    def schedule(self, port: MediaPort) -> None:
        assert port.sender is not None
        heapq.heappush(self._due, (port.sender.due, next(self._turns), port))
        self._arm()

    def send_due(self) -> None:
        """What is due on any port leaves now, whatever the timer is waiting for."""
        if self._due and self._due[0][0] <= time.monotonic():
            self._send()

    def forget(self, port: MediaPort) -> None:
        if port in self._ports:
            self._ports.remove(port)
            with contextlib.suppress(ValueError):
                self._loop.remove_reader(port.fileno())

    def _arm(self) -> None:
        if not self._due or self._due[0][0] >= self._armed_for:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = self._due[0][0]
        self._timer = self._loop.call_at(self._armed_for, self._wake)  # a loop's clock is the monotonic one

    def _wake(self) -> None:
        self._timer, self._armed_for = None, float("inf")
        self._send()

    def _send(self) -> None:
        now = time.monotonic()
        self._note_lateness(now)
        while self._due and self._due[0][0] <= now:
            due, _, port = heapq.heappop(self._due)
            sender = port.sender
            if not port.is_sending or sender is None or sender.due != due:  # stopped, or started anew
                continue
            port.send_due(now)
            heapq.heappush(self._due, (sender.due, next(self._turns), port))
        self._arm()

    def _note_lateness(self, now: float) -> None:
        waited_s = self._run_queue.waited_s()
        since_s, self._waited_s = waited_s - self._waited_s, waited_s
        if self._due and now - self._due[0][0] > HELD_UP_S:
            self._held_up(now - self._due[0][0], since_s)


class RunQueue:
    """How long this thread has waited for a processor: the second number of its schedstat (kernel: Documentation/scheduler)."""

    def __init__(self) -> None:
        try:
            self._file = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._file = -1

    def waited_s(self) -> float:
        """Since the thread began; always 0 where the kernel keeps no such account."""
        if self._file < 0:
            return 0.0
        fields = os.pread(self._file, 64, 0).split()
        return int(fields[1]) / 1e9 if len(fields) > 1 else 0.0

    def close(self) -> None:
        """Nothing is read any more."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _bound(address: str, port: int, group: str, interface: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, MULTICAST_TTL)
        if group:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((group, port))
            membership = socket.inet_aton(group) + socket.inet_aton(interface)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        else:
            sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock


def _arrival(ancillary: list[tuple[int, int, bytes]], offset_s: float) -> float:
    """On the monotonic clock."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return float(seconds - offset_s + nanoseconds * 1e-9)
    return time.monotonic()
