"""Faults in a standing bed from the command line; and what becomes of them when who holds them dies, or their journal does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from driving import Outcome, Testbed, describe
from killing import left_of

from testbed import journal
from testbed.state import home

NAME = "e2e-faults"
KILL_HOLDERS = """
import os, pathlib, signal
for path in pathlib.Path("/proc").iterdir():
    if path.name.isdigit() and b"testbed.roles.nic\\0serve" in (path / "cmdline").read_bytes():
        os.kill(int(path.name), signal.SIGKILL)
"""


class Bed:
    """The standing bed, and what is really the case in it."""

    def __init__(self, testbed: Testbed) -> None:
        self._testbed = testbed

    def fault(self, *words: str) -> Outcome:
        return self._testbed("fault", *words, "--name", NAME)

    def add(self, *words: str) -> str:
        """The id of the fault."""
        outcome = self.fault("add", *words, "--output", "json")
        assert outcome.status == 0, describe(outcome)
        return str(outcome.json[0]["id"])

    def held(self) -> dict[str, dict]:
        outcome = self.fault("ls", "--output", "json")
        assert outcome.status == 0, describe(outcome)
        return {row["id"]: row for row in outcome.json}

    def state(self, host: str) -> str:
        return docker("inspect", "-f", "{{.State.Status}}", self.container(f"testbed.workload={host}")).strip()

    def in_nic(self, host: str, *argv: str) -> str:
        return docker("exec", self.container(f"testbed.nic={host}"), *argv)

    def tables(self, host: str) -> list[str]:
        said = json.loads(self.in_nic(host, "nft", "-j", "list", "tables"))["nftables"]
        return [item["table"]["name"] for item in said if "table" in item]

    def container(self, label: str) -> str:
        found = docker("ps", "-aq", "--filter", f"label=testbed.bed={NAME}", "--filter", f"label={label}").split()
        assert len(found) == 1, found
        return found[0]

    def well(self) -> bool:
        return self.state("ccm-1") == "running" and not any(t.startswith("testbed_") for t in self.tables("web-1"))


def docker(*argv: str) -> str:
    return subprocess.run(["docker", *argv], capture_output=True, text=True, check=True).stdout


def await_fact(fact: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not fact():
        assert time.monotonic() < deadline, left_of(NAME, home())
        time.sleep(0.3)


def processes(word: str) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                environ = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if word.encode() in words and f"TESTBED_HOME={home()}".encode() in environ:
                found.append(int(folder.name))
    return found


@pytest.fixture(scope="module")
def bed(testbed: Testbed) -> Iterator[Bed]:
    up = testbed("up", "--name", NAME, "--phones", "2")
    assert up.status == 0, describe(up)
    yield Bed(testbed)
    assert testbed("down", "--name", NAME).status == 0
    assert left_of(NAME, home()) == []


def test_faults_are_added_listed_refused_where_they_clash_and_healed(bed: Bed):
    assert left_of_claims() == []
    freeze, cut = bed.add("freeze", "ccm-1"), bed.add("cut", "tcp/80 at web-1", "--for", "2 min")
    assert bed.state("ccm-1") == "paused"
    assert f"testbed_{cut.replace('-', '_')}" in bed.tables("web-1")
    held = bed.held()
    assert [held[freeze]["target"], held[cut]["target"]] == ["ccm-1", "tcp/80 at web-1"]
    assert 60 < held[cut]["ends_in_s"] < 120 < held[freeze]["ends_in_s"] < 300
    clash = bed.fault("add", "kill", "ccm-1")
    assert clash.status == 2, describe(clash)
    assert freeze in clash.err
    assert bed.state("ccm-1") == "paused"
    assert bed.fault("heal", freeze).status == 0
    assert bed.state("ccm-1") == "running"
    assert list(bed.held()) == [cut]
    assert bed.fault("heal").status == 0
    assert bed.well()
    assert bed.held() == {}
    assert left_of_claims() == []


def left_of_claims() -> list[str]:
    return [text for text in left_of(NAME, home()) if text.startswith("watcher") or "/claims/" in text]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frieze", "ccm-1"], "did you mean 'freeze'"),
        (["freeze", "ccm-9"], "ccm-9"),
        (["delay", "web-1", "bye=50ms"], "did you mean 'by'"),
        (["delay", "web-1", "by=-50ms"], "negative"),
        (["freeze", "ccm-1", "--for", "-3s"], "negative"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_touched(bed: Bed, words: list[str], said: str):
    outcome = bed.fault("add", *words)
    assert outcome.status == 2, describe(outcome)
    assert said in outcome.err
    assert bed.held() == {}
    assert bed.well()


def test_a_fault_heals_by_itself_when_its_time_is_up(bed: Bed):
    bed.add("freeze", "ccm-1", "--for", "2s")
    await_fact(lambda: bed.state("ccm-1") == "running", 15)
    await_fact(lambda: bed.held() == {}, 15)


def test_a_fault_is_healed_when_the_process_that_holds_it_is_killed(bed: Bed):
    bed.add("freeze", "ccm-1")
    bed.add("cut", "web-1")
    for pid in processes("testbed.fault_holder"):
        os.kill(pid, signal.SIGKILL)
    await_fact(bed.well)
    await_fact(lambda: left_of_claims() == [])
    assert bed.held() == {}


def test_the_next_command_heals_when_the_watcher_was_killed_too(bed: Bed):
    bed.add("stop", "ccm-1")
    for word in ("testbed.watcher", "testbed.fault_holder"):
        for pid in processes(word):
            os.kill(pid, signal.SIGKILL)
    assert bed.state("ccm-1") == "exited"
    assert bed.held() == {}
    assert bed.state("ccm-1") == "running"


def test_with_a_journal_of_garbage_all_is_healed_and_what_is_not_ours_is_still_there(bed: Bed):
    bed.in_nic("web-1", "nft", "add", "table", "netdev", "operator")
    device = bed.in_nic("web-1", "sh", "-c", "ls /sys/class/net | grep -v lo | head -n1").strip()
    bed.in_nic("web-1", "tc", "qdisc", "add", "dev", device, "root", "handle", "8001:", "pfifo", "limit", "77")
    foreign = bed.tables("web-1")
    bed.add("freeze", "ccm-1")
    bed.add("cut", "web-1")
    bed.in_nic("web-1", "python3", "-c", KILL_HOLDERS)
    for word in ("testbed.watcher", "testbed.fault_holder"):
        for pid in processes(word):
            os.kill(pid, signal.SIGKILL)
    journal.file_of(NAME).write_bytes(os.urandom(500))
    bed.in_nic("web-1", "nft", "add", "table", "ip", "testbed_cut_1ef70e44")
    assert len(bed.tables("web-1")) == len(foreign) + 2
    outcome = bed.fault("heal")
    assert outcome.status == 0, describe(outcome)
    assert bed.state("ccm-1") == "running"
    assert bed.tables("web-1") == foreign
    assert "operator" in foreign
    assert "qdisc pfifo 8001: root" in bed.in_nic("web-1", "tc", "qdisc", "show", "dev", device)
    assert bed.fault("add", "freeze", "ccm-1", "--for", "1s").status == 0, "the journal can be read again"
    await_fact(lambda: bed.held() == {}, 15)


def test_a_target_that_vanished_counts_as_healed(bed: Bed):
    bed.add("freeze", "tftp")
    bed.add("cut", "proxy")
    docker("rm", "-f", bed.container("testbed.workload=tftp"))
    docker("rm", "-f", bed.container("testbed.workload=proxy"), bed.container("testbed.nic=proxy"))
    outcome = bed.fault("heal")
    assert outcome.status == 0, describe(outcome)
    assert bed.held() == {}
