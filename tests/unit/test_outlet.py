"""Whole processes whose output nobody reads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from recordings import Connection, Wire, sccp

TESTBED = [sys.executable, "-m", "testbed"]


def written(file: Path, tos: int) -> Path:
    wire = Wire()
    for place in range(4):
        connection = Connection(
            wires=[wire], client=(f"10.0.0.{place}", 50_000), server=("10.0.1.1", 2000), client_tos=tos, server_tos=tos
        )
        connection.open(place)
        connection.send(place + 0.1, sccp(0), up=True)
    file.write_bytes(wire.pcap())
    return file


def unread(*words: str | Path) -> tuple[int, bytes]:
    """Exit status and standard error, of a command whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*TESTBED, *words], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    return done.returncode, done.stderr


@pytest.mark.parametrize("output", ["table", "json", "junit"])
@pytest.mark.parametrize(("tos", "status"), [(96, 3), (104, 1)])
def test_a_reader_that_goes_away_leaves_the_status_of_the_verdicts(
    output: str, tos: int, status: int, tmp_path: Path
) -> None:
    file, report = written(tmp_path / "x.pcap", tos), tmp_path / "x.html"
    found = unread("audit", file, "--policy", "cs3", "--output", output, "--html", report)
    assert found == (status, f"written: {report}\n".encode())


@pytest.mark.parametrize("words", [["audit"], ["ladder"], ["ladder", "--output", "json"]])
def test_of_what_judges_nothing_it_is_none(words: list[str], tmp_path: Path) -> None:
    assert unread(*words, written(tmp_path / "x.pcap", 104)) == (0, b"")


def test_lists_are_no_failed_checks_either() -> None:
    assert unread("schema") == (0, b"")


@pytest.mark.parametrize(("closed", "status"), [(">&-", 1), ("2>&-", 1), (">&- 2>&-", 1)])
def test_output_that_is_closed_changes_no_status(closed: str, status: int, tmp_path: Path) -> None:
    file, report = written(tmp_path / "x.pcap", 104), tmp_path / "x.html"
    words = ["sh", "-c", f'exec "$0" -m testbed audit "$1" --policy cs3 --html "$2" {closed}', sys.executable]
    done = subprocess.run([*words, file, report], capture_output=True, check=False)
    assert (done.returncode, b"Error" in done.stderr) == (status, False)
    assert report.read_text(encoding="utf-8").lower().startswith("<!doctype html")


def followed(file: Path, *words: str | Path, stdout: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*TESTBED, "audit", "--follow", file, "--policy", "cs3", *words], stdout=stdout)


def test_what_nobody_reads_is_followed_no_longer(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = followed(written(tmp_path / "x.pcap", 96), stdout=writing)
    os.close(writing)
    assert command.wait(timeout=60) == 3


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_the_end_of_a_session_ends_what_is_followed_with_its_report(number: int, tmp_path: Path) -> None:
    report = tmp_path / "x.html"
    command = followed(written(tmp_path / "x.pcap", 104), "--html", report, stdout=subprocess.PIPE)
    assert command.stdout
    assert b"packets" in command.stdout.readline()
    command.send_signal(number)
    rest, _ = command.communicate(timeout=60)
    assert (command.returncode, b"FAIL" in rest, report.is_file()) == (1, True, True)


def test_a_terminal_that_is_gone_costs_no_report(tmp_path: Path) -> None:
    report, (ours, theirs) = tmp_path / "x.html", os.openpty()
    command = followed(written(tmp_path / "x.pcap", 104), "--html", report, stdout=theirs)
    shown = b""
    while b"packets" not in shown:
        shown += os.read(ours, 4096)
    os.close(theirs)
    os.close(ours)
    command.send_signal(signal.SIGHUP)
    assert (command.wait(timeout=60), report.is_file()) == (1, True)


def test_what_was_told_to_ignore_the_end_of_a_session_does(tmp_path: Path) -> None:
    words = ["nohup", *TESTBED, "audit", "--follow", "--for", "3s", written(tmp_path / "x.pcap", 104)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as command:
        assert command.stdout
        assert b"packets" in command.stdout.readline()
        command.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert command.poll() is None
        command.send_signal(signal.SIGTERM)
        assert b"SCCP" in command.stdout.read().upper()
    assert command.returncode == 0


def test_a_disk_that_is_full_of_what_is_printed_costs_no_report(tmp_path: Path) -> None:
    report = tmp_path / "x.html"
    with Path("/dev/full").open("wb") as full:
        words = [*TESTBED, "audit", written(tmp_path / "x.pcap", 104), "--html", report]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, check=False)
    assert b"No space left" in done.stderr
    assert (done.returncode, b"Exception ignored" in done.stderr, report.is_file()) == (4, False, True)
