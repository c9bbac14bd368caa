"""Several files of one point are judged as the one capture they are parts of."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from capture_maker import Frame, Made, pcap
from hypothesis import example, given, settings
from hypothesis import strategies as st
from recordings import T0, Connection, Wire, ethernet, ipv4, sccp

from testbed.audit import merge
from testbed.audit.judge import judge
from testbed.audit.ladder import ladders, ladders_of
from testbed.audit.merge import Merge
from testbed.audit.report import records
from testbed.audit.survey import Survey, Surveyor, survey
from testbed.packets.file import CaptureFile, open_capture
from testbed.policy import policy
from testbed.verdict import Status

PHONE, CCM = ("10.0.0.1", 50_000), ("10.0.1.1", 2000)
START = sccp(0x008A, struct.pack("<II4sI", 1, 2, bytes([10, 0, 0, 2]), 20_480) + bytes(100))
OF_FILES = {"file", "frame", "first", "note"}


def story() -> list[Frame]:
    """Messages cut into segments, a stream that call control named and that changes its mark, one known by its shape, one that is none,
    fragments, and frames in VXLAN."""
    wire, chance = Wire(), random.Random(7)
    phone = Connection(wires=[wire], client=PHONE, server=CCM, client_tos=104, server_tos=96)
    phone.open(0.1)
    for place in range(0, len(START), 40):
        phone.send(0.11 + place / 10_000, START[place : place + 40], up=False)
    for place in range(24):
        rtp = struct.pack(">BBHII", 0x80, 0, place, 160 * place, 7) + bytes(40)
        wire.udp(0.2 + place / 50, ("10.0.0.1", 20_490), ("10.0.0.2", 20_480), rtp, tos=184 if place < 15 else 0)
        wire.udp(0.201 + place / 50, ("10.0.0.3", 41_000), ("10.0.0.4", 41_002), rtp, tos=184)
        noise = struct.pack(">BBHII", 0x80, 0, chance.randrange(1 << 16), 0, 7) + bytes(40)
        wire.udp(0.202 + place / 50, ("10.0.0.5", 42_000), ("10.0.0.6", 42_002), noise)
    datagram = struct.pack(">HHHH", 9, 5060, 60, 0) + bytes(52)
    for at_s, part, offset in ((0.3, datagram[:40], 0x2000), (0.45, datagram[40:], 5)):
        packet = bytearray(ipv4("10.0.0.8", "10.0.0.9", 17, part, tos=96, ip_id=77))
        packet[6:8] = struct.pack(">H", offset)
        wire.add(at_s, ethernet(0x0800, bytes(packet)))
    other = Wire()
    for place in range(3):
        other.udp(0.25 + place / 10, ("10.1.0.1", 20_490), ("10.1.0.2", 20_480), b"\x80" + bytes(50), tos=184)
    for at_s, inner in other.frames:
        wire.udp(at_s + 0.003, ("192.0.2.1", 55_000), ("192.0.2.2", 4789), b"\x08" + bytes(7) + inner)
    frames = (Frame(data=data, wire_len=len(data), time_ns=round((T0 + at_s) * 1e9)) for at_s, data in wire.frames)
    return sorted(frames, key=lambda frame: frame.time_ns)


STORY = story()


def without_places(value: Any) -> Any:
    """All but file names and frame numbers, which are another in parts."""
    if isinstance(value, dict):
        return {name: without_places(part) for name, part in value.items() if name not in OF_FILES}
    return [without_places(part) for part in value] if isinstance(value, list) else value


def told(found: Survey) -> tuple[Any, ...]:
    """What is printed of it, but of its files; and the verdicts. Flows inside VXLAN are listed behind those of their block."""
    lines = [without_places(one) for one in records(found, [], None) if one["kind"] != "file"]
    lines.sort(key=lambda line: str(line.get("flow", "")))
    return found.packets, lines, [(verdict.check, verdict.status, verdict.figures) for verdict in judge(found)]


def merged(paths: Sequence[Path]) -> Survey:
    surveyor = Surveyor(policy("srnd-strict"))
    surveyor.read_merged(paths)
    return surveyor.survey(list_flows=True)


@contextmanager
def files(parts: Sequence[list[Frame]], names: Sequence[str]) -> Iterator[list[Path]]:
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in names]
        for path, part in zip(paths, parts, strict=True):
            path.write_bytes(pcap(part))
        yield paths


def whole() -> Survey:
    with files([STORY], ["whole.pcap"]) as paths:
        return merged(paths)


WHOLE = told(whole())


def test_the_story_has_what_its_parts_could_lose() -> None:
    groups = {(line["class"], line["cause"]): line for line in WHOLE[1] if line["kind"] == "class"}
    assert groups["rtp", "call-control"]["changing_flows"] == 1
    assert groups["rtp", "unexplained"]["packets"] == 27
    assert groups["other", ""]["flows"] == 2
    assert ("vxlan", "") in groups
    assert [line["packets"] for line in WHOLE[1] if line["kind"] == "flow" and ":5060" in line["flow"]] == [2]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, len(STORY)), max_size=12), st.randoms(use_true_random=False))
def test_a_capture_that_is_cut_anywhere_is_the_same_capture_in_whatever_order_its_files_are_named(
    cuts: list[int], chance: random.Random
) -> None:
    ends = [0, *sorted(cuts), len(STORY)]
    parts = [STORY[begin:end] for begin, end in pairwise(ends)]
    names = [f"{place}.pcap" for place in range(len(parts))]
    chance.shuffle(names)
    with files(parts, names) as paths:
        chance.shuffle(paths)
        assert told(merged(paths)) == WHOLE


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 5), min_size=len(STORY), max_size=len(STORY)), st.sampled_from([256, 1000, 1 << 20]))
def test_files_that_overlap_are_put_together_packet_by_packet(owners: list[int], block_bytes: int) -> None:
    parts = [[frame for frame, owner in zip(STORY, owners, strict=True) if owner == one] for one in range(6)]
    with (
        files(parts, [f"{5 - one}.pcap" for one in range(6)]) as paths,
        patch.object(merge, "BLOCK_BYTES", block_bytes),
        patch.object(merge, "LEAST_BLOCK_BYTES", 256),
    ):
        assert told(merged(paths)) == WHOLE
        orders = [packets.time_s for packets in Merge(paths).blocks()]
        times = [time_s for block in orders for time_s in block.tolist()]
        assert times == sorted(times)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(0, len(STORY)), min_size=10, max_size=14), st.randoms(use_true_random=False))
def test_packets_of_one_time_follow_each_other_as_the_names_of_a_rotated_set_count(
    cuts: list[int], chance: random.Random
) -> None:
    """All packets within 100 ms have one time: then the number in the name decides, and 10 is behind 9."""
    coarse = [Frame(data=one.data, wire_len=one.wire_len, time_ns=one.time_ns // 10**8 * 10**8) for one in STORY]
    ends = [0, *sorted(cuts), len(coarse)]
    parts = [coarse[begin:end] for begin, end in pairwise(ends)]
    with files([coarse], ["whole.pcap"]) as paths:
        expected = told(merged(paths))
    with files(parts, [f"x.pcap{place or ''}" for place in range(len(parts))]) as paths:
        chance.shuffle(paths)
        assert told(merged(paths)) == expected


@pytest.mark.parametrize("seed", range(12))
def test_frames_of_every_kind_are_whole_behind_a_merge(seed: int) -> None:
    """Every link type, IPv6, options, cut frames: columns and bytes are those of the file itself."""
    made = Made(seed, count=60).frames
    frames = [
        Frame(data=one.data, wire_len=one.wire_len, time_ns=10**18 + place * 10**6, link=one.link)
        for place, one in enumerate(made)
        if one.link == made[0].link
    ]
    parts = [frames[one::3] for one in range(3)]

    def seen(paths: list[Path]) -> list[tuple[Any, ...]]:
        return [
            (packets.payload(place), packets.addresses(place), int(packets.proto[place]), int(packets.tos[place]))
            for packets in Merge(paths).blocks()
            for place in range(len(packets))
        ]

    with (
        files([frames, *parts], ["all", "a", "b", "c"]) as paths,
        patch.object(merge, "BLOCK_BYTES", 700),
        patch.object(merge, "LEAST_BLOCK_BYTES", 256),
    ):
        assert seen(paths[1:]) == seen(paths[:1])


def test_files_that_are_read_by_name_only_are_another_capture() -> None:
    """The mutant: what is compared here does tell the order of files."""
    parts = [STORY[:5], STORY[5:20], STORY[20:]]
    with files(parts, ["c.pcap", "b.pcap", "a.pcap"]) as paths:
        by_name = survey(map(open_capture, sorted(paths)), policy("srnd-strict"), list_flows=True)
        assert told(by_name) != WHOLE
        assert told(merged(sorted(paths))) == WHOLE


def test_a_message_that_spans_two_files_is_one_rung_of_one_ladder() -> None:
    with files([STORY[:5], STORY[5:], STORY], ["b.pcap", "a.pcap", "whole.pcap"]) as (one, two, every):
        (expected,) = ladders(open_capture(every)).every
        (found,) = ladders_of(Merge([two, one]).blocks()).every
        assert [(rung.time_s, rung.name) for rung in found.rungs] == [
            (rung.time_s, rung.name) for rung in expected.rungs
        ]
        assert "StartMediaTransmission" in {rung.name for rung in found.rungs}


def test_time_that_goes_backwards_is_counted_for_each_file_and_a_file_keeps_its_own_order() -> None:
    one, two = [STORY[place] for place in (0, 5, 3, 9)], [STORY[place] for place in (1, 7)]
    with files([one, two], ["a.pcap", "b.pcap"]) as paths:
        found = merged(paths)
        frames = [
            (int(number), int(frame))
            for block in Merge(paths).blocks()
            for number, frame in zip(block.source, block.frame, strict=True)
        ]
    assert [source.backwards for source in found.sources] == [1, 0]
    assert frames == [(0, 1), (1, 1), (0, 2), (0, 3), (1, 2), (0, 4)]


def test_of_a_rotated_set_one_file_is_open_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    open_, most = [0], [0]

    def opened(path: Path, **words: Any) -> CaptureFile:
        capture = open_capture(path, **words)
        open_[0] += 1
        most[0] = max(most[0], open_[0])
        close = capture.close

        def closed() -> None:
            open_[0] -= 1
            close()

        monkeypatch.setattr(capture, "close", closed)
        return capture

    monkeypatch.setattr(merge, "open_capture", opened)
    parts = [STORY[begin : begin + 5] for begin in range(0, len(STORY), 5)]
    with files(parts, [f"x.pcap{place}" for place in range(len(parts))]) as paths:
        assert told(merged(paths[::-1])) == WHOLE
    assert (open_, most) == ([0], [1])


def test_a_pipe_is_read_once_and_has_its_place_in_time() -> None:
    reader, writer = os.pipe()
    with files([STORY[::2]], ["a.pcap"]) as paths, os.fdopen(reader):
        os.write(writer, pcap(STORY[1::2]))
        os.close(writer)
        assert told(merged([*paths, Path(f"/dev/fd/{reader}")])) == WHOLE


def test_what_was_not_read_of_one_file_is_told_of_it_alone(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(pcap(STORY[:40])[:-3])
    (tmp_path / "b.pcap").write_bytes(pcap(STORY[20:]))
    found = merged([tmp_path / "b.pcap", tmp_path / "a.pcap"])
    assert [bool(source.unread) for source in found.sources] == [True, False]
    assert [source.frames for source in found.sources] == [39, len(STORY) - 20]


def streams(numbers: Sequence[Sequence[int]], *, tick_ns: int = 20_000_000) -> list[Frame]:
    """A stream for each of these rows of sequence numbers, unmarked, to ports that tell nothing; all packets of a tick have one time."""
    wire = Wire()
    for row, stream in enumerate(numbers):
        for place, number in enumerate(stream):
            rtp = struct.pack(">BBHII", 0x80, 0, number % (1 << 16), 160 * place, 7 + row) + bytes(40)
            wire.udp(0.02 * place, (f"10.0.0.{row + 1}", 40_002), ("10.0.1.1", 40_000), rtp)
    frames = [
        Frame(data=data, wire_len=len(data), time_ns=10**18 + round(at_s * 1e9) // tick_ns * tick_ns)
        for at_s, data in wire.frames
    ]
    return sorted(frames, key=lambda frame: frame.time_ns)


def by_class(found: Survey) -> dict[tuple[str, str, str], int]:
    return {(group.traffic, group.way, group.cause): group.summary.packets for group in found.groups}


def copies(frames: list[Frame], count: int) -> Survey:
    with files([frames] * count, [f"{place}.pcap" for place in range(count)]) as paths:
        return merged(paths)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("tick_ns", [1000, 100_000_000])
def test_rtp_that_its_shape_alone_tells_is_judged_however_often_it_was_captured(count: int, tick_ns: int) -> None:
    found = copies(streams([range(65_530, 65_570)], tick_ns=tick_ns), count)
    assert {one.check: one.status for one in judge(found)}["marks rtp"] is Status.FAIL
    assert by_class(found) == {("rtp", "", "unexplained"): 40 * count}


@pytest.mark.parametrize("numbers", [[7] * 40, [7, 8] * 20, [7, 6, 5, 4] * 10, list(range(7)) * 2])
def test_numbers_that_do_not_come_on_are_no_rtp(numbers: list[int]) -> None:
    assert set(by_class(copies(streams([numbers]), 1))) == {("other", "", "")}


STEPS = st.lists(st.sampled_from([1, 1, 1, 1, 2, 9, 0, -1, -1000]), max_size=30)


@settings(deadline=None, max_examples=60)
@given(st.lists(STEPS, max_size=4), st.integers(0, (1 << 16) - 1))
@example([[1, 1, 1, 1, 1, 2]], 0)
def test_no_class_vanishes_where_a_capture_is_there_twice(steps: list[list[int]], begin: int) -> None:
    numbers = [list(accumulate(row, initial=begin)) for row in steps]
    frames = streams(numbers, tick_ns=1000) + STORY
    once = by_class(copies(frames, 1))
    assert by_class(copies(frames, 2)) == {name: 2 * packets for name, packets in once.items()}


_LIMITED = """
import resource, sys
from testbed.cli import main
limits = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, limits)
main(["audit", *sys.argv[3:], "--output", "jsonl"])
"""


@pytest.mark.parametrize(("hard", "status"), [(256, 0), (64, 2)])
def test_more_files_overlap_than_may_be_open(tmp_path: Path, hard: int, status: int) -> None:
    """The soft limit goes up to the hard one; where that does not do, the error says what does."""
    for place in range(100):
        (tmp_path / f"{place}.pcap").write_bytes(pcap([STORY[0], STORY[-1]]))
    words = [sys.executable, "-c", _LIMITED, "64", str(hard), *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert [word in done.stderr for word in ("ulimit -n", "mergecap")] == [status == 2] * 2
