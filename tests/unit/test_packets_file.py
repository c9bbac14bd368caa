from __future__ import annotations

import gzip
import io
import random
import struct
from pathlib import Path

import numpy as np
import pytest
from capture_maker import Frame, Made, block, enhanced, interface, obsolete, pcap, pcapng, section, simple
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import ethernet, ipv4
from shared_data import shared_capture
from tshark_judge import assert_agrees

from testbed.packets import CaptureError, Packets, parse_capture
from testbed.packets.file import CaptureFile, open_capture

PACKET = ipv4("10.0.0.1", "10.0.0.2", 17, struct.pack(">HHHH", 4000, 2000, 8, 0), tos=184)
FRAME = Frame(data=ethernet(0x0800, PACKET), wire_len=42, time_ns=1_700_000_000_123_456_000)
COLUMNS = (
    "frame",
    "time_s",
    "wire_len",
    "version",
    "tos",
    "src",
    "dst",
    "proto",
    "sport",
    "dport",
    "cos",
    "payload_len",
)


def opened(data: bytes, *, block_bytes: int = 1 << 20) -> CaptureFile:
    return CaptureFile(io.BytesIO(data), file="x.pcap", block_bytes=block_bytes)  # type: ignore[arg-type]


def columns(capture: CaptureFile) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {name: [] for name in COLUMNS}
    for packets in capture.blocks():
        for name in COLUMNS:
            found[name] += getattr(packets, name).tolist()
    return found


