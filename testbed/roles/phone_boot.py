"""A phone before it registers: waits for its address, reads its configuration file by TFTP, parses it."""

from __future__ import annotations

import asyncio
import functools
import socket
import time
from dataclasses import dataclass
from typing import Any, cast

from testbed.errors import BedError
from testbed.sep_file import SepFile, parse_sep_file
from testbed.tftp import ReadTransfer, TftpError

DEFAULT_FILE = "XMLDefault.cnf.xml"
ADDRESS_POLL_S = 0.05
MIN_TIMER_S = 0.001


class BootError(BedError):
    """The phone has no configuration; ``file`` is the one that was asked for last."""

    def __init__(self, message: str, *, file: str) -> None:
        super().__init__(message)
        self.file = file


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """A phone's file as read; ``duration_s`` from the first request to the last byte."""

    file: str
    sep_file: SepFile
    duration_s: float


async def boot(device_name: str, address: str, server: tuple[str, int], *, timeout_s: float) -> Configuration:
    """The phone's own file, or the default one where the server has none. Raises BootError.

    ``timeout_s``: how long the server may take for one packet.
    """
    began = time.monotonic()
    file = f"{device_name}.cnf.xml"
    try:
        try:
            content = await read_file(file, server, address, timeout_s)
        except TftpError as error:
            if not error.is_file_not_found:
                raise
            file = DEFAULT_FILE
            content = await read_file(file, server, address, timeout_s)
        return Configuration(file=file, sep_file=_parsed(content), duration_s=time.monotonic() - began)
    except (BedError, OSError) as error:
        raise BootError(str(error), file=file) from error


async def address_ready(address: str, deadline: float) -> bool:
    """Whether the address can be bound before ``deadline`` (monotonic): the NIC sets it up beside us."""
    while not _is_bindable(address):
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(ADDRESS_POLL_S)
    return True


async def read_file(filename: str, server: tuple[str, int], source: str, timeout_s: float) -> bytes:
    """Read by TFTP from ``source``; raises TftpError, or OSError where the socket cannot be had."""
    loop = asyncio.get_running_loop()
    transfer = ReadTransfer(filename, server=server, now=time.monotonic(), timeout_s=timeout_s)
    done = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Reading(transfer, done), local_addr=(source, 0))
    try:
        await done
    finally:
        transport.close()
    if transfer.error is not None:
        raise transfer.error
    return transfer.content or b""


@functools.lru_cache(maxsize=256)
def _parsed(content: bytes) -> SepFile:
    """Files of a fleet are mostly the same: parsed once, kept once."""
    return parse_sep_file(content)


def _is_bindable(address: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


class _Reading(asyncio.DatagramProtocol):
    """Runs one transfer on one socket."""

    def __init__(self, transfer: ReadTransfer, done: asyncio.Future[None]) -> None:
        self._transfer, self._done = transfer, done
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self._pump()

    def datagram_received(self, data: bytes, address: tuple[str | Any, int]) -> None:
        self._transfer.receive(data, address, time.monotonic())
        self._pump()

    def connection_lost(self, _error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._done.done():
            self._done.cancel()

    def _tick(self) -> None:
        self._transfer.tick(time.monotonic())
        self._pump()

    def _pump(self) -> None:
        assert self._transport is not None
        for data, address in self._transfer.to_send():
            self._transport.sendto(data, address)
        if self._timer is not None:
            self._timer.cancel()
        due = self._transfer.next_timer()
        if due is None:
            if not self._done.done():
                self._done.set_result(None)
        else:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(MIN_TIMER_S, due - time.monotonic()), self._tick)
