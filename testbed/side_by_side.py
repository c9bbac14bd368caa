"""Runs side by side, each a process of its own: signals, claims and a bed are a process's. What one prints is kept until it ends."""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed import leftovers, show
from testbed.errors import EXIT_CLEANUP_INCOMPLETE, EXIT_ENVIRONMENT, EXIT_USAGE, CleanupIncomplete
from testbed.waiting import wait_until

POLL_S = 0.2
PR_SET_PDEATHSIG = 1
"""prctl(2), from linux/prctl.h."""
_PACKAGES = Path(__file__).parents[1]

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A run that is to be. ``command`` is its whole command line; it prints a JSON array of records, one a verdict, and ends by SIGTERM
    with its bed, of the name ``bed``, taken down."""

    name: str
    bed: str
    command: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """What came of one. ``code``: its exit status, 4 where it was killed, or has no records and none of 2 and 6. ``records``: none where it
    was lost, refused, or told to end. ``said``: its standard error; ``why``: how it ended without records, in words."""

    code: int
    records: tuple[Record, ...] = ()
    said: str = ""
    why: str = ""
    was_told: bool = False

    @property
    def is_lost(self) -> bool:
        """It ended by itself and said nothing of its verdicts: not its bed broke, but the run. One that was refused was none."""
        return not self.records and not self.was_told and self.code != EXIT_USAGE


Begun = Callable[[Asked], None]
Reported = Callable[[int, Ended], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    printed: Path
    said: Path


class SideBySide:
    """At most ``at_once`` of ``asked`` at a time. ``begun`` is called before each, ``reported`` with its place and what came of it once it
    has ended, in the order of their ends; ``folder`` is for what they print until then. ``left_behind``, once all have ended: what stays of
    the beds of runs that were killed, which has been said."""

    def __init__(self, asked: Sequence[Asked], at_once: int, folder: Path, *, begun: Begun, reported: Reported) -> None:
        self._asked, self._at_once, self._folder = asked, at_once, folder
        self._say_begun, self._report = begun, reported
        self._running: dict[int, _Running] = {}
        self._ended: list[Ended | None] = [None] * len(asked)
        self._next = 0
        self.left_behind: CleanupIncomplete | None = None

    def perform(self) -> list[Ended | None]:
        """What came of each, in the order that was asked; None of one that was not begun.

        One that is lost ends the others, and so does SIGINT or SIGTERM: each is told once, and waited for. After a signal
        KeyboardInterrupt, or CleanupIncomplete where something of a bed could not be removed.
        """
        with noted_signals() as noted:
            try:
                while (self._running or self._next < len(self._asked)) and not noted and not self._any_lost():
                    self._fill()
                    wait_until(
                        lambda: noted or self._over(), awaited="the end of a run", timeout_s=math.inf, poll_s=POLL_S
                    )
                    for place in self._over():
                        self._collect(place, was_told=False)
            finally:
                self._end_rest()
        if not noted:
            return self._ended
        if self.left_behind or any(one and one.code == EXIT_CLEANUP_INCOMPLETE for one in self._ended):
            raise CleanupIncomplete("interrupted; what stays of a bed is said above", hint="`testbed down --stale`")
        raise KeyboardInterrupt

    def _fill(self) -> None:
        while self._next < len(self._asked) and len(self._running) < self._at_once:
            asked = self._asked[self._next]
            self._say_begun(asked)
            self._running[self._next] = _started(asked, self._folder / f"{self._next}")
            self._next += 1

    def _over(self) -> list[int]:
        return [place for place, one in self._running.items() if one.process.poll() is not None]

    def _any_lost(self) -> bool:
        return any(one and one.is_lost for one in self._ended)

    def _collect(self, place: int, *, was_told: bool) -> None:
        ended = _ended(self._running.pop(place), was_told=was_told)
        self._ended[place] = ended
        self._report(place, ended)

    def _end_rest(self) -> None:
        """All of them, before anything is said of one: what cannot be printed keeps no bed up."""
        rest = list(self._running.items())
        for _, one in rest:
            one.process.terminate()
        if rest:
            _say(f"runs told to end, and to take their beds down: {len(rest)}")
        for _, one in rest:
            one.process.wait()
        try:
            for place, _ in rest:
                self._collect(place, was_told=True)
        finally:
            if rest or self._any_lost():
                self._await_beds()

    def _await_beds(self) -> None:
        """The bed of a run that was killed is its watcher's to take down. What stays takes no verdict away."""
        try:
            leftovers.await_all_undone(_say, {one.bed for one in self._asked})
        except CleanupIncomplete as error:
            self.left_behind = error
            with suppress(OSError):
                show.problem(error)


def _say(line: str) -> None:
    """Beds go down all the same where nobody listens any more."""
    with suppress(OSError):
        show.say(line)


def _started(asked: Asked, stem: Path) -> _Running:
    """In a process group of its own: Ctrl-C in a terminal is ours alone, to be handed on once. It goes when we go, however we do."""
    printed, said = stem.with_suffix(".out"), stem.with_suffix(".err")
    path = os.pathsep.join(filter(None, [str(_PACKAGES), os.environ.get("PYTHONPATH")]))
    with printed.open("wb") as stdout, said.open("wb") as stderr:
        process = subprocess.Popen(
            asked.command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            process_group=0,
            preexec_fn=_going_with(os.getpid()),
            env={**os.environ, "PYTHONPATH": path},
        )
    return _Running(process=process, printed=printed, said=said)


def _going_with(parent: int) -> Callable[[], None]:
    """For a child to call: SIGTERM once its parent is dead. The kernel sends it when the thread dies that made the child: the main one."""
    libc = ctypes.CDLL(None)

    def ask() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != parent:
            os._exit(EXIT_ENVIRONMENT)

    return ask


def _ended(one: _Running, *, was_told: bool) -> Ended:
    status = one.process.returncode
    records = () if status < 0 else _records(one.printed.read_bytes())
    said = one.said.read_text(encoding="utf-8", errors="replace")
    if records:
        return Ended(code=status, records=records, said=said, was_told=was_told)
    why = f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"
    code = status if status in (EXIT_CLEANUP_INCOMPLETE, EXIT_USAGE) else EXIT_ENVIRONMENT
    return Ended(code=code, said=said, why=why, was_told=was_told)


def _records(printed: bytes) -> tuple[Record, ...]:
    """None where that is not what a run prints."""
    try:
        records = json.loads(printed)
    except ValueError:
        return ()
    if not isinstance(records, list) or not all(isinstance(one, dict) and "status" in one for one in records):
        return ()
    return tuple(records)


@contextmanager
def noted_signals() -> Iterator[list[int]]:
    """SIGINT and SIGTERM are noted in a list, and raise nowhere: no child can be lost between being made and being known."""
    noted: list[int] = []

    def note(number: int, _: object) -> None:
        noted.append(number)
        if len(noted) > 1:
            _say("cleaning up, a moment")

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
