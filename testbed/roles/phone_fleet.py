"""The phones of one process: their machines, connections and timers, by their place in the fleet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from testbed.roles.common import HostEnvironment, Reporter
from testbed.roles.phone_boot import BootError, Configuration, address_ready, boot
from testbed.roles.phone_link import Endpoint, Link
from testbed.roles.phone_media import PhoneMedia
from testbed.roles.phone_services import PhoneServices
from testbed.roles.phone_timers import NEVER, Timers
from testbed.roles.phone_web import Errand, Idle, PhoneWeb
from testbed.sccp.phone import Phone
from testbed.sccp.phone_calls import ANSWER_AFTER_S
from testbed.sccp.phone_state import PhoneEvent, PhoneSettings

BOOTS_AT_ONCE = 32
"""Configuration files under way in one process."""
ADDRESS_WAIT_S = 30.0
BOOT_RETRY_S = (0.5, 1.0, 2.0, 5.0)
"""Pauses after a configuration that could not be read; the last one again and again."""
_PLACES = ("at", "to", "from")


class Seat:
    """One phone: who it is and what it has at the moment."""

    __slots__ = (
        "address",
        "answer_after_s",
        "browse_at",
        "browse_every_s",
        "browse_until",
        "browse_url",
        "config",
        "device_name",
        "flash",
        "idle",
        "index",
        "links",
        "machine",
        "tries",
    )

    def __init__(self, index: int, device_name: str, address: str) -> None:
        self.index, self.device_name, self.address = index, device_name, address
        self.config: Configuration | None = None
        """Kept as read until a Reset: a re-homed phone goes on with the same URLs."""
        self.flash: Configuration | None = None
        """What it read last, kept through a Reset: what it goes by where it gets no file any more."""
        self.machine: Phone | None = None
        self.links: dict[int, Link] = {}
        self.tries = 0
        self.answer_after_s: float | None = ANSWER_AFTER_S
        self.idle = Idle()
        self.browse_at = self.browse_until = NEVER
        self.browse_every_s = 0.0
        self.browse_url: tuple[str, str] = ("GET", "")


class Fleet:
    """Boots the phones, runs them, ends them."""

    def __init__(
        self,
        host: HostEnvironment,
        report: Reporter,
        phones: Sequence[tuple[str, str]],
        tftp_server: tuple[str, int],
        *,
        media_tos: int | None = None,
    ) -> None:
        """``phones``: device name and address of each. ``media_tos``: mark media so whatever the call control says; None: as told."""
        self.host, self._report = host, report
        self.seats = [Seat(index, name, address) for index, (name, address) in enumerate(phones)]
        self.by_name = {seat.device_name: seat for seat in self.seats}
        self.web = PhoneWeb(host, report)
        self.services = PhoneServices(
            self.web,
            report,
            self._set_timer,
            dial=lambda seat, number: self.call(seat, number, None),
            interface=host.addresses.get(host.host, ""),
            stream_tos=media_tos or 0,
        )
        self.media = PhoneMedia(report, media_tos)
        self._tftp_server = tftp_server
        self._timers = Timers(len(self.seats), self._wake)
        self._to_boot: asyncio.Queue[Seat] = asyncio.Queue()
        self._workers: list[asyncio.Task[None]] = []
        self._stopping = False

    def start(self) -> None:
        """Power on, in order."""
        for seat in self.seats:
            self._to_boot.put_nowait(seat)
        loop = asyncio.get_running_loop()
        self._workers = [loop.create_task(self._boot_phones()) for _ in range(min(BOOTS_AT_ONCE, len(self.seats)))]

    def stop(self) -> None:
        """Unregister all, in order; ``has_ended`` says when they are through."""
        self._stopping = True
        for worker in self._workers:
            worker.cancel()
        for seat in self.seats:
            seat.browse_at = NEVER
            seat.idle.at = NEVER
            if seat.machine is not None:
                seat.machine.stop(time.monotonic())
                self._pump(seat)

    @property
    def has_ended(self) -> bool:
        return all(seat.machine is None or seat.machine.ended for seat in self.seats)

    async def close(self) -> None:
        """Let go of everything."""
        self._timers.close()
        for seat in self.seats:
            for link in seat.links.values():
                link.abort()
            seat.links.clear()
        await self.services.close()
        self.media.close()
        await self.web.close()
        await asyncio.gather(*self._workers, return_exceptions=True)

    # -- boot

    async def _boot_phones(self) -> None:
        while True:
            seat = await self._to_boot.get()
            try:
                await self._boot(seat)
            except Exception as error:  # one phone's trouble must not end the boot of the others
                self._report("ConfigFailed", phone=seat.device_name, file="", error=f"{type(error).__name__}: {error}")

    async def _boot(self, seat: Seat) -> None:
        profile = self.host.profile
        try:
            if not await address_ready(seat.address, time.monotonic() + ADDRESS_WAIT_S):
                raise BootError(f"address {seat.address} cannot be bound", file="")
            timeout_s = min(1.0, profile.connect_timeout_s / 2)
            config = await boot(seat.device_name, seat.address, self._tftp_server, timeout_s=timeout_s)
        except BootError as error:
            self._report("ConfigFailed", phone=seat.device_name, file=error.file, error=error.message)
            if seat.flash is not None:
                self._put_into_service(seat, seat.flash, "ConfigRecalled")
                return
            pause_s = BOOT_RETRY_S[min(seat.tries, len(BOOT_RETRY_S) - 1)]
            seat.tries += 1
            asyncio.get_running_loop().call_later(pause_s, self._to_boot.put_nowait, seat)
            return
        seat.tries = 0
        seat.flash = config
        self._put_into_service(seat, config, "ConfigRead")

    def _put_into_service(self, seat: Seat, config: Configuration, event: str) -> None:
        file = config.sep_file
        self._report(
            event,
            phone=seat.device_name,
            file=config.file,
            duration_s=round(config.duration_s, 6),
            urls={name: getattr(file.urls, name) for name in file.urls.__slots__},
            call_controls=[control.host for control in file.call_controls],
        )
        seat.config = config
        seat.machine = Phone(
            PhoneSettings(
                device_name=seat.device_name,
                address=seat.address,
                group_size=len(file.call_controls),
                profile=self.host.profile,
                monitor_s=file.connection_monitor_s,
                load=file.load,
            )
        )
        seat.machine.calls.answer_after_s = seat.answer_after_s
        self.media.adopt(seat.index, seat.machine)
        seat.machine.start(time.monotonic())
        self._pump(seat)

    # -- connections (LinkOwner)

    def link_opened(self, link: Link) -> None:
        seat = self.seats[link.phone]
        if seat.machine is not None:
            seat.machine.connected(link.rank, time.monotonic())
            self._pump(seat)

    def link_received(self, link: Link, data: bytes) -> None:
        seat = self.seats[link.phone]
        if seat.machine is not None:
            seat.machine.receive(link.rank, data, time.monotonic())
            self._pump(seat)

    def link_lost(self, link: Link, cause: str) -> None:
        seat = self.seats[link.phone]
        seat.links.pop(link.rank, None)
        if seat.machine is not None:
            seat.machine.connection_lost(link.rank, cause, time.monotonic())
            self._pump(seat)

    def _connect(self, seat: Seat, rank: int) -> None:
        assert seat.config is not None
        file = seat.config.sep_file
        control = file.call_controls[rank]
        address = self.host.address_of(control.host)
        link = Link(self, seat.index, rank)
        seat.links[rank] = link
        if address is None:  # not of the bed: no packet leaves for it
            asyncio.get_running_loop().call_soon(link.fail, "unreachable")
            return
        link.open(
            Endpoint(
                source=seat.address,
                address=address,
                port=control.port,
                tos=file.tos_signalling,
                give_up_s=self.host.profile.tcp_give_up_s,
            )
        )

    # -- what the machine asks for

    def _pump(self, seat: Seat) -> None:
        machine = seat.machine
        if machine is None:
            return
        self.media.follow(seat.index, machine)
        for rank, data in machine.to_send():
            if rank in seat.links:
                seat.links[rank].send(data)
        for rank in machine.to_close():
            if rank in seat.links:
                seat.links.pop(rank).abort()
        for rank in machine.to_connect():
            self._connect(seat, rank)
        for event in machine.events():
            self._tell(seat, event)
        if machine.ended and machine.reset_kind and not self._stopping:
            self._restart(seat)
        else:
            self.services.note_call(seat, machine.in_call)
        self._set_timer(seat)

    def _tell(self, seat: Seat, event: PhoneEvent) -> None:
        offset_s = time.time() - time.monotonic()
        data: dict[str, Any] = {"phone": seat.device_name}
        for key, value in event.data.items():
            if key in _PLACES:
                data[key] = self.place(seat, value)
            elif key == "last_answered_s" and value is not None:
                data[key] = round(value + offset_s, 6)
            else:
                data[key] = round(value, 6) if isinstance(value, float) else value
        self._report.at(event.now + offset_s, event.name, data)
        if event.name == "Registered" and seat.idle.at == NEVER:
            seat.idle.restart(seat.config.sep_file if seat.config else None)

    def place(self, seat: Seat, rank: int) -> str:
        """Name (or address) of the call control of this rank in the phone's group."""
        assert seat.config is not None
        host = seat.config.sep_file.call_controls[rank].host
        return self.host.name_of(self.host.addresses.get(host, host))

    def _restart(self, seat: Seat) -> None:
        """After a Reset: as after power-on, the configuration is read again, or recalled where that fails."""
        seat.machine, seat.config = None, None
        self.services.forget(seat)
        seat.idle.at = seat.browse_at = NEVER
        self._to_boot.put_nowait(seat)

    # -- timers

    def _set_timer(self, seat: Seat) -> None:
        due = min(seat.idle.at, seat.browse_at, self.services.next_timer(seat.index))
        timer = seat.machine.next_timer() if seat.machine is not None else None
        due = due if timer is None else min(due, timer)
        if due != NEVER:
            self._timers.at(seat.index, due)

    def _wake(self, index: int) -> None:
        seat, now = self.seats[index], time.monotonic()
        if seat.machine is not None:
            timer = seat.machine.next_timer()
            if timer is not None and timer <= now:
                seat.machine.tick(now)
        if seat.idle.at <= now:
            self._show_idle_page(seat)
        if seat.browse_at <= now:
            self._browse(seat, now)
        if seat.config is not None:
            self.services.tick(seat, now)
        self._pump(seat)
        self._set_timer(seat)

    # -- calls

    def call(self, seat: Seat, number: str, talk_s: float | None) -> bool:
        """Dial, and hang up once the two have talked for so long; False where the phone cannot now."""
        done = seat.machine is not None and seat.machine.calls.call(number, time.monotonic(), talk_s=talk_s)
        self._pump(seat)
        return done

    def press_in_call(self, seat: Seat, key: str) -> bool:
        """A key of ``testbed.sccp.phone_calls.KEYS``; False where it does nothing now."""
        done = seat.machine is not None and seat.machine.calls.press(key, time.monotonic())
        self._pump(seat)
        return done

    # -- pages

    def restart_idle(self, seat: Seat) -> None:
        """A key was pressed."""
        seat.idle.restart(seat.config.sep_file if seat.config else None)
        self._set_timer(seat)

    def browse(self, seat: Seat, method: str, url: str, *, first_at: float, every_s: float, until: float) -> None:
        """Fetch a page again and again; replaces what the phone browsed before."""
        seat.browse_url, seat.browse_every_s, seat.browse_until = (method, url), every_s, until
        seat.browse_at = first_at
        self._set_timer(seat)

    def _browse(self, seat: Seat, now: float) -> None:
        method, url = seat.browse_url
        if seat.config is not None:
            self.web.start(self._errand(seat, "page", url, method), seat.config.sep_file)
        due = seat.browse_at + seat.browse_every_s
        if due < now:  # we were frozen: what was missed is not made up for
            due = now + seat.browse_every_s
        seat.browse_at = due if due < seat.browse_until else NEVER

    def _show_idle_page(self, seat: Seat) -> None:
        seat.idle.at = NEVER
        if seat.config is None:
            return
        file = seat.config.sep_file
        task = self.web.start(self._errand(seat, "idle", file.urls.idle), file)

        def shown(done: asyncio.Task[Any]) -> None:
            if not done.cancelled() and not self._stopping and seat.idle.at == NEVER:
                seat.idle.shown(file, done.result()[1])
                self.services.show_idle(seat, done.result()[1])
                self._set_timer(seat)

        task.add_done_callback(shown)

    def _errand(self, seat: Seat, url_name: str, url: str, method: str = "GET") -> Errand:
        return Errand(device_name=seat.device_name, address=seat.address, url_name=url_name, url=url, method=method)
