"""What each lane is, once all packets were seen: its flow, traffic class, way, and who caused it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from testbed.audit.content import Content
from testbed.audit.lanes import ICMPS, RESET, Index, Lanes
from testbed.audit.signalling import Signalling
from testbed.packets import TCP, UDP, Mask, endpoint
from testbed.packets.classes import SERVER_PORTS, TFTP_PORT
from testbed.packets.fetch import distinct, mixed
from testbed.packets.tunnel import VXLAN_PORT

if TYPE_CHECKING:
    from testbed.policy import Policy

RTP_PORTS = ((16384, 32768),)
"""Cisco's range (16384-32767) and that of SRND Table 11-4 (20480-32768) together."""
LEAST_SHAPED = 8
"""Packets of one flow before it is taken for RTP by its shape alone."""
_SHAPED_SHARE = 0.9


class Traffic(IntEnum):
    """Traffic classes as numbers of a column. RTCP goes beside RTP, and Table 11-4 does not speak of it; VXLAN is the outer packet, what is in
    it is of a class of its own."""

    OTHER = 0
    SCCP = 1
    HTTP = 2
    TFTP = 3
    RTP = 4
    RTCP = 5
    ICMP = 6
    VXLAN = 7
    NOT_IP = 8

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
_CALL_CONTROL, _SERVICE, _UNEXPLAINED = 1, 2, 3

PortTable = npt.NDArray[np.bool_]


def port_table(ranges: Sequence[tuple[int, int]]) -> PortTable:
    """Of each of the 65,536 ports, whether it is in one of these ranges."""
    table = np.zeros(1 << 16, np.bool_)
    for low, high in ranges:
        table[low : high + 1] = True
    return table


