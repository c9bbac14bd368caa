"""Who answers for what: a file locked for as long as its owner lives, and a watcher behind it for when the owner dies.

One claim is a file ``claims/BED.ID.WHAT`` below the home folder: ``bed`` for a bed that goes with its owner, ``faults`` for faults an
owner holds in a bed. The kernel lets go of the lock however the owner ends. An owner that ends in order removes the file first, so a
file nobody locks is a crash. A bed without a claim stands by itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from testbed import state

What = Literal["bed", "faults"]

WATCHER_END_TIMEOUT_S = 5
CLAIMED = b"+"
"""What a watcher is told once its claim is there."""
SAID_BYTES = 1000
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PACKAGES = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A claim as its file's name says it."""

    bed: str
    id: str
    what: What

    @property
    def file(self) -> Path:
        return folder() / f"{self.bed}.{self.id}.{self.what}"

    @property
    def unlocked(self) -> Path:
        """What the file is called until it is locked."""
        return folder() / f"{self.bed}.{self.id}.new"


class Claim:
    """A claim that this process holds. Made by ``Claim.take``; ``release`` says that all is in order."""

    def __init__(self, mark: Mark, descriptor: int, watcher: subprocess.Popen[bytes]) -> None:
        self.mark = mark
        self._descriptor, self._watcher = descriptor, watcher

    @classmethod
    def take(cls, bed: str, what: What) -> Claim:
        """Start a watcher, and lock a new claim: before the first thing is done that would have to be undone.

        The watcher comes first, so that there is no moment at which a kill would leave anything, were it the claim alone.
        """
        mark = Mark(bed=bed, id=uuid.uuid4().hex[:8], what=what)
        folder().mkdir(parents=True, exist_ok=True)
        watcher = _watcher(mark)
        assert watcher.stdin is not None
        descriptor = -1
        try:
            # Nobody may see the file before it is locked, or take it for a crash.
            descriptor = os.open(mark.unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _write(descriptor, {"owner": os.getpid(), "engine": engine()})
            mark.unlocked.rename(mark.file)
            with contextlib.suppress(OSError):  # killed already: the next command of the test-bed is left
                watcher.stdin.write(CLAIMED)
            watcher.stdin.close()
            log_file(bed)  # its folder: where a bed's files are kept from now on
            return cls(mark, descriptor, watcher)
        except BaseException:
            for file in (mark.unlocked, mark.file):
                file.unlink(missing_ok=True)
            if descriptor >= 0:
                os.close(descriptor)
            with contextlib.suppress(OSError):
                watcher.stdin.close()
            raise

    def release(self) -> None:
        """Nothing is left to undo; the watcher ends."""
        self.mark.file.unlink(missing_ok=True)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._watcher.wait(WATCHER_END_TIMEOUT_S)


def _watcher(mark: Mark) -> subprocess.Popen[bytes]:
    """It opens the bed's log itself, once it has something to say."""
    return _detached(["testbed.watcher", mark.file.name], subprocess.PIPE, subprocess.DEVNULL, subprocess.DEVNULL)


def detached(
    words: list[str], bed: str, stdin: int = subprocess.DEVNULL, stdout: int | None = None
) -> subprocess.Popen[bytes]:
    """A module of ours as a process in a session of its own, with ENDING signals blocked: what ends us, our process group or our
    terminal does not end it. What it has to say goes into the bed's log."""
    with log_file(bed).open("ab") as log:
        return _detached(words, stdin, log.fileno() if stdout is None else stdout, log.fileno())


def _detached(words: list[str], stdin: int, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", *words],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            bufsize=0,
            start_new_session=True,
            cwd=_PACKAGES,
            env={**os.environ, "TESTBED_HOME": str(state.home())},
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def folder() -> Path:
    """Where the claims of this home lie."""
    return state.home() / "claims"


def log_file(bed: str) -> Path:
    """What the watchers of a bed have to say."""
    file = state.bed_folder(bed) / "watcher.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def mark_named(name: str) -> Mark | None:
    """The mark of a file of this name; None where it is none."""
    parts = name.split(".")
    if len(parts) != 3 or not state.NAME.fullmatch(parts[0]):
        return None
    if parts[2] == "bed":
        return Mark(bed=parts[0], id=parts[1], what="bed")
    return Mark(bed=parts[0], id=parts[1], what="faults") if parts[2] == "faults" else None


def marks(bed: str | None = None) -> list[Mark]:
    """All claims of this home, or those upon one bed."""
    try:
        found = [mark_named(path.name) for path in sorted(folder().iterdir())]
    except FileNotFoundError:
        return []
    return [mark for mark in found if mark and bed in (None, mark.bed)]


def take_over(mark: Mark, *, wait: bool = False) -> int | None:
    """The lock of a claim whose owner is dead, as a descriptor, and on record that we heal. None: the owner (or another healer)
    lives, or it ended in order. ``wait``: until it ends, one way or the other."""
    try:
        descriptor = os.open(mark.file, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        if os.fstat(descriptor).st_nlink:
            _write(descriptor, {"healer": os.getpid(), "engine": engine_of(mark)})
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None


def holder_of(mark: Mark) -> str:
    """In words: who has this claim."""
    said = _said(mark)
    if "owner" in said:
        return f"running (process {said['owner']})"
    return "crashed, being healed" if "healer" in said else "unknown"


def owner_of(mark: Mark) -> int | None:
    """The process that has this claim; None where it is over, or somebody heals for it."""
    owner = _said(mark).get("owner")
    return owner if isinstance(owner, int) else None


def engine() -> str:
    """Which engine we speak to, as the environment has it; empty for the usual one."""
    return os.environ.get("DOCKER_HOST") or os.environ.get("DOCKER_CONTEXT") or ""


def engine_of(mark: Mark) -> str:
    """The one on which the claim's bed is: to another the bed would look as if it were gone."""
    return str(_said(mark).get("engine") or "")


def _write(descriptor: int, record: dict[str, Any]) -> None:
    """Over what is there, of a length that does not change: a reader never sees half of it."""
    os.pwrite(descriptor, json.dumps(record).encode().ljust(SAID_BYTES), 0)


def _said(mark: Mark) -> dict[str, Any]:
    try:
        said = json.loads(mark.file.read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def forget(bed: str) -> None:
    """Drop every claim upon a bed that is no more."""
    for mark in marks(bed):
        mark.file.unlink(missing_ok=True)
