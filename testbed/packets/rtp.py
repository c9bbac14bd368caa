"""RTP streams in a capture: which packets are one stream, and what call control said that began it. RFC 3550; ports of Table 11-4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from testbed.errors import PeerProtocolError
from testbed.packets import Packets, address_number, address_text
from testbed.packets.classes import class_mask
from testbed.packets.sccp import Message
from testbed.rtp import PACKET_S
from testbed.sccp.media_messages import (
    StartMediaTransmission,
    StartMediaTransmissionVersion17,
    StopMediaTransmission,
)
from testbed.sccp.messages import decode

START_MEDIA = StartMediaTransmission.message_id
HEADER_BYTES = 12


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RtpStream:
    """Packets of one source (SSRC) from one endpoint to another, in the order they were captured: ``index`` in the capture's columns,
    ``sequence`` and ``timestamp`` (samples) without wrap-around, from the first one's."""

    src: int
    sport: int
    dst: int
    dport: int
    ssrc: int
    index: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]
    tos: npt.NDArray[np.uint8]
    sequence: npt.NDArray[np.int64]
    timestamp: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.index)

    def __str__(self) -> str:
        return f"{address_text(self.src)}:{self.sport} to {address_text(self.dst)}:{self.dport}"

    @property
    def lost(self) -> int:
        """Sequence numbers between the first and the last that never came."""
        return self.lost_until(float("inf"))

    def lost_until(self, time_s: float) -> int:
        """The same of what had come by then."""
        came = self.sequence[self.time_s <= time_s]
        return int(came.max() - came.min()) + 1 - len(np.unique(came)) if len(came) else 0

    @property
    def gaps_s(self) -> npt.NDArray[np.float64]:
        """Time from each packet to the next."""
        return np.diff(self.time_s)

    @property
    def packets_per_s(self) -> float:
        """Between the first and the last packet; 0 where there is one only."""
        span_s = float(self.time_s[-1] - self.time_s[0])
        return (len(self) - 1) / span_s if span_s > 0 else 0.0

    @property
    def jitter_s(self) -> float:
        """Mean departure of the time between two packets from 20 ms."""
        return float(np.abs(self.gaps_s - PACKET_S).mean()) if len(self) > 1 else 0.0


def rtp_streams(packets: Packets) -> list[RtpStream]:
    """Every stream of the class ``rtp`` (UDP to 20480-32768, version 2), in the order of their first packets; no RTCP."""
    long_enough = packets.payload_len >= HEADER_BYTES
    index = np.flatnonzero(class_mask(packets, "rtp") & long_enough)
    data, at = np.frombuffer(packets.data, np.uint8), packets.payload_at[index]
    kind = data[at + 1] & 0x7F
    is_rtp = (data[at] >> 6 == 2) & ~((kind >= 72) & (kind <= 76))
    index, at = index[is_rtp], at[is_rtp]
    if not len(index):
        return []
    columns = (packets.src, packets.sport, packets.dst, packets.dport)
    keys = np.stack([*(column[index].astype(np.int64) for column in columns), _number(data, at + 8, 4)], axis=1)
    sequence, timestamp = _number(data, at + 2, 2), _number(data, at + 4, 4)
    found, member = np.unique(keys, axis=0, return_inverse=True)
    member = member.reshape(-1)
    streams = [
        _stream(packets, found[place], index[own], sequence[own], timestamp[own])
        for place, own in _members(member, len(found))
    ]
    return sorted(streams, key=lambda stream: int(stream.index[0]))


def _members(member: npt.NDArray[np.int64], count: int) -> list[tuple[int, npt.NDArray[np.int64]]]:
    """(stream, places of its packets), in the order of capture."""
    order = np.argsort(member, kind="stable")
    return list(enumerate(np.split(order, np.searchsorted(member[order], np.arange(1, count)))))


def _stream(
    packets: Packets,
    key: npt.NDArray[np.int64],
    index: npt.NDArray[np.int64],
    sequence: npt.NDArray[np.int64],
    timestamp: npt.NDArray[np.int64],
) -> RtpStream:
    src, sport, dst, dport, ssrc = (int(value) for value in key)
    return RtpStream(
        src=src,
        sport=sport,
        dst=dst,
        dport=dport,
        ssrc=ssrc,
        index=index,
        time_s=packets.time_s[index],
        tos=packets.tos[index],
        sequence=_unwrapped(sequence, 16),
        timestamp=_unwrapped(timestamp, 32),
    )


def _unwrapped(numbers: npt.NDArray[np.int64], bits: int) -> npt.NDArray[np.int64]:
    """Each number at the least distance from the one before it."""
    half = 1 << bits - 1
    steps = (np.diff(numbers) + half) % (2 * half) - half
    unwrapped: npt.NDArray[np.int64] = np.concatenate(([0], np.cumsum(steps))) + numbers[0]
    return unwrapped


def _number(data: npt.NDArray[np.uint8], at: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    total = np.zeros(len(at), np.int64)
    for place in range(size):
        total = total << 8 | data[at + place]
    return total


@dataclass(frozen=True, kw_only=True, slots=True)
class StartOrder:
    """A StartMediaTransmission: which phone (address) was told to send where in which call, with which TOS octet, in which frame."""

    phone: int
    call: int
    remote: tuple[int, int]
    tos: int
    frame: int
    time_s: float


def start_orders(messages: list[Message]) -> list[StartOrder]:
    """Every StartMediaTransmission of a capture, in order of time; one that cannot be read is left out."""
    orders = []
    for message in messages:
        if message.id != START_MEDIA:
            continue
        try:
            said = decode(message.id, message.body, message.version)
        except PeerProtocolError:
            continue
        if isinstance(said, (StartMediaTransmission, StartMediaTransmissionVersion17)):
            remote = (address_number(said.remote_address), said.remote_port)
            orders.append(
                StartOrder(
                    phone=message.flow[2],
                    call=said.call_reference,
                    remote=remote,
                    tos=said.precedence & 0xFF,
                    frame=message.frame,
                    time_s=message.time_s,
                )
            )
    return orders


@dataclass(frozen=True, kw_only=True, slots=True)
class StopOrder:
    """A StopMediaTransmission: which phone (address) was told to send no more in which call."""

    phone: int
    call: int
    time_s: float


def stop_orders(messages: list[Message]) -> list[StopOrder]:
    """Every StopMediaTransmission of a capture, in order of time; one that cannot be read is left out."""
    orders = []
    for message in messages:
        if message.id != StopMediaTransmission.message_id:
            continue
        try:
            said = decode(message.id, message.body, message.version)
        except PeerProtocolError:
            continue
        if isinstance(said, StopMediaTransmission):
            orders.append(StopOrder(phone=message.flow[2], call=said.call_reference, time_s=message.time_s))
    return orders


def order_of(stream: RtpStream, orders: Sequence[StartOrder], stops: Sequence[StopOrder] = ()) -> StartOrder | None:
    """What began this stream: the latest order to its sender for its destination, before its first packet and not taken back by then."""
    began_s = float(stream.time_s[0])
    before = [
        order
        for order in orders
        if order.phone == stream.src
        and order.remote == (stream.dst, stream.dport)
        and order.time_s <= began_s
        and not any(
            (stop.phone, stop.call) == (order.phone, order.call) and order.time_s < stop.time_s < began_s
            for stop in stops
        )
    ]
    return before[-1] if before else None
