"""Which packets of a capture belong to a traffic class, go one way, or run between two hosts: masks over its columns."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt

from testbed.packets import ACK, RST, SYN, TCP, UDP, Mask, Packets, address_number
from testbed.topology import Host

Direction = Literal["both", "up", "down"]
"""``up`` is towards the server."""

SERVER_PORTS = {"sccp": (2000,), "http": (80, 8080)}
TFTP_PORT = 69
RTP_PORTS = (20480, 32768)
"""First and last UDP port of RTP, Cisco IP Telephony SRND, Table 11-4."""


def class_mask(packets: Packets, traffic: str, direction: Direction = "both") -> Mask:
    """Packets of this class (sccp, http, tftp, rtp); RTP has no server, so it goes both ways whatever is asked."""
    if traffic == "tftp":
        return _tftp(packets, direction)
    if traffic == "rtp":
        low, high = RTP_PORTS
        rtp: Mask = (packets.proto == UDP) & (packets.dport >= low) & (packets.dport <= high)
        return rtp & ~_tftp(packets, "both")
    ports = SERVER_PORTS[traffic]
    tcp: Mask = packets.proto == TCP
    return tcp & _choose(direction, np.isin(packets.dport, ports), np.isin(packets.sport, ports))


def _choose(direction: Direction, up: Mask, down: Mask) -> Mask:
    return {"both": up | down, "up": up, "down": down}[direction]


def _tftp(packets: Packets, direction: Direction) -> Mask:
    """Requests go to port 69, answers come from a port the server chooses (RFC 1350): the client's own port tells them."""
    udp = packets.proto == UDP
    source, destination = _endpoint(packets.src, packets.sport), _endpoint(packets.dst, packets.dport)
    clients = np.unique(source[udp & (packets.dport == TFTP_PORT)])
    return _choose(direction, udp & np.isin(source, clients), udp & np.isin(destination, clients))


def _endpoint(address: npt.NDArray[np.uint32], port: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint64]:
    return address.astype(np.uint64) << np.uint64(16) | port.astype(np.uint64)


def hop_mask(packets: Packets, source: Iterable[Host], destination: Iterable[Host]) -> Mask:
    """IPv4 packets from an address of one of these hosts to an address of one of those."""
    mask: Mask = owned(packets.src, source) & owned(packets.dst, destination)
    return mask


def owned(addresses: npt.NDArray[np.uint32], hosts: Iterable[Host]) -> Mask:
    """Which of these addresses belong to one of these hosts, their phones' addresses included."""
    mask = np.zeros(len(addresses), np.bool_)
    for host in hosts:
        single = {*host.addresses, *(link.address for link in host.links)} - {""}
        mask |= np.isin(addresses, np.array([address_number(address) for address in single], np.uint32))
        if host.phone_prefix:
            network = ipaddress.IPv4Network(host.phone_prefix)
            mask |= (addresses >= int(network.network_address)) & (addresses <= int(network.broadcast_address))
    return mask


def answered_by_reset(packets: Packets, reset: int) -> int | None:
    """Index of the packet that this reset answers, if it is one that no socket sent (RFC 9293, 3.10.7.1), else None.

    Where there is no socket, an RST takes its sequence number from the acknowledgement it answers; in answer to a SYN it has
    sequence number 0 and acknowledges the SYN. A socket's own RST has ACK and a sequence number of its connection.
    """
    flags = packets.tcp_flags
    if not flags[reset] & RST:
        return None
    earlier = (
        (packets.frame < packets.frame[reset])
        & (packets.proto == TCP)
        & (packets.src == packets.dst[reset])
        & (packets.dst == packets.src[reset])
        & (packets.sport == packets.dport[reset])
        & (packets.dport == packets.sport[reset])
    )
    if not flags[reset] & ACK:
        earlier &= (flags & ACK > 0) & (packets.ack == packets.seq[reset])
    elif packets.seq[reset] == 0:
        acknowledged = packets.seq + packets.payload_len.astype(np.uint32) + np.uint32(1)
        earlier &= (flags & (SYN | ACK) == SYN) & (acknowledged == packets.ack[reset])
    else:
        return None
    found = np.flatnonzero(earlier)
    return int(found[-1]) if len(found) else None
