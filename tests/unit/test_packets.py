from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import ACK, RST, SYN, T0, Connection, Wire, ethernet, ipv4, sccp
from shared_data import shared_capture

from testbed.packets import CaptureError, Packets, address_number, address_text, parse_capture, read_capture
from testbed.packets.classes import answered_by_reset, class_mask
from testbed.packets.sccp import keepalives, sccp_messages

PHONE, CCM = ("172.26.16.1", 50_000), ("172.26.1.100", 2000)


def parse(wire: Wire, **form: object) -> Packets:
    return parse_capture(wire.pcap(**form), file="x.pcap")  # type: ignore[arg-type]


def mixed() -> Wire:
    """TCP, UDP, ICMP, a VLAN tag, ARP, IPv6, a fragment, padding and frames too short for their own headers."""
    wire = Wire()
    connection = Connection(wires=[wire], client=PHONE, server=CCM, client_tos=104, server_tos=104)
    connection.open(0.1)
    connection.send(0.2, sccp(1, bytes(52)), up=True)
    connection.reset(0.3, up=False)
    wire.udp(0.4, ("172.26.16.1", 20_480), ("172.26.24.1", 20_482), bytes(172), tos=184)
    wire.add(0.5, ethernet(0x0800, ipv4("172.26.1.1", "172.26.1.2", 1, b"\x08\x00" + bytes(6))))
    tagged = ipv4("172.26.1.1", "172.26.1.2", 17, struct.pack(">HHHH", 69, 70, 8, 0), tos=96)
    wire.add(0.6, ethernet(0x8100, b"\x00\x05\x08\x00" + tagged))
    wire.add(0.7, ethernet(0x0806, bytes(46)))
    wire.add(0.8, ethernet(0x86DD, bytes([0x60]) + bytes(60)))
    fragment = bytearray(ipv4("172.26.1.1", "172.26.1.2", 17, bytes(range(40))))
    fragment[6:8] = b"\x00\x10"
    wire.add(0.9, ethernet(0x0800, bytes(fragment)))
    wire.add(1.0, ethernet(0x0800, ipv4("172.26.1.1", "172.26.1.2", 6, bytes(20))[:30]))
    wire.add(1.1, b"\x01\x02\x03")
    return wire


def test_fields_are_those_that_were_sent() -> None:
    packets = parse(mixed())
    register = packets.frame[packets.payload_len == 64].tolist()
    assert register == [4]
    assert packets.tos[:6].tolist() == [104, 104, 104, 104, 104, 184]
    assert packets.sport[:2].tolist() == [50_000, 2000]
    assert packets.tcp_flags[:5].tolist() == [0x02, 0x12, 0x10, 0x10, 0x04]
    assert packets.seq[:2].tolist() == [1000, 0xFFFF_FFF0]
    assert address_text(packets.src[0]) == "172.26.16.1"
    assert packets.payload(3) == sccp(1, bytes(52))
    assert packets.time_s[3] == pytest.approx(T0 + 0.2, abs=1e-6)


def test_what_is_no_whole_ipv4_packet_has_no_fields_but_is_counted() -> None:
    packets = parse(mixed())
    assert len(packets) == 13
    assert packets.src[8:10].tolist() == [0, 0]
    assert packets.sport[10:].tolist() == [0, 0, 0]
    assert packets.sport[7] == 69  # behind the VLAN tag


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_all_four_forms_of_pcap_give_the_same(order: str, nanoseconds: bool) -> None:
    usual, other = parse(mixed()), parse(mixed(), order=order, nanoseconds=nanoseconds)
    for column in ("frame", "src", "dst", "tos", "sport", "dport", "seq", "payload_len"):
        assert np.array_equal(getattr(usual, column), getattr(other, column))
    assert np.allclose(usual.time_s, other.time_s, atol=1e-6, rtol=0)


def test_padding_of_short_frames_is_no_payload() -> None:
    wire = Wire()
    connection = Connection(wires=[wire], client=PHONE, server=CCM)
    connection.packet(0.1, up=True)
    at_s, frame = wire.frames.pop()
    wire.add(at_s, frame.ljust(60, b"\x00"))
    assert parse(wire).payload_len.tolist() == [0]


