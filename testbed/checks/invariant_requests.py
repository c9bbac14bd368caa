"""Requests under any faults: none is lost where a server that could have answered it was well, as captures show it.

Owed is an answer to a request through an SLB, if nothing hinders the way to the SLB, and one of the servers behind it has been well for
so long that the SLB knows. A server that works badly is not taken out by any SLB: what it answers wrongly is nobody's loss but its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from testbed.checks.facts import FOREVER, first, judged_span
from testbed.checks.http_return import is_good
from testbed.checks.http_seen import Sighting, between
from testbed.checks.invariant import Outcome, Way, Ways, is_partial, lasting
from testbed.faults.reach import End, end_of
from testbed.packets import address_text
from testbed.recording import Run
from testbed.topology import Host, Role
from testbed.verdict import Evidence

SLB_KNOWS_S = 3.0
"""From a server's healing until its SLB sends it requests: what ``restored`` allows, too."""

Backend = tuple[str, int]
"""Host and port."""


def none_lost(run: Run) -> Outcome:
    """Requests of phones and clients through the SLB, from the first step until the bed was steady after the last."""
    balancers = run.topology.with_role(Role.SLB)
    clients = [*run.topology.with_role(Role.PHONE), *run.topology.with_role(Role.CLIENT)]
    if not balancers or not clients:
        return Outcome(absent=f"the bed has no {'SLB' if clients else 'phones and no client'}")
    seen = between(run, clients, balancers)
    if seen.unseen:
        return Outcome(unknown=f"nothing was captured at {seen.unseen}")
    since_s, until_s = judged_span(run)
    asked = [one for one in seen.sightings if since_s <= one.exchange.began_s < until_s and not one.exchange.is_open]
    if not asked:
        return Outcome(unknown="no request through the SLB was captured")
    behind = _behind(run, balancers, seen.sightings)
    failed = [one for one in asked if not is_good(one)]
    ways = Ways(run)
    owed = {id(one): proof for one in failed if (proof := _owed(run, ways, one, behind))}
    unknown = [one for one in failed if not behind.get(one.exchange.server)]
    figures = {
        "requests": float(len(asked)),
        "requests_lost": float(len(owed)),
        "requests_excused": float(len(failed) - len(owed)),
    }
    if owed:
        proofs = tuple(owed.values())
        said = f"{len(owed)} of {len(asked)} requests lost though a server was well: {proofs[0].text}"
        return Outcome(broken=first(proofs), said=said, figures=figures)
    if unknown:
        return Outcome(unknown="nothing shows which servers stand behind the SLB: capture there", figures=figures)
    excused = f", {len(failed)} failed where none could be answered" if failed else ""
    return Outcome(good=f"{len(asked)} requests{excused}", figures=figures)


def _behind(run: Run, balancers: Iterable[Host], sightings: Iterable[Sighting]) -> dict[tuple[int, int], set[Backend]]:
    """Address and port of the SLB -> the servers behind: those it asked for the same pages, and the others of their role."""
    pages: dict[str, set[Backend]] = defaultdict(set)
    servers = [host for host in run.topology.hosts if host.role not in (Role.SLB, Role.PHONE, Role.CLIENT)]
    for one in between(run, list(balancers), servers).sightings:
        if one.exchange.method:
            name = run.topology.host_of(address_text(one.exchange.server[0]))
            pages[one.exchange.path].add((name, one.exchange.server[1]))
    found: dict[tuple[int, int], set[Backend]] = defaultdict(set)
    for one in sightings:
        for name, port in pages.get(one.exchange.path, ()) if one.exchange.method else ():
            role = run.topology.host(name).role
            alike = run.topology.with_role(role) if role in (Role.WEB_HOST, Role.CALL_CONTROL) else ()
            found[one.exchange.server] |= {(name, port), *((host.name, port) for host in alike)}
    return found


def _owed(run: Run, ways: Ways, one: Sighting, behind: dict[tuple[int, int], set[Backend]]) -> Evidence | None:
    """The request as evidence, with the server that was well; None where nobody had to answer it."""
    exchange = one.exchange
    client = address_text(exchange.client[0])
    slb = run.topology.host(run.topology.host_of(address_text(exchange.server[0])))
    since_s, until_s = exchange.began_s, exchange.ended.time_s if exchange.ended else FOREVER
    asking = Way(
        one=End(host=run.topology.host_of(client), addresses=(client,)),
        other=slb,
        port=exchange.server[1],
        traffic="http",
    )
    if lasting(ways.on(asking), since_s, until_s):
        return None
    well = []
    for name, port in sorted(behind.get(exchange.server, ())):
        on_the_way = ways.on(Way(one=end_of(slb), other=run.topology.host(name), port=port, traffic="http"))
        if any(is_partial(window) for window in lasting(on_the_way, since_s, until_s)):
            return None
        if not lasting(on_the_way, since_s - SLB_KNOWS_S, until_s):
            well.append(name)
    if not well:
        return None
    outcome = exchange.failure or f"HTTP {exchange.status}"
    return one.proves(run, f"{outcome}, and {' and '.join(well)} could have answered")
