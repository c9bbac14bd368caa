"""Nothing of a run outlives it for more than a minute, however and whenever it ends; and nothing of another is touched."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from driving import Outcome, Testbed, describe
from killing import Kill, await_nothing_left, left_of, random_kill, running

from testbed.state import home

RUN = ("rehome-kill", "--phones", "2")
RUN_S = 10.0
"""About as long as such a run takes: kills come before."""
CHANCE = random.Random(20031)
KILLS = [
    *(random_kill(CHANCE, RUN_S) for _ in range(5)),
    random_kill(CHANCE, RUN_S, (signal.SIGTERM,)),
    random_kill(CHANCE, RUN_S, (signal.SIGINT, signal.SIGINT)),
]

pytestmark = pytest.mark.usefixtures("clean")


@pytest.mark.parametrize("kill", KILLS, ids=str)
def test_nothing_is_left_a_minute_after_a_run_was_killed(kill: Kill, tmp_path: Path):
    bed = f"killed-{os.getpid()}"
    with running(bed, tmp_path, RUN) as run:
        run.kill(kill)
    await_nothing_left(bed, home())
    assert run.process.returncode in (0, 130, *(-number for number in kill.numbers)), run.said.read_text()


def test_of_two_beds_at_once_the_one_passes_when_the_other_is_killed(tmp_path: Path, testbed: Testbed):
    killed, spared = f"killed-{os.getpid()}", f"spared-{os.getpid()}"
    with running(spared, tmp_path, RUN) as other, running(killed, tmp_path, RUN) as run:
        wait_for_containers(spared)
        [owner] = [row["owner"] for row in testbed("ls", "--output", "json").json if row["bed"] == spared]
        assert owner == f"running (process {other.process.pid})"
        run.kill(Kill(after_s=8.0))
        await_nothing_left(killed, home())
        assert other.process.wait(90) == 0, other.said.read_text()
    await_nothing_left(spared, home())


def test_the_next_command_removes_a_bed_whose_watcher_was_killed_too(
    tmp_path: Path, testbed: Testbed, monkeypatch: pytest.MonkeyPatch
):
    # In a home of its own: otherwise any command of the machine's users may be that next one.
    monkeypatch.setenv("TESTBED_HOME", str(tmp_path / "home"))
    bed = f"killed-{os.getpid()}"
    with running(bed, tmp_path, RUN) as run:
        wait_for_containers(bed)
        [watcher] = [name for name in left_of(bed, home()) if name.startswith("watcher")]
        os.kill(int(watcher.split()[1]), signal.SIGKILL)
        run.kill(Kill(after_s=0, group=True))
    assert any(text.startswith("ps") for text in left_of(bed, home())), "without a watcher a killed run leaves its bed"
    assert [row["owner"] for row in listed(testbed("ls", "--output", "json")) if row["bed"] == bed] == []
    assert left_of(bed, home()) == []


def wait_for_containers(bed: str) -> None:
    deadline = time.monotonic() + 30
    while not any(name.startswith("ps") for name in left_of(bed, home())):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def listed(outcome: Outcome) -> list[dict]:
    assert outcome.status == 0, describe(outcome)
    assert "whoever had it is gone, and its watcher too" in outcome.err, describe(outcome)
    return list(outcome.json)
