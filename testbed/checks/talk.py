"""Whole talks: whoever is in a call is told to send, sends soon, and goes on until it is told to stop or the call is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from testbed.checks.capture import captures
from testbed.checks.facts import FOREVER, Seen, seen, steps_ended_s
from testbed.packets import Packets, address_number
from testbed.packets.classes import owned
from testbed.packets.rtp import RtpStream, StopOrder, rtp_streams, stop_orders
from testbed.packets.sccp import sccp_messages
from testbed.recording import Run
from testbed.verdict import Evidence

SOON_S = 1.0
"""From the answer to the order to send, and from that to the first packet: each takes milliseconds where nothing is amiss."""
TAIL_S = 0.1
"""Whoever is heard this shortly before a call ends is heard to its end: the last packets are on their way, or the clocks of two hosts'
processes differ by a turn of their loops."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Host:
    """What the capture at a phones host says: the streams that left it, and when which phone was told to stop which call's."""

    packets: Packets
    streams: Sequence[RtpStream]
    stops: Sequence[StopOrder]

    def stopped_s(self, phone: int, reference: object, since_s: float) -> float:
        own = [stop.time_s for stop in self.stops if (stop.phone, stop.call) == (phone, reference)]
        return min((at_s for at_s in own if at_s >= since_s), default=FOREVER)


def cut_short(run: Run) -> list[Evidence]:
    """Phones that were in a call and never told to send; that were, and did not; that stopped before anybody said so."""
    return [*_never_told(run), *_not_sent(run)]


def _never_told(run: Run) -> list[Evidence]:
    told: dict[tuple[object, object], list[float]] = {}
    for event in seen(run, "StreamStarted"):
        told.setdefault((event["phone"], event["reference"]), []).append(event.time_s)
    return [
        event.proves(f"{event['phone']} is in a call and was never told to send")
        for event in seen(run, "CallConnected")
        if event["phone"] in run.topology.phones
        and _over_s(run, event) >= event.time_s + SOON_S
        and not any(abs(at_s - event.time_s) <= SOON_S for at_s in told.get((event["phone"], event["reference"]), ()))
    ]


def _not_sent(run: Run) -> list[Evidence]:
    hosts: dict[str, _Host] = {}
    found = []
    for event in seen(run, "StreamStarted"):
        host, phone = event.event.host, event["phone"]
        if host not in captures(run) or phone not in run.topology.phones:
            continue
        if run.topology.host_of(str(event["remote"])) == host:
            continue  # it stays inside the host, where no capture sees it
        if host not in hosts:
            hosts[host] = _at(run, host)
        source = address_number(run.topology.phone_address(str(phone)))
        until_s = min(_over_s(run, event), hosts[host].stopped_s(source, event["reference"], event.time_s))
        if until_s >= event.time_s + SOON_S:
            found += _trouble(event, hosts[host], source, until_s)
    return found


def _trouble(event: Seen, host: _Host, source: int, until_s: float) -> list[Evidence]:
    """What is wrong with the stream that this order began."""
    remote = (address_number(str(event["remote"])), event["remote_port"])
    begun = [
        stream
        for stream in host.streams
        if stream.src == source
        and (stream.dst, stream.dport) == remote
        and event.time_s - TAIL_S <= float(stream.time_s[0]) <= event.time_s + SOON_S
    ]
    if not begun:
        text = f"{event['phone']} was told to send to {event['remote']}:{remote[1]}, and nothing of it was captured"
        return [event.proves(text)]
    last = max(begun, key=lambda stream: float(stream.time_s[-1]))
    early_s = until_s - float(last.time_s[-1])
    if early_s <= TAIL_S or until_s == FOREVER:  # of a run that was cut short nobody knows when its calls ended
        return []
    frame = int(host.packets.frame[last.index[-1]])
    text = f"{last} ended {early_s:.2f} s before its call, and nobody had said so"
    return [Evidence(text=text, capture=host.packets.file, frame=frame)]


def _over_s(run: Run, event: Seen) -> float:
    """When the call that this event tells of was over, or the steps were; FOREVER where neither is known."""
    ends = seen(run, "CallEnded", phone=event["phone"], reference=event["reference"])
    return min(next((end.time_s for end in ends if end.index > event.index), FOREVER), steps_ended_s(run))


def _at(run: Run, host: str) -> _Host:
    packets = captures(run)[host]
    streams = rtp_streams(packets)
    own = owned(np.array([stream.src for stream in streams], np.uint32), [run.topology.host(host)])
    return _Host(
        packets=packets,
        streams=[stream for stream, is_own in zip(streams, own, strict=True) if is_own],
        stops=stop_orders(sccp_messages(packets)),
    )
