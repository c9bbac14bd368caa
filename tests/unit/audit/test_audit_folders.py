from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from recordings import Wire

from testbed.audit.folders import captures_of
from testbed.cli import cli
from testbed.errors import UsageError


def run_with(folder: Path, *names: str) -> Path:
    (folder / "captures").mkdir()
    wire = Wire()
    wire.udp(0.1, ("10.0.0.1", 20_000), ("10.0.0.2", 20_480), b"\x80" + bytes(171), tos=184)
    for name in names:
        (folder / "captures" / name).write_bytes(wire.pcap())
    (folder / "history.jsonl").write_text("", encoding="utf-8")
    return folder


def invoke(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words), standalone_mode=False)


def test_a_run_with_one_capture_is_that_capture(tmp_path: Path) -> None:
    folder = run_with(tmp_path, "ccm-1.pcap")
    assert captures_of([Path("-"), folder]) == [Path("-"), folder / "captures" / "ccm-1.pcap"]
    assert invoke("audit", str(folder)).return_value == 0
    assert invoke("ladder", str(folder)).return_value == 5


def test_of_several_captures_none_is_chosen_and_the_hint_says_what_to_type(tmp_path: Path) -> None:
    folder = run_with(tmp_path, *(f"host-{number}.pcap" for number in range(8)))
    for words in (["audit"], ["audit", "--follow"], ["ladder"]):
        error = invoke(*words, str(folder)).exception
        assert isinstance(error, UsageError)
        assert "is a run with 8 captures: host-0.pcap, host-1.pcap," in error.message
        assert "and 2 more" in error.message
        assert f"`testbed audit {folder}/captures/host-0.pcap`" in error.hint
        assert f"`testbed judge {folder}`" in error.hint


def test_a_folder_that_is_no_run_is_told_so(tmp_path: Path) -> None:
    for name in ("a.pcap", "b c.pcapng.gz", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UsageError, match="is a folder with 2 captures: a") as caught:
        captures_of([tmp_path])
    assert f"'{tmp_path}/b c.pcapng.gz'" in caught.value.hint
    assert "judge" not in caught.value.hint


def test_a_folder_without_a_capture_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="without a capture"):
        captures_of([tmp_path])
