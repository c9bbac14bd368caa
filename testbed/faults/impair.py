"""Kinds of impairments of a link: ``impair`` names any of them, ``delay``, ``loss`` and so on one.

``direction``: ``out`` of the host, ``in`` to it, or ``both``. Where none is given it is ``out``, but ``in`` for ``loss`` and for a
target ``a->b``: a loss on the sender's own interface may be told to the sender, whose TCP then hides it, so it belongs where the
receiver is. ``towards``: only packets to and from a peer or a role. IPv4 only: ARP and canary frames pass unimpaired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from testbed.duration import PositiveDuration, parse_duration
from testbed.errors import UsageError
from testbed.faults import impairment_means
from testbed.faults.base import Family, Fault, Plan
from testbed.faults.draw import Drawn, a_host, milliseconds
from testbed.faults.impairment import Impairment, Percent, Rate
from testbed.faults.marking import Direction, ways_of
from testbed.faults.target import BOTH, Place, addresses_of, places
from testbed.profile import PROFILES, Profile
from testbed.topology import Topology


class _Impairing(Fault):
    family: ClassVar[Family] = "impairment"
    partial: ClassVar[bool] = True
    usual_direction: ClassVar[Direction] = "out"

    direction: Direction | None = None
    towards: str = Field(default="", max_length=200)

    def impairment(self, timers: Profile) -> Impairment:
        """All that is bad about the link. ValueError where it is impossible."""
        raise NotImplementedError

    @classmethod
    def drawn(cls, topology: Topology, chance: Random) -> Drawn | None:
        """A host's link, within what timers and TCP make up for."""
        at = a_host(topology, chance)
        return {"at": at, **cls._drawn_values(chance)} if at else None

    @classmethod
    def _drawn_values(cls, chance: Random) -> Mapping[str, Any]:
        return {"by": chance.choice([1, 2, 5])}

    @property
    def alters_marks(self) -> bool:
        """A flipped bit may be one of the mark."""
        return self.impairment(PROFILES["quick"]).corrupt_percent > 0

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        for timers in PROFILES.values():
            self.impairment(timers)
        return self

    def plan(self, topology: Topology, fault_id: str) -> Plan:
        """One act for each host, way and link."""
        impairment = self.impairment(topology.timers)
        return Plan(
            acts=tuple(
                impairment_means.act(place, way, address, impairment, fault_id)
                for place in self.places(topology)
                for way in place.ways
                for address in place.addresses
            )
        )

    def claims(self, topology: Topology) -> frozenset[str]:
        """Each host's one impairment a way: netem sits at the root of a device."""
        return frozenset(f"impairment:{place.host.name}:{way}" for place in self.places(topology) for way in place.ways)

    def places(self, topology: Topology) -> tuple[Place, ...]:
        one_way = "->" in self.at and "<->" not in self.at
        ways = ways_of(self.direction or self.usual_direction)
        found = places(topology, self.at, BOTH if one_way and self.direction is None else ways)
        if not all(place.ways for place in found):
            raise UsageError(f"{self}: what goes from left to right comes in there", hint="direction: in, or none")
        return found if not self.towards else tuple(self._towards(topology, place) for place in found)

    def _towards(self, topology: Topology, place: Place) -> Place:
        peers = places(topology, self.towards)
        if place.peers or any(peer.peers or peer.protocol for peer in peers):
            raise UsageError(f"{self} towards {self.towards}: write one peer", hint="at: web-1, towards: slb")
        if place.host.name in {peer.host.name for peer in peers}:
            raise UsageError(
                f"{self} towards {self.towards}: {place.host.name} is on both sides", hint="name two hosts"
            )
        return replace(place, peers=tuple(cidr for peer in peers for cidr in peer.own or addresses_of(peer.host)))


class LinkImpair(_Impairing):
    """Any of them, in one step."""

    kind: ClassVar[str] = "impair"
    help: ClassVar[str] = (
        "packets pass badly: delay and jitter (times), loss, duplicate, reorder and corrupt (percent), rate, at once"
    )
    example: ClassVar[str] = "{impair: {at: web-1, towards: slb, delay: 50ms, jitter: 5ms, loss: 1, rate: 1mbit}}"

    delay: PositiveDuration | None = None
    jitter: PositiveDuration | None = None
    loss: Percent | None = None
    rate: Rate | None = None
    duplicate: Percent | None = None
    reorder: Percent | None = None
    corrupt: Percent | None = None

    @classmethod
    def _drawn_values(cls, chance: Random) -> Mapping[str, Any]:
        return {"delay": milliseconds(chance, 10, 40), "loss": chance.choice([2, 5])}

    def impairment(self, timers: Profile) -> Impairment:
        """As given."""
        return Impairment(
            delay_s=self.delay.seconds(timers) if self.delay else 0.0,
            jitter_s=self.jitter.seconds(timers) if self.jitter else 0.0,
            loss_percent=self.loss or 0.0,
            rate_bit_s=self.rate or 0.0,
            duplicate_percent=self.duplicate or 0.0,
            reorder_percent=self.reorder or 0.0,
            corrupt_percent=self.corrupt or 0.0,
        )


