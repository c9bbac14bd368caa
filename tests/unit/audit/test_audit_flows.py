from __future__ import annotations

import random
import struct
from collections import Counter

import pytest
from audit_reading import packets_by_group, surveyed, surveyor_of, words
from capture_maker import Frame, Made, pcap
from recordings import ACK, RST, SYN, Connection, Wire, ethernet, ipv4

from testbed.audit.lanes import Lanes
from testbed.audit.match import matching
from testbed.packets import Packets, parse_capture
from testbed.policy import Policy, Rule

PHONE, CCM, WEB, TFTP = ("10.0.0.1", 50_000), ("10.0.1.1", 2000), ("10.0.1.2", 8080), ("10.0.1.3", 69)
RTP = b"\x80\x00" + bytes(170)


def groups(wire: Wire, chosen: Policy | None = None) -> dict[str, int]:
    return packets_by_group(surveyed(wire, chosen))


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
    assert groups(mixed()) == {
        "sccp up": 2,
        "sccp down": 1,
        "http up": 2,
        "http down": 1,
        "rtp unexplained": 1,
        "other": 4,
        "icmp": 1,
        "not ip": 1,
    }


def test_tftp_is_followed_to_the_port_the_server_chose() -> None:
    wire = Wire()
    for at_s, source, destination in (
        (0.1, PHONE, TFTP),
        (0.2, ("10.0.1.3", 31_000), PHONE),
        (0.3, PHONE, ("10.0.1.3", 31_000)),
    ):
        wire.udp(at_s, source, destination, b"\x00\x03\x00\x01data")
    wire.udp(0.4, ("10.0.1.3", 31_000), ("10.0.0.9", 50_000), b"\x00\x03\x00\x01data")
    assert groups(wire) == {"tftp up": 2, "tftp down": 1, "other": 1}


def test_a_policy_says_by_which_ports_a_class_is_known() -> None:
    own = Policy.model_validate(
        {"policy": "own", "classes": {"rtp": ["EF"]}, "ports": {"rtp": ["40000-40010"], "sccp": [2443]}}
    )
    wire = Wire()
    for port in (30_000, 40_010, 40_011):
        wire.udp(port / 1e5, ("10.0.0.1", 20_000), ("10.0.0.2", port), RTP)
    Connection(wires=[wire], client=PHONE, server=("10.0.1.1", 2443)).packet(0.9, up=False)
    assert groups(wire, own) == {"other": 2, "rtp unexplained": 1, "sccp down": 1}


def test_without_its_payload_a_packet_is_known_by_its_port() -> None:
    frame = ethernet(0x0800, ipv4("10.0.0.1", "10.0.0.2", 17, struct.pack(">HHHH", 4000, 20_482, 180, 0) + RTP))[:42]
    assert packets_by_group(surveyed(pcap([Frame(data=frame, wire_len=214, time_ns=0)]))) == {"rtp unexplained": 1}


def stream(*, ssrc: tuple[int, ...] = (7,), step: int = 1, version: int = 0x80, count: int = 20, kind: int = 0) -> Wire:
    wire = Wire()
    for place in range(count):
        head = struct.pack(">BBHII", version, kind, place * step % 65536, place * 160, ssrc[place % len(ssrc)])
        wire.udp(0.1 + place / 50, ("10.0.0.1", 6000), ("10.0.0.2", 6002), head + bytes(20), tos=184)
    return wire


@pytest.mark.parametrize(
    ("form", "is_rtp"),
    [
        ({}, True),
        ({"step": 3}, True),
        ({"count": 7}, False),
        ({"ssrc": (7, 8)}, False),
        ({"step": 1000}, False),
        ({"version": 0x40}, False),
    ],
)
def test_rtp_at_any_port_is_known_by_version_sequence_and_ssrc(form: dict[str, int], is_rtp: bool) -> None:
    assert [*groups(stream(**form))] == ["rtp unexplained" if is_rtp else "other"]  # type: ignore[arg-type]


def test_rtcp_is_told_from_rtp() -> None:
    assert [*groups(stream(kind=200))] == ["rtcp unexplained"]


def test_http_at_any_port_is_known_by_its_first_word_in_both_directions() -> None:
    wire = Wire()
    connection = Connection(wires=[wire], client=PHONE, server=("10.0.1.2", 9999))
    connection.open(0.1)
    connection.send(0.2, b"GET /x HTTP/1.1\r\n\r\n", up=True)
    connection.send(0.3, b"HTTP/1.1 200 OK\r\n\r\n", up=False)
    assert groups(wire) == {"http up": 3, "http down": 2}
    only_answer = Wire()
    Connection(wires=[only_answer], client=PHONE, server=("10.0.1.2", 9999)).send(
        0.3, b"HTTP/1.1 200 OK\r\n\r\n", up=False
    )
    assert groups(only_answer) == {"http down": 1}


