"""Faults of marking: DSCP changed in flight, as a router at the edge of another network does. ECN is left alone."""

from __future__ import annotations

from random import Random
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from testbed.dscp import code_point, name_of
from testbed.errors import UsageError
from testbed.faults.base import Family, Fault, InNic, Plan, Way
from testbed.faults.draw import Drawn, a_way
from testbed.faults.link import IPV4, chains, table_act
from testbed.faults.target import BOTH, Place, places
from testbed.topology import Topology

Direction = Literal["in", "out", "both"]


def ways_of(direction: Direction) -> tuple[Way, ...]:
    """``both`` is two."""
    return BOTH if direction == "both" else (direction,)


def _code_point(value: Any) -> int:
    try:
        return code_point(str(value))
    except UsageError as error:
        raise ValueError(f"{error.message}; {error.hint}") from None


CodePoint = Annotated[
    int,
    BeforeValidator(_code_point),
    PlainSerializer(name_of, return_type=str),
    WithJsonSchema({"type": ["string", "integer"]}),
]
"""Name or number of a code point."""


class _Marking(Fault):
    family: ClassVar[Family] = "marking"
    hinders: ClassVar[frozenset[str]] = frozenset()

    direction: Direction = "both"

    @classmethod
    def drawn(cls, topology: Topology, chance: Random) -> Drawn | None:
        """Any link, any direction."""
        at = a_way(topology, chance)
        return {"at": at, "direction": chance.choice(["in", "out", "both"])} if at else None

    @property
    def alters_marks(self) -> bool:
        """That is all it does."""
        return True

    def plan(self, topology: Topology, fault_id: str) -> Plan:
        """One table a host."""
        return Plan(acts=tuple(self._act(p, fault_id) for p in places(topology, self.at, ways_of(self.direction))))

    def _act(self, place: Place, fault_id: str) -> InNic:
        return table_act(place, fault_id, chains(place, self._verdict(), IPV4))

    def _verdict(self) -> str:
        raise NotImplementedError


class Bleach(_Marking):
    """Every mark becomes default."""

    kind: ClassVar[str] = "bleach"
    help: ClassVar[str] = "every packet through the host's link loses its mark (DSCP default), in, out or both"
    example: ClassVar[str] = "{bleach: {at: ccm-1, direction: out}}"

    def _verdict(self) -> str:
        return "ip dscp set 0"


class Remark(_Marking):
    """One code point becomes another."""

    kind: ClassVar[str] = "remark"
    help: ClassVar[str] = "packets through the host's link that carry one mark get another"
    example: ClassVar[str] = "{remark: {at: ccm-1, from: AF31, to: CS3}}"

    from_: CodePoint = Field(alias="from")
    to: CodePoint

    @classmethod
    def drawn(cls, topology: Topology, chance: Random) -> Drawn | None:
        """The mark of signalling becomes another."""
        found = super().drawn(topology, chance)
        return found and {**found, "from": "AF31", "to": chance.choice(["CS3", "EF", "default"])}

    @model_validator(mode="after")
    def _changes_something(self) -> Remark:
        if self.from_ == self.to:
            raise ValueError(f"from and to are both {name_of(self.to)}")
        return self

    def _verdict(self) -> str:
        return f"ip dscp set {self.to}"

    def _act(self, place: Place, fault_id: str) -> InNic:
        text = chains(place, self._verdict(), IPV4).replace(" counter ", f" ip dscp {self.from_} counter ")
        return table_act(place, fault_id, text)
