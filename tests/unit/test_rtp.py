from __future__ import annotations

import itertools
import shutil
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.errors import LocalProtocolError, PeerProtocolError
from testbed.rtp import (
    CLOCK_HZ,
    PACKET_S,
    SAMPLES,
    TICK_S,
    Receiver,
    RtpPacket,
    Sender,
    mu_law,
    rtp_ports,
    tone,
)

U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)


def sent(
    count: int, *, began: float = 100.0, sequence: int = 0, timestamp: int = 0, ssrc: int = 7
) -> list[tuple[float, bytes]]:
    """(time, packet) of a stream, each sent when it was due."""
    sender = Sender(ssrc=ssrc, sequence=sequence, timestamp=timestamp, now=began)
    return [(sender.due, packet) for _ in range(count) if (packet := sender.packet(sender.due))]


def taken(stream: list[tuple[float, bytes]], delay_s: float = 0.001) -> Receiver:
    receiver = Receiver()
    for time_s, data in stream:
        assert receiver.take(data, time_s + delay_s)
    return receiver


@given(sequence=U16, timestamp=U32, ssrc=U32, payload=st.binary(max_size=200), marker=st.booleans())
def test_a_packet_survives_the_round_trip(sequence, timestamp, ssrc, payload, marker):
    packet = RtpPacket(sequence=sequence, timestamp=timestamp, ssrc=ssrc, payload=payload, marker=marker)
    assert RtpPacket.decode(packet.encode()) == packet


@given(st.binary(max_size=80))
def test_any_bytes_are_a_packet_or_a_typed_error(data):
    try:
        packet = RtpPacket.decode(data)
    except PeerProtocolError:
        return
    assert len(packet.payload) <= len(data) - 12


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\0\0",
        b"\x40" + bytes(20),
        b"\x8f" + bytes(20),
        b"\x90" + bytes(11),
        b"\xb0" + bytes(30),
        b"\xa0" + bytes(11) + b"\0\0\0\x09",
        b"\x80\xc8" + bytes(20),
    ],
    ids=["empty", "short", "version-1", "sources-cut", "extension-cut", "padding-zero", "padding-too-long", "rtcp"],
)
def test_what_is_no_rtp_is_refused_and_counted(data):
    with pytest.raises(PeerProtocolError):
        RtpPacket.decode(data)
    receiver = Receiver()
    assert not receiver.take(data, 1.0)
    assert (receiver.figures.invalid, receiver.figures.packets) == (1, 0)


def test_padding_extension_and_sources_are_no_payload():
    head = struct.pack("!BBHII", 0x80 | 0x20 | 0x10 | 1, 0, 5, 6, 7)
    data = head + bytes(4) + struct.pack("!HH", 1, 1) + bytes(4) + b"voice" + b"\0\0\x03"
    assert RtpPacket.decode(data).payload == b"voice"


def test_values_that_do_not_fit_are_our_own_fault():
    with pytest.raises(LocalProtocolError):
        RtpPacket(sequence=1 << 16, timestamp=0, ssrc=0, payload=b"").encode()
    with pytest.raises(LocalProtocolError):
        RtpPacket(sequence=0, timestamp=0, ssrc=0, payload=b"", payload_type=128).encode()


def test_mu_law_agrees_with_the_values_of_g711():
    assert [mu_law(sample) for sample in (0, -1, 32767, -32768, 1000, -1000)] == [0xFF, 0x7F, 0x80, 0x00, 0xCE, 0x4E]


def test_a_tone_joins_itself_without_a_step():
    assert len(tone()) == SAMPLES
    assert len(set(tone())) > 5
    period = CLOCK_HZ // 400
    assert all(tone()[i] & 0x70 == tone()[i + period] & 0x70 for i in range(SAMPLES - period))


@given(jitter=st.lists(st.floats(0, 0.15), min_size=3, max_size=60), sequence=U16, timestamp=U32)
def test_a_sender_woken_late_keeps_its_pace(jitter, sequence, timestamp):
    """However late each wake-up is: after n packets the next is due at n times 20 ms, and none is left out."""
    sender = Sender(ssrc=1, sequence=sequence, timestamp=timestamp, now=50.0)
    packets: list[RtpPacket] = []
    now = 50.0
    for late_s in jitter:
        now = max(now, sender.due) + late_s
        while (data := sender.packet(now)) is not None:
            packets.append(RtpPacket.decode(data))
    assert sender.due == pytest.approx(50.0 + len(packets) * PACKET_S)
    assert sender.packet(sender.due - 0.001) is None
    assert [p.sequence for p in packets] == [(sequence + i) % 65536 for i in range(len(packets))]
    assert [p.timestamp for p in packets] == [(timestamp + i * SAMPLES) % 2**32 for i in range(len(packets))]
    assert [p.marker for p in packets] == [i == 0 for i in range(len(packets))]


@given(now=st.floats(0, 1e6))
def test_packets_are_due_at_whole_ticks_from_the_next_one_on(now):
    """Otherwise a loop whose timers count milliseconds waits for them without sleeping, and no two streams share a wake-up."""
    sender = Sender(ssrc=1, sequence=0, timestamp=0, now=now)
    assert -1e-9 <= sender.due - now < TICK_S + 1e-9
    for _ in range(3):
        assert sender.due / TICK_S == pytest.approx(round(sender.due / TICK_S), abs=1e-6, rel=0)
        assert sender.packet(sender.due)


