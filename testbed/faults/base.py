"""What a fault is: a frozen value with its own parameters that plans, purely, what to do and what undoes it. Injector performs the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from testbed.topology import Topology

EngineAction = Literal["stop", "kill", "pause", "unpause", "start", "restart"]
Family = Literal["host", "link", "impairment", "marking", "application"]
Way = Literal["in", "out"]
"""Into the host, or out of it."""

MARK = "testbed_"
"""Begins the name of every table, and the comment of every rule, that is ours."""

QDISC_HANDLE = "7e57:"
"""Handle of every queueing discipline that is ours."""


def mark_of(fault_id: str) -> str:
    """The name that everything of this fault carries in a kernel: ``testbed_cut_12ab34cd``."""
    return MARK + fault_id.replace("-", "_")


@dataclass(frozen=True, kw_only=True, slots=True)
class OnWorkload:
    """Something the engine does to a host's workload container; ``undo`` is None where nothing needs undoing."""

    host: str
    do: EngineAction
    undo: EngineAction | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A command in a host's NIC, with what goes to its standard input.

    With ``{device}`` in it, it is run once for each device of the act's addresses; ``{devices}`` is all of them, ``"eth0", "eth1"``.
    One in the ``background`` runs while the fault is held: it prints a JSON line ``{"ready": true}`` when it works, and is ended by
    SIGTERM before anything else is undone.
    """

    argv: tuple[str, ...]
    input: str = ""
    background: bool = False

    def to_json(self) -> dict[str, Any]:
        """As the holder reads it."""
        return {"argv": list(self.argv), "input": self.input or None, "background": self.background}


@dataclass(frozen=True, kw_only=True, slots=True)
class Cycle:
    """Done for ``on_s`` seconds, undone for ``off_s``, and so on; it begins with doing."""

    on_s: float
    off_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class InNic:
    """Commands that the holder in a host's NIC runs, to do and to undo; ``confirm`` shows that it is done.

    ``addresses``: those of the links it is about, one each. ``means`` is what it is done by, for the record; ``needs`` a feature
    of the kernel that must be there.
    """

    host: str
    addresses: tuple[str, ...]
    do: tuple[Command, ...]
    undo: tuple[Command, ...]
    confirm: tuple[Command, ...] = ()
    means: str = "nft"
    needs: str = ""
    cycle: Cycle | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class AtRole:
    """Requests to the control socket of the role that a host runs (``testbed.roles.control``)."""

    host: str
    do: Mapping[str, Any]
    undo: Mapping[str, Any]
    means: str = field(default="role", init=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Either:
    """Several ways to the same effect, the best first: taken is the first whose ``needs`` the host's kernel has."""

    options: tuple[InNic, ...]

    @property
    def host(self) -> str:
        """The host, the same for all."""
        return self.options[0].host


Act = OnWorkload | InNic | AtRole | Either


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Acts in order; they are undone in reverse order."""

    acts: tuple[Act, ...]


class Fault(BaseModel):
    """A fault: ``kind`` is its word in scenarios, ``at`` its target in words. A scenario writes ``{cut: ccm-1}`` for ``{cut: {at: ccm-1}}``."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)

    kind: ClassVar[str]
    help: ClassVar[str]
    example: ClassVar[str]
    family: ClassVar[Family]

    hinders: ClassVar[frozenset[str]] = frozenset({"sccp", "http"})
    """Classes of traffic that do not pass where it is, or pass worse, or are answered wrongly, while it lasts."""
    partial: ClassVar[bool] = False
    """What it is at goes on working, but badly or by turns: who watches it need not notice, and no standby need step in."""

    momentary: ClassVar[bool] = False
    """Over as soon as it is done: healing it has nothing left to do."""

    at: str = Field(min_length=1, max_length=200)

    @classmethod
    def drawn(cls, topology: Topology, chance: Random) -> Mapping[str, Any] | None:
        """One of this kind for a random schedule: its target in this bed and its parameters, as a scenario writes them. None: none here.

        The same bed and the same state of ``chance`` give the same. A kind that does not say takes no part.
        """
        return None

    @property
    def alters_marks(self) -> bool:
        """Whether packets leave the place where it is with other marks than they came with."""
        return False

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The target alone will do where nothing else is needed."""
        full = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [{"type": "string"}, full]} if full.get("required") == ["at"] else full

    @model_validator(mode="before")
    @classmethod
    def _target_alone(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {"at": value}

    def plan(self, topology: Topology, fault_id: str) -> Plan:
        """Pure: the same arguments give the same plan. UsageError where this topology cannot have it."""
        raise NotImplementedError

    def claims(self, topology: Topology) -> frozenset[str]:
        """What it needs for itself alone while it lasts, as ``workload:ccm-1``: two faults that claim the same cannot overlap."""
        return frozenset()

    def hosts(self, topology: Topology) -> tuple[str, ...]:
        """Hosts it is performed at."""
        return tuple(dict.fromkeys(act.host for act in self.plan(topology, "id").acts))

    def __str__(self) -> str:
        return f"{self.kind} {self.at}"
