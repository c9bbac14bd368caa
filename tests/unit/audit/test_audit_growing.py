"""Captures that grow while they are read, in the smallest steps."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from audit_reading import capture, packets_by_group
from capture_maker import Made
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import Wire

from testbed.audit.follow import line_text
from testbed.audit.judge import judge
from testbed.audit.survey import Surveyor
from testbed.cli import cli
from testbed.errors import BedError, UsageError
from testbed.growing import Growing
from testbed.packets import CaptureError
from testbed.packets.file import CaptureFile
from testbed.policy import policy

CUTS = st.lists(st.floats(0, 1), max_size=12)


class Written:
    """A file that has the bytes up to the next cut, each time somebody waits for more."""

    def __init__(self, data: bytes, cuts: list[float], *, ends: bool = True) -> None:
        self._data = data
        self._cuts = sorted({round(cut * len(data)) for cut in cuts} | {len(data)})
        self._at, self._end, self.ended, self._ends = 0, self._cuts.pop(0), False, ends

    def readinto(self, view: memoryview) -> int:
        part = self._data[self._at : min(self._end, self._at + len(view))]
        view[: len(part)] = part
        self._at += len(part)
        return len(part)

    def wait(self) -> bool:
        assert self._at == self._end, "all that is there is read before more is waited for"
        if not self._cuts:
            self.ended = self._ends
            return False
        self._end = self._cuts.pop(0)
        return True


def growing(data: bytes, cuts: list[float], *, block_bytes: int = 400, ends: bool = True) -> CaptureFile:
    written: Any = Written(data, cuts, ends=ends)
    return CaptureFile(written, file="x.pcap", block_bytes=block_bytes, growth=written)


def unpacked(made: Made) -> bytes:
    return gzip.decompress(made.data) if made.suffix.endswith(".gz") else made.data


@settings(deadline=None)
@given(st.integers(0, 5000), CUTS, st.sampled_from([256, 1000, 1 << 20]))
def test_however_a_capture_grows_its_packets_are_those_of_the_whole(seed: int, cuts: list[float], block: int) -> None:
    data = unpacked(Made(seed))
    whole, grown = Surveyor(), Surveyor()
    whole.read(capture(data, block_bytes=block))
    grown.read(growing(data, cuts, block_bytes=block))
    assert packets_by_group(grown.survey()) == packets_by_group(whole.survey())
    assert grown.survey().sources == whole.survey().sources


@settings(deadline=None)
@given(st.integers(0, 500), CUTS, st.binary(max_size=50))
def test_damage_ends_a_capture_that_grows_as_it_ends_any(seed: int, cuts: list[float], garbage: bytes) -> None:
    data = unpacked(Made(seed, count=8)) + b"\xff" * 16 + garbage
    whole, grown = capture(data), growing(data, cuts)
    frames = [sum(len(packets) for packets in one.blocks()) for one in (whole, grown)]
    assert frames[0] == frames[1]
    assert grown.damage == whole.damage


@pytest.mark.parametrize(("ends", "truncated"), [(True, True), (False, False)])
def test_an_end_inside_a_record_is_one_only_where_nothing_more_can_come(ends: bool, truncated: bool) -> None:
    made = Made(3, count=5)
    found = growing(unpacked(made)[:-3], [0.5], ends=ends)
    assert sum(len(packets) for packets in found.blocks()) == 4
    assert found.truncated is truncated


def test_a_block_that_is_passed_over_may_come_in_pieces() -> None:
    made = next(made for made in map(Made, range(50)) if made.suffix.startswith(".pcapng"))
    data = unpacked(made)
    length = 100_000
    order = "little" if data[8:12] == bytes.fromhex("4d3c2b1a") else "big"
    words = [number.to_bytes(4, order) for number in (0x0BAD, length)]  # type: ignore[arg-type]
    data = data + b"".join(words) + bytes(length - 12) + words[1] + unpacked(made)
    found = growing(data, [place / 60 for place in range(60)], block_bytes=256)
    assert sum(len(packets) for packets in found.blocks()) == 2 * made.count
    assert not found.truncated


def test_a_compressed_capture_cannot_be_followed() -> None:
    with pytest.raises(CaptureError, match="compressed"):
        list(growing(gzip.compress(Wire().pcap()), []).blocks())


def test_a_survey_of_what_was_read_so_far_goes_on() -> None:
    wire = Wire()
    for place in range(20):
        wire.udp(place / 50, ("10.0.0.1", 20_000), ("10.0.0.2", 20_480), b"\x80" + bytes(171), tos=184)
    surveyor = Surveyor(policy("cs3"))
    counts = []
    for _ in surveyor.reading(capture(wire.pcap(), block_bytes=1000)):
        found = surveyor.survey()
        counts.append((found.packets, packets_by_group(found)["rtp unexplained"]))
    assert counts[-1] == (20, 20)
    assert [one for one, _ in counts] == [two for _, two in counts] == sorted(one for one, _ in counts)
    line = line_text(found, judge(found))
    assert line.startswith("0.4 s: 20 packets; rtp unexplained EF 20; INCONCLUSIVE marks sccp")


def nothing() -> None: ...


def test_a_file_is_read_as_far_as_it_goes_and_until_its_time_is_over(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"abc")
    found, buffer = Growing(file, for_s=0.05, tick=nothing), bytearray(8)
    assert [found.readinto(memoryview(buffer)) for _ in "12"] == [3, 0]
    with file.open("ab") as stream:
        stream.write(b"de")
    assert found.wait()
    assert found.readinto(memoryview(buffer)) == 2
    assert (found.wait(), found.is_over, found.ended) == (False, True, False)
    os.truncate(file, 1)
    with pytest.raises(UsageError, match="shorter"):
        found.readinto(memoryview(buffer))
    found.close()


def test_who_waits_is_shown_the_time_and_can_be_stopped(tmp_path: Path) -> None:
    file, ticks = tmp_path / "x", np.zeros(1)
    file.write_bytes(b"")

    def tick() -> None:
        ticks[0] += 1
        if ticks[0] == 2:
            found.stop()

    found = Growing(file, for_s=None, tick=tick)
    assert not found.wait()
    assert ticks[0] == 2
    found.close()


@pytest.mark.parametrize(
    "words",
    [
        ["--for", "3s"],
        ["--follow", "--for", "3"],
        ["--follow", "--for", "0s"],
        ["--follow", "--for", "2 keepalives"],
        ["--follow", "y.pcap"],
        ["--follow", "--hops"],
    ],
)
def test_what_does_not_fit_together_is_wrong_usage(words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "x.pcap"
    file.write_bytes(Wire().pcap())
    result = CliRunner().invoke(cli, ["audit", str(file), *words], standalone_mode=False)
    assert isinstance(result.exception, UsageError)


@pytest.mark.parametrize("path", ["none.pcap", "."])
def test_what_cannot_be_followed_is_an_error(path: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["audit", "--follow", str(tmp_path / path)], standalone_mode=False)
    assert isinstance(result.exception, BedError)
