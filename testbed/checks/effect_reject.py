"""Proof for a refusal at the door: what was meant was sent back at once and did not get to the host, the rest did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from testbed.checks.effect import Effect, Part, combined, whole_effect
from testbed.checks.effect_link import bystanders
from testbed.checks.effect_packets import Observed, lanes_about, meant, passage
from testbed.checks.effect_protocol import arriving
from testbed.checks.facts import FaultWindow
from testbed.faults.target import Place
from testbed.packets import RST, TCP, UDP, Packets
from testbed.packets.classes import owned
from testbed.packets.probe import ICMP
from testbed.probe import ECHO_HEADER, UNREACHABLE
from testbed.verdict import Evidence

_PROHIBITED = 13
"""ICMP code: communication administratively prohibited (RFC 1812)."""
RETURN_S = 5.0
"""A peer whose TCP was refused is back with its next attempt only."""
_PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": ICMP}


def prove_reject(observed: Observed, window: FaultWindow) -> Effect:
    """Packets meant are refused, by RST without a mark or by ICMP, and do not get to the host; the rest passes."""
    parts, doubts = [], list(observed.probes.doubts)
    for place in observed.places(window):
        packets = observed.capture(place.host.name)
        if packets is None:
            doubts.append(f"no capture at {place.host.name}")
            continue
        signs = refusals(window, place, packets)
        during = signs[(packets.time_s[signs] >= window.began_s) & (packets.time_s[signs] <= window.healing_s)]
        if not len(during):
            doubts.append(f"no refusal left {place.host.name}")
        doubts += bystanders(observed, window, place)
        parts += [_refused(part, packets, during) for part in _kept_out(observed, window, place)]
    return combined(window, parts, doubts)


def refusals(window: FaultWindow, place: Place, packets: Packets) -> npt.NDArray[np.int64]:
    """What a firewall at this host's door sends back: RST that carry no mark, ICMP prohibitions."""
    outgoing = owned(packets.src, [place.host])
    prohibited = outgoing & (packets.proto == ICMP) & (packets.payload_len >= ECHO_HEADER.size)
    kinds = np.zeros(len(packets), np.bool_)
    for number in np.flatnonzero(prohibited).tolist():
        kind, code, *_ = ECHO_HEADER.unpack_from(packets.payload(number))
        kinds[number] = (kind, code) == (UNREACHABLE, _PROHIBITED) and _quotes(place, packets.payload(number))
    if window.parameters.get("by", "rst") == "rst":
        kinds |= meant(place, packets, "out") & (packets.tcp_flags & RST > 0) & (packets.tos >> 2 == 0)
    return np.flatnonzero(kinds)


def _quotes(place: Place, message: bytes) -> bool:
    """Whether an ICMP error quotes a packet of the protocol that is meant."""
    quoted = message[ECHO_HEADER.size :]
    return len(quoted) >= 20 and (not place.protocol or quoted[9] == _PROTOCOLS[place.protocol])


def _kept_out(observed: Observed, window: FaultWindow, place: Place) -> list[Part]:
    name, (views, _) = place.host.name, lanes_about(observed, place)
    found = [passage(observed, view, name, "in", window) for view in views]
    if place.protocol in ("tcp", "udp"):
        found.append(arriving(observed, window, place))
    units = [some for some in found if some is not None]
    if not units:
        return [Part(doubts=(f"nothing shows what got into {name}",))]
    return [whole_effect(some, window, end_within_s=RETURN_S) for some in units]


def _refused(part: Part, packets: Packets, signs: Iterable[int]) -> Part:
    """With the first refusal as evidence."""
    first = next((int(number) for number in signs), None)
    if part.began is None or first is None:
        return part
    proof = Evidence(text="first refusal", capture=packets.file, frame=int(packets.frame[first]))
    return replace(part, began=replace(part.began, evidence=(*part.began.evidence, proof)))