def one(data: bytes) -> Packets:
    (packets,) = opened(data).blocks()
    return packets


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("block_bytes", [256, 1000, 4096])
def test_the_size_of_blocks_makes_no_difference(seed: int, block_bytes: int) -> None:
    data = Made(seed, count=200).data
    assert columns(opened(data, block_bytes=block_bytes)) == columns(opened(data))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("tsresol", "units"), [(None, 10**6), (6, 10**6), (9, 10**9), (3, 10**3), (0x80 | 20, 2**20), (0x80 | 63, 2**63)]
)
def test_pcapng_clocks_of_any_resolution_in_either_byte_order(order: str, tsresol: int | None, units: int) -> None:
    ticks = (1_700_000_000 * units + units // 4) % 2**64
    data = section(order) + interface(1, order, tsresol=tsresol) + enhanced(FRAME, order, ticks)
    packets = one(data)
    assert packets.time_s[0] == pytest.approx(ticks / units, abs=1e-3 if units == 1000 else 1e-6)
    assert (packets.tos[0], packets.dport[0], packets.wire_len[0]) == (184, 2000, 42)


def test_every_kind_of_packet_block_is_read_and_the_others_are_counted() -> None:
    order = "<"
    data = section(order) + interface(1, order)
    data += enhanced(FRAME, order, FRAME.time_ns // 1000) + block(4, bytes(8), order) + simple(FRAME, order)
    data += block(0x0BAD, bytes(5), order) + obsolete(FRAME, order, FRAME.time_ns // 1000)
    capture = opened(data)
    found = columns(capture)
    assert found["dport"] == [2000, 2000, 2000]
    assert len(set(found["time_s"])) == 1
    assert capture.skipped == {
        "pcapng name resolution blocks": 1,
        "pcapng blocks of other types": 1,
        "packets without a time (they get that of the packet before)": 1,
    }


def test_a_simple_packet_block_is_cut_to_the_snapshot_length() -> None:
    frame = Frame(data=FRAME.data[:40], wire_len=42, time_ns=0)
    packets = one(section("<") + interface(1, "<", snaplen=40) + simple(frame, "<"))
    assert (packets.payload_at[0] + packets.payload_len[0], packets.wire_len[0]) == (28 + 20 + 12 + 40, 42)


def test_sections_have_their_own_order_and_interfaces() -> None:
    data = b""
    for order, link, packet in (("<", 1, FRAME.data), (">", 101, PACKET), ("<", 101, PACKET)):
        data += section(order) + interface(link, order)
        data += enhanced(Frame(data=packet, wire_len=len(packet), time_ns=0), order, 5)
    found = columns(opened(data))
    assert found["dport"] == [2000, 2000, 2000]


def test_packets_that_do_not_fit_their_block_or_have_no_interface_are_counted() -> None:
    stranger = enhanced(Frame(data=FRAME.data, wire_len=42, time_ns=0, interface=7), "<", 1)
    liar = bytearray(enhanced(FRAME, "<", 1))
    liar[20:24] = struct.pack("<I", 5000)
    capture = opened(section("<") + interface(1, "<") + stranger + bytes(liar) + enhanced(FRAME, "<", 1))
    assert columns(capture)["dport"] == [2000]
    assert capture.skipped == {
        "packets of an interface that is not described": 1,
        "packets longer than their block": 1,
    }


@pytest.mark.parametrize("kind", [0x0BAD, 10])
def test_a_block_of_gigabytes_is_passed_over_without_being_held(kind: int) -> None:
    data = section("<") + interface(1, "<") + enhanced(FRAME, "<", 1)
    data += struct.pack("<II", kind, 3 << 30) + bytes(100)
    capture = opened(data)
    assert columns(capture)["dport"] == [2000]
    assert (capture.truncated, capture.damage) == (True, "")


def test_a_long_block_within_the_file_is_passed_over() -> None:
    data = section("<") + interface(1, "<") + block(0x0BAD, bytes(300_000), "<") + enhanced(FRAME, "<", 1)
    assert columns(opened(data, block_bytes=1024))["dport"] == [2000]


@pytest.mark.parametrize("is_pcapng", [False, True])
def test_what_is_behind_damage_is_counted(is_pcapng: bool) -> None:
    frames = [FRAME] * 3
    whole = pcapng(frames, random.Random(4), "<") if is_pcapng else pcap(frames)
    claim = struct.pack("<II", 6, 1 << 30) + bytes(4) if is_pcapng else struct.pack("<IIII", 1, 1, 1 << 30, 1 << 30)
    capture = opened(whole + claim + bytes(5000), block_bytes=256)
    assert columns(capture)["dport"] == [2000] * 3
    assert "claims 1073741824 bytes" in capture.damage
    assert capture.skipped["bytes behind the damage"] == len(claim) + 5000
    assert not capture.truncated


@pytest.mark.parametrize("cut", [1, 30, 55])
def test_a_file_that_ends_inside_a_record_gives_what_is_whole(cut: int) -> None:
    capture = opened(pcap([FRAME] * 3)[:-cut])
    assert columns(capture)["dport"] == [2000, 2000]
    assert capture.truncated


@pytest.mark.parametrize("block_bytes", [256, 1 << 20])
def test_damage_of_gzip_takes_nothing_with_it_that_comes_before(block_bytes: int) -> None:
    data = gzip.compress(pcap([FRAME] * 300))
    capture = opened(data[:-8] + bytes(8), block_bytes=block_bytes)
    assert sum(len(packets) for packets in capture.blocks()) == 300
    assert "CRC" in capture.damage


def test_gzip_is_read_and_a_cut_one_is_damaged() -> None:
    data = gzip.compress(pcap([FRAME] * 300))
    assert columns(opened(data))["dport"] == [2000] * 300
    capture = opened(data[:-12])
    assert set(columns(capture)["dport"]) <= {2000}
    assert "gzip" in capture.damage


def test_a_link_type_that_is_not_read_is_counted() -> None:
    frames = [FRAME, Frame(data=bytes(60), wire_len=60, time_ns=0, link=105)]
    capture = opened(pcapng(frames, random.Random(1), "<"))
    assert columns(capture)["version"] == [4, 0]
    assert capture.skipped["frames of link type 105, which is not read"] == 1


@pytest.mark.parametrize("content", [b"", b"hello, this is a text\n", bytes(100)])
def test_what_is_no_capture_is_refused(content: bytes) -> None:
    with pytest.raises(CaptureError):
        columns(opened(content))


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pcap", tmp_path):
        with pytest.raises(CaptureError, match=str(path)):
            columns(open_capture(path))


HEADS = (
    b"",
    pcap([]),
    pcap([], order=">", nanoseconds=True),
    section("<"),
    section(">") + interface(1, ">"),
    section("<") + interface(113, "<") + enhanced(FRAME, "<", 1),
    b"\x1f\x8b\x08\x00",
)


@settings(deadline=None)
@given(st.sampled_from(HEADS), st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_the_typed_error(head: bytes, content: bytes) -> None:
    capture = opened(head + content, block_bytes=256)
    try:
        for packets in capture.blocks():
            assert (packets.payload_len >= 0).all()
            assert [packets.payload(index) for index in range(len(packets))]
    except CaptureError:
        pass


@settings(deadline=None)
@given(st.integers(0, 10_000), st.data())
def test_a_capture_with_some_bytes_changed_is_read_to_its_end_or_to_the_damage(seed: int, data: st.DataObject) -> None:
    whole = bytearray(Made(seed, count=8).data)
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    capture = opened(bytes(whole), block_bytes=512)
    try:
        count = sum(len(packets) for packets in capture.blocks())
    except CaptureError:
        return
    assert count == capture.frames


@pytest.mark.parametrize("name", ["ndpi-skinny.pcap", "tcpdump-tftp.pcap", "ndpi-sccp_hw_conf_register.pcapng"])
def test_tshark_reads_the_same_from_captures_of_others(name: str) -> None:
    assert assert_agrees(shared_capture(name)) > 6


@pytest.mark.parametrize("seed", range(1000, 1008))
def test_tshark_reads_the_same_from_generated_captures(seed: int, tmp_path: Path) -> None:
    made = Made(seed)
    file = tmp_path / f"made{made.suffix}"
    file.write_bytes(made.data)
    assert assert_agrees(file) == 60


def test_a_block_and_the_whole_file_are_read_alike() -> None:
    data = pcap(Made(0).frames[:1] * 5)
    usual, streamed = parse_capture(data, file="x.pcap"), one(data)
    for name in COLUMNS:
        assert np.array_equal(getattr(usual, name), getattr(streamed, name))
