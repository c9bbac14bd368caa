"""A phone's SCCP connections: sockets of its own address, marked before the first packet, and why they end."""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import dataclass
from typing import Protocol, cast

CAUSES = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.ECONNABORTED: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTDOWN: "unreachable",
    errno.ENETDOWN: "unreachable",
    errno.EADDRNOTAVAIL: "unreachable",
}
"""What the kernel says -> cause of a loss."""
IP_BIND_ADDRESS_NO_PORT = 24
"""linux/in.h: choose the port when connecting, so that ports are used up per destination, not per address."""


def cause_of(error: BaseException | None) -> str:
    """Why a connection ended; None is an orderly end by the other side."""
    if error is None:
        return "closed"
    return CAUSES.get(getattr(error, "errno", None) or 0, "reset")


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """From where to where, with which TOS octet and patience (``give_up_s``: TCP_USER_TIMEOUT)."""

    source: str
    address: str
    port: int
    tos: int
    give_up_s: float


class LinkOwner(Protocol):
    """Who is told what happens to a link."""

    def link_opened(self, link: Link) -> None: ...
    def link_received(self, link: Link, data: bytes) -> None: ...
    def link_lost(self, link: Link, cause: str) -> None: ...


class Link(asyncio.Protocol):
    """One connection of the phone ``phone`` (its place in the fleet) to the call control of rank ``rank``."""

    __slots__ = ("_owner", "_task", "_transport", "phone", "rank")

    def __init__(self, owner: LinkOwner, phone: int, rank: int) -> None:
        self._owner: LinkOwner | None = owner
        self.phone, self.rank = phone, rank
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def open(self, endpoint: Endpoint) -> None:
        """Begin to connect; the owner hears how it went. The machine has the deadline."""
        self._task = asyncio.get_running_loop().create_task(self._connect(endpoint))

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def abort(self) -> None:
        """Close it, open or opening; the owner hears nothing more of it."""
        self._owner = None
        if self._transport is not None:
            self._transport.abort()
        elif self._task is not None:
            self._task.cancel()

    async def _connect(self, endpoint: Endpoint) -> None:
        loop = asyncio.get_running_loop()
        sock: socket.socket | None = None
        try:
            sock = phone_socket(endpoint)
            await loop.sock_connect(sock, (endpoint.address, endpoint.port))
            await loop.create_connection(lambda: self, sock=sock)
        except OSError as error:
            if sock is not None:
                sock.close()
            self.fail(cause_of(error))
        except asyncio.CancelledError:
            if sock is not None:
                sock.close()
            raise
        finally:
            self._task = None

    def fail(self, cause: str) -> None:
        """It came to nothing, or came to its end."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.link_lost(self, cause)

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._owner is None:
            self._transport.abort()
        else:
            self._owner.link_opened(self)

    def data_received(self, data: bytes) -> None:
        if self._owner is not None:
            self._owner.link_received(self, data)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self.fail(cause_of(error))


def phone_socket(endpoint: Endpoint) -> socket.socket:
    """A TCP socket of the phone's address; the mark is set before the SYN. Raises OSError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if endpoint.tos:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, endpoint.tos)
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(endpoint.give_up_s * 1000))
        sock.bind((endpoint.source, 0))
    except OSError:
        sock.close()
        raise
    return sock
