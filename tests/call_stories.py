"""A run with a call in it, put down by hand: one phone each on two hosts, who talk from 3.0 to 9.0; see recordings and stories."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from recordings import PHONES, Connection, Recording, bed, sccp

from testbed.packets import SYN
from testbed.rtp import PACKET_S, Sender
from testbed.sccp.media_messages import StartMediaTransmission
from testbed.topology import Host, Link, Role, Topology

EF_TOS = 184
TALK_BEGAN_S, TALK_ENDED_S = 3.0, 9.0
LOST_S = 5.0
PHONE_HOSTS = ("phones-1", "phones-2")
TALKERS = ("172.26.16.1", "172.26.24.1")
PORTS = (20480, 20482)
DELAY_S = 0.0003


def two_hosts() -> Topology:
    """Figure 11-4 with one phone on each of its phones hosts."""
    figure = bed(phones=1)
    second = Host(
        name="phones-2",
        role=Role.PHONE,
        links=(Link(host="phones-2", network="bed", address="172.26.3.1"),),
        image="testbed-node:0",
        rank=0,
        phone_prefix="172.26.24.0/21",
        phones=1,
        first_phone=2,
    )
    return replace(figure, hosts=(*figure.hosts, second))


@dataclass
class Talk:
    """What one phone sends the other: ``tos`` on the wire, ``precedence`` as told (None: nobody said anything), packets left out
    (by their number) on the way or by the sender, and when it ends."""

    tos: int = EF_TOS
    precedence: int | None = EF_TOS
    lost: Iterable[int] = ()
    unsent: Iterable[int] = ()
    began_s: float = TALK_BEGAN_S
    ended_s: float = TALK_ENDED_S
    told_at_s: float = TALK_BEGAN_S - 0.01
    pace: float = 1.0
    port: int = 0
    more: dict[int, int] = field(default_factory=dict)
    """Number of a packet -> its own octet."""

    @property
    def leaving(self) -> list[int]:
        """Numbers of the packets that are sent."""
        count = max(0, math.ceil((self.ended_s - self.began_s) / (PACKET_S * self.pace) - 1e-6))
        return [number for number in range(count) if number not in set(self.unsent)]

    @property
    def arriving(self) -> list[int]:
        """Of those, the numbers of the ones that come."""
        return [number for number in self.leaving if number not in set(self.lost)]


def call(*talks: Talk, lost: bool = False) -> Recording:
    """Both phones talk as ``talks`` says; with ``lost`` their call control is gone from LOST_S on, and they re-home after the call."""
    recording = Recording(two_hosts())
    for phone, host in zip(PHONES, PHONE_HOSTS, strict=True):
        recording.event(1.0, host, "Registered", phone=phone, at="ccm-1", rank=0, duration_s=0.05, keepalive_s=1)
    recording.steps(2.0, 12.0)
    for host in PHONE_HOSTS:
        recording.capture(host, until_s=13.0)
    if lost:
        recording.fault("kill", "ccm-1", LOST_S - 0.05, 10.0)
    talks = talks or (Talk(), Talk())
    for side in range(len(talks)):
        _one_side(recording, side, talks, lost=lost)
    return recording


def _one_side(recording: Recording, side: int, talks: tuple[Talk, ...], *, lost: bool) -> None:
    phone, host, other, talk = PHONES[side], PHONE_HOSTS[side], 1 - side, talks[side]
    here, there = (TALKERS[side], PORTS[side]), (TALKERS[other], talk.port or PORTS[other])
    reference = 0x1000001 + side
    particulars: dict[str, Any] = {"phone": phone, "reference": reference, "number": f"100{2 - side}"}
    recording.event(TALK_BEGAN_S - 0.02, host, "CallConnected", **particulars)
    if talk.precedence is not None:
        order = StartMediaTransmission(
            pass_through_party=reference,
            remote_address=there[0],
            remote_port=there[1],
            milliseconds=20,
            codec=4,
            precedence=talk.precedence,
            call_reference=reference,
        )
        connection = Connection(
            wires=[recording.wires[host]],
            client=(here[0], 40_000),
            server=("172.26.1.100", 2000),
            client_tos=104,
            server_tos=104,
        )
        connection.packet(2.1, up=True, flags=SYN)
        connection.packet(2.1001, up=False, flags=SYN)
        connection.send(talk.told_at_s, sccp(order.message_id, order.encode()), up=False)
        recording.event(
            talk.told_at_s,
            host,
            "StreamStarted",
            **particulars,
            remote=there[0],
            remote_port=there[1],
            tos=talk.precedence,
        )
    if lost:
        recording.event(LOST_S, host, "CallControlLost", phone=phone, at="ccm-1", cause="closed", state="active")
        recording.event(LOST_S, host, "CallPreserved", **particulars)
    media(recording, side, here, there, talk)
    got = talks[other].arriving
    recording.event(
        TALK_ENDED_S,
        host,
        "CallEnded",
        **particulars,
        cause="hung up",
        duration_s=6.0,
        sent=len(talk.leaving),
        received=len(got),
        lost=max(got) - min(got) + 1 - len(got) if got else 0,
    )
    if lost:
        recording.event(TALK_ENDED_S + 0.2, host, "Registered", phone=phone, at="ccm-bk", rank=1, duration_s=0.05)


def media(
    recording: Recording, side: int, here: tuple[str, int], there: tuple[str, int], talk: Talk, ssrc: int | None = None
) -> None:
    sender = Sender(ssrc=side + 1 if ssrc is None else ssrc, sequence=65_500, timestamp=0, now=0.0)
    leaving, arriving = set(talk.leaving), set(talk.arriving)
    for number in range(max(leaving, default=-1) + 1):
        data = sender.packet(sender.due)
        assert data is not None
        at_s, tos = talk.began_s + number * PACKET_S * talk.pace, talk.more.get(number, talk.tos)
        if number in leaving:
            recording.wires[PHONE_HOSTS[side]].udp(at_s, here, there, data, tos=tos)
        if number in arriving:
            recording.wires[PHONE_HOSTS[1 - side]].udp(at_s + DELAY_S, here, there, data, tos=tos)
