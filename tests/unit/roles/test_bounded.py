"""A connection whose other side does not read: said once, cut off, and sent nothing more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from testbed.roles.bounded import BoundedConnection
from testbed.roles.cluster_links import ClusterLinks, ClusterSettings, LinkConnection

FULL = LinkConnection.MAX_UNSENT_BYTES + 1


class Transport(asyncio.Transport):
    """Takes what is written, and sends ``unsent`` bytes of it never."""

    def __init__(self, unsent: int = 0) -> None:
        super().__init__({"peername": ("172.26.1.3", 8002)})
        self.unsent, self.written, self.ended = unsent, b"", ""

    def write(self, data: Any) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return bool(self.ended)

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = self.ended or "aborted"


@pytest.mark.parametrize(
    ("unsent", "is_taken"),
    [(0, True), (BoundedConnection.MAX_UNSENT_BYTES, True), (BoundedConnection.MAX_UNSENT_BYTES + 1, False)],
)
def test_what_is_not_read_is_held_up_to_a_bound(unsent: int, is_taken: bool) -> None:
    connection, transport = BoundedConnection(), Transport(unsent)
    connection.connection_made(transport)
    assert connection.address == "172.26.1.3"
    assert connection.send(b"one") is is_taken
    assert transport.written == (b"one" if is_taken else b"")


@pytest.mark.parametrize("end", [BoundedConnection.close, BoundedConnection.abort])
def test_a_connection_that_is_being_closed_gets_nothing_more_and_is_no_slow_reader(end: Any) -> None:
    connection, transport = BoundedConnection(), Transport()
    connection.connection_made(transport)
    end(connection)
    transport.unsent = FULL
    assert connection.send(b"one")
    assert not transport.written
    assert transport.ended == ("closed" if end is BoundedConnection.close else "aborted")


def test_one_that_is_not_connected_takes_nothing() -> None:
    connection = BoundedConnection()
    assert connection.send(b"one")
    connection.close()
    connection.abort()


class Machine:
    """In place of ``Across``: what is to be sent."""

    def __init__(self) -> None:
        self.outbox: list[tuple[int, bytes]] = []
        self.ends: list[int] = []

    def linked(self, link: int, address: str, now: float, *, dialled: bool) -> None:
        pass

    def lost(self, link: int, now: float) -> None:
        self.ends.append(link)

    def to_send(self) -> list[tuple[int, bytes]]:
        outbox, self.outbox = self.outbox, []
        return outbox

    def to_close(self) -> list[int]:
        return []


def test_a_full_link_is_told_once_however_much_more_is_to_be_sent() -> None:
    said: list[tuple[str, str]] = []
    machine: Any = Machine()
    report: Any = lambda name, **data: said.append((name, data["error"]))  # noqa: E731
    links = ClusterLinks(ClusterSettings(), machine, report, lambda: None)
    connection, transport = LinkConnection(links, dialled=True), Transport(FULL)
    connection.connection_made(transport)
    for _ in range(2):
        machine.outbox = [(connection.link, b"one\n"), (connection.link, b"two\n")]
        links.flush()
    assert said == [("PeerRejected", "sends and does not read")]
    assert transport.ended == "aborted"
    assert not transport.written
    connection.connection_lost(None)
    assert machine.ends == [connection.link]
