from __future__ import annotations

import struct

import pytest
from capture_maker import Frame, pcap
from recordings import ethernet, ipv4

from testbed.packets import Packets, parse_capture

UDP_PACKET = ipv4("10.0.0.1", "10.0.0.2", 17, struct.pack(">HHHH", 4000, 2000, 8, 0), tos=184)
MACS = bytes(12)


def ipv6(following: int, body: bytes, *, tos: int = 104) -> bytes:
    head = struct.pack(">IHBB", 6 << 28 | tos << 20 | 0xABCDE, len(body), following, 64)
    return head + bytes.fromhex("20010db8") + bytes(11) + b"\1" + bytes.fromhex("20010db8") + bytes(11) + b"\2" + body


def read(frame: bytes, link: int = 1) -> Packets:
    return parse_capture(pcap([Frame(data=frame, wire_len=len(frame), time_ns=0, link=link)]), file="x.pcap")


@pytest.mark.parametrize(
    ("link", "head"),
    [
        (1, MACS + b"\x08\x00"),
        (1, MACS + bytes.fromhex("88a8 6001 8100 a002 0800")),
        (1, MACS + bytes.fromhex("9100 6001 9100 6001 8100 a002 0800")),
        (1, MACS + bytes.fromhex("0030 aaaa03000000 0800")),
        (113, bytes(14) + b"\x08\x00"),
        (113, bytes(14) + bytes.fromhex("8100 6002 0800")),
        (276, b"\x08\x00" + bytes(18)),
        (101, b""),
        (12, b""),
        (228, b""),
        (0, b"\x02\0\0\0"),
        (0, b"\0\0\0\x02"),
        (108, b"\0\0\0\x02"),
    ],
)
def test_the_packet_is_found_behind_every_link_layer(link: int, head: bytes) -> None:
    packets = read(head + UDP_PACKET, link)
    assert (packets.version[0], packets.tos[0], packets.dport[0]) == (4, 184, 2000)
    assert packets.addresses(0) == ("10.0.0.1", "10.0.0.2")


@pytest.mark.parametrize("family", [10, 24, 28, 30])
def test_ipv6_on_a_loopback_has_the_number_of_its_system(family: int) -> None:
    assert read(struct.pack("<I", family) + ipv6(17, bytes(8)), 0).version.tolist() == [6]


@pytest.mark.parametrize(("tag", "cos"), [("", 255), ("8100 0001", 0), ("8100 a001", 5), ("88a8 6001 8100 a001", 3)])
def test_cos_is_that_of_the_outermost_tag(tag: str, cos: int) -> None:
    assert read(MACS + bytes.fromhex(tag) + b"\x08\x00" + UDP_PACKET).cos.tolist() == [cos]


@pytest.mark.parametrize("frame", [b"\1\2\3", MACS + b"\x08", MACS + b"\x81\x00\x00", MACS + b"\x81\x00" * 40])
def test_a_frame_cut_in_its_link_layer_is_no_ip(frame: bytes) -> None:
    packets = read(frame)
    assert (packets.version.tolist(), packets.tos.tolist()) == ([0], [0])


def test_a_frame_of_nothing_but_tags_costs_no_pass_for_each() -> None:
    assert read(MACS + b"\x81\x00\x00\x01" * 50_000).version.tolist() == [0]


def hop(following: int, size: int = 0) -> bytes:
    return bytes([following, size]) + bytes(6 + 8 * size)


@pytest.mark.parametrize(
    ("first", "chain"),
    [
        (17, b""),
        (0, hop(17)),
        (60, hop(43, 2) + hop(17, 1)),
        (44, bytes([17, 0, 0, 1]) + bytes(4)),
        (51, bytes([17, 4]) + bytes(22)),
    ],
)
def test_ports_are_found_behind_extension_headers(first: int, chain: bytes) -> None:
    packets = read(ethernet(0x86DD, ipv6(first, chain + struct.pack(">HHHH", 4000, 2000, 8, 0))))
    assert (packets.proto[0], packets.tos[0], packets.dport[0]) == (17, 104, 2000)
    assert packets.addresses(0) == ("2001:db8::1", "2001:db8::2")


def test_a_later_fragment_of_ipv6_has_no_ports() -> None:
    packets = read(ethernet(0x86DD, ipv6(44, bytes([17, 0, 0, 8]) + bytes(4) + b"\x0f\xa0\x07\xd0" * 4)))
    assert (packets.version[0], packets.later[0], packets.dport[0]) == (6, True, 0)


def test_a_packet_of_nothing_but_extension_headers_ends_somewhere() -> None:
    assert read(ethernet(0x86DD, ipv6(0, hop(0) * 5000))).sport.tolist() == [0]


def test_addresses_of_either_version_are_told_apart() -> None:
    packets = parse_capture(
        pcap(
            [
                Frame(data=frame, wire_len=len(frame), time_ns=0)
                for frame in (ethernet(0x0800, UDP_PACKET), ethernet(0x86DD, ipv6(17, bytes(8))))
            ]
        ),
        file="x.pcap",
    )
    src, dst = packets.endpoints()
    assert src[0] == 0x0A000001
    assert len({*src.tolist(), *dst.tolist()}) == 4
    assert packets.src[1] == 0
