"""A TCP connection that holds a bounded amount of what its other side does not read."""

from __future__ import annotations

import asyncio
from typing import ClassVar, cast


class BoundedConnection(asyncio.Protocol):
    """Knows its transport and the other side's address; what to do with bytes is its subclass's."""

    __slots__ = ("_transport", "address")

    MAX_UNSENT_BYTES: ClassVar[int] = 1 << 18
    """A peer that sends and never reads would make us hold its answers for ever."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # A client that hung up in the backlog has no name any more.
        self.address = (transport.get_extra_info("peername") or ("unknown",))[0]

    def send(self, data: bytes) -> bool:
        """False where the other side does not take what it was sent before; one that is being closed gets nothing more."""
        if self._transport is None or self._transport.is_closing():
            return True
        if self._transport.get_write_buffer_size() > self.MAX_UNSENT_BYTES:
            return False
        self._transport.write(data)
        return True

    def close(self) -> None:
        """In order (FIN), behind what is still to be sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """At once; what was not sent is lost."""
        if self._transport is not None:
            self._transport.abort()
