"""Files that cannot be written: refused before anything is read, or else after everything is shown. What the exit status says."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from recordings import Connection, Wire, sccp

from testbed.audit import command
from testbed.cli import cli
from testbed.errors import UsageError


def written(file: Path, tos: int = 104) -> Path:
    wire = Wire()
    connection = Connection(
        wires=[wire], client=("10.0.0.1", 50_000), server=("10.0.1.1", 2000), client_tos=tos, server_tos=tos
    )
    connection.open(0)
    connection.send(0.1, sccp(0), up=True)
    file.write_bytes(wire.pcap())
    return file


def invoke(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, [*map(str, words)], standalone_mode=False)


@pytest.mark.parametrize("option", ["--html", "--learn"])
@pytest.mark.parametrize("name", ["nowhere/x.yaml", "folder.yaml"])
def test_a_place_that_cannot_be_is_refused_before_anything_is_read(
    option: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for reading in ("_followed", "_read"):
        monkeypatch.setattr(command, reading, pytest.fail)
    (tmp_path / "folder.yaml").mkdir()
    for words in (["audit", "--follow"], ["audit"]):
        result = invoke(*words, written(tmp_path / "x.pcap"), option, tmp_path / name)
        assert isinstance(result.exception, UsageError)
        assert result.output == ""


@pytest.mark.parametrize(
    "words",
    [
        ["audit", "A", "--policy", "cs3", "--html"],
        ["audit", "--follow", "--for", "200ms", "A", "--policy", "cs3", "--html"],
        ["audit", "--hops", "A", "B", "--policy", "cs3", "--html"],
        ["ladder", "A", "--svg"],
    ],
)
def test_what_cannot_be_written_costs_nothing_that_was_found(words: list[str], tmp_path: Path) -> None:
    names = {"A": written(tmp_path / "a.pcap"), "B": written(tmp_path / "b.pcap")}
    told = [names.get(word, word) for word in words]
    result = invoke(*told, "/dev/full")
    assert isinstance(result.exception, UsageError)
    assert "No space left" in str(result.exception)
    assert "10.0.0.1" in result.stdout
    assert ("FAIL" in result.stdout) is ("cs3" in words)


def test_a_policy_that_came_to_be_while_following_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, report, follow = tmp_path / "ours.yaml", tmp_path / "x.html", command._followed

    def meanwhile(*asked: object) -> object:
        ours.write_text("mine", encoding="utf-8")
        return follow(*asked)  # type: ignore[arg-type]

    monkeypatch.setattr(command, "_followed", meanwhile)
    words = ("audit", "--follow", "--for", "200ms", written(tmp_path / "x.pcap"), "--learn", ours, "--html", report)
    result = invoke(*words)
    assert "is there already" in str(result.exception)
    assert ours.read_text(encoding="utf-8") == "mine"
    assert ("AF31" in result.stdout, report.is_file()) == (True, True)


def test_a_policy_without_a_name_is_none_that_is_known(tmp_path: Path) -> None:
    file = written(tmp_path / "x.pcap")
    for words in ([], ["--output", "junit"], ["--hops", file]):
        assert "no policy ''" in str(invoke("audit", file, "--policy", "", *words).exception)
    assert isinstance(invoke("audit", file, "--policy", "", "--learn", tmp_path / "b.yaml").exception, UsageError)
    assert isinstance(invoke("ladder", file, "--device", "").exception, UsageError)


def test_where_packets_teach_nothing_there_was_nothing_to_judge(tmp_path: Path) -> None:
    wire, file = Wire(), tmp_path / "x.pcap"
    wire.udp(0.2, ("10.0.0.1", 5060), ("10.0.0.2", 5060), b"INVITE", tos=96)
    file.write_bytes(wire.pcap())
    result = invoke("audit", file, "--learn", tmp_path / "b.yaml")
    assert (result.return_value, (tmp_path / "b.yaml").exists()) == (5, False)
    assert "nothing is learned" in result.stderr


@pytest.mark.parametrize(
    ("words", "with_policy", "without"),
    [
        (["RIGHT"], 3, 0),
        (["WRONG"], 1, 0),
        (["HEAD"], 3, 5),
        (["--hops", "HEAD", "WRONG"], 1, 5),
        (["NONE"], 2, 2),
        (["--hops", "RIGHT", "OTHER"], 3, 5),
        (["--hops", "RIGHT", "RIGHT"], 3, 0),
        (["--hops", "HEAD", "OTHER"], 3, 5),
    ],
)
def test_the_exit_status_is_what_the_documentation_says(
    words: list[str], with_policy: int, without: int, tmp_path: Path
) -> None:
    files = {"RIGHT": written(tmp_path / "a.pcap", 96), "WRONG": written(tmp_path / "b.pcap")}
    files |= {"HEAD": tmp_path / "c.pcap", "OTHER": tmp_path / "d.pcap", "NONE": tmp_path / "none.pcap"}
    files["HEAD"].write_bytes(Wire().pcap())
    other = Wire()
    other.udp(0.2, ("10.0.0.1", 5060), ("10.0.0.2", 5060), b"INVITE", tos=96)
    files["OTHER"].write_bytes(other.pcap())
    told = [files.get(word, word) for word in words]
    for options, status in ((["--policy", "cs3"], with_policy), ([], without)):
        result = invoke("audit", *told, *options)
        assert getattr(result.exception, "exit_code", result.return_value) == status
    documented = Path(__file__).parents[3].joinpath("docs/audit.md").read_text(encoding="utf-8")
    inconclusive, nothing = (line for line in documented.splitlines() if line.startswith(("| 3 |", "| 5 |")))
    assert "a capture without a packet" in inconclusive
    assert nothing.startswith("| 5 | |")
