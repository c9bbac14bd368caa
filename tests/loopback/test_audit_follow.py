"""`testbed audit --follow` as a process of its own, beside one that writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from capture_maker import Frame, enhanced, interface, section
from recordings import Wire

from testbed.waiting import wait_until

EF_TOS, WRONG_TOS = 184, 96


def voice(count: int, *, tos: int = EF_TOS) -> list[tuple[float, bytes]]:
    wire = Wire()
    for place in range(count):
        head = bytes([0x80, 0, place >> 8, place & 0xFF]) + bytes(8)
        wire.udp(place / 50, ("10.0.0.1", 20_000), ("10.0.0.2", 20_480), head + bytes(160), tos=tos)
    return wire.frames


def pcap(frames: list[tuple[float, bytes]]) -> bytes:
    return Wire(frames=frames).pcap()


def pcapng(frames: list[tuple[float, bytes]]) -> bytes:
    placed = (Frame(data=data, wire_len=len(data), time_ns=0) for _, data in frames)
    times = (round(at_s * 1e6) for at_s, _ in frames)
    return (
        section("<")
        + interface(1, "<")
        + b"".join(enhanced(one, "<", at) for one, at in zip(placed, times, strict=True))
    )


class Following:
    """The command, with its output in files: a pipe that nobody reads would stop it."""

    def __init__(self, folder: Path, *words: str, **how: Any) -> None:
        self._out, self._err = folder / "out", folder / "err"
        command = [sys.executable, "-m", "testbed", "audit", "--follow", *words]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(command, stdout=out, stderr=err, **how)

    @property
    def out(self) -> str:
        return self._out.read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        return self._err.read_text(encoding="utf-8")

    def await_text(self, text: str) -> None:
        def said() -> bool:
            assert self.process.poll() is None, self.err
            return text in self.out + self.err

        wait_until(said, awaited=text, timeout_s=30, last_seen=lambda: self.out + self.err)

    def end(self, number: int | None = signal.SIGINT) -> int:
        if number:
            self.process.send_signal(number)
        return self.process.wait(timeout=30)


Follow = Callable[..., Following]


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Follow]:
    begun: list[Following] = []

    def begin(*words: str, **how: Any) -> Following:
        begun.append(Following(tmp_path, *words, **how))
        return begun[-1]

    yield begin
    for one in begun:
        one.process.kill()
        one.process.wait()


@pytest.mark.parametrize("written", [pcap, pcapng])
def test_a_partial_record_waits_for_its_rest(tmp_path: Path, follow: Follow, written: Callable[..., bytes]) -> None:
    data, file = written(voice(30)), tmp_path / "live"
    cuts = [0, 10, len(data) // 2, len(data) - 7, len(data)]
    file.write_bytes(b"")
    following = follow(str(file))
    with file.open("ab") as stream:
        for place, (begin, end) in enumerate(pairwise(cuts)):
            stream.write(data[begin:end])
            stream.flush()
            if place == 1:
                following.await_text("rtp unexplained EF 1")
            if place == 2:
                following.await_text("29 packets; rtp unexplained EF 29")
    following.await_text("30 packets; rtp unexplained EF 30")
    assert following.end() == 0
    assert "nearest known policy: cs3" in following.out
    assert "warning" not in following.err


def test_what_ends_inside_a_record_because_it_is_still_written_is_not_damaged(tmp_path: Path, follow: Follow) -> None:
    file = tmp_path / "live"
    file.write_bytes(pcap(voice(30))[:-7])
    following = follow(str(file), "--policy", "cs3", "--output", "jsonl")
    following.await_text("29 packets")
    assert following.end() == 3, "no packets of the other classes"
    records = [json.loads(line) for line in following.out.splitlines()]
    assert [record["truncated"] for record in records if record["kind"] == "file"] == [False]
    assert [record["status"] for record in records if record.get("check") == "marks rtp"] == ["PASS"]
    assert "captures" not in [record.get("check") for record in records]


def test_a_wrong_mark_shows_while_the_capture_goes_on(tmp_path: Path, follow: Follow) -> None:
    file = tmp_path / "live"
    file.write_bytes(pcap(voice(5)))
    following = follow(str(file), "--policy", "cs3")
    following.await_text("PASS marks rtp")
    with file.open("ab") as stream:
        stream.write(pcap(voice(1, tos=WRONG_TOS))[24:])
    following.await_text("FAIL marks rtp")
    assert following.end(signal.SIGTERM) == 1


def test_it_ends_with_standard_input(follow: Follow) -> None:
    following = follow("-", stdin=subprocess.PIPE)
    stream = following.process.stdin
    assert stream is not None
    data = pcap(voice(30))
    stream.write(data[:500])
    stream.flush()
    following.await_text("2 packets")
    stream.write(data[500:-7])
    stream.close()
    assert following.end(None) == 0
    assert "ends inside a record behind frame 29" in following.err, "here nothing more can come"


def test_it_ends_when_its_time_is_over(tmp_path: Path, follow: Follow) -> None:
    file = tmp_path / "live"
    file.write_bytes(pcap(voice(30)))
    began_s = time.monotonic()
    assert follow(str(file), "--for", "500ms").end(None) == 0
    assert 0.5 < time.monotonic() - began_s < 20


def test_a_stream_that_never_pauses_is_shown_and_ended_too(tmp_path: Path, follow: Follow) -> None:
    head, body = pcap([]), pcap(voice(2000))[24:]
    following = follow("-", "--for", "4s", stdin=subprocess.PIPE)
    stream = following.process.stdin
    assert stream is not None
    try:
        stream.write(head)
        while following.process.poll() is None:
            stream.write(body)
    except BrokenPipeError:
        pass
    assert following.end(None) == 0
    assert following.out.count("packets; rtp") >= 2


def test_a_file_that_becomes_shorter_is_not_read_on(tmp_path: Path, follow: Follow) -> None:
    file = tmp_path / "live"
    file.write_bytes(pcap(voice(30)))
    following = follow(str(file))
    following.await_text("30 packets")
    os.truncate(file, 100)
    assert following.end(None) == 2
    assert "became shorter" in following.err