@pytest.mark.parametrize(
    ("conditions", "packets"),
    [
        ({"class": "sccp"}, 3),
        ({"class": "sccp", "direction": "up"}, 2),
        ({"class": "http", "direction": "down"}, 1),
        ({"protocol": "udp"}, 2),
        ({"protocol": "tcp", "ports": [22]}, 3),
        ({"ports": ["20000-20001", 53]}, 2),
        ({"prefixes": ["10.0.1.2/31"]}, 3),
        ({"prefixes": ["10.0.0.0/24"], "protocol": "udp"}, 2),
        ({"prefixes": ["2001:db8::/32"]}, 0),
        ({"class": "rtp", "cause": "call-control"}, 0),
        ({"class": "rtp", "cause": "unexplained"}, 1),
    ],
)
def test_a_rule_speaks_of_packets_that_meet_all_its_conditions(conditions: dict[str, object], packets: int) -> None:
    rule = Rule.model_validate({"rule": "x", "allowed": ["EF"], **conditions})
    own = Policy.model_validate({"policy": "own", "rules": [rule.model_dump(by_alias=True, exclude_none=True)]})
    ((_, summary),) = surveyed(mixed(), own).rules
    assert summary.packets == packets


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
    surveyor = surveyor_of(wire)
    rule = Rule.model_validate({"rule": "x", "allowed": [0], "prefixes": [prefix]})
    assert matching(rule, surveyor.flows(), surveyor.lanes.text).tolist() == [is_in]


def brute(packets: Packets) -> Counter[tuple[object, ...]]:
    """Packets by all that a lane tells apart, one by one."""
    found: Counter[tuple[object, ...]] = Counter()
    for index in range(len(packets)):
        if packets.version[index]:
            flags = packets.tcp_flags[index] if packets.proto[index] == 6 else 0
            kind = 2 if flags & RST else 1 if flags & SYN else 0
            ports = (packets.sport[index], packets.dport[index]) if packets.proto[index] in (6, 17) else ()
            found[
                (
                    packets.addresses(index),
                    ports,
                    packets.proto[index],
                    packets.tos[index] >> 2,
                    packets.cos[index],
                    kind,
                )
            ] += 1
    return found


@pytest.mark.parametrize("seed", range(5))
def test_lanes_count_what_one_gets_packet_by_packet(seed: int) -> None:
    made = Made(seed, count=400)
    frames = [frame for frame in made.frames if frame.link == made.frames[0].link]
    packets = parse_capture(pcap(frames), file="x.pcap").only(parse_capture(pcap(frames), file="x.pcap").later == 0)
    lanes = Lanes()
    lanes.add(packets, 0)
    columns = lanes.columns
    is_ip = columns.version[: lanes.count] > 0
    assert sorted(columns.packets[: lanes.count][is_ip].tolist()) == sorted(brute(packets).values())
    assert columns.packets.sum() == len(packets)
    assert columns.bytes.sum() == packets.wire_len.sum()


def test_many_flows_are_found_again_in_every_block() -> None:
    chance, wire = random.Random(1), Wire()
    pairs = [
        (f"10.1.{chance.randrange(256)}.{chance.randrange(256)}", chance.randrange(1024, 65536)) for _ in range(3000)
    ]
    for turn in range(2):
        for place, pair in enumerate(pairs):
            wire.udp(turn + place / 1e4, pair, ("10.0.0.2", 5060), b"x")
    surveyor = surveyor_of(wire, block_bytes=4096)
    assert surveyor.lanes.count == len(set(pairs))
    assert surveyor.lanes.columns.packets.sum() == 6000


def test_of_too_many_flows_marks_and_classes_are_still_counted() -> None:
    wire = Wire()
    for place in range(500):
        Connection(wires=[wire], client=("10.0.0.1", 10_000 + place), server=CCM, client_tos=104).packet(
            place / 1e3, up=True, flags=SYN
        )
    surveyor = surveyor_of(Wire())
    surveyor.lanes = Lanes(most=100)
    for _ in range(2):
        surveyor.add(parse_capture(wire.pcap(), file="x.pcap"))
    survey = surveyor.survey()
    assert packets_by_group(survey) == {"sccp up": 1000}
    assert survey.groups[0].summary.counts[26].packets == 1000
    assert survey.folded == 1000
    assert surveyor.lanes.count == 1


