"""Random schedules: scenarios with faults at random times and places of a bed, judged by invariants. Pure: a seed gives the same for ever.

Times are in keepalives of the profile. Two faults that could not be told apart in the packets, or of which one would hide the other,
are never there at the same time; everything else may be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from pydantic import ValidationError

from testbed.errors import UsageError
from testbed.faults import KINDS, Fault
from testbed.faults.draw import controls, servers
from testbed.faults.probing import PROBED
from testbed.scenario_model import PHONE_SERVICE_SITE, Scenario, registered_model
from testbed.topology import Host, Role, Topology

MOST_FAULTS = 4
FIRST, OVER = 2.0, 14.0
"""No fault begins before the one or lasts longer than until the other: what is before and after shows what was during."""
SHORTEST, LONGEST = 2.0, 6.0
CALM = 4.0
"""Between two faults of one host: phones return, and the SLB finds its servers well."""
QUIET = 4.0
"""At the end: a call control gives up who has been silent for three."""
TRIES = 80
"""Draws for one schedule; one that does not fit is drawn again."""

PAGES = (PHONE_SERVICE_SITE + "text", "http://${BED_PREFIX}.1.1/CCMCIP/xmldirectory.asp")
"""What phones ask for all the while, where the shipped bed's SLB is there to be asked: pages of web hosts, and of call controls."""
PAGE_INTERVAL = "0.6 keepalives"
RESETS, ASKS = frozenset({"sccp"}), frozenset({"http"})
"""What hinders registrations alone has phones begin anew, which then ask for nothing; what hinders pages alone is seen by who asks."""
SETTLED = 1.0
"""After phones were reset, until they are told to ask for pages again."""

DEFAULT_POLICY = "srnd-table-11-4"


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """A fault and when: keepalives since the steps began."""

    fault: Fault
    at: float
    lasts: float

    @property
    def until(self) -> float:
        return round(self.at + self.lasts, 1)

    def to_step(self) -> dict[str, Any]:
        """As a scenario writes it."""
        inject = {self.fault.kind: self.fault.model_dump(mode="json", by_alias=True, exclude_none=True)}
        return {"at": keepalives(self.at), "inject": inject, "for": keepalives(self.lasts)}


def keepalives(number: float) -> str:
    """In words of a scenario."""
    return f"{number:.10g} keepalives"


def random_scenario(
    topology: Topology, seed: int, number: int, *, bed: Sequence[str], policy: str = DEFAULT_POLICY
) -> Scenario:
    """The ``number``-th schedule of this seed (from 1), of one to four faults; UsageError where this bed can have none.

    It depends on the bed's hosts, phones and profile and on the kinds that are registered, and on nothing else.
    """
    drawn = _draw(topology, Random(f"{seed}/{number}"))
    if not drawn:
        raise UsageError(
            "no kind of fault can be drawn for this bed",
            hint="it needs hosts that are asked for something: call controls with phones, or an SLB with servers",
        )
    over = max(one.until for one in drawn) + QUIET
    record = {
        "scenario": f"random-{seed}-{number}",
        "description": f"Schedule {number} of seed {seed}: {', '.join(str(one.fault) for one in drawn)}.",
        "tags": ["random"],
        "bed": list(bed),
        "phones": len(topology.phones),
        "profile": topology.profile,
        "profiles": [topology.profile],
        "capture": _captured(topology),
        "steady": _steady(topology),
        "steps": [*_steps(topology, drawn, over), *_end(topology, over)],
        "expect": [{"invariants": {"policy": policy}}, {"recovered": {}}],
    }
    return registered_model().model_validate(record)


def _draw(topology: Topology, chance: Random) -> list[Drawn]:
    """In order of time."""
    wanted = chance.randint(1, MOST_FAULTS)
    found: list[Drawn] = []
    for _ in range(TRIES):
        if len(found) == wanted:
            break
        one = _one(topology, chance)
        if one is not None and not any(in_the_way(topology, one, other) for other in found):
            found.append(one)
    return sorted(found, key=lambda one: (one.at, str(one.fault)))


