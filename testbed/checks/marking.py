"""Marks: every packet of a traffic class carries an allowed code point, SYN and RST included, everywhere or on one hop.

Two kinds of RST are nobody's marking. Those that a ``reject`` fault makes carry none. And Linux, where a packet meets no socket,
resets with the mark of that very packet: such an RST is right if it repeats it, since the packet it answers is judged by itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from testbed.checks.base import CheckKind, Params
from testbed.checks.capture import captures
from testbed.checks.facts import fault_windows, first, steps_ended_s
from testbed.document import unknown_word
from testbed.dscp import name_of
from testbed.errors import BedError, UsageError
from testbed.packets import RST, Mask, Packets, address_text
from testbed.packets.classes import Direction, answered_by_reset, class_mask, hop_mask
from testbed.policy import Marks, Policy, TrafficClass, known_policies, policy
from testbed.recording import Run
from testbed.topology import Host, Role, Topology
from testbed.verdict import Evidence, Status, Verdict


class AllowedMarks(BaseModel):
    """A policy written in the scenario itself: ``{allowed: [AF31, EF]}``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    allowed: Marks


def policy_word(value: Any) -> Any:
    """A built-in name stays a name; a file is read now, so that the run can be judged again where the file is not."""
    if not isinstance(value, str) or value in known_policies():
        return value
    try:
        return policy(value)
    except UsageError:
        raise unknown_word(value, [*known_policies(), "a .yaml file"]) from None
    except BedError as error:
        raise ValueError(error.message) from None


class PacketsParams(Params):
    """``hop``: ``web-1->slb``; each side is a host, a role, or ``phones``. ``direction``: up is towards the server. ``when``: before
    the first fault, during any (from its confirmation until its healing begins), after all of them, or always. ``seen-at``: a host
    whose capture is meant; without it all are. ``payload``: only packets that carry data, not handshakes, acknowledgements and resets.
    """

    traffic: TrafficClass = Field(alias="class")
    policy: Annotated[str | AllowedMarks | Policy, BeforeValidator(policy_word)]
    hop: Annotated[str, Field(pattern=r"^[^\s>]+ ?-> ?[^\s>]+$")] | None = None
    direction: Direction = "both"
    when: Literal["always", "before", "during", "after"] = "always"
    seen_at: str | None = Field(default=None, alias="seen-at")
    payload: bool = False

    @model_validator(mode="after")
    def _policy_has_a_rule(self) -> PacketsParams:
        if not self.allowed:
            raise ValueError(f"policy {self.policy_name} has no rule for {self.traffic}")
        return self

    @property
    def allowed(self) -> frozenset[int]:
        """Code points that the class may carry."""
        if isinstance(self.policy, AllowedMarks):
            return frozenset(self.policy.allowed)
        chosen = policy(self.policy) if isinstance(self.policy, str) else self.policy
        return frozenset(chosen.classes.get(self.traffic, ()))

    @property
    def policy_name(self) -> str:
        """For people."""
        if isinstance(self.policy, AllowedMarks):
            return "/".join(map(name_of, self.policy.allowed))
        return self.policy if isinstance(self.policy, str) else self.policy.name

    @property
    def check(self) -> str:
        """The verdict's name: ``packets sccp srnd-table-11-4 web-1->slb``."""
        parts = [
            "packets",
            self.traffic,
            "payload" if self.payload else None,
            self.policy_name,
            self.hop,
            None if self.direction == "both" else self.direction,
            None if self.when == "always" else self.when,
            f"at {self.seen_at}" if self.seen_at else None,
        ]
        return " ".join(part for part in parts if part)


def hosts_named(topology: Topology, word: str) -> tuple[Host, ...]:
    """The hosts that one side of a hop names: a host, a role's hosts, or ``phones``; UsageError lists the known ones."""
    if word in ("phones", *Role):
        return topology.with_role(Role.PHONE if word == "phones" else Role(word))
    return (topology.host(word),)


@dataclass(frozen=True, kw_only=True, slots=True)
class Marked:
    """What one capture has of the class: packets per code point, indices of wrong ones, resets that repeat a mark, and those that
    a ``reject`` fault made."""

    counts: dict[int, int]
    wrong: tuple[int, ...]
    repeating: int
    rejecting: int


