from __future__ import annotations

import struct

import pytest
from capture_maker import Frame, pcap
from recordings import Connection, Wire, ethernet, ipv4

from testbed.audit.labels import WAY_WORDS, Labeller, Traffic
from testbed.audit.match import Matcher
from testbed.packets import Packets, parse_capture
from testbed.policy import Policy, Rule

PHONE, CCM, WEB, TFTP = ("10.0.0.1", 50_000), ("10.0.1.1", 2000), ("10.0.1.2", 8080), ("10.0.1.3", 69)
RTP = b"\x80\x00" + bytes(170)


def read(wire: Wire) -> Packets:
    return parse_capture(wire.pcap(), file="x.pcap")


def labelled(wire: Wire, policy: Policy | None = None) -> list[str]:
    labels = Labeller(policy).label(read(wire))
    pairs = zip(labels.traffic.tolist(), labels.way.tolist(), strict=True)
    return [f"{Traffic(traffic).word} {WAY_WORDS[way]}".strip() for traffic, way in pairs]


def mixed() -> Wire:
    wire = Wire()
    for at_s, server in ((0.1, CCM), (0.2, WEB), (0.3, ("10.0.1.9", 22))):
        Connection(wires=[wire], client=PHONE, server=server).open(at_s)
    wire.udp(0.4, ("10.0.0.1", 20_000), ("10.0.0.2", 30_000), RTP, tos=184)
    wire.udp(0.5, ("10.0.0.1", 53), ("10.0.0.2", 30_000), b"\x00\x01" + bytes(30))
    wire.add(0.6, ethernet(0x0800, ipv4("10.0.0.1", "10.0.0.2", 1, b"\x08\x00" + bytes(6))))
    wire.add(0.7, ethernet(0x0806, bytes(46)))
    return wire


def test_packets_are_of_the_class_of_their_server_and_go_to_it_or_from_it() -> None:
    assert labelled(mixed()) == [
        *("sccp up", "sccp down", "sccp up", "http up", "http down", "http up"),
        *("other", "other", "other", "rtp", "other", "icmp", "not ip"),
    ]


def test_tftp_is_followed_to_the_port_the_server_chose_and_over_blocks() -> None:
    labeller, found = Labeller(), []
    for source, destination in ((PHONE, TFTP), (("10.0.1.3", 31_000), PHONE), (PHONE, ("10.0.1.3", 31_000))):
        wire = Wire()
        wire.udp(0.0, source, destination, b"\x00\x03\x00\x01data")
        labels = labeller.label(read(wire))
        found.append((Traffic(labels.traffic[0]).word, WAY_WORDS[labels.way[0]]))
    assert found == [("tftp", "up"), ("tftp", "down"), ("tftp", "up")]


def test_a_policy_says_by_which_ports_a_class_is_known() -> None:
    own = Policy.model_validate(
        {"policy": "own", "classes": {"rtp": ["EF"]}, "ports": {"rtp": ["40000-40010"], "sccp": [2443]}}
    )
    wire = Wire()
    for port in (30_000, 40_010, 40_011):
        wire.udp(port / 1e5, ("10.0.0.1", 20_000), ("10.0.0.2", port), RTP)
    Connection(wires=[wire], client=PHONE, server=("10.0.1.1", 2443)).packet(0.9, up=False)
    assert labelled(wire, own) == ["other", "rtp", "other", "sccp down"]


def test_without_its_payload_a_packet_is_known_by_its_port() -> None:
    frame = ethernet(0x0800, ipv4("10.0.0.1", "10.0.0.2", 17, struct.pack(">HHHH", 4000, 20_482, 180, 0) + RTP))[:42]
    packets = parse_capture(pcap([Frame(data=frame, wire_len=214, time_ns=0)]), file="x.pcap")
    assert Labeller().label(packets).traffic.tolist() == [Traffic.RTP]


@pytest.mark.parametrize(
    ("conditions", "frames"),
    [
        ({"class": "sccp"}, [1, 2, 3]),
        ({"class": "sccp", "direction": "up"}, [1, 3]),
        ({"class": "http", "direction": "down"}, [5]),
        ({"protocol": "udp"}, [10, 11]),
        ({"protocol": "tcp", "ports": [22]}, [7, 8, 9]),
        ({"ports": ["20000-20001", 53]}, [10, 11]),
        ({"prefixes": ["10.0.1.2/31"]}, [4, 5, 6]),
        ({"prefixes": ["10.0.0.0/24"], "protocol": "udp"}, [10, 11]),
        ({"prefixes": ["2001:db8::/32"]}, []),
        ({"class": "rtp", "cause": "call-control"}, []),
    ],
)
def test_a_rule_speaks_of_packets_that_meet_all_its_conditions(
    conditions: dict[str, object], frames: list[int]
) -> None:
    packets = read(mixed())
    rule = Rule.model_validate({"rule": "x", "allowed": ["EF"], **conditions})
    assert packets.frame[Matcher(rule).mask(packets, Labeller().label(packets))].tolist() == frames


@pytest.mark.parametrize(
    ("prefix", "is_in"),
    [
        ("2001:db8::/32", True),
        ("2001:db8::1", True),
        ("2001:db8::2/127", True),
        ("2001:db8::4/126", False),
        ("::/0", True),
    ],
)
def test_a_prefix_of_ipv6_is_matched_on_either_side(prefix: str, is_in: bool) -> None:
    address = bytes.fromhex("20010db8") + bytes(11)
    packet = struct.pack(">IHBB", 6 << 28, 8, 17, 64) + address + b"\1" + address + b"\2" + bytes(8)
    wire = Wire()
    wire.add(0.1, ethernet(0x86DD, packet))
    packets = read(wire)
    rule = Rule.model_validate({"rule": "x", "allowed": [0], "prefixes": [prefix]})
    assert Matcher(rule).mask(packets, Labeller().label(packets)).tolist() == [is_in]
