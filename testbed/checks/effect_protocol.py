"""What is seen of a fault that is about one protocol: that protocol's own packets at its place, and what its kernel got of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from testbed.checks.effect import Units
from testbed.checks.effect_packets import Observed, fingerprints, meant
from testbed.checks.facts import FaultWindow
from testbed.faults.target import Place
from testbed.packets import FIN, RST, SYN, Packets

ANSWER_S = 0.3
"""A kernel acknowledges within 40 ms (delayed acknowledgements); a busy machine is late."""


def arriving(observed: Observed, window: FaultWindow, place: Place) -> Units | None:
    """Packets meant that came to the link, by the capture; a hit is one that the host's kernel did not get, by the witness there."""
    packets, noted = observed.capture(place.host.name), observed.probes.witnessed(place.host.name)
    if packets is None or noted is None:
        return None
    index = np.flatnonzero(meant(place, packets, "in"))
    time_s = packets.time_s[index]
    index = index[(time_s >= noted[2].min(initial=np.inf)) & (time_s <= noted[2].max(initial=0.0) + ANSWER_S)]
    index = np.flatnonzero(np.isin(np.arange(len(packets)), index))
    got = set(noted[0].tolist())
    hit = np.array([mark not in got for mark in fingerprints(packets, index)], np.bool_)
    where = f"into {place.host.name} ({place.protocol}{f'/{place.port}' if place.port else ''})"
    return Units.ordered(where, packets.time_s[index], hit, index, packets)


def answering(observed: Observed, window: FaultWindow, place: Place) -> Units | None:
    """TCP segments meant that ask for an answer of the host's kernel; a hit is one that none left for.

    A segment that came in and was dropped there gets none either: of a cut both ways this is all there is to see.
    """
    packets = observed.capture(place.host.name)
    if packets is None or place.protocol != "tcp":
        return None
    asking = meant(place, packets, "in") & ((packets.payload_len > 0) | (packets.tcp_flags & (SYN | FIN) > 0))
    index = np.flatnonzero(asking & (packets.tcp_flags & RST == 0))
    last_s = float(packets.time_s[-1]) if len(packets) else 0.0
    index = index[packets.time_s[index] <= last_s - ANSWER_S]
    replies = np.flatnonzero(meant(place, packets, "out"))
    hit = np.array([not is_answered(packets, number, replies) for number in index.tolist()], np.bool_)
    where = f"out of {place.host.name} (answers to tcp{f'/{place.port}' if place.port else ''})"
    return Units.ordered(where, packets.time_s[index], hit, index, packets)


def is_answered(packets: Packets, number: int, replies: npt.NDArray[np.int64]) -> bool:
    """Whether one of these packets acknowledges this segment, or resets it, within ANSWER_S."""
    begin = np.searchsorted(packets.time_s[replies], packets.time_s[number], "left")
    end = np.searchsorted(packets.time_s[replies], packets.time_s[number] + ANSWER_S, "right")
    some = replies[begin:end]
    same = (packets.dst[some] == packets.src[number]) & (packets.src[some] == packets.dst[number])
    same &= (packets.dport[some] == packets.sport[number]) & (packets.sport[some] == packets.dport[number])
    used = int(packets.payload_len[number]) + int(packets.tcp_flags[number] & (SYN | FIN) > 0)
    beyond = (packets.ack[some].astype(np.int64) - int(packets.seq[number]) - used) % (1 << 32)
    return bool((same & ((beyond < 1 << 31) | (packets.tcp_flags[some] & RST > 0))).any())
