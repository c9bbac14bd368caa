"""Packets around a fault: the last answer of the lost call control and the first sign of its absence must enclose the effect."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from testbed.checks.capture import captures
from testbed.checks.facts import FOREVER, FaultWindow, fault_windows
from testbed.packets import FIN, RST, Packets, address_number
from testbed.packets.classes import owned
from testbed.packets.sccp import Message, keepalives, sccp_mask, sccp_messages
from testbed.recording import Run
from testbed.topology import Host, Role
from testbed.verdict import Evidence

TOLERANCE_S = 0.25
"""How far packets may contradict the confirmed instant: an answer under way, a pause of the scheduler on a busy machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bracket:
    """Around a fault's effect on a call control, seen at one phones host; None where no such packet was captured."""

    answered_s: float | None
    unanswered_s: float | None
    evidence: tuple[Evidence, ...]

    def contradicts(self, window: FaultWindow) -> bool:
        """Whether an answer came clearly after the effect, or absence was seen clearly before anything was done."""
        late = self.answered_s is not None and self.answered_s > window.effect_s + TOLERANCE_S
        early = self.unanswered_s is not None and self.unanswered_s < window.began_s - TOLERANCE_S
        return late or early


def brackets(run: Run, window: FaultWindow, phones: Collection[str]) -> list[Bracket]:
    """One for every capture at a phones host that has packets between the failed call control and the phones concerned."""
    target = run.topology.host(window.target)
    fleets = {host.name for host in run.topology.with_role(Role.PHONE)}
    earlier = [other.healed_s for other in fault_windows(run) if other.target == target.name]
    since_s = max((healed_s for healed_s in earlier if healed_s <= window.began_s), default=-FOREVER)
    own = np.array([address_number(run.topology.phone_address(phone)) for phone in phones], np.uint32)
    found = (
        _bracket(packets.only(np.isin(packets.src, own) | np.isin(packets.dst, own)), window, since_s, target, host)
        for host, packets in captures(run).items()
        if host in fleets
    )
    return [bracket for bracket in found if bracket.evidence]


def _bracket(packets: Packets, window: FaultWindow, since_s: float, target: Host, vantage: str) -> Bracket:
    messages = [message for message in sccp_messages(packets) if since_s < message.time_s < window.healing_s]
    answer = _last_answer(packets, messages, target)
    absence = min([*_unanswered(packets, messages, target), *_closings(packets, target, window)], default=None)
    evidence = []
    if answer:
        text = f"last answer of {target.name} seen at {vantage}"
        evidence.append(Evidence(text=text, capture=packets.file, frame=answer.frame))
    if absence:
        text = f"first sign at {vantage} that {target.name} is gone: {absence[2]}"
        evidence.append(Evidence(text=text, capture=packets.file, frame=absence[1]))
    return Bracket(
        answered_s=answer.time_s if answer else None,
        unanswered_s=absence[0] if absence else None,
        evidence=tuple(evidence),
    )


def _last_answer(packets: Packets, messages: list[Message], target: Host) -> Message | None:
    from_target = set(packets.frame[owned(packets.src, [target])].tolist())
    return next((message for message in reversed(messages) if message.frame in from_target), None)


Sign = tuple[float, int, str]
"""(time, frame, what it is)."""


def _unanswered(packets: Packets, messages: list[Message], target: Host) -> list[Sign]:
    to_target = set(packets.frame[owned(packets.dst, [target])].tolist())
    return [
        (pair.sent.time_s, pair.sent.frame, "a KeepAlive without an answer")
        for pair in keepalives(messages)
        if pair.answer is None and pair.sent.frame in to_target
    ][:1]


def _closings(packets: Packets, target: Host, window: FaultWindow) -> list[Sign]:
    """FIN and RST by which the call control closes; not before the fault, when it may close for reasons of its own."""
    since = (packets.time_s >= window.began_s - TOLERANCE_S) & (packets.time_s < window.healing_s)
    closing = sccp_mask(packets) & owned(packets.src, [target]) & (packets.tcp_flags & (FIN | RST) > 0) & since
    return [
        (float(packets.time_s[index]), int(packets.frame[index]), "a FIN or an RST")
        for index in np.flatnonzero(closing)[:1]
    ]
