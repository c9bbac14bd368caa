"""The parts of `make fuzz`: every target takes every sample, and what breaks one is found, made small and kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz import fuzzing
from fuzz.fuzz_samples import Change, changed, samples
from fuzz.fuzz_targets import TARGETS, Target, timed


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_every_target_takes_every_sample(name: str) -> None:
    for data in samples():
        TARGETS[name](data)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("byte", 0.5, 0x141, b""), b"abcAef"),
        (("byte", 1.0, 0x41, b""), b"abcdeA"),
        (("little", 0.0, 1, b""), b"\x01\0\0\0ef"),
        (("big", 0.5, 1, b""), b"abc\0\0\0\x01"),
        (("cut", 0.5, 2, b""), b"abcf"),
        (("double", 0.5, 2, b""), b"abcdedef"),
        (("insert", 0.5, 0, b"XY"), b"abcXYdef"),
        (("end", 0.5, 0, b""), b"abc"),
    ],
)
def test_a_change_is_what_its_name_says(change: Change, expected: bytes) -> None:
    assert changed(b"abcdef", [change]) == expected


def weak(data: bytes) -> None:
    """Breaks by a capture that is cut."""
    assert not 0 < len(data) < 500


def test_what_breaks_a_target_is_kept_and_breaks_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(TARGETS, "weak", weak)
    assert fuzzing.fuzz(["weak"], seconds=60, folder=tmp_path) == 1
    (kept,) = tmp_path.iterdir()
    with pytest.raises(AssertionError):
        weak(kept.read_bytes())
    assert "AssertionError" in capsys.readouterr().out


def test_where_nothing_breaks_it_ends_with_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TARGETS, "good", lambda data: None)
    assert fuzzing.fuzz(["good"], seconds=0.1, folder=tmp_path) == 0
    assert list(tmp_path.iterdir()) == []


def test_an_input_that_takes_long_breaks_its_target(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 5.1])
    monkeypatch.setattr("fuzz.fuzz_targets.time.process_time", lambda: next(times))
    slow: Target = lambda data: None  # noqa: E731
    with pytest.raises(AssertionError, match="more than"):
        timed(slow)(b"")