def test_an_offloaded_packet_without_a_total_length_keeps_its_payload() -> None:
    wire = Wire()
    Connection(wires=[wire], client=PHONE, server=CCM).send(0.1, bytes(300), up=True)
    at_s, frame = wire.frames.pop()
    wire.add(at_s, frame[:16] + b"\x00\x00" + frame[18:])
    assert parse(wire).payload_len.tolist() == [300]


@pytest.mark.parametrize("cut", [1, 10, 15, 16, 17, 60])
def test_a_file_cut_anywhere_gives_what_is_whole(cut: int) -> None:
    whole = mixed().pcap()
    packets = parse_capture(whole[:-cut], file="x.pcap")
    assert packets.truncated is (cut != 19)
    assert len(packets) < 13
    assert not parse_capture(whole, file="x.pcap").truncated


def test_an_empty_capture_has_no_packets_and_is_whole() -> None:
    packets = parse(Wire())
    assert (len(packets), packets.truncated) == (0, False)
    assert class_mask(packets, "tftp").tolist() == []
    assert sccp_messages(packets) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello, I am a text file of some length", "no pcap file"),
        (bytes.fromhex("0a0d0d0a") + bytes(40), "byte-order magic"),
        (struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 105), "link type 105"),
        (
            struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + struct.pack("<IIII", 0, 0, 1 << 30, 1 << 30),
            "claims",
        ),
    ],
)
def test_what_is_no_capture_of_ours_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(CaptureError, match=message):
        parse_capture(content, file="x.pcap")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"none\.pcap"):
        read_capture(tmp_path / "none.pcap")


HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_the_typed_error(content: bytes) -> None:
    for data in (content, HEADER + content):
        try:
            packets = parse_capture(data, file="x.pcap")
        except CaptureError:
            continue
        examine(packets)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=90), max_size=5))
def test_arbitrary_frames_are_read_without_an_error(frames: list[bytes]) -> None:
    wire = Wire(frames=[(0.1 * place, frame) for place, frame in enumerate(frames)])
    packets = parse(wire)
    assert len(packets) == len(frames)
    examine(packets)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.binary(max_size=40), st.integers(0, 0xFF), st.integers(-50, 50)), max_size=12
    )
)
def test_arbitrary_segments_of_sccp_are_read_without_an_error(segments: list[tuple[int, bytes, int, int]]) -> None:
    wire = Wire()
    pair = [Connection(wires=[wire], client=PHONE, server=CCM) for _ in range(2)]
    for place, (which, payload, flags, move) in enumerate(segments):
        connection = pair[which % 2]
        connection.client_seq = (connection.client_seq + move) % 2**32
        connection.packet(place * 0.01, up=which < 2, flags=flags, payload=payload)
    keepalives(sccp_messages(parse(wire)))


def examine(packets: Packets) -> None:
    packets.canaries()
    keepalives(sccp_messages(packets))
    for traffic in ("sccp", "http", "tftp", "rtp"):
        assert len(class_mask(packets, traffic)) == len(packets)
    for index in range(len(packets)):
        assert len(packets.payload(index)) == packets.payload_len[index]


def test_classes_are_told_apart() -> None:
    wire = Wire()
    Connection(wires=[wire], client=PHONE, server=CCM).packet(0.1, up=True)
    Connection(wires=[wire], client=PHONE, server=("172.26.1.20", 8080)).packet(0.2, up=False)
    wire.udp(0.3, ("172.26.16.1", 30_000), ("172.26.1.10", 69), b"\x00\x01SEP\x00octet\x00")
    wire.udp(0.4, ("172.26.1.10", 25_000), ("172.26.16.1", 30_000), b"\x00\x03\x00\x01data")
    wire.udp(0.5, ("172.26.16.1", 30_000), ("172.26.1.10", 25_000), b"\x00\x04\x00\x01")
    wire.udp(0.6, ("172.26.16.1", 20_480), ("172.26.24.1", 20_482), bytes(172))
    packets = parse(wire)
    frames = {name: packets.frame[class_mask(packets, name)].tolist() for name in ("sccp", "http", "tftp", "rtp")}
    assert frames == {"sccp": [1], "http": [2], "tftp": [3, 4, 5], "rtp": [6]}
    assert packets.frame[class_mask(packets, "http", "down")].tolist() == [2]
    assert packets.frame[class_mask(packets, "http", "up")].tolist() == []
    assert packets.frame[class_mask(packets, "tftp", "up")].tolist() == [3, 5]


