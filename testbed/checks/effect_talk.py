"""Conversations of a host in a capture: what it was asked, what it sent, and signs of its life in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from testbed.checks.effect import Edge, Mask
from testbed.checks.effect_packets import Observed
from testbed.checks.facts import FaultWindow, seen
from testbed.packets import FIN, RST, SYN, TCP, UDP, Packets
from testbed.packets.classes import owned
from testbed.verdict import Evidence

LATE_S = 0.25
"""How long after its confirmation an answer may still come: one under way, a pause of a busy machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sign:
    """A packet or an event that says something of a workload."""

    time_s: float
    evidence: Evidence


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Talk:
    """One capture, as far as it is about one host: masks over its packets."""

    packets: Packets
    to_host: Mask
    from_host: Mask

    @property
    def alive(self) -> Mask:
        """What the workload sends: data, and the first two packets of a connection."""
        kinds = (self.packets.proto == TCP) | (self.packets.proto == UDP)
        begins = (self.packets.proto == TCP) & (self.packets.tcp_flags & (SYN | RST) == SYN)
        mask: Mask = self.from_host & ((kinds & (self.packets.payload_len > 0)) | begins)
        return mask

    @property
    def data(self) -> Mask:
        """Data only: a kernel accepts connections for a workload that is frozen."""
        kinds = (self.packets.proto == TCP) | (self.packets.proto == UDP)
        mask: Mask = self.from_host & kinds & (self.packets.payload_len > 0)
        return mask

    @property
    def closing(self) -> Mask:
        """FIN and RST from the host."""
        mask: Mask = self.from_host & (self.packets.proto == TCP) & (self.packets.tcp_flags & (FIN | RST) > 0)
        return mask

    def sign(self, number: int, text: str) -> Sign:
        """This packet as a sign."""
        frame = int(self.packets.frame[number])
        proof = Evidence(text=text, capture=self.packets.file, frame=frame)
        return Sign(time_s=float(self.packets.time_s[number]), evidence=proof)

    def first(self, mask: Mask, since_s: float, text: str) -> list[Sign]:
        """The first of these packets since then, if there is one."""
        return [self.sign(int(i), text) for i in np.flatnonzero(mask & (self.packets.time_s >= since_s))[:1]]

    def last(self, mask: Mask, until_s: float, text: str) -> list[Sign]:
        """The last of these packets until then."""
        return [self.sign(int(i), text) for i in np.flatnonzero(mask & (self.packets.time_s <= until_s))[-1:]]


def talks(observed: Observed, host: str) -> list[Talk]:
    """In the capture at the host itself, which has everything; without one, in all others."""
    own = observed.capture(host)
    found = [own] if own is not None else list(observed.captures.values())
    place = [observed.run.topology.host(host)]
    return [
        Talk(packets=packets, to_host=owned(packets.dst, place), from_host=owned(packets.src, place))
        for packets in found
    ]


def still_alive(
    own: Sequence[Talk], window: FaultWindow, host: str, until_s: float, sends: Callable[[Talk], Mask]
) -> list[str]:
    since_s = window.certain_s + LATE_S
    late = sum(int((sends(talk) & within(talk.packets, since_s, until_s)).sum()) for talk in own)
    return [f"{host} sent {late} packets while it lasted"] if late else []


def starts(observed: Observed, host: str, since_s: float, until_s: float) -> list[Sign]:
    """A role's own word that it started: an event."""
    return [
        Sign(time_s=event.time_s, evidence=event.proves(f"{host} started"))
        for event in seen(observed.run, "RoleStarted", since_s=since_s, until_s=until_s)
        if event.event.host == host
    ]


def within(packets: Packets, since_s: float, until_s: float) -> Mask:
    mask: Mask = (packets.time_s >= since_s) & (packets.time_s <= until_s)
    return mask


def latest(found: Iterable[Sequence[Sign]]) -> Sign | None:
    signs = [sign for some in found for sign in some]
    return max(signs, key=lambda sign: sign.time_s, default=None)


def edge(before: Sign | None, after: Sign) -> Edge:
    evidence = (*((before.evidence,) if before else ()), after.evidence)
    return Edge(before_s=before.time_s if before else None, after_s=after.time_s, evidence=evidence)
