"""What a fault is: a frozen value with its own parameters that plans, purely, what to do and what undoes it. Bed performs the plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from testbed.errors import UsageError
from testbed.topology import Host, Topology

EngineAction = Literal["stop", "kill", "pause", "unpause", "start"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OnWorkload:
    """Something the engine does to a host's workload container."""

    host: str
    action: EngineAction


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A command in a host's NIC, with what goes to its standard input."""

    argv: tuple[str, ...]
    input: str = ""

    def to_json(self) -> dict[str, Any]:
        """As the holder reads it."""
        return {"argv": list(self.argv), "input": self.input or None}


@dataclass(frozen=True, kw_only=True, slots=True)
class InNic:
    """Commands that the NIC's holder runs; ``{device}`` in them is the interface of the host's address ``address``."""

    host: str
    address: str
    commands: tuple[Command, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to do, what undoes it, and (in the NIC) what shows that it is done."""

    do: OnWorkload | InNic
    undo: OnWorkload | InNic
    confirm: tuple[Command, ...] = ()


class Fault(Protocol):
    """A fault; ``target`` is a host's name."""

    kind: ClassVar[str]
    help: ClassVar[str]

    @property
    def target(self) -> str: ...

    def plan(self, topology: Topology, fault_id: str) -> Plan:
        """Pure: the same arguments give the same plan. UsageError where this topology cannot have it."""
        ...


class FaultKind(Protocol):
    """What the table of kinds holds: called with a target it gives the fault."""

    @property
    def kind(self) -> str: ...

    @property
    def help(self) -> str: ...

    def __call__(self, target: str) -> Fault: ...


def linked_host(topology: Topology, name: str) -> Host:
    """The target of a link fault: it must have a link."""
    host = topology.host(name)
    if not host.links:
        raise UsageError(f"host {name!r} has no link to break")
    return host
