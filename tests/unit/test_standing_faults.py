"""Faults from the command line: what is refused, with the known words, before anything is touched."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from test_topology import topology

from testbed import bed, claims, fault_holder, journal, standing_faults, state
from testbed.errors import EngineError, UsageError
from testbed.faults import KINDS, fault_of
from testbed.journal import Entry, Journal
from testbed.live import Recorder
from testbed.waiting import wait_until


def held(kind: str, target: str, **parameters: object) -> Journal:
    fault = fault_of(kind, target, **parameters)
    dumped = fault.model_dump(mode="json", by_alias=True, exclude={"at"})
    return Journal(open={"f-1": Entry(id="f-1", claim="c", kind=kind, target=target, parameters=dumped)})


@pytest.mark.parametrize("words", [["by=50ms", "direction=out"], ["--by=50ms", "--direction=out"]])
def test_parameters_are_those_of_scenarios(words: list[str]):
    assert standing_faults.fault_from("delay", "web-1", words) == fault_of("delay", "web-1", by="50ms", direction="out")


@pytest.mark.parametrize(
    ("kind", "words", "said", "hint"),
    [
        ("delai", [], "unknown kind of fault 'delai'", "did you mean 'delay'"),
        ("delay", ["bye=50ms"], "delay has no parameter 'bye'", "did you mean 'by'"),
        ("delay", ["at=ccm-1", "by=50ms"], "delay has no parameter 'at'", "known: "),
        ("delay", ["--by", "50ms"], "'--by' is no parameter", "NAME=VALUE"),
        ("delay", ["by=50ms", "by=60ms"], "by is given twice", ""),
        ("delay", ["by=-50ms"], "negative", "delay"),
        ("delay", ["by={"], "is no YAML", ""),
        ("http-error", ["status=99"], "status", "http-error"),
    ],
)
def test_what_no_fault_is_made_of_is_refused_with_the_known_words(kind: str, words: list[str], said: str, hint: str):
    with pytest.raises(UsageError, match=said) as caught:
        standing_faults.fault_from(kind, "web-1", words)
    assert hint in caught.value.hint


@pytest.mark.parametrize("text", ["0s", "-3s", "30", "forever", "2000 min"])
def test_a_lease_is_a_length_of_time_that_is_no_slip_of_the_pen(text: str):
    with pytest.raises(UsageError, match="--for"):
        standing_faults.lease_s(text, topology())


def test_a_lease_may_be_in_keepalives():
    assert standing_faults.lease_s("4 keepalives", topology()) == 4 * topology().timers.keepalive_s


def test_a_fault_that_clashes_with_one_that_is_held_is_refused_with_what_to_type():
    with pytest.raises(UsageError, match=r"kill ccm-1 cannot overlap freeze ccm-1 \(f-1\)") as caught:
        standing_faults.refuse_clashes(fault_of("kill", "ccm-1"), topology(), held("freeze", "ccm-1"))
    assert "testbed fault heal f-1" in caught.value.hint
    standing_faults.refuse_clashes(fault_of("kill", "ccm-1"), topology(), held("freeze", "ccm-bk"))


def test_with_a_journal_that_does_not_parse_nothing_is_added():
    with pytest.raises(UsageError, match="does not parse"):
        standing_faults.refuse_clashes(fault_of("kill", "ccm-1"), topology(), Journal(damaged=1))


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_fault_of_every_kind_can_be_read_back_from_the_journal(kind: str):
    [(_, example)] = yaml.safe_load(KINDS[kind].example).items()
    given = example if isinstance(example, dict) else {"at": example}
    fault = fault_of(kind, given.pop("at"), **given)
    entry = Entry(
        id="f-1",
        claim="c",
        kind=kind,
        target=fault.at,
        parameters=fault.model_dump(mode="json", by_alias=True, exclude={"at"}),
    )
    [read] = journal.parse([journal.intended(entry)]).open.values()
    assert fault_of(read.kind, read.target, **read.parameters) == fault


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TESTBED_HOME", str(tmp_path))
    claims.folder().mkdir()
    return tmp_path


def test_faults_in_a_bed_that_goes_with_a_run_are_that_runs(home: Path):
    (claims.folder() / "b.1.bed").touch()
    with pytest.raises(UsageError, match="not yours to break"):
        standing_faults.heal("b", [], lambda line: None)
    standing_faults.refuse_run("other")


def test_healing_what_is_not_held_lists_what_is(home: Path):
    journal.file_of("b").parent.mkdir(parents=True)
    [entry] = held("freeze", "ccm-1").open.values()
    journal.append("b", journal.intended(entry))
    with pytest.raises(UsageError, match="no fault 'f-2'") as caught:
        standing_faults.heal("b", ["f-2"], lambda line: None)
    assert "f-1" in caught.value.hint


def test_a_process_that_is_no_holder_of_ours_is_never_ended(home: Path):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (claims.folder() / "b.1.faults").write_text(f'{{"owner": {process.pid}}}')
        with pytest.raises(UsageError, match="is not the test-bed's"):
            standing_faults.heal("b", [], lambda line: None)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_a_holder_is_asked_to_end_by_sigterm(home: Path):
    words = [sys.executable, "-c", "import time; time.sleep(60)", standing_faults.HOLDER]
    process = subprocess.Popen(words)
    try:
        mark = claims.Mark(bed="b", id="1", what="faults")
        mark.file.write_text(f'{{"owner": {process.pid}}}')
        cmdline = Path(f"/proc/{process.pid}/cmdline")
        wait_until(lambda: standing_faults.HOLDER in cmdline.read_text(), awaited="its start", timeout_s=5)
        standing_faults._ask_to_end(mark)
        assert process.wait(5) == -signal.SIGTERM
        standing_faults._ask_to_end(mark)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait()


def test_a_holder_whose_claim_was_removed_is_ended_and_one_of_another_bed_is_not(home: Path):
    script = "import time; time.sleep(60)"
    environment = {**os.environ, "TESTBED_HOME": str(home)}
    ours, other = (
        subprocess.Popen([sys.executable, "-c", script, standing_faults.HOLDER, bed], env=environment)
        for bed in ("b", "c")
    )
    try:
        for bed in ("b", "c"):
            wait_until(lambda bed=bed: bool(standing_faults.holders(bed)), awaited="its start", timeout_s=5)
        reaper = threading.Thread(target=ours.wait)
        reaper.start()
        standing_faults.heal("b", [], lambda line: None)
        reaper.join(5)
        assert ours.returncode == -signal.SIGTERM
        assert other.poll() is None
    finally:
        for process in (ours, other):
            process.kill()
            process.wait()


def test_a_holder_that_ends_without_a_word_is_no_timeout(home: Path, monkeypatch: pytest.MonkeyPatch):
    def crashing(words: list[str], bed: str, stdin: int, stdout: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", "input()"], stdin=stdin, stdout=stdout)

    monkeypatch.setattr(claims, "detached", crashing)
    with pytest.raises(EngineError, match="its holder ended"):
        standing_faults.add(topology(), fault_of("cut", "ccm-1"), 5.0)


def test_a_lease_goes_on_whatever_the_wall_clock_says(home: Path, monkeypatch: pytest.MonkeyPatch):
    state.bed_folder("b").mkdir(parents=True)
    monkeypatch.setattr(fault_holder.time, "time", lambda: 9e12)
    began_s = time.monotonic()
    fault_holder._wait("b", began_s + 0.3)
    assert 0.3 <= time.monotonic() - began_s < 3


def test_a_bed_that_is_not_up_is_answered_with_the_standing_ones_and_not_those_of_runs(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    (claims.folder() / "run-1.1.bed").touch()
    there = [SimpleNamespace(bed=name) for name in ("lab", "run-1")]
    monkeypatch.setattr(bed.containers, "containers", lambda name="": [] if name else there)
    with pytest.raises(UsageError, match="no bed named 'bed'") as caught:
        bed.Bed.attach("bed", Recorder(), lambda line: None)
    assert caught.value.hint == "add --name NAME, of those that are up: lab"
