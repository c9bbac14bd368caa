"""Which URLs survive a fault, derived from where each URL points: never from its name."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from testbed.checks.concerned import takes
from testbed.checks.facts import FaultWindow, seen
from testbed.checks.fetches import Fetch
from testbed.faults.reach import HTTP_PORT, end_of, end_of_phone
from testbed.recording import Run
from testbed.topology import Host, Role

URL_NAMES = ("services", "directory", "information", "messages", "authentication", "idle", "proxy")


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """Whether a URL answers while a fault lasts (None: cannot be told), and why."""

    works: bool | None
    reason: str


def url_tables(run: Run, before_s: float) -> dict[str, dict[str, str]]:
    """Phone -> its URLs by name, as it last read them before this instant; empty URLs are left out."""
    tables: dict[str, dict[str, str]] = {}
    for read in seen(run, "ConfigRead", until_s=before_s):
        if isinstance(read["urls"], dict):
            tables[str(read["phone"])] = {name: url for name, url in read["urls"].items() if url}
    return tables


def predict(run: Run, window: FaultWindow | None, phone: str, url: str, answered_before: Fetch | None) -> Prediction:
    """Whether this URL (``proxy``: the proxy's address) works for this phone while the fault lasts; without a fault it must.

    ``answered_before``: an answer to it from before the fault, which tells the server behind a VIP and behind a proxy.
    """
    host = host_of_url(run, url)
    if host is None:
        return Prediction(works=None, reason=f"{url} points at no host of the bed")
    if window is None:
        return Prediction(works=True, reason=f"{url} points at {host.name}")
    if takes(run, window, end_of_phone(run.topology, phone), host, port_of_url(url)):
        return Prediction(works=False, reason=f"{url} points at {host.name}, which the fault took")
    server = answered_before.served_by if answered_before else None
    if server is None and host.role in (Role.SLB, Role.PROXY):
        return Prediction(works=None, reason=f"who answers {url} behind {host.name} was not seen before the fault")
    behind = _named(run, server)
    if behind is None or behind is host or not takes(run, window, end_of(host), behind, HTTP_PORT):
        return Prediction(works=True, reason=f"{url} points at {host.name}, which the fault left alone")
    others = [
        other
        for other in (other_servers(run, behind.name) if host.role is Role.SLB else [])
        if (there := _named(run, other)) and not takes(run, window, end_of(host), there, HTTP_PORT)
    ]
    if others:
        return Prediction(works=True, reason=f"{url} points at {host.name}, which also has {', '.join(others)}")
    return Prediction(works=False, reason=f"{url} points at {host.name}, which has nothing but {server}")


def _named(run: Run, name: str | None) -> Host | None:
    return next((host for host in run.topology.hosts if host.name == name), None)


def port_of_url(url: str) -> int:
    """Of a URL, or of ``address:port``; HTTP's where it names none."""
    try:
        return urlsplit(url if "//" in url else f"//{url}").port or HTTP_PORT
    except ValueError:
        return HTTP_PORT


def host_of_url(run: Run, url: str) -> Host | None:
    """The host of the bed that this URL, or ``address:port`` of a proxy, points at."""
    try:
        name = urlsplit(url if "//" in url else f"//{url}").hostname or ""
        owner = run.topology.host_of(str(ipaddress.IPv4Address(name)))
    except ipaddress.AddressValueError:
        owner = name
    except ValueError:
        return None
    return _named(run, owner)


def other_servers(run: Run, server: str) -> list[str]:
    """Healthy servers beside this one, as the SLB said before the steps; where it said nothing, hosts of the same role."""
    states = seen(run, "SlbState", when="before")
    backends = {(state["slb"], state["backend"]) for state in states if state["server"] == server}
    if states:
        return sorted(
            {
                str(state["server"])
                for state in states
                if (state["slb"], state["backend"]) in backends
                and state["server"] != server
                and str(state["status"]).startswith(("UP", "no check"))
            }
        )
    role = next((host.role for host in run.topology.hosts if host.name == server), None)
    return [host.name for host in run.topology.hosts if host.role is role and host.name != server]