def test_a_sender_that_was_frozen_makes_no_burst():
    sender = Sender(ssrc=1, sequence=0, timestamp=0, now=0.0)
    assert sender.packet(0.0)
    burst = []
    while (data := sender.packet(10.0)) is not None:
        burst.append(RtpPacket.decode(data))
    assert len(burst) <= 2
    assert burst[0].sequence == 1
    assert burst[0].timestamp == pytest.approx(10.0 * CLOCK_HZ, abs=2 * SAMPLES)


@given(count=st.integers(1, 400), sequence=U16, timestamp=U32)
def test_a_perfect_stream_has_no_loss_no_jitter_and_no_gap(count, sequence, timestamp):
    figures = taken(sent(count, sequence=sequence, timestamp=timestamp)).figures
    assert (figures.packets, figures.expected, figures.lost, figures.invalid, figures.gaps) == (count, count, 0, 0, 0)
    assert figures.octets == count * SAMPLES
    assert figures.jitter_s < 1e-6
    assert figures.largest_gap_s == pytest.approx(PACKET_S if count > 1 else 0.0)


@given(data=st.data(), count=st.integers(3, 200), sequence=U16)
def test_what_is_lost_is_counted(data, count, sequence):
    lost = data.draw(st.sets(st.integers(1, count - 2), max_size=count // 2))
    stream = [packet for i, packet in enumerate(sent(count, sequence=sequence)) if i not in lost]
    figures = taken(stream).figures
    assert (figures.expected, figures.lost, figures.packets) == (count, len(lost), count - len(lost))
    longest = max((b[0] - a[0] for a, b in itertools.pairwise(stream)), default=0.0)
    assert figures.largest_gap_s == pytest.approx(longest)
    assert figures.gaps == sum(i - 1 not in lost for i in lost)


@given(order=st.permutations(range(40)))
def test_misordered_packets_are_not_lost(order):
    stream = sent(80)
    arrived = [stream[i][1] for i in (*order, *range(40, 80))]
    receiver = Receiver()
    for place, data in enumerate(arrived):
        receiver.take(data, 100 + place * PACKET_S)
    first = order[0]
    assert receiver.figures.expected == 80 - first
    assert receiver.figures.lost <= 0


def test_jitter_follows_the_estimate_of_rfc_3550():
    """Every other packet 8 ms late: each difference is 64 samples, the estimate goes to 8 ms by sixteenths."""
    receiver, expected = Receiver(), 0.0
    for place, (time_s, data) in enumerate(sent(60)):
        receiver.take(data, time_s + (0.008 if place % 2 else 0))
        if place:
            expected += (0.008 - expected) / 16
    assert receiver.figures.jitter_s == pytest.approx(expected, rel=1e-3)
    assert receiver.figures.largest_jitter_s == pytest.approx(expected, rel=1e-3)


def test_each_row_of_lost_packets_is_one_gap():
    stream = sent(50)
    figures = taken(stream[:10] + stream[12:30] + stream[31:]).figures
    assert figures.gaps == 2
    assert figures.largest_gap_s == pytest.approx(3 * PACKET_S)


def test_a_stream_that_begins_anew_is_followed():
    receiver = taken(sent(30, ssrc=1))
    for time_s, data in sent(30, ssrc=2, sequence=900, began=101.0):
        assert receiver.take(data, time_s)
    assert (receiver.figures.packets, receiver.figures.lost) == (60, 0)


def test_one_stray_packet_of_the_same_source_does_not_mislead():
    receiver = taken(sent(30))
    stray = RtpPacket(sequence=30000, timestamp=0, ssrc=7, payload=b"x").encode()
    assert not receiver.take(stray, 100.6)
    assert (receiver.figures.lost, receiver.figures.invalid) == (0, 1)


def test_ports_are_even_and_in_the_range_of_the_table():
    ports = rtp_ports()
    assert (ports[0], ports[-1]) == (20480, 32766)
    assert all(port % 2 == 0 for port in ports)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_a_stream_as_rtp_without_loss(tmp_path):
    path = tmp_path / "rtp.pcap"
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for place, (time_s, data) in enumerate(sent(100, sequence=65500)):
            udp = struct.pack("!HHHH", 20480, 20482, 8 + len(data), 0) + data
            ip = struct.pack("!BBHHHBBH", 0x45, 184, 20 + len(udp), place, 0, 64, 17, 0)
            packet = ip + bytes([172, 26, 16, 1]) + bytes([172, 26, 24, 1]) + udp
            micros = round(time_s * 1e6)
            file.write(struct.pack("<IIII", micros // 10**6, micros % 10**6, len(packet), len(packet)) + packet)
    shown = subprocess.run(
        ["tshark", "-r", str(path), "-d", "udp.port==20482,rtp", "-q", "-z", "rtp,streams"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "g711U" in shown
    assert "0 (0.0%)" in shown
    assert " 100 " in shown
