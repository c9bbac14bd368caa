"""Sessions that fall silent: a KeepAlive that a registered phone left out, by the capture at its own host, where nothing can delay it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from testbed.checks.facts import Seen
from testbed.packets import Packets, address_text
from testbed.packets.sccp import KEEPALIVE, Message
from testbed.profile import KEEPALIVE_MISSES
from testbed.recording import Run
from testbed.verdict import Evidence

LEFT_OUT = 1.9
"""Keepalive intervals between two KeepAlives: one that was left out makes two of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Silence:
    """A phone's longest. ``is_certain``: not the machine's doing, since its host sent for other phones meanwhile, or since it lasted as long
    as call control waits."""

    evidence: Evidence
    is_certain: bool


def silences(
    run: Run,
    host: str,
    packets: Packets,
    messages: Sequence[Message],
    held: Mapping[str, Seen],
    since_s: float,
    until_s: float,
) -> Iterator[Silence]:
    """Of the phones of this host whose registration (phone -> event) holds from ``since_s`` until ``until_s`` (seconds since the epoch).

    A silence begins with the registration, the capture or a KeepAlive, and ends with a KeepAlive, the span or the capture.
    """
    if not len(packets):
        return
    first_s, end_s = float(packets.time_s[0]), min(until_s, float(packets.time_s[-1]))
    own = [message for message in messages if run.topology.host_of(address_text(message.flow[0])) == host]
    for phone, registered in held.items():
        address = run.topology.phone_address(phone)
        if run.topology.host_of(address) != host:
            continue
        begin_s, interval_s = (
            max(first_s, registered.time_s),
            float(registered["keepalive_s"] or run.profile.keepalive_s),
        )
        sent = [
            message.time_s
            for message in own
            if message.id == KEEPALIVE
            and begin_s < message.time_s < end_s
            and address_text(message.flow[0]) == address
            and run.topology.host_of(address_text(message.flow[2])) == registered["at"]
        ]
        spans = [(a, b) for a, b in pairwise([begin_s, *sent, end_s]) if b > since_s]
        last_s, next_s = max(spans, key=lambda span: span[1] - span[0], default=(begin_s, begin_s))
        if next_s - last_s <= LEFT_OUT * interval_s:
            continue
        others = (message for message in own if address_text(message.flow[0]) != address)
        host_sent = any(last_s + interval_s < message.time_s < next_s for message in others)
        index = min(int(np.searchsorted(packets.time_s, last_s)), len(packets) - 1)
        text = f"{phone} sent no KeepAlive for {next_s - last_s:.2f} s"
        yield Silence(
            evidence=Evidence(text=text, capture=packets.file, frame=int(packets.frame[index])),
            is_certain=host_sent or next_s - last_s > KEEPALIVE_MISSES * interval_s,
        )