class LinkDelay(_Impairing):
    """Every packet waits."""

    kind: ClassVar[str] = "delay"
    help: ClassVar[str] = (
        "every packet through the host's link takes `by` longer, with `jitter` anywhere in by ± jitter"
    )
    example: ClassVar[str] = "{delay: {at: slb, by: 50ms}}"

    by: PositiveDuration
    jitter: PositiveDuration | None = None

    @classmethod
    def _drawn_values(cls, chance: Random) -> Mapping[str, Any]:
        return {"by": milliseconds(chance, 10, 80)}

    def impairment(self, timers: Profile) -> Impairment:
        """A delay, and maybe jitter."""
        return Impairment(delay_s=self.by.seconds(timers), jitter_s=self.jitter.seconds(timers) if self.jitter else 0.0)


class LinkJitter(_Impairing):
    """Packets wait unevenly, and overtake each other."""

    kind: ClassVar[str] = "jitter"
    help: ClassVar[str] = "packets take `delay` ± `by` longer, evenly spread (without delay: up to twice `by`)"
    example: ClassVar[str] = "{jitter: {at: slb, by: 5ms}}"

    by: PositiveDuration
    delay: PositiveDuration | None = None

    @classmethod
    def _drawn_values(cls, chance: Random) -> Mapping[str, Any]:
        return {"by": milliseconds(chance, 5, 20)}

    def impairment(self, timers: Profile) -> Impairment:
        """Jitter, around itself where no delay is given."""
        return Impairment(delay_s=(self.delay or self.by).seconds(timers), jitter_s=self.by.seconds(timers))


class LinkLoss(_Impairing):
    """Some packets are lost, on their way in unless told otherwise."""

    kind: ClassVar[str] = "loss"
    help: ClassVar[str] = "`by` percent of the packets are lost (0.5 means 0.5 %), on their way into the host"
    example: ClassVar[str] = "{loss: {at: slb, by: 5}}"
    usual_direction: ClassVar[Direction] = "in"

    by: Percent

    def impairment(self, timers: Profile) -> Impairment:
        """A loss."""
        return Impairment(loss_percent=self.by)


class LinkRate(_Impairing):
    """A slow link: packets queue, at most a thousand."""

    kind: ClassVar[str] = "rate"
    help: ClassVar[str] = "the host's link carries `by` bits a second (frames), a thousand packets wait at most"
    example: ClassVar[str] = "{rate: {at: slb, by: 1mbit}}"

    by: Rate

    @classmethod
    def _drawn_values(cls, chance: Random) -> Mapping[str, Any]:
        return {"by": chance.choice(["512kbit", "1mbit", "2mbit"])}

    def impairment(self, timers: Profile) -> Impairment:
        """A rate."""
        return Impairment(rate_bit_s=self.by)


class LinkDuplicate(_Impairing):
    """Some packets come twice."""

    kind: ClassVar[str] = "duplicate"
    help: ClassVar[str] = "`by` percent of the packets come twice"
    example: ClassVar[str] = "{duplicate: {at: slb, by: 1}}"

    by: Percent

    def impairment(self, timers: Profile) -> Impairment:
        """Copies."""
        return Impairment(duplicate_percent=self.by)


class LinkReorder(_Impairing):
    """Some packets overtake the others, which wait."""

    kind: ClassVar[str] = "reorder"
    help: ClassVar[str] = "`by` percent of the packets leave at once and overtake the others, which wait for `delay`"
    example: ClassVar[str] = "{reorder: {at: slb, by: 5, delay: 20ms}}"

    by: Percent
    delay: PositiveDuration = parse_duration("20ms")

    @classmethod
    def _drawn_values(cls, chance: Random) -> Mapping[str, Any]:
        return {"by": chance.choice([5, 10]), "delay": milliseconds(chance, 10, 40)}

    def impairment(self, timers: Profile) -> Impairment:
        """A delay that some escape."""
        return Impairment(reorder_percent=self.by, delay_s=self.delay.seconds(timers))


class LinkCorrupt(_Impairing):
    """A bit of some packets is flipped; the receiver's checksum notices."""

    kind: ClassVar[str] = "corrupt"
    help: ClassVar[str] = (
        "one bit of `by` percent of the packets is flipped; the receiver drops what fails its checksum"
    )
    example: ClassVar[str] = "{corrupt: {at: slb, by: 0.5}}"

    by: Percent

    def impairment(self, timers: Profile) -> Impairment:
        """Flipped bits."""
        return Impairment(corrupt_percent=self.by)


IMPAIRMENTS = (LinkImpair, LinkDelay, LinkJitter, LinkLoss, LinkRate, LinkDuplicate, LinkReorder, LinkCorrupt)
