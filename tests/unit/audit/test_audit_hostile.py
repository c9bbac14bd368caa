"""Whatever is in a file, an audit ends with counts or with CaptureError, and holds no more than it may."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from audit_reading import surveyed, surveyor_of
from capture_maker import Frame, Made, interface, pcap, section
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import Connection, Wire, ethernet, ipv4, sccp

from testbed.audit.judge import judge, nearest
from testbed.audit.survey import survey
from testbed.cli import cli
from testbed.packets import CaptureError
from testbed.packets.file import CaptureFile, open_capture

HEADS = (pcap([]), pcap([], order=">"), section("<") + interface(1, "<"), section(">") + interface(101, ">"), b"")


@settings(deadline=None)
@given(st.sampled_from(HEADS), st.binary(max_size=400))
def test_arbitrary_bytes_are_audited_or_refused(head: bytes, content: bytes) -> None:
    try:
        found = surveyed(head + content, "srnd-strict", block_bytes=256)
    except CaptureError:
        return
    judge(found)
    nearest(found)


@settings(deadline=None)
@given(st.integers(0, 5000), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8))
def test_captures_with_some_bytes_changed_are_audited(seed: int, changes: list[tuple[float, int]]) -> None:
    data = bytearray(Made(seed, count=12).data)
    for place, value in changes:
        data[int(place * len(data))] = value
    try:
        found = surveyed(bytes(data), "cs3", block_bytes=400)
    except CaptureError:
        return
    judge(found)
    assert sum(group.summary.packets + sum(group.summary.foreign.values()) for group in found.groups) == found.packets


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2**32 - 1), st.binary(max_size=60)), max_size=12))
def test_arbitrary_segments_at_the_ports_of_signalling_are_audited(segments: list[tuple[bool, int, bytes]]) -> None:
    wire = Wire()
    for port in (2000, 80):
        connection = Connection(wires=[wire], client=("10.0.0.1", 50_000), server=("10.0.1.1", port))
        for place, (up, seq, payload) in enumerate(segments):
            connection.client_seq = connection.server_seq = seq
            head = b"POST /CGI/Execute" if port == 80 else struct.pack("<III", len(payload), 0, 0x8A)
            connection.send(place / 10, head + payload, up=up)
    assert surveyed(wire).packets == 2 * len(segments)


def flood(kind: str, count: int) -> bytes:
    chance, frames = random.Random(5), []
    for place in range(count):
        if kind == "unfinished messages":
            payload = struct.pack("<III", 16_000, 0, 0x8A) + bytes(100)
            segment = (
                struct.pack(">HHIIBBHHH", 1024 + place % 60_000, 2000, place * 7, 0, 0x50, 0x18, 1, 0, 0) + payload
            )
        elif kind == "unfinished pushes":
            payload = b"POST /CGI/Execute HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n" + bytes(100)
            segment = struct.pack(">HHIIBBHHH", 1024 + place % 60_000, 80, place * 7, 0, 0x50, 0x18, 1, 0, 0) + payload
        else:
            segment = struct.pack(">HHIIBBHHH", 1024 + place % 60_000, place // 60_000, 1, 0, 0x50, 0x02, 1, 0, 0)
        packet = ipv4(f"10.{place % 251}.0.1", "10.0.0.2", 6, segment, ip_id=chance.randrange(1, 65536))
        frames.append(Frame(data=ethernet(0x0800, packet), wire_len=14 + len(packet), time_ns=place * 1000))
    return pcap(frames)


@pytest.mark.parametrize("kind", ["unfinished messages", "unfinished pushes", "a scan"])
def test_memory_does_not_grow_with_what_never_ends(kind: str) -> None:
    data = flood(kind, 30_000)
    tracemalloc.start()
    surveyor = surveyor_of(data, block_bytes=1 << 18)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert surveyor.survey().packets == 30_000
    assert len(surveyor._signalling._streams) <= 1024
    assert peak < 60e6


def test_time_that_goes_backwards_is_counted_and_stops_nothing() -> None:
    frames = [Frame(data=bytes(60), wire_len=60, time_ns=second * 10**9) for second in (5, 6, 4, 9, 1)]
    assert surveyed(pcap(frames)).sources[0].backwards == 2


def test_a_pipe_is_read_as_a_file_is(tmp_path: Path) -> None:
    data = Made(9).data

    class Dripping(io.RawIOBase):
        """Gives seven bytes at a time, and cannot seek."""

        def __init__(self) -> None:
            self._left = data

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            part, self._left = self._left[: min(7, len(buffer))], self._left[min(7, len(buffer)) :]
            buffer[: len(part)] = part
            return len(part)

    pipe: Any = Dripping()
    file = tmp_path / "made"
    file.write_bytes(data)
    piped, read = survey([CaptureFile(pipe, file="x")]), survey([open_capture(file)])
    assert [(g.traffic, g.summary.packets) for g in piped.groups] == [
        (g.traffic, g.summary.packets) for g in read.groups
    ]
    assert piped.packets == 60


def test_a_device_with_the_name_of_a_command_clears_no_screen(tmp_path: Path) -> None:
    wire, file = Wire(), tmp_path / "\x1b[31m.pcap"
    connection = Connection(wires=[wire], client=("10.0.0.1", 50_000), server=("10.0.1.1", 2000))
    connection.open(0)
    connection.send(0.1, sccp(1, b"SEP\x1b[2J".ljust(16, b"\0") + bytes(16)), up=True)
    connection.send(0.2, sccp(0), up=True)
    file.write_bytes(wire.pcap()[:-1])
    for command in ("ladder", "audit"):
        result = CliRunner().invoke(cli, [command, str(file)], color=True, standalone_mode=False)
        assert "\x1b[31m." not in result.output
        assert "\x1b[2J" not in result.output
        assert "\ufffd[31m.pcap" in result.output
        assert ("SEP\ufffd[2J" in result.output) is (command == "ladder")
