"""HTTP as captures show it: who asked whom for what, in which part of a run. No event of a phone is needed.

Requests over a hop are read where the client is captured, since only there is seen what it got, and else where the server is; requests
to a host where that host is captured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from testbed.checks.capture import captures
from testbed.checks.facts import FOREVER, fault_windows, judged_span, seen, steps_ended_s
from testbed.checks.marking import hosts_named
from testbed.packets import Packets, address_text
from testbed.packets.classes import SERVER_PORTS
from testbed.packets.exchange import Exchange
from testbed.recording import Run
from testbed.topology import Host
from testbed.verdict import Evidence

When = Literal["always", "before", "during", "after"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """An exchange, and the capture it was read from, which ends at ``until_s``."""

    exchange: Exchange
    capture: str
    until_s: float

    @property
    def waited_s(self) -> float:
        """How long it took; of one that is open, how long it had taken when the capture ended."""
        elapsed_s = self.exchange.elapsed_s
        return self.until_s - self.exchange.began_s if elapsed_s is None else elapsed_s

    def proves(self, run: Run, text: str) -> Evidence:
        """The request's first packet as evidence."""
        return Evidence(text=f"{described(run, self)}: {text}", capture=self.capture, frame=self.exchange.began.frame)


def described(run: Run, sighting: Sighting) -> str:
    """``client asks slb:80 GET /text``."""
    exchange = sighting.exchange
    client, server = (run.topology.host_of(address_text(end[0])) for end in (exchange.client, exchange.server))
    asked = f"{exchange.method} {exchange.path[:80]}" if exchange.method else "for a connection"
    return f"{client} asks {server}:{exchange.server[1]} {asked}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A part of a run. A request belongs to it that begins in it; one that a fault overtook belongs to the fault's part, not to the one
    before (``overtaken`` says which of the two this is; neither: None).

    ``certain_s``: from here on nothing can be as if there were no fault.
    """

    since_s: float
    until_s: float
    certain_s: float
    overtaken: bool | None = None

    def of(self, sightings: Iterable[Sighting]) -> list[Sighting]:
        """The requests that belong to it."""
        return [one for one in sightings if self._has(one.exchange)]

    def _has(self, exchange: Exchange) -> bool:
        ended_s = FOREVER if exchange.ended is None else exchange.ended.time_s
        if exchange.began_s >= self.until_s or (self.overtaken is False and ended_s >= self.until_s):
            return False
        return exchange.began_s >= self.since_s or (self.overtaken is True and ended_s >= self.since_s)

    def wholly(self, exchange: Exchange) -> bool:
        """Whether it began when the part had certainly begun."""
        return self.certain_s <= exchange.began_s


def spans(run: Run, when: When) -> list[Span]:
    """One for each confirmed fault during, else at most one.

    Before ends with the first fault; after begins with the first step that follows the last healing, or with that where no step does;
    always is from the first step until the bed was steady after the last.
    """
    windows = fault_windows(run)
    first_s, last_s = judged_span(run)
    if when == "always":
        return [Span(since_s=first_s, until_s=last_s, certain_s=first_s)]
    if when == "before":
        until_s = min((window.began_s for window in windows), default=steps_ended_s(run))
        return [Span(since_s=first_s, until_s=until_s, certain_s=first_s, overtaken=False)]
    if when == "during":
        return [
            Span(
                since_s=window.began_s,
                until_s=min(window.healing_s, steps_ended_s(run)),
                certain_s=window.certain_s,
                overtaken=True,
            )
            for window in windows
        ]
    if not windows or any(window.healed is None for window in windows):
        return []
    healed_s = max(window.healed_s for window in windows)
    since_s = min((event.time_s for event in seen(run, "StepStarted", since_s=healed_s)), default=healed_s)
    return [Span(since_s=since_s, until_s=FOREVER, certain_s=since_s)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """``sightings`` in order of time, and hosts at which a capture would have been needed (in words; empty where none was)."""

    sightings: list[Sighting]
    unseen: str = ""


def at_host(run: Run, word: str) -> Seen:
    """Requests to a host, or to each host of a role, as seen there."""
    return _joined(run, [(host, None, host) for host in hosts_named(run.topology, word)])


def on_hop(run: Run, hop: str) -> Seen:
    """Requests from the left side of ``client->slb`` to its right side."""
    source, _, destination = hop.partition("->")
    return between(run, hosts_named(run.topology, source.strip()), hosts_named(run.topology, destination.strip()))


def between(run: Run, clients: Sequence[Host], servers: Sequence[Host]) -> Seen:
    """Requests of any of these hosts to any of those."""
    read = captures(run)
    ways = [
        (client if client.name in read else server, client, server)
        for client in clients
        for server in servers
        if client.name != server.name
    ]
    return _joined(run, ways)


def _joined(run: Run, ways: Sequence[tuple[Host, Host | None, Host]]) -> Seen:
    """``ways``: at which host what is read of whose requests (None: anybody's) to whom."""
    read, ports = captures(run), http_ports(run)
    found: list[Sighting] = []
    for vantage, client, server in ways:
        if vantage.name in read:
            found += _seen_at(run, read[vantage.name], client, server, ports)
    needed = dict.fromkeys(vantage.name for vantage, _, _ in ways if vantage.name not in read)
    return Seen(sightings=sorted(found, key=lambda one: one.exchange.began_s), unseen=", ".join(needed))


def _seen_at(
    run: Run, packets: Packets, client: Host | None, server: Host, ports: frozenset[tuple[int, int]]
) -> list[Sighting]:
    until_s = float(packets.time_s[-1]) if len(packets) else 0.0
    owners = _Owners(run)
    return [
        Sighting(exchange=exchange, capture=packets.file, until_s=until_s)
        for exchange in run.exchanges(packets)
        if owners.name(exchange.server[0]) == server.name
        and (client is None or owners.name(exchange.client[0]) == client.name)
        and (exchange.method or exchange.server[1] in SERVER_PORTS["http"] or exchange.server in ports)
    ]


class _Owners:
    """Whose an address is; looked up once each."""

    def __init__(self, run: Run) -> None:
        self._topology = run.topology
        self._names: dict[int, str] = {}

    def name(self, address: int) -> str:
        if address not in self._names:
            self._names[address] = self._topology.host_of(address_text(address))
        return self._names[address]


def http_ports(run: Run) -> frozenset[tuple[int, int]]:
    """(address, port) that were asked for a page by anybody: a connection to one that is not made would have been HTTP too."""
    return frozenset(
        exchange.server for packets in captures(run).values() for exchange in run.exchanges(packets) if exchange.method
    )


def hops_seen(run: Run) -> list[tuple[Host, Host]]:
    """(client, server) of every hop over which a page was asked for, where the client was captured: by name."""
    hosts = {host.name: host for host in run.topology.hosts}
    owners = _Owners(run)
    found = {
        (owners.name(exchange.client[0]), owners.name(exchange.server[0]))
        for host, packets in captures(run).items()
        for exchange in run.exchanges(packets)
        if exchange.method and owners.name(exchange.client[0]) == host
    }
    return [(hosts[client], hosts[server]) for client, server in sorted(found) if client in hosts and server in hosts]