def judge_packets(run: Run, params: PacketsParams) -> Verdict:
    if params.seen_at:
        run.topology.host(params.seen_at)
    read = {host: packets for host, packets in captures(run).items() if params.seen_at in (None, host)}
    found = {host: marks_of(run, params, packets) for host, packets in read.items()}
    counts: Counter[int] = Counter()
    for marked in found.values():
        counts.update(marked.counts)
    total, wrong_total = sum(counts.values()), sum(len(marked.wrong) for marked in found.values())
    repeating, rejecting = (
        sum(getattr(marked, name) for marked in found.values()) for name in ("repeating", "rejecting")
    )
    figures = {f"packets_{name_of(dscp)}": float(counts[dscp]) for dscp in sorted(counts)}
    figures |= {"packets": float(total), "wrong": float(wrong_total), "resets_repeating": float(repeating)}
    if not total:
        where = f"in {len(read)} captures" if read else "since nothing was captured"
        when = "" if params.when == "always" else f" {params.when} the fault"
        summary = f"no {params.traffic} packet seen{when} {where}"
        return Verdict(check=params.check, status=Status.INCONCLUSIVE, summary=summary, figures=figures)
    if wrong_total:
        proof = first(offence(run, host, read[host], index) for host, marked in found.items() for index in marked.wrong)
        summary = f"{wrong_total} of {total} packets carry another mark than {_words(params.allowed)}: {proof[0].text}"
        return Verdict(check=params.check, status=Status.FAIL, summary=summary, evidence=proof, figures=figures)
    marks = ", ".join(f"{name_of(dscp)} {counts[dscp]}" for dscp in sorted(counts))
    note = f"; {repeating} resets without a socket repeat the mark they answer" if repeating else ""
    note += f"; {rejecting} resets are the fault's own" if rejecting else ""
    summary = f"{total} packets in {len(read)} captures, all {_words(params.allowed)} ({marks}){note}"
    return Verdict(check=params.check, status=Status.PASS, summary=summary, figures=figures)


def marks_of(run: Run, params: PacketsParams, packets: Packets) -> Marked:
    mask = _chosen(run, params, packets)
    dscp = packets.tos >> 2
    values, numbers = np.unique(dscp[mask], return_counts=True)
    others = mask & ~np.isin(dscp, list(params.allowed))
    rejecting = others & _rejecting(run, packets)
    suspects = np.flatnonzero(others & ~rejecting).tolist()
    wrong = tuple(index for index in suspects if not _repeats_a_mark(packets, index))
    return Marked(
        counts=dict(zip(values.tolist(), numbers.tolist(), strict=True)),
        wrong=wrong,
        repeating=len(suspects) - len(wrong),
        rejecting=int(rejecting.sum()),
    )


def _repeats_a_mark(packets: Packets, index: int) -> bool:
    answered = answered_by_reset(packets, index)
    return answered is not None and packets.tos[answered] >> 2 == packets.tos[index] >> 2


def _chosen(run: Run, params: PacketsParams, packets: Packets) -> Mask:
    mask = class_mask(packets, params.traffic, params.direction) & _inside(run, params, packets)
    if params.hop:
        source, _, destination = params.hop.partition("->")
        mask = mask & hop_mask(
            packets,
            hosts_named(run.topology, source.strip()),
            hosts_named(run.topology, destination.strip()),
        )
    return mask & (packets.payload_len > 0) if params.payload else mask


def _inside(run: Run, params: PacketsParams, packets: Packets) -> Mask:
    """Packets of the part of the run that is meant. Without a fault there is no such part."""
    windows, time_s = fault_windows(run), packets.time_s
    mask: Mask = np.full(len(packets), params.when == "always", np.bool_)
    if params.when == "during":
        for window in windows:
            mask |= (time_s >= window.certain_s) & (time_s < min(window.healing_s, steps_ended_s(run)))
    elif params.when == "before" and windows:
        mask |= time_s < min(window.began_s for window in windows)
    elif params.when == "after" and windows:
        mask |= time_s > max(window.healed_s for window in windows)
    return mask


def _rejecting(run: Run, packets: Packets) -> Mask:
    """RSTs made by a firewall rule carry no mark: those of a `reject` fault, while it lasts, and no others."""
    mask: Mask = np.zeros(len(packets), np.bool_)
    for window in fault_windows(run):
        if window.kind == "reject":
            mask |= (packets.time_s >= window.began_s) & (packets.time_s <= window.healed_s)
    result: Mask = mask & (packets.tcp_flags & RST > 0)
    return result


def offence(run: Run, host: str, packets: Packets, index: int) -> Evidence:
    source, destination = (run.topology.host_of(address_text(column[index])) for column in (packets.src, packets.dst))
    text = (
        f"{source}:{packets.sport[index]} to {destination}:{packets.dport[index]} is marked {name_of(int(packets.tos[index]) >> 2)}, "
        f"seen at {host}"
    )
    return Evidence(text=text, capture=packets.file, frame=int(packets.frame[index]))


def _words(allowed: frozenset[int]) -> str:
    return " or ".join(name_of(dscp) for dscp in sorted(allowed))


PACKETS = CheckKind(
    name="packets",
    params=PacketsParams,
    judge=judge_packets,
    help=(
        "every packet of the class carries an allowed mark, in all captures or in that at one host, "
        "everywhere or on one hop, all the time or before, during or after the faults; a side of a hop is a "
        "host, a role or `phones`"
    ),
)
