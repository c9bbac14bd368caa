"""Proofs for faults of a host's workload, from its conversations: whether it lives, refuses, or is acknowledged and silent.

*Alive* is what only a workload sends: data, or the acceptance of a connection. *Gone* is what its kernel sends in its place: a FIN or RST
that closes a session, a refusal. While it is stopped there must be none of the first and some of the second; while it is frozen or mute,
requests that TCP acknowledges and nobody answers.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np

from testbed.checks.effect import EARLY_S, Edge, Effect, Mask, Part, combined
from testbed.checks.effect_link import prove_cut
from testbed.checks.effect_packets import Observed
from testbed.checks.effect_talk import Sign, Talk, edge, latest, starts, still_alive, talks, within
from testbed.checks.facts import FOREVER, FaultWindow, seen
from testbed.packets import FIN, RST, SYN
from testbed.packets.classes import answered_by_reset
from testbed.packets.probe import ICMP
from testbed.packets.sccp import sccp_mask
from testbed.probe import ECHO_HEADER, UNREACHABLE

START_S = 3.0
"""From the engine's word that a workload runs again to its first answer, when somebody asks."""
_PORT_UNREACHABLE = 3


def prove_gone(observed: Observed, window: FaultWindow) -> Effect:
    """Stop and kill: refused from then on, until it is started again."""
    return combined(window, [_gone(observed, window, host, window.healing_s) for host in window.hosts])


def prove_restart(observed: Observed, window: FaultWindow) -> Effect:
    """Gone for a moment: sessions closed or connections refused, then alive again; or by the role's own word that it started."""
    parts = []
    for host in window.hosts:
        until_s = window.healed_s + START_S
        gone = _first_gone(observed, host, window.began_s, until_s)
        signs = [*gone, *starts(observed, host, window.began_s, until_s)]
        if not signs:
            parts.append(
                Part(doubts=(f"{host} closed no session, refused no connection and did not say that it started",))
            )
            continue
        first = min(signs, key=lambda sign: sign.time_s)
        before = latest(
            talk.last(talk.alive, first.time_s - 1e-9, f"last sign of life of {host}") for talk in talks(observed, host)
        )
        ended, doubts = _alive_again(observed, host, max(first.time_s, window.healing_s), window)
        parts.append(Part(began=edge(before, first), ended=ended, doubts=tuple(doubts)))
    return combined(window, parts)


def prove_power_off(observed: Observed, window: FaultWindow) -> Effect:
    """A cut by which nobody is told anything, and a workload that has to be started afterwards."""
    effect = prove_cut(observed, window)
    doubts: list[str] = []
    for host in window.hosts:
        told = [
            talk.sign(int(number), f"{host} closed a connection")
            for talk in talks(observed, host)
            for number in np.flatnonzero(talk.closing & within(talk.packets, window.effect_s, window.healing_s))[:1]
        ]
        if told:
            doubts.append(f"{host} closed a connection while it was off")
        started = [event for event in seen(observed.run, "RoleStarted") if event.event.host == host]
        if started and not any(event.time_s >= window.healing_s - EARLY_S for event in started):
            doubts.append(f"{host} did not start again: its workload never ended")
    return replace(effect, doubts=(*effect.doubts, *doubts))


def _gone(observed: Observed, window: FaultWindow, host: str, until_s: float) -> Part:
    own = talks(observed, host)
    doubts = still_alive(own, window, host, until_s, lambda talk: talk.alive)
    gone = _first_gone(observed, host, window.began_s, until_s)
    if not gone:
        return Part(doubts=(*doubts, f"{host} closed no session and refused no connection"))
    first = min(gone, key=lambda sign: sign.time_s)
    before = latest(talk.last(talk.alive, first.time_s - 1e-9, f"last sign of life of {host}") for talk in own)
    ended, late = _alive_again(observed, host, window.healing_s, window)
    return Part(began=None if doubts else edge(before, first), ended=ended, doubts=(*doubts, *late))


def _first_gone(observed: Observed, host: str, since_s: float, until_s: float) -> list[Sign]:
    """Refusals, and sessions of call control closed; with them, the first FIN or RST after the last sign of life."""
    signs: list[Sign] = []
    for talk in talks(observed, host):
        inside = within(talk.packets, since_s - EARLY_S, until_s)
        sessions = talk.closing & sccp_mask(talk.packets) & (talk.packets.time_s >= since_s)
        certain = [*np.flatnonzero(sessions & inside)[:1].tolist(), *_refusals(talk, inside)]
        if not certain:
            continue
        last = talk.last(talk.alive, until_s, "")
        quiet_s = max([since_s, *(sign.time_s for sign in last)])
        closed = np.flatnonzero(talk.closing & inside & (talk.packets.time_s >= quiet_s))[:1].tolist()
        first = min([*certain, *closed], key=lambda number: float(talk.packets.time_s[number]))
        signs.append(talk.sign(int(first), f"first sign that {host} is gone: {_name(talk, int(first))}"))
    return signs


def _name(talk: Talk, number: int) -> str:
    if talk.packets.proto[number] == ICMP:
        return "an unreachable port"
    return "a FIN" if talk.packets.tcp_flags[number] & FIN else "an RST"


def _refusals(talk: Talk, inside: Mask) -> list[int]:
    """The first RST of a kernel that has no socket there, and the first report of an unreachable port."""
    resets = np.flatnonzero(talk.closing & (talk.packets.tcp_flags & RST > 0) & inside)
    found = list(islice((number for number in resets.tolist() if _answers_a_request(talk, number)), 1))
    icmp = talk.from_host & (talk.packets.proto == ICMP) & (talk.packets.payload_len >= ECHO_HEADER.size) & inside
    for number in np.flatnonzero(icmp).tolist():
        kind, code, *_ = ECHO_HEADER.unpack_from(talk.packets.payload(number))
        if (kind, code) == (UNREACHABLE, _PORT_UNREACHABLE):
            return [*found, number]
    return found


def _answers_a_request(talk: Talk, number: int) -> bool:
    """A SYN or data that nobody was there for; not the last acknowledgement of a connection that was over."""
    answered = answered_by_reset(talk.packets, number)
    if answered is None:
        return False
    return bool(talk.packets.tcp_flags[answered] & SYN) or bool(talk.packets.payload_len[answered])


def _alive_again(observed: Observed, host: str, since_s: float, window: FaultWindow) -> tuple[Edge | None, list[str]]:
    """The first sign of life since the healing, by packets or by the role's own word that it started."""
    own = talks(observed, host)
    signs = [sign for talk in own for sign in talk.first(talk.alive, since_s, f"first sign of life of {host} again")]
    if not signs:
        signs = starts(observed, host, since_s, FOREVER)
    if not signs:
        return None, [f"no sign of life of {host} after its healing"]
    first = min(signs, key=lambda sign: sign.time_s)
    refused = [
        talk.sign(number, f"last refusal of {host}")
        for talk in own
        for number in _last_refusal(talk, window.began_s, first.time_s)
    ]
    return edge(latest([refused]), first), []


def _last_refusal(talk: Talk, since_s: float, until_s: float) -> list[int]:
    resets = np.flatnonzero(talk.closing & (talk.packets.tcp_flags & RST > 0) & within(talk.packets, since_s, until_s))
    return list(islice((number for number in reversed(resets.tolist()) if _answers_a_request(talk, number)), 1))
