"""Connections of a call control to the others of its bed: TCP port 8002, one for each two of them.

Of two call controls the one that is named first in TESTBED_CALL_CONTROLS dials, about once a second until the other one answers.
The connection carries the mark of signalling, since it is signalling; it is no SCCP, and no class of any policy.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from testbed.errors import UsageError
from testbed.profile import KEEPALIVE_MISSES
from testbed.roles.bounded import BoundedConnection
from testbed.roles.common import HostEnvironment, Reporter, whole_number
from testbed.roles.site import listener
from testbed.sccp.across import Across

CLUSTER_PORT = 8002
"""What Cisco CallManager's own intra-cluster signalling uses."""
REDIAL_S = 1.0
CONNECT_S = 3.0
"""A SYN that is not answered is sent again after 1 s; longer than two of them a dialler does not wait."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterSettings:
    """Own address, the call controls before and after it in the list, port, and the TOS octet of all packets."""

    address: str = ""
    earlier: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    port: int = CLUSTER_PORT
    tos: int = 0
    give_up_s: float = 90.0
    """TCP_USER_TIMEOUT."""

    @classmethod
    def read(cls, host: HostEnvironment, environment: Mapping[str, str], tos: int) -> ClusterSettings:
        """From TESTBED_CALL_CONTROLS (host names or addresses, first to last, its own among them; empty: alone) and
        TESTBED_CLUSTER_PORT. Hosts that the bed has not are passed over: an overlay may leave a call control out. Raises
        UsageError naming the variable that is wrong."""
        names = environment.get("TESTBED_CALL_CONTROLS", "").replace(",", " ").split()
        addresses = [address for name in names if (address := host.address_of(name)) is not None]
        own = host.addresses.get(host.host, "")
        if names and own not in addresses:
            raise UsageError(
                f"TESTBED_CALL_CONTROLS={' '.join(names)}: {host.host} ({own or 'no address'}) is not among them"
            )
        place = addresses.index(own) if addresses else 0
        return cls(
            address=own,
            earlier=tuple(addresses[:place]),
            later=tuple(addresses[place + 1 :]),
            port=whole_number(environment, "TESTBED_CLUSTER_PORT", CLUSTER_PORT, 65535),
            tos=tos,
            give_up_s=KEEPALIVE_MISSES * host.profile.keepalive_s,
        )


class ClusterLinks:
    """All of them; ``pump`` does what the machine asks for."""

    def __init__(self, settings: ClusterSettings, across: Across, report: Reporter, pump: Callable[[], None]) -> None:
        self._settings, self._across, self._report, self._pump = settings, across, report, pump
        self._connections: dict[int, LinkConnection] = {}
        self._numbers = itertools.count(1)
        self._server: asyncio.Server | None = None
        self._dialling: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Listen where others dial, and begin to dial; waits for nobody. Raises OSError where the port is taken."""
        settings = self._settings
        if settings.earlier:
            sock = listener(settings.address, settings.port, tos=settings.tos)
            _set_up(sock, settings)
            self._server = await asyncio.get_running_loop().create_server(self._accepted, sock=sock)
        self._dialling = [asyncio.create_task(self._dial(address)) for address in settings.later]

    def close(self) -> None:
        """End all connections in order (FIN)."""
        for task in self._dialling:
            task.cancel()
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections.values()):
            connection.close()
        self._connections.clear()

    def flush(self) -> None:
        """Send what the machine has to say, and close what it wants closed."""
        for link, data in self._across.to_send():
            connection = self._connections.get(link)
            if connection is not None and not connection.send(data):
                self._report("PeerRejected", peer=connection.address, error="sends and does not read")
                connection.abort()
        for link in self._across.to_close():
            connection = self._connections.pop(link, None)
            if connection is not None:
                connection.abort()

    # -- of connections

    def opened(self, connection: LinkConnection) -> None:
        if not connection.dialled and connection.address not in self._settings.earlier:
            self._report("PeerRejected", peer=connection.address, error="no call control that dials this one")
            connection.abort()
            return
        connection.link = next(self._numbers)
        self._connections[connection.link] = connection
        self._across.linked(connection.link, connection.address, time.monotonic(), dialled=connection.dialled)
        self._pump()

    def received(self, connection: LinkConnection, data: bytes) -> None:
        self._across.receive(connection.link, data, time.monotonic())
        self._pump()

    def lost(self, connection: LinkConnection) -> None:
        if self._connections.pop(connection.link, None) is not None:
            self._across.lost(connection.link, time.monotonic())
            self._pump()

    # -- parts

    def _accepted(self) -> LinkConnection:
        return LinkConnection(self, dialled=False)

    async def _dial(self, address: str) -> None:
        """Again and again; a mute call control does not begin to talk."""
        while True:
            if not self._across.is_mute:
                connection = LinkConnection(self, dialled=True)
                try:
                    async with asyncio.timeout(CONNECT_S):
                        await self._connect(connection, address)
                    await connection.ended.wait()
                except OSError:  # TimeoutError is one
                    pass
            await asyncio.sleep(REDIAL_S)

    async def _connect(self, connection: LinkConnection, address: str) -> None:
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, self._settings.tos)
            _set_up(sock, self._settings)
            sock.bind((self._settings.address, 0))
            await loop.sock_connect(sock, (address, self._settings.port))
            await loop.create_connection(lambda: connection, sock=sock)
        except BaseException:  # also when its time is over
            sock.close()
            raise


def _set_up(sock: socket.socket, settings: ClusterSettings) -> None:
    """Accepted connections inherit both."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(settings.give_up_s * 1000))


class LinkConnection(BoundedConnection):
    """One connection; ``link`` is its number once it is one of the machine's."""

    __slots__ = ("_links", "dialled", "ended", "link")

    MAX_UNSENT_BYTES = 8 << 20
    """Two numbers of each of 60,000 phones, at 44 bytes, are 5 MB, told at once when a connection comes up."""

    def __init__(self, links: ClusterLinks, *, dialled: bool) -> None:
        super().__init__()
        self._links, self.dialled = links, dialled
        self.link = 0
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._links.opened(self)

    def data_received(self, data: bytes) -> None:
        self._links.received(self, data)

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended.set()
        self._links.lost(self)
