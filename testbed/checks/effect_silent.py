"""Proof for a workload that is there and answers nothing, frozen or mute: requests that its kernel acknowledges and nobody answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from testbed.checks.effect import EARLY_S, Edge, Effect, Part, combined
from testbed.checks.effect_packets import Observed
from testbed.checks.effect_talk import Sign, Talk, edge, latest, still_alive, talks, within
from testbed.checks.facts import FaultWindow
from testbed.packets import ACK, RST, TCP, UDP, Packets
from testbed.packets.probe import ICMP

ANSWER_S = 0.2
"""A request that stays without an answer for less shows nothing: the bed's own servers take milliseconds."""
MIN_WORDS, REMEMBERED_WORDS = 10, 200
"""Data packets before the fault from which the longest ordinary pause is taken."""
LONG = 2.0
"""Times that pause: silence by a fault."""

Numbers = npt.NDArray[np.int64]


def prove_silent(observed: Observed, window: FaultWindow) -> Effect:
    """Freeze and mute: from then on nobody answers, until the thaw."""
    return combined(window, [_silent(observed, window, host) for host in window.hosts])


def _silent(observed: Observed, window: FaultWindow, host: str) -> Part:
    own = talks(observed, host)
    doubts = still_alive(own, window, host, window.healing_s, lambda talk: talk.data)
    ignored = [
        talk.sign(number, f"a request that {host} left unanswered") for talk in own for number in _ignored(talk, window)
    ]
    after = [sign for talk in own for sign in talk.first(talk.data, window.healing_s, f"first words of {host} again")]
    ended = edge(_last(ignored), min(after, key=_time)) if after else None
    if not after:
        doubts.append(f"no answer of {host} after its healing")
    if not ignored:
        return _fell_silent(own, window, host, ended, doubts)
    first = min(ignored, key=_time)
    before = latest(talk.last(talk.data, first.time_s, f"last answer of {host}") for talk in own)
    spoke = len(doubts) > (not after)
    figures = {"unanswered": float(len(ignored))}
    return Part(began=None if spoke else edge(before, first), ended=ended, doubts=tuple(doubts), figures=figures)


def _fell_silent(own: Sequence[Talk], window: FaultWindow, host: str, ended: Edge | None, doubts: list[str]) -> Part:
    """Of a host that asks and is not asked: it spoke regularly before, and is silent for far longer than it ever was.

    Its kernel closes nothing: that tells it from one that ended. When it fell silent cannot be said to the moment.
    """
    for talk in own:
        spoken = np.unique(talk.packets.time_s[talk.data & (talk.packets.time_s < window.began_s)])
        closed = talk.closing & within(talk.packets, window.began_s, window.healing_s)
        if len(spoken) <= MIN_WORDS or closed.any() or doubts:
            continue
        last = talk.last(talk.data, window.healing_s, f"last words of {host}")
        longest_s = float(np.diff(spoken[-REMEMBERED_WORDS:]).max())
        if ended and ended.after_s - last[0].time_s > LONG * longest_s:
            began = Edge(before_s=None, after_s=last[0].time_s + longest_s, evidence=(last[0].evidence,))
            note = f"{host}, which had spoken every {longest_s:.2f} s at least, said nothing"
            return Part(began=began, ended=replace(ended, before_s=None), notes=(note,))
    return Part(ended=ended, doubts=(*doubts, f"no request was acknowledged by {host} and left without an answer"))


def _ignored(talk: Talk, window: FaultWindow) -> list[int]:
    """Requests while it lasted that TCP acknowledged, or UDP delivered, and that no data answered until the healing."""
    packets = talk.packets
    carries = ((packets.proto == TCP) | (packets.proto == UDP)) & (packets.payload_len > 0)
    inside = within(packets, window.began_s - EARLY_S, window.healing_s)
    asking = np.flatnonzero(talk.to_host & carries & inside & (packets.time_s <= window.healing_s - ANSWER_S))
    replies = np.flatnonzero(talk.from_host & inside)
    return [number for number in asking.tolist() if _is_ignored(packets, number, replies)]


def _is_ignored(packets: Packets, number: int, replies: Numbers) -> bool:
    some = replies[packets.frame[replies] > packets.frame[number]]
    some = some[(packets.dst[some] == packets.src[number]) & (packets.src[some] == packets.dst[number])]
    if packets.proto[number] == UDP:
        # An answer may come from another port (TFTP); an ICMP error says that nobody was there.
        about = (packets.dport[some] == packets.sport[number]) | (packets.proto[some] == ICMP)
        return not bool(about.any())
    some = some[(packets.dport[some] == packets.sport[number]) & (packets.sport[some] == packets.dport[number])]
    used = int(packets.seq[number]) + int(packets.payload_len[number])
    acknowledged = (packets.ack[some].astype(np.int64) - used) % (1 << 32) < 1 << 31
    acknowledged &= packets.tcp_flags[some] & (ACK | RST) == ACK
    return bool(acknowledged.any()) and not bool((packets.payload_len[some] > 0).any())


def _time(sign: Sign) -> float:
    return sign.time_s


def _last(signs: Sequence[Sign]) -> Sign | None:
    return max(signs, key=_time, default=None)
