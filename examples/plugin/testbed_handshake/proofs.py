"""How packets show that no new connection was made: their SYNs came to the link and not to the host, everything else came through."""

from __future__ import annotations

from testbed.checks.effect import Effect, Part, combined, parts_of_time, whole_effect
from testbed.checks.effect_packets import Observed
from testbed.checks.effect_protocol import arriving
from testbed.checks.facts import FaultWindow
from testbed.packets import ACK, SYN

RETRY_S = 5.0
"""A client whose SYN was dropped comes again after one, two, four seconds (RFC 6298)."""


def prove_no_new(observed: Observed, window: FaultWindow) -> Effect:
    """Pure: what was recorded and the fault's times in, when it began and ended to take effect out."""
    parts, doubts = [], list(observed.probes.doubts)
    for place in observed.places(window):
        units = arriving(observed, window, place)
        if units is None or units.packets is None:
            parts.append(Part(doubts=(f"nothing shows what got into {place.host.name}",)))
            continue
        new = units.packets.tcp_flags[units.index] & (SYN | ACK) == SYN
        parts.append(whole_effect(units.within(new), window, end_within_s=RETRY_S))
        established = units.within(~new)
        _, during, _ = parts_of_time(established, window)
        if lost := int((during & established.hit).sum()):
            doubts.append(f"{lost} packets {units.where} of established connections were lost as well")
    return combined(window, parts, doubts)
