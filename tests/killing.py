"""Runs that are killed at random moments, and what is left of them. The end-to-end tests do a few, ``python -m tests.soak`` many."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

GONE_WITHIN_S = 60.0
LABELS = ("testbed.bed={}", "com.docker.compose.project=testbed-{}")


@dataclass(frozen=True, kw_only=True)
class Kill:
    """``numbers`` one after another, the first ``after_s`` seconds from the start; ``group``: to all processes of the runner's group,
    as a terminal does, not to the runner alone."""

    after_s: float
    numbers: tuple[signal.Signals, ...] = (signal.SIGKILL,)
    group: bool = False

    def __str__(self) -> str:
        names = "+".join(number.name for number in self.numbers)
        return f"{names} after {self.after_s:.2f} s{' to the group' if self.group else ''}"


def random_kill(chance: random.Random, until_s: float, numbers: tuple[signal.Signals, ...] = (signal.SIGKILL,)) -> Kill:
    """At any moment of a run: of its start, its compose, its faults, its end."""
    return Kill(after_s=chance.uniform(0.3, until_s), numbers=numbers, group=chance.random() < 0.5)


class Running:
    """``testbed run`` in a home and with a bed of its own."""

    def __init__(self, bed: str, folder: Path, words: Sequence[str]) -> None:
        self.bed, self.folder = bed, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.said = folder / f"{bed}.said"
        self.started_s = time.monotonic()
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "testbed", "run", *words, "--name", bed, "--runs", str(folder / "runs")],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def kill(self, kill: Kill) -> None:
        """Return when the runner is dead, by this or by itself; in order at the latest 40 s after the signal."""
        time.sleep(max(0.0, self.started_s + kill.after_s - time.monotonic()))
        for number in kill.numbers:
            if self.process.poll() is None:
                (os.killpg if kill.group else os.kill)(self.process.pid, number)
                time.sleep(0.1)
        self.process.wait(40)

    def end(self) -> None:
        """Whatever a failed test left."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def running(bed: str, folder: Path, words: Sequence[str]) -> Iterator[Running]:
    """A run that does not outlive the block."""
    run = Running(bed, folder, words)
    try:
        yield run
    finally:
        run.end()


def left_of(bed: str, home: Path) -> list[str]:
    """Containers, networks, volumes, files, claims and processes of a bed."""
    found = []
    for label in (text.format(bed) for text in LABELS):
        for what in (["ps", "-a"], ["network", "ls"], ["volume", "ls"]):
            ids = subprocess.run(
                ["docker", *what, "-q", "--filter", f"label={label}"], capture_output=True, text=True, check=True
            ).stdout.split()
            found += [f"{what[0]} {one}" for one in ids]
    found += [str(path) for path in (home / "beds" / bed,) if path.exists()]
    found += [str(path) for path in (home / "claims").glob(f"{bed}.*")]
    return found + _processes(bed)


def _processes(bed: str) -> list[str]:
    """Watchers of the bed, and composes of its project."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_text().split("\0") if folder.name.isdigit() else []
        except OSError:
            continue
        if "testbed.watcher" in words and words[-2].startswith(f"{bed}."):
            found.append(f"watcher {folder.name}")
        elif f"testbed-{bed}" in words:
            found.append(f"compose {folder.name}")
    return found


def await_nothing_left(bed: str, home: Path) -> float:
    """Seconds until nothing is left; AssertionError with what there is after a minute."""
    began_s = time.monotonic()
    while left := left_of(bed, home):
        log = home / "beds" / bed / "watcher.log"
        said = log.read_text() if log.exists() else "(no log)"
        assert time.monotonic() < began_s + GONE_WITHIN_S, f"bed {bed}: left: {left}\n{said}"
        time.sleep(0.25)
    return time.monotonic() - began_s
