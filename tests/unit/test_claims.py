"""Claims: locked while their owner lives, gone when it ended in order, and otherwise a watcher's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testbed import claims, leftovers
from testbed.claims import Claim, Mark
from testbed.engine import orphans
from testbed.waiting import wait_until

OWNER = """
import sys, time
from testbed.claims import Claim
claim = Claim.take("b", "bed")
print("taken", flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TESTBED_HOME", str(tmp_path))
    # No engine answers: a watcher that thinks it has to act says so, and leaves the claim.
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    return tmp_path


def watchers(home: Path) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if b"testbed.watcher" in words and f"TESTBED_HOME={home}".encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                pass
    return found


def started(home: Path) -> list[int]:
    """A process that was just started has no words yet."""
    return wait_until(lambda: watchers(home), awaited="the watcher", timeout_s=5)


def test_a_claim_that_is_released_leaves_neither_file_nor_watcher(home: Path):
    claim = Claim.take("b", "bed")
    assert claims.marks() == [claim.mark]
    assert claims.holder_of(claim.mark) == f"running (process {os.getpid()})"
    assert len(started(home)) == 1
    assert (home / "beds" / "b").is_dir()
    claim.release()
    claim.release()
    assert claims.marks() == []
    assert watchers(home) == []


def test_a_claim_cannot_be_taken_over_while_its_owner_lives():
    claim = Claim.take("b", "faults")
    try:
        assert claims.take_over(claim.mark) is None
        assert claims.marks("b") == [claim.mark]
        assert claims.marks("c") == []
    finally:
        claim.release()


def test_the_watcher_takes_over_when_the_owner_is_killed_with_its_whole_group(home: Path):
    process = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "taken\n"
    [mark] = claims.marks()
    try:
        [watcher] = started(home)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(watcher, number)
        os.killpg(process.pid, signal.SIGKILL)
        wait_until(lambda: claims.holder_of(mark) == "crashed, being healed", awaited="the watcher", timeout_s=10)
        assert claims.take_over(mark) is None
    finally:
        process.kill()
        process.wait()
        for pid in watchers(home):
            os.kill(pid, signal.SIGKILL)
    lock = wait_until(lambda: claims.take_over(mark), awaited="the lock", timeout_s=5)
    os.close(lock)


DYING = """
import os, signal, subprocess, fcntl
from pathlib import Path
from testbed import claims

def die(*_, **__):
    os.killpg(0, signal.SIGKILL)

{patch}
claims.Claim.take("b", "bed")
"""


@pytest.mark.parametrize("patch", ["claims.os.open = die", "fcntl.flock = die", "Path.rename = die"])
def test_an_owner_that_is_killed_while_it_makes_its_claim_leaves_nothing(patch: str, home: Path):
    """With its whole process group, as a terminal or a CI job ends."""
    command = [sys.executable, "-c", DYING.format(patch=patch)]
    process = subprocess.run(command, start_new_session=True, check=False, timeout=20)
    assert process.returncode == -signal.SIGKILL
    wait_until(lambda: not watchers(home), awaited="the end of the watcher", timeout_s=10)
    assert [path for path in home.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["", "b", "b.x", "b.x.other", "b.x.new", "B.x.bed", "../b.x.bed", "b.x.bed.y"])
def test_other_files_are_no_claims(name: str):
    assert claims.mark_named(name) is None


def test_the_name_of_a_claim_says_all_of_it():
    mark = Mark(bed="a-b_c", id="12ab34cd", what="faults")
    assert claims.mark_named(mark.file.name) == mark


def test_dropping_the_claims_upon_a_bed_leaves_those_upon_others():
    one, other = Claim.take("b", "bed"), Claim.take("c", "bed")
    try:
        claims.forget("b")
        assert claims.marks() == [other.mark]
    finally:
        one.release()
        other.release()


def test_orphans_are_found_by_the_claim_in_their_environment_children_included_and_others_spared():
    def sleeper(claim: str) -> subprocess.Popen[bytes]:
        env = {**os.environ, orphans.VARIABLE: claim}
        return subprocess.Popen(["sh", "-c", "sleep 60 & wait"], env=env)

    mine, others = sleeper("1111aaaa"), sleeper("1111aaaab")
    try:
        wait_until(
            lambda: Path(f"/proc/{mine.pid}/task/{mine.pid}/children").read_text().strip(), awaited="child", timeout_s=5
        )
        ended: set[int] = set()

        def both_ended() -> bool:
            ended.update(orphans.end("1111aaaa"))
            return len(ended) == 2

        # One that is just being executed has no environment for an instant, and is found when it is asked again.
        wait_until(both_ended, awaited="both processes", timeout_s=5)
        assert mine.wait(5) == -signal.SIGKILL
        assert others.poll() is None
        wait_until(lambda: orphans.end("1111aaaa") == [], awaited="their end", timeout_s=5)
    finally:
        assert len(orphans.end("1111aaaab")) in (1, 2)
        others.wait(5)


def test_a_claim_says_on_which_engine_its_bed_is_also_when_somebody_else_has_taken_it_over(
    monkeypatch: pytest.MonkeyPatch,
):
    claim = Claim.take("b", "bed")
    there = claims.engine()
    copy = Mark(bed="c", id="1", what="bed")
    copy.file.write_bytes(claim.mark.file.read_bytes())
    claim.release()
    monkeypatch.setenv("DOCKER_HOST", "unix:///elsewhere.sock")
    assert leftovers.undo_stale(print) == []
    assert claims.marks() == [copy], "the bed is on another engine: here it only looks as if it were gone"
    lock = claims.take_over(copy)
    assert lock is not None
    os.close(lock)
    assert claims.holder_of(copy) == "crashed, being healed"
    assert claims.engine_of(copy) == there