MESSAGES = [sccp(1, bytes(52)), sccp(0), sccp(0x20, bytes(92)), sccp(0)]


def ids(wire: Wire) -> list[int]:
    return [message.id for message in sccp_messages(parse(wire))]


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_messages_come_out_whatever_the_segmentation_and_wrap_of_sequence_numbers(size: int, seq: int) -> None:
    wire, stream = Wire(), b"".join(MESSAGES)
    connection = Connection(wires=[wire], client=PHONE, server=CCM, client_seq=seq)
    connection.open(0.0)
    for place in range(0, len(stream), size):
        connection.send(0.01 + place * 1e-5, stream[place : place + size], up=True)
    assert ids(wire) == [1, 0, 0x20, 0]


def test_repeated_and_overlapping_segments_give_each_message_once() -> None:
    wire, stream = Wire(), b"".join(MESSAGES)
    connection = Connection(wires=[wire], client=PHONE, server=CCM)
    connection.open(0.0)
    start = connection.client_seq
    for at_s, (begin, end) in enumerate([(0, 70), (0, 70), (40, 100), (100, 150), (90, len(stream))], start=1):
        connection.client_seq = (start + begin) % 2**32
        connection.send(at_s, stream[begin:end], up=True)
    assert ids(wire) == [1, 0, 0x20, 0]


def test_segments_out_of_order_wait_for_the_missing_one() -> None:
    wire, stream = Wire(), b"".join(MESSAGES)
    connection = Connection(wires=[wire], client=PHONE, server=CCM, client_seq=2**32 - 80)
    connection.open(0.0)
    start = connection.client_seq
    for at_s, (begin, end) in enumerate([(100, len(stream)), (50, 100), (0, 50)], start=1):
        connection.client_seq = (start + begin) % 2**32
        connection.send(at_s, stream[begin:end], up=True)
    messages = sccp_messages(parse(wire))
    assert [message.id for message in messages] == [1, 0, 0x20, 0]
    assert messages[0].time_s == pytest.approx(T0 + 3)


def test_a_message_names_the_frame_of_its_last_byte() -> None:
    wire = Wire()
    connection = Connection(wires=[wire], client=PHONE, server=CCM)
    connection.open(0.0)
    message = sccp(1, bytes(52))
    connection.send(0.1, message[:20], up=True)
    connection.send(0.2, message[20:] + sccp(0), up=True)
    assert [(message.id, message.frame) for message in sccp_messages(parse(wire))] == [(1, 5), (0, 5)]


def test_reading_goes_on_behind_what_was_not_captured() -> None:
    wire = Wire()
    connection = Connection(wires=[wire], client=PHONE, server=CCM)
    connection.open(0.0)
    connection.send(0.1, sccp(1, bytes(52)), up=True)
    connection.client_seq += 100
    connection.send(0.2, sccp(0), up=True)
    assert ids(wire) == [1, 0]


def test_a_new_connection_from_the_same_port_is_another_one() -> None:
    wire = Wire()
    for begin in (0.0, 1.0):
        connection = Connection(wires=[wire], client=PHONE, server=CCM, client_seq=int(5000 + begin * 99))
        connection.open(begin)
        connection.send(begin + 0.1, sccp(0), up=True)
    connection.send(1.2, sccp(0x100), up=False)
    pairs = keepalives(sccp_messages(parse(wire)))
    assert [pair.answer is not None for pair in pairs] == [False, True]
    assert [pair.sent.connection for pair in pairs] == [0, 1]


def test_a_capture_that_begins_in_mid_connection_is_read() -> None:
    wire = Wire()
    connection = Connection(wires=[wire], client=PHONE, server=CCM)
    connection.send(0.1, sccp(0), up=True)
    connection.send(0.2, sccp(0x100), up=False)
    assert [pair.answer is not None for pair in keepalives(sccp_messages(parse(wire)))] == [True]


