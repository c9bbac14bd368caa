"""What each packet of a block is: its traffic class, which way it goes, and who caused it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from testbed.packets import TCP, UDP, Mask, Packets
from testbed.packets_class import SERVER_PORTS, TFTP_PORT
from testbed.policy import Policy

RTP_PORTS = ((16384, 32768),)
"""Cisco's range (16384-32767) and that of SRND Table 11-4 (20480-32768) together."""
_ICMP, _ICMPV6 = 1, 58
_RTP_VERSION = 2
MAX_CLIENTS = 1 << 16
"""TFTP clients remembered; of a scan with more some are forgotten."""


class Traffic(IntEnum):
    """Traffic classes as numbers of a column."""

    OTHER = 0
    SCCP = 1
    HTTP = 2
    TFTP = 3
    RTP = 4
    ICMP = 5
    NOT_IP = 6

    @property
    def word(self) -> str:
        """As policies write it."""
        return self.name.lower().replace("_", " ")


class Way(IntEnum):
    """``UP`` is towards the server; RTP has none."""

    NONE = 0
    UP = 1
    DOWN = 2


WAY_WORDS = ("", "up", "down")
CAUSE_WORDS = ("", "call-control", "service", "unexplained")


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """Of each packet: Traffic, Way, and an index into CAUSE_WORDS."""

    traffic: npt.NDArray[np.uint8]
    way: npt.NDArray[np.uint8]
    cause: npt.NDArray[np.uint8]


PortTable = npt.NDArray[np.bool_]


def port_table(ranges: Sequence[tuple[int, int]]) -> PortTable:
    """Of each of the 65,536 ports, whether it is in one of these ranges."""
    table = np.zeros(1 << 16, np.bool_)
    for low, high in ranges:
        table[low : high + 1] = True
    return table


class Labeller:
    """Labels block after block, in the order of the capture; what it has seen of TFTP clients it keeps."""

    def __init__(self, policy: Policy | None = None) -> None:
        ports: Mapping[str, Sequence[tuple[int, int]]] = {
            **{name: tuple((port, port) for port in numbers) for name, numbers in SERVER_PORTS.items()},
            "tftp": ((TFTP_PORT, TFTP_PORT),),
            "rtp": RTP_PORTS,
            **{str(name): ranges for name, ranges in (policy.ports if policy else {}).items()},
        }
        self._ports = {name: port_table(ranges) for name, ranges in ports.items()}
        self._clients: npt.NDArray[np.uint64] = np.zeros(0, np.uint64)

    def label(self, packets: Packets) -> Labels:
        traffic, way = np.zeros(len(packets), np.uint8), np.zeros(len(packets), np.uint8)
        tcp, udp = packets.proto == TCP, packets.proto == UDP
        traffic[self._rtp(packets, udp)] = Traffic.RTP
        for name, kind in (("http", Traffic.HTTP), ("sccp", Traffic.SCCP)):
            table = self._ports[name]
            self._mark(traffic, way, kind, up=tcp & table[packets.dport], down=tcp & table[packets.sport])
        self._tftp(packets, udp, traffic, way)
        icmp = (packets.proto == _ICMP) & (packets.version == 4) | (packets.proto == _ICMPV6) & (packets.version == 6)
        traffic[icmp] = Traffic.ICMP
        traffic[packets.version == 0] = Traffic.NOT_IP
        return Labels(traffic=traffic, way=way, cause=np.zeros(len(packets), np.uint8))

    @staticmethod
    def _mark(
        traffic: npt.NDArray[np.uint8], way: npt.NDArray[np.uint8], kind: Traffic, *, up: Mask, down: Mask
    ) -> None:
        """Where both sides have a server's port, it goes up."""
        traffic[up | down] = kind
        way[down], way[up] = Way.DOWN, Way.UP

    def _rtp(self, packets: Packets, udp: Mask) -> Mask:
        """By port; and by its first two bits where they were captured, since other protocols use such ports too."""
        by_port: Mask = udp & self._ports["rtp"][packets.dport]
        index = np.flatnonzero(by_port & (packets.payload_len > 0))
        first = np.frombuffer(packets.data, np.uint8)[packets.payload_at[index]]
        by_port[index[first >> 6 != _RTP_VERSION]] = False
        return by_port

    def _tftp(self, packets: Packets, udp: Mask, traffic: npt.NDArray[np.uint8], way: npt.NDArray[np.uint8]) -> None:
        """Requests go to port 69, answers come from a port the server chooses (RFC 1350): the client's own port tells them."""
        asking = udp & self._ports["tftp"][packets.dport]
        if not len(self._clients) and not asking.any():
            return
        src, dst = packets.endpoints()
        source, destination = endpoint(src, packets.sport), endpoint(dst, packets.dport)
        known: npt.NDArray[np.uint64] = np.union1d(self._clients, source[asking])
        self._clients = known[-MAX_CLIENTS:]
        up, down = udp & np.isin(source, self._clients), udp & np.isin(destination, self._clients)
        self._mark(traffic, way, Traffic.TFTP, up=up, down=down & ~up)


def endpoint(address: npt.NDArray[np.uint64], port: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint64]:
    """One number for an address (of ``Packets.endpoints``) and a port."""
    turned = np.bitwise_or(address << np.uint64(16), address >> np.uint64(48))
    mixed: npt.NDArray[np.uint64] = np.bitwise_xor(turned, port.astype(np.uint64))
    return mixed