def class_ports(policy: Policy | None) -> dict[str, PortTable]:
    """By which ports the classes are known: the usual ones, unless the policy has others."""
    ranges: Mapping[str, Sequence[tuple[int, int]]] = {
        **{name: tuple((port, port) for port in numbers) for name, numbers in SERVER_PORTS.items()},
        "tftp": ((TFTP_PORT, TFTP_PORT),),
        "rtp": RTP_PORTS,
        **{str(name): ports for name, ports in (policy.ports if policy else {}).items()},
    }
    return {name: port_table(ports) for name, ports in ranges.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Flows:
    """One element a lane, as in its columns; ``flow`` numbers flows from 0, ``cause`` is an index into CAUSE_WORDS. ``foreign``: resets
    whose mark is no other packet's of their flow: a firewall's, or of a kernel that has no socket there."""

    flow: Index
    traffic: npt.NDArray[np.uint8]
    way: npt.NDArray[np.uint8]
    cause: npt.NDArray[np.uint8]
    foreign: Mask
    version: npt.NDArray[np.uint8]
    proto: npt.NDArray[np.uint8]
    sport: npt.NDArray[np.uint16]
    dport: npt.NDArray[np.uint16]
    src: npt.NDArray[np.uint64]
    dst: npt.NDArray[np.uint64]


def flows_of(lanes: Lanes, content: Content, signalling: Signalling, ports: Mapping[str, PortTable]) -> Flows:
    """Sort all lanes."""
    return _Sorting(lanes, content, signalling, ports).flows()


class _Sorting:
    def __init__(self, lanes: Lanes, content: Content, signalling: Signalling, ports: Mapping[str, PortTable]) -> None:
        count, columns = lanes.count, lanes.columns
        self._content, self._signalling, self._ports = content, signalling, ports
        self._src, self._dst = columns.src[:count], columns.dst[:count]
        self._sport, self._dport = columns.sport[:count], columns.dport[:count]
        self._proto, self._version = columns.proto[:count], columns.version[:count]
        self._kind, self._dscp = columns.kind[:count], columns.dscp[:count]
        self._packets, self._is_folded = columns.packets[:count], columns.folded[:count]
        self._flow, self._flows = columns.flow[:count], lanes.flows
        self._source, self._target = endpoint(self._src, self._sport), endpoint(self._dst, self._dport)

    def flows(self) -> Flows:
        count = len(self._flow)
        self._traffic, self._way = np.zeros(count, np.uint8), np.zeros(count, np.uint8)
        tcp, udp = self._proto == TCP, self._proto == UDP
        rtp, rtcp = self._rtp(udp)
        self._traffic[rtp], self._traffic[rtcp] = Traffic.RTP, Traffic.RTCP
        self._http(tcp)
        self._between(Traffic.SCCP, tcp, "sccp")
        clients = distinct(self._source[udp & self._ports["tftp"][self._dport] & ~self._is_folded])
        up = udp & ~rtp & np.isin(self._source, clients)
        down = udp & ~rtp & np.isin(self._target, clients) & ~up
        self._mark(Traffic.TFTP, up=up, down=down)
        self._traffic[udp & (self._dport == VXLAN_PORT)] = Traffic.VXLAN
        self._traffic[np.isin(self._proto, ICMPS) & (self._version > 0)] = Traffic.ICMP
        self._traffic[self._version == 0] = Traffic.NOT_IP
        return Flows(
            flow=self._flow,
            traffic=self._traffic,
            way=self._way,
            cause=self._cause(),
            foreign=self._foreign(),
            version=self._version,
            proto=self._proto,
            sport=self._sport,
            dport=self._dport,
            src=self._src,
            dst=self._dst,
        )

    def _mark(self, kind: Traffic, *, up: Mask, down: Mask) -> None:
        """Where both sides have a server's port, it goes up."""
        self._traffic[up | down] = kind
        self._way[down], self._way[up] = Way.DOWN, Way.UP

    def _between(self, kind: Traffic, tcp: Mask, name: str) -> None:
        table = self._ports[name]
        self._mark(kind, up=tcp & table[self._dport], down=tcp & table[self._sport])

    def _of_flow(self, votes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Of each lane, the sum over its flow."""
        padded = np.zeros(len(self._flow), np.int64)
        padded[: min(len(votes), len(padded))] = votes[: len(padded)]
        sums = np.bincount(self._flow, weights=padded, minlength=self._flows)
        summed: npt.NDArray[np.int64] = sums[self._flow].astype(np.int64)
        return summed

    def _rtp(self, udp: Mask) -> tuple[Mask, Mask]:
        """RTP by the ports of its class, unless the payload says otherwise; by shape; or because it was named. RTCP by shape, beside any
        of these."""
        content = self._content
        rtp, rtcp, filled = (self._of_flow(votes) for votes in (content.rtp, content.rtcp, content.filled))
        by_port = udp & self._ports["rtp"][self._dport] & ((filled == 0) | (rtp * 2 > filled))
        # Repeats say nothing for or against it; but numbers that do not come on are none of RTP.
        fresh = rtp - self._of_flow(content.repeats)
        enough = (fresh >= LEAST_SHAPED) & (rtp >= _SHAPED_SHARE * filled)
        steady = self._of_flow(content.same_ssrc) >= _SHAPED_SHARE * rtp
        rising = self._of_flow(content.steps) >= _SHAPED_SHARE * fresh
        rising &= self._of_flow(content.advance) >= LEAST_SHAPED
        named = udp & self._named(0) & (rtp * 2 > filled)
        is_rtp = by_port | udp & enough & steady & rising | named
        return is_rtp, udp & ~is_rtp & (rtcp > 0) & (rtcp * 2 > filled)

    def _named(self, below: int) -> Mask:
        """Lanes to an endpoint that was named, or to the port this many above it."""
        names = [*self._signalling.by_call_control, *self._signalling.by_service]
        mask: Mask = np.isin(endpoint(self._dst, self._dport - np.uint16(below)), np.array(names, np.uint64))
        return mask

    def _http(self, tcp: Mask) -> None:
        requests, responses = self._of_flow(self._content.requests), self._of_flow(self._content.responses)
        asking, answering = requests > responses, responses > requests
        # The other direction of such a flow may hold no first word, or no payload at all.
        to_target, to_source = mixed(self._target, self._source), mixed(self._source, self._target)
        servers = distinct(np.concatenate([to_target[asking], to_source[answering]]))
        self._mark(Traffic.HTTP, up=tcp & np.isin(to_target, servers), down=tcp & np.isin(to_source, servers))
        self._between(Traffic.HTTP, tcp & (self._traffic != Traffic.HTTP), "http")

    def _cause(self) -> npt.NDArray[np.uint8]:
        """What names a port tells more than what names two hosts."""
        cause = np.zeros(len(self._flow), np.uint8)
        hosts = mixed(endpoint(self._src, np.zeros_like(self._sport)), endpoint(self._dst, np.zeros_like(self._dport)))
        to_chosen_port = np.isin(hosts, np.array([*self._signalling.from_service], np.uint64))
        for traffic, below in ((Traffic.RTP, 0), (Traffic.RTCP, 1)):
            mask = self._traffic == traffic
            cause[mask] = np.where(to_chosen_port[mask], _SERVICE, _UNEXPLAINED)
            target = endpoint(self._dst, self._dport - np.uint16(below))
            for number, names in (
                (_CALL_CONTROL, self._signalling.by_call_control),
                (_SERVICE, self._signalling.by_service),
            ):
                cause[mask & np.isin(target, np.array([*names], np.uint64))] = number
        return cause

    def _foreign(self) -> Mask:
        """Flows and marks as one number; a reset is its flow's own if another packet of it has the same mark."""
        pair, is_reset = self._flow * 64 + self._dscp, self._kind == RESET
        mask: Mask = is_reset & ~np.isin(pair, pair[~is_reset])
        return mask
