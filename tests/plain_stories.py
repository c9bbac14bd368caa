"""A plain web project put down by hand: a client asks an SLB, which asks one shop or, while that is gone, the other. No phone."""

from __future__ import annotations

from recordings import RST, SYN, Connection, Recording, Wire
from stories import BEGAN_S, END_S, HEALING_S

from testbed.packets import ACK
from testbed.topology import Host, Link, Role, Topology

ADDRESSES = {"client": "172.26.100.2", "slb": "172.26.100.3", "shop-1": "172.26.100.4", "shop-2": "172.26.100.5"}
_ROLES = {"client": Role.CLIENT, "slb": Role.SLB}
PORTS = {"slb": 80, "shop-1": 8000, "shop-2": 8000}
BACK_S = 0.2
"""After the healing, until the SLB asks the first shop again."""


def bed() -> Topology:
    hosts = tuple(
        Host(
            name=name,
            role=_ROLES.get(name, Role.OTHER),
            links=(Link(host=name, network="default", address=address),),
            image="mine",
            ours=False,
        )
        for name, address in ADDRESSES.items()
    )
    return Topology(bed="test", prefix="172.26.0.0/16", profile="quick", hosts=hosts)


class Project:
    """A recording with captures at all hosts, from second 0 to END_S."""

    def __init__(self, *, captured: tuple[str, ...] = tuple(ADDRESSES)) -> None:
        self.recording = Recording(bed())
        self.recording.steps(2.0, 13.0)
        self.recording.event(11.0, "testbed", "StepStarted", step=1, action="wait")
        for host in captured:
            self.recording.capture(host, until_s=END_S)
        self._port = 30_000

    def connection(self, client: str, server: str) -> Connection:
        """From a new port, on the wires of both ends."""
        self._port += 1
        wires = [self.recording.wires.get(host, Wire()) for host in (client, server)]
        ends = (ADDRESSES[client], self._port), (ADDRESSES[server], PORTS[server])
        return Connection(wires=wires, client=ends[0], server=ends[1])

    def ask(
        self, at_s: float, client: str, server: str, path: str = "/", *, status: int | None = 200, took_s: float = 0.01
    ) -> None:
        """One request on a connection of its own; ``status`` None: the server resets it."""
        one = self.connection(client, server)
        one.open(at_s)
        one.send(at_s + 0.001, f"GET {path} HTTP/1.1\r\nHost: {server}\r\n\r\n".encode(), up=True)
        if status is None:
            one.reset(at_s + took_s, up=False)
        else:
            one.send(at_s + took_s, f"HTTP/1.1 {status} Word\r\nContent-Length: 2\r\n\r\nok".encode(), up=False)
            one.close(at_s + took_s + 0.001, up=False)

    def refuse(self, at_s: float, client: str, server: str) -> None:
        """A connection that is not made."""
        one = self.connection(client, server)
        one.packet(at_s, up=True, flags=SYN)
        one.server_seq = 0
        one.packet(at_s + 0.001, up=False, flags=RST | ACK)

    def knock(self, at_s: float, client: str, server: str) -> None:
        """A connection that nobody answers."""
        self.connection(client, server).packet(at_s, up=True, flags=SYN)


def moments(begin_s: float, end_s: float) -> list[float]:
    """Five a second."""
    return [begin_s + step * 0.2 for step in range(round((end_s - begin_s) / 0.2))]


def shop(*, kind: str = "kill", standby: bool = True, captured: tuple[str, ...] = tuple(ADDRESSES)) -> Project:
    """shop-1 goes and comes back. With a standby nobody notices, without one the SLB answers 503 meanwhile."""
    project = Project(captured=captured)
    project.recording.fault(kind, "shop-1", BEGAN_S, HEALING_S)
    for at_s in moments(1.0, END_S):
        gone = BEGAN_S <= at_s < HEALING_S + BACK_S
        project.ask(at_s, "client", "slb", "/", status=503 if gone and not standby else 200)
        if not gone or standby:
            project.ask(at_s + 0.002, "slb", "shop-2" if gone else "shop-1", "/")
        if gone:
            project.refuse(at_s + 0.1, "slb", "shop-1")
        else:
            project.ask(at_s + 0.1, "slb", "shop-1", "/health.txt")
        project.ask(at_s + 0.12, "slb", "shop-2", "/health.txt")
    return project
