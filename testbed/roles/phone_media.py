"""The media of the calls of a process's phones: what each phone's machine asks for, done with sockets of that phone's address."""

from __future__ import annotations

import random
import time

from testbed.roles.common import Reporter
from testbed.roles.media import Media, MediaPort
from testbed.rtp import Sender
from testbed.sccp.phone import Phone
from testbed.sccp.phone_call_state import MediaFigures, MediaOrder


def random_sender(now: float) -> Sender:
    """A stream that begins now; its numbers are drawn, as RFC 3550 wants."""
    draw = random.getrandbits
    return Sender(ssrc=draw(32), sequence=draw(16), timestamp=draw(32), now=now)


class PhoneMedia:
    """Ports by phone (its place in the fleet) and call reference; a closed one is kept for its figures until ``clear``."""

    def __init__(self, report: Reporter, tos: int | None = None) -> None:
        """``tos``: the mark of all media, whatever the call control says; None: as told."""
        self._report, self._tos = report, tos
        self._media = Media(self._held_up)
        self._ports: dict[tuple[int, int], MediaPort] = {}

    def adopt(self, phone: int, machine: Phone) -> None:
        """This machine's calls take their figures from here."""
        machine.calls.figures = lambda reference: self._figures(phone, reference)

    def follow(self, phone: int, machine: Phone) -> None:
        """Do what the machine asks for."""
        for order in machine.calls.orders():
            try:
                self._perform(phone, machine, order)
            except OSError as error:
                machine.tell(
                    "MediaFailed", time.monotonic(), reference=order.reference, act=order.act, error=str(error)
                )
                if order.act == "open":
                    machine.calls.opened(order.reference, machine.settings.address, 0, time.monotonic())

    def close(self) -> None:
        """Let go of everything."""
        self._media.close()
        self._ports.clear()

    def _held_up(self, late_s: float, waited_s: float) -> None:
        self._report("MediaHeldUp", late_s=round(late_s, 6), waited_s=round(waited_s, 6))

    def _perform(self, phone: int, machine: Phone, order: MediaOrder) -> None:
        key = (phone, order.reference)
        port = self._ports.get(key)
        if order.act == "open":
            port = self._open(key, machine.settings.address)
            machine.calls.opened(order.reference, port.address, port.port, time.monotonic())
        elif order.act == "start":
            if port is None or port.is_closed:
                port = self._open(key, machine.settings.address)
            port.start(random_sender(time.monotonic()), order.remote, order.tos if self._tos is None else self._tos)
        elif port is None:
            return
        elif order.act == "stop":
            port.stop()
        elif order.act == "close":
            port.close()
        elif order.act == "clear":
            port.close()
            del self._ports[key]

    def _open(self, key: tuple[int, int], address: str) -> MediaPort:
        before = self._ports.get(key)
        if before is not None and not before.is_closed:
            return before
        port = self._media.open(address)
        if before is not None:
            port.go_on_from(before)
        self._ports[key] = port
        return port

    def _figures(self, phone: int, reference: int) -> MediaFigures | None:
        port = self._ports.get((phone, reference))
        if port is None:
            return None
        return MediaFigures(
            packets_sent=port.packets_sent,
            octets_sent=port.octets_sent,
            received=port.receiver.figures,
            heard_at=port.receiver.last_at,
        )