def test_a_later_fragment_is_of_the_flow_of_its_first() -> None:
    wire = Wire()
    datagram = struct.pack(">HHHH", 5000, 20_480, 3008, 0) + b"\x80" + bytes(2999)
    for place, (begin, flags) in enumerate(((0, 0x2000), (1480, 0x2000 | 185), (2960, 370))):
        packet = bytearray(ipv4("10.0.0.1", "10.0.0.2", 17, datagram[begin : begin + 1480], tos=184, ip_id=77))
        packet[6:8] = struct.pack(">H", flags)
        wire.add(0.1 + place / 1000, ethernet(0x0800, bytes(packet)))
    assert groups(wire) == {"rtp unexplained": 3}
    assert surveyed(wire).groups[0].summary.flows == 1
    lone = Wire(frames=wire.frames[1:])
    assert groups(lone) == {"other": 2}


def test_overlapping_and_repeated_fragments_are_counted_once_each() -> None:
    packet = bytearray(ipv4("10.0.0.1", "10.0.0.2", 17, struct.pack(">HHHH", 5000, 2000, 500, 0) + bytes(80), ip_id=5))
    packet[6:8] = b"\x20\x00"
    other = bytes(packet[:6]) + b"\x00\x01" + bytes(packet[8:])
    wire = Wire(frames=[(0.1, ethernet(0x0800, bytes(packet)))] * 2 + [(0.2, ethernet(0x0800, other))] * 2)
    assert groups(wire) == {"other": 4}


def test_syn_and_first_packets_are_counted_apart() -> None:
    wire = Wire()
    connection = Connection(wires=[wire], client=PHONE, server=CCM, client_tos=104)
    connection.packet(0.1, up=True, flags=SYN, tos=0)
    connection.packet(0.2, up=True)
    connection.packet(0.3, up=True)
    (group,) = surveyed(wire).groups
    assert dict(group.summary.openings) == {0: 1}
    assert dict(group.summary.firsts) == {0: 1}
    assert {dscp: count.packets for dscp, count in group.summary.counts.items()} == {0: 1, 26: 2}


def test_a_change_of_mark_within_a_flow_names_the_frame() -> None:
    wire = Wire()
    for place in range(10):
        wire.udp(place / 50, ("10.0.0.1", 20_000), ("10.0.0.2", 20_480), RTP, tos=184 if place < 6 else 0)
        wire.udp(place / 50 + 0.01, ("10.0.0.2", 20_480), ("10.0.0.1", 20_000), RTP, tos=184)
    (group,) = surveyed(wire).groups
    assert (group.summary.changing, group.summary.flows) == (1, 2)
    (change,) = group.summary.changes
    assert (change.before, change.after, change.first.frame) == (46, 0, 13)


@pytest.mark.parametrize(("reset_tos", "own"), [(104, True), (0, False)])
def test_a_reset_with_a_mark_of_its_own_is_a_firewalls_and_counted_apart(reset_tos: int, own: bool) -> None:
    wire = Wire()
    connection = Connection(wires=[wire], client=PHONE, server=CCM, client_tos=104, server_tos=104)
    connection.open(0.1)
    connection.packet(0.2, up=False, flags=RST, tos=reset_tos)
    down = next(group for group in surveyed(wire).groups if group.way == "down").summary
    assert (down.packets, dict(down.foreign)) == ((2, {}) if own else (1, {0: 1}))


def test_icmp_is_told_apart_by_its_type_and_no_class_of_a_policy() -> None:
    wire = Wire()
    for kind in (3, 8, 3):
        wire.add(kind / 10, ethernet(0x0800, ipv4("10.0.0.9", "10.0.0.1", 1, bytes([kind, 1]) + bytes(6), tos=192)))
    surveyor = surveyor_of(wire)
    assert words(surveyor.flows()) == ["icmp", "icmp"]


def test_blocks_make_no_difference_to_what_is_found() -> None:
    data = Made(3, count=600).data
    assert packets_by_group(surveyed(data, block_bytes=700)) == packets_by_group(surveyed(data))


def test_ack_without_payload_is_no_vote() -> None:
    wire = Wire()
    Connection(wires=[wire], client=PHONE, server=("10.0.1.2", 9999)).packet(0.1, up=True, flags=ACK)
    assert groups(wire) == {"other": 1}
