"""Faults of an application: the host is up, its ports are open, and what it answers is wrong, late, a refusal, or nothing at all.

Our own roles have them when asked to through their control socket (``testbed.roles.held_faults``), and lose them when they end. An
image of the user's own has no such socket: what comes closest there is said in the refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from testbed.duration import Duration, PositiveDuration
from testbed.errors import UsageError
from testbed.faults.base import AtRole, Family, Fault, Plan
from testbed.faults.draw import Drawn, controls, milliseconds, servers
from testbed.faults.target import places
from testbed.topology import Host, Role, Topology

MAX_DELAY_S = 120.0
"""Longer than any client of the bed waits for a page."""
DEFAULT_REFUSAL = "Error: DB Config"

Percent = Annotated[float, Field(ge=0.1, le=100)]
Path = Annotated[str, Field(pattern=r"^(/[^\s?#*]*\*?|\*)$", max_length=200)]
"""``/text``, ``/CCMCIP/*`` (all that begin so), ``*`` (every page, the health page that an SLB asks too)."""


def _printable(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ValueError("must be printable ASCII characters")
    return text


def _bearable(by: Duration) -> Duration:
    if by.unit != "keepalives" and by.amount * {"ms": 0.001, "s": 1, "min": 60}[by.unit] > MAX_DELAY_S:
        raise ValueError(f"no client waits longer than {MAX_DELAY_S:g}s")
    return by


class _ApplicationFault(Fault):
    family: ClassVar[Family] = "application"
    roles: ClassVar[tuple[Role, ...]] = (Role.WEB_HOST, Role.CALL_CONTROL)
    instead: ClassVar[str]
    """What to inject at a host that runs the user's own image."""

    def plan(self, topology: Topology, fault_id: str) -> Plan:
        """A request to each host's role to be ill, and one to be well."""
        request = {"op": "fault", "id": fault_id, "kind": self.kind, **self.request(topology)}
        undo = {"op": "heal", "id": fault_id}
        return Plan(acts=tuple(AtRole(host=host.name, do=request, undo=undo) for host in self._hosts(topology)))

    def claims(self, topology: Topology) -> frozenset[str]:
        """The workload: one that is frozen cannot be asked, one that ends takes the fault with it."""
        names = [host.name for host in self._hosts(topology)]
        return frozenset(f"{what}:{name}" for name in names for what in ("workload", "application"))

    def request(self, topology: Topology) -> Mapping[str, Any]:
        """The fault's own parameters, as the role reads them."""
        raise NotImplementedError

    def _hosts(self, topology: Topology) -> tuple[Host, ...]:
        found = places(topology, self.at)
        if not all(place.everything and not place.peers for place in found):
            raise UsageError(f"{self.kind} {self.at}: an application has it towards everybody", hint="name hosts only")
        for host in (place.host for place in found):
            if host.role not in self.roles:
                raise UsageError(
                    f"{self.kind} is a fault of a {' or a '.join(self.roles)}, and {host.name} is a {host.role}",
                    hint=f"for instance {self.example}",
                )
            if not host.ours:
                raise UsageError(
                    f"{self.kind} at {host.name}: it runs an image or files of yours, which no test-bed can ask to fail",
                    hint=f"instead: {self.instead.format(host=host.name)}",
                )
        return tuple(place.host for place in found)


class _PageFault(_ApplicationFault):
    hinders: ClassVar[frozenset[str]] = frozenset({"http"})
    partial: ClassVar[bool] = True

    path: Path | None = None
    share: Percent = 100.0

    @classmethod
    def drawn(cls, topology: Topology, chance: Random) -> Drawn | None:
        """At a host that is asked for pages: the first of its sort."""
        firsts = [*servers(topology)[:1], *(controls(topology)[:1] if topology.with_role(Role.SLB) else ())]
        if not firsts:
            return None
        path = {"path": "*"} if chance.random() < 0.5 else {}
        return {"at": chance.choice(firsts), **path, **cls._drawn_values(chance)}

    @classmethod
    def _drawn_values(cls, chance: Random) -> Mapping[str, Any]:
        return {}

    def request(self, topology: Topology) -> Mapping[str, Any]:
        """``path`` (none: all but the health page) and ``share``."""
        return {"path": self.path, "share": self.share}


class HttpError(_PageFault):
    """``share``: in percent of the requests it is about, evenly and without chance."""

    kind: ClassVar[str] = "http-error"
    help: ClassVar[str] = "pages of a web host are answered with an error status; its health page only if path says so"
    example: ClassVar[str] = "{http-error: {at: web-1, status: 503, path: /text, share: 50}}"
    instead: ClassVar[str] = "{{reject: tcp/80 at {host}}} refuses its connections, {{stop: {host}}} ends it"

    status: Annotated[int, Field(ge=400, le=599)] = 500

    @classmethod
    def _drawn_values(cls, chance: Random) -> Mapping[str, Any]:
        return {"status": chance.choice([404, 500, 503])}

    def request(self, topology: Topology) -> Mapping[str, Any]:
        """With the status."""
        return {**super().request(topology), "status": self.status}


class HttpSlow(_PageFault):
    """The page is made once the delay is over."""

    kind: ClassVar[str] = "http-slow"
    help: ClassVar[str] = "pages of a web host are answered late; its health page only if path says so"
    example: ClassVar[str] = "{http-slow: {at: web-1, by: 2s, path: /text}}"
    instead: ClassVar[str] = (
        "{{delay: {{at: {host}, by: 2s}}}} delays its packets, {{freeze: {host}}} stops its answers"
    )

    by: Annotated[PositiveDuration, AfterValidator(_bearable)]

    @classmethod
    def _drawn_values(cls, chance: Random) -> Mapping[str, Any]:
        return {"by": milliseconds(chance, 300, 1200)}

    def request(self, topology: Topology) -> Mapping[str, Any]:
        """With the delay in seconds."""
        return {**super().request(topology), "by_s": self.by.seconds(topology.timers)}


class RegisterReject(_ApplicationFault):
    """Who is registered stays so until it registers again; ``reset`` makes it do that, as an administrator's device reset does."""

    kind: ClassVar[str] = "register-reject"
    hinders: ClassVar[frozenset[str]] = frozenset({"sccp"})
    help: ClassVar[str] = "call control refuses registrations with a text; reset: true has its phones register anew"
    example: ClassVar[str] = '{register-reject: {at: ccm-1, text: "Error: DB Config", reset: true}}'
    roles: ClassVar[tuple[Role, ...]] = (Role.CALL_CONTROL,)
    instead: ClassVar[str] = "{{reject: tcp/2000 at {host}}} refuses its connections"

    text: Annotated[str, Field(min_length=1, max_length=32), AfterValidator(_printable)] = DEFAULT_REFUSAL
    reset: bool = False

    @classmethod
    def drawn(cls, topology: Topology, chance: Random) -> Drawn | None:
        """Where the phones are; they are reset, or nobody would notice."""
        first = controls(topology)[:1]
        return {"at": first[0], "reset": True} if first else None

    def request(self, topology: Topology) -> Mapping[str, Any]:
        """Text and reset."""
        return {"text": self.text, "reset": self.reset}


class Mute(_ApplicationFault):
    """Signalling and pages alike; what waits for an answer when it is healed gets it then, if it is still there."""

    kind: ClassVar[str] = "mute"
    help: ClassVar[str] = "call control accepts connections and what is sent on them, and answers nothing"
    example: ClassVar[str] = "{mute: ccm-1}"
    roles: ClassVar[tuple[Role, ...]] = (Role.CALL_CONTROL,)
    instead: ClassVar[str] = "{{freeze: {host}}} stops its answers, {{cut-out: {host}}} drops them"

    @classmethod
    def drawn(cls, topology: Topology, chance: Random) -> Drawn | None:
        """Any call control."""
        names = controls(topology)
        return {"at": chance.choice(names)} if names else None

    def request(self, topology: Topology) -> Mapping[str, Any]:
        """Nothing."""
        return {}