FIELDS = ("frame.number", "ip.src", "ip.dst", "ip.dsfield", "ip.id", "tcp.srcport", "udp.srcport", "tcp.dstport",
          "udp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "frame.time_epoch")  # fmt: skip


def tshark(file: Path, *arguments: str) -> list[list[str]]:
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    command = ["tshark", "-n", "-r", str(file), *arguments]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in output.splitlines()]


def assert_tshark_agrees(file: Path) -> None:
    packets = read_capture(file)
    rows = tshark(file, "-T", "fields", "-E", "occurrence=f", *(word for name in FIELDS for word in ("-e", name)))
    assert len(rows) == len(packets)
    for index, row in enumerate(rows):
        number, src, dst, tos, ip_id, tcp_src, udp_src, tcp_dst, udp_dst, seq, ack, flags, time_s = row
        assert int(number) == packets.frame[index]
        assert float(time_s) == pytest.approx(packets.time_s[index], abs=1e-6)
        assert (address_number(src) if src else 0) == packets.src[index]
        assert (address_number(dst) if dst else 0) == packets.dst[index]
        assert int(tos or "0", 0) == packets.tos[index]
        assert int(ip_id or "0", 0) == packets.ip_id[index]
        assert int(tcp_src or udp_src or 0) == packets.sport[index]
        assert int(tcp_dst or udp_dst or 0) == packets.dport[index]
        assert int(seq or 0) == packets.seq[index]
        assert int(ack or 0) == packets.ack[index]
        assert int(flags or "0", 0) & 0xFF == packets.tcp_flags[index]


def test_tshark_reads_the_same_fields_from_a_capture_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "mixed.pcap"
    file.write_bytes(mixed().pcap())
    assert_tshark_agrees(file)


@pytest.mark.parametrize("name", ["ndpi-skinny.pcap", "tcpdump-tftp.pcap"])
def test_tshark_reads_the_same_fields_from_captures_of_others(name: str) -> None:
    assert_tshark_agrees(shared_capture(name))


def test_tshark_finds_the_same_sccp_messages_in_a_real_call() -> None:
    file = shared_capture("ndpi-skinny.pcap")
    rows = tshark(file, "-Y", "skinny", "-T", "fields", "-e", "frame.number", "-e", "skinny.messageId")
    expected = [(int(frame), int(word)) for frame, words in rows for word in words.split(",")]
    assert [(message.frame, message.id) for message in sccp_messages(read_capture(file))] == expected
    assert len(expected) == 62


def test_ack_is_what_the_other_side_expects() -> None:
    wire = Wire()
    connection = Connection(wires=[wire], client=PHONE, server=CCM)
    connection.open(0.0)
    connection.packet(0.1, up=True, flags=ACK)
    assert parse(wire).ack[-1] == (0xFFFF_FFF0 + 1) % 2**32


@pytest.mark.parametrize(
    ("flags", "seq", "ack", "answers"),
    [
        (RST | ACK, 0, 1001, True),
        (RST | ACK, 7, 1001, False),  # a socket's own sequence number
        (RST | ACK, 0, 1002, False),  # acknowledges something else
        (SYN | ACK, 0, 1001, False),  # no reset
    ],
)
def test_a_reset_answers_a_syn_only_with_sequence_number_0(flags: int, seq: int, ack: int, answers: bool) -> None:
    wire = Wire()
    connection = Connection(wires=[wire], client=PHONE, server=CCM, server_seq=seq)
    connection.packet(0.1, up=True, flags=SYN)
    connection.client_seq = ack
    connection.packet(0.2, up=False, flags=flags)
    assert answered_by_reset(parse(wire), 1) == (0 if answers else None)


def test_a_reset_without_ack_continues_from_the_acknowledgement_it_answers() -> None:
    wire = Wire()
    connection = Connection(wires=[wire], client=PHONE, server=CCM, client_seq=500, server_seq=900)
    connection.packet(0.1, up=False)
    connection.packet(0.2, up=True, flags=RST)
    connection.packet(0.3, up=True, flags=0)
    connection.client_seq = 501
    connection.packet(0.4, up=True, flags=RST)
    assert [answered_by_reset(parse(wire), index) for index in range(4)] == [None, 0, None, None]
