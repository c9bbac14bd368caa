"""Pushes of streams in a capture: which service told which phone to play or to send audio, where, in which frame."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from testbed.browser.uri import BadUri, Stream, parse_uri, stream_of
from testbed.packets import TCP, Packets, address_number

HTTP_PORT = 80
_URI = re.compile(rb"(RTPM?[RT]x(?:%3A|:)[0-9.]{7,15}(?:%3A|:)[0-9]{1,5})", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class PushedStream:
    """An RTP URI in a POST from ``sender`` to ``phone`` (addresses as numbers)."""

    sender: int
    phone: int
    stream: Stream
    frame: int
    time_s: float

    def began(self, src: int, dst: int, dport: int) -> bool:
        """Whether it can have begun a stream from ``src`` to ``dst``: a phone sends what it was told to, and plays what comes."""
        remote = (address_number(self.stream.address), self.stream.port)
        if self.stream.sends:
            return self.phone == src and remote == (dst, dport)
        if self.stream.is_multicast:
            return remote == (dst, dport)
        return self.phone == dst and self.stream.port == dport and remote[0] == src


def pushed_streams(packets: Packets) -> list[PushedStream]:
    """In the order of capture; a body is looked at segment by segment, as a push is shorter than one."""
    index = np.flatnonzero((packets.proto == TCP) & (packets.dport == HTTP_PORT) & (packets.payload_len > 0))
    found = []
    for place in index:
        for match in _URI.findall(packets.payload(int(place))):
            try:
                stream = stream_of(parse_uri(match.decode("ascii").replace("%3A", ":").replace("%3a", ":")))
            except BadUri:
                continue
            found.append(
                PushedStream(
                    sender=int(packets.src[place]),
                    phone=int(packets.dst[place]),
                    stream=stream,
                    frame=int(packets.frame[place]),
                    time_s=float(packets.time_s[place]),
                )
            )
    return found