def _one(topology: Topology, chance: Random) -> Drawn | None:
    """Families first, so that one with many kinds does not crowd out the others. Always the same number of draws before the kind's own."""
    families = sorted({kind.family for kind in KINDS.values()})
    family = chance.choice(families)
    kind = KINDS[chance.choice(sorted(word for word, kind in KINDS.items() if kind.family == family))]
    at = round(chance.uniform(FIRST, OVER - SHORTEST), 1)
    lasts = min(round(chance.uniform(SHORTEST, LONGEST), 1), round(OVER - at, 1))
    given = kind.drawn(topology, chance)
    if given is None:
        return None
    try:
        fault = kind.model_validate(given)
        fault.plan(topology, "drawn")
    except (ValidationError, UsageError):
        # This bed does not support it.
        return None
    return Drawn(fault=fault, at=at, lasts=SHORTEST if fault.momentary else lasts)


def in_the_way(topology: Topology, one: Drawn, other: Drawn) -> bool:
    """Whether the two, at these times, could not both be performed, or not both be proved."""
    apart = one.at - other.until if one.at >= other.at else other.at - one.until
    if apart >= CALM:
        return False
    if {one.fault.hinders, other.fault.hinders} == {RESETS, ASKS}:
        return True
    if one.fault.claims(topology) & other.fault.claims(topology):
        return True
    at_one, at_other = places(topology, one.fault), places(topology, other.fault)
    needed = (at_one & needs(topology, other.fault)) | (at_other & needs(topology, one.fault))
    return bool(at_one & at_other or needed)


def places(topology: Topology, fault: Fault) -> frozenset[str]:
    """Hosts whose packets it changes: where it is performed, and the other side of a pair. Phones are many: most are left alone."""
    words = {word.strip() for word in re.split(r"<->|->|\bat\b|\bof\b", fault.at)}
    named = [
        host.name for host in topology.hosts if {host.name, str(host.role)} & words and host.role is not Role.PHONE
    ]
    return frozenset([*fault.hosts(topology), *named])


def needs(topology: Topology, fault: Fault) -> frozenset[str]:
    """Hosts without which nobody would notice it: servers, and pages of all sorts, are asked by the SLB."""
    at_server = set(fault.hosts(topology)) & set(servers(topology)) and fault.family not in PROBED
    if at_server or fault.hinders == frozenset({"http"}):
        return frozenset(host.name for host in topology.with_role(Role.SLB))
    return frozenset()


# -- what is there besides the faults


def _captured(topology: Topology) -> list[str]:
    """Where any of the invariants is seen."""
    ends = [*topology.with_role(Role.PHONE), *topology.with_role(Role.CLIENT)]
    names = [host.name for host in ends] + controls(topology) + servers(topology)
    return list(dict.fromkeys([*names, *(host.name for host in topology.with_role(Role.SLB))]))


def _steady(topology: Topology) -> dict[str, Any] | None:
    hops = [
        f"{client.name}->{slb.name}"
        for client in topology.with_role(Role.CLIENT)
        for slb in topology.with_role(Role.SLB)
    ]
    return {"http": hops} if hops else None


def _browses(topology: Topology, drawn: Sequence[Drawn], over: float) -> list[tuple[float, dict[str, Any]]]:
    """When, and the step. Each page is asked for by its own share of the phones; those that were reset are told again."""
    if not topology.phones:
        return []
    first_half = topology.prefix.removesuffix(".0.0/16")
    behind: tuple[Iterable[Host], ...] = (topology.with_role(Role.WEB_HOST), topology.with_role(Role.CALL_CONTROL))
    balancers = {host.name for host in topology.with_role(Role.SLB)}
    urls = [
        url
        for url, hosts in zip(PAGES, behind, strict=True)
        if topology.host_of(url.replace("${BED_PREFIX}", first_half).split("/")[2]) in balancers
        and all(host.ours for host in hosts)
    ]
    begins = [0.0, *(round(one.until + SETTLED, 1) for one in drawn if one.fault.hinders == RESETS)]
    found = []
    for at in begins:
        for place, url in enumerate(urls):
            if phones := topology.phones[place :: len(urls)]:
                browse = {"url": url, "interval": PAGE_INTERVAL, "for": keepalives(over - at), "phones": list(phones)}
                found.append((at, {"at": keepalives(at), "browse": browse} if at else {"browse": browse}))
    return found


def _steps(topology: Topology, drawn: Sequence[Drawn], over: float) -> list[dict[str, Any]]:
    """In order of time."""
    timed = [*_browses(topology, drawn, over), *((one.at, one.to_step()) for one in drawn)]
    return [step for _, step in sorted(timed, key=lambda item: item[0])]


def _end(topology: Topology, over: float) -> list[dict[str, Any]]:
    return [{"at": keepalives(over), **({"after": "returned"} if topology.phones else {})}]
