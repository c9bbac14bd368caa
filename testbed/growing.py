"""A file that somebody still writes, or a pipe: read as far as it goes, then waited for."""

from __future__ import annotations

import os
import select
import stat
import time
from collections.abc import Callable
from pathlib import Path

from testbed.errors import NotReady, UsageError
from testbed.waiting import wait_until

POLL_S = 0.05
TICK_S = 0.25
"""How often ``tick`` is called while nothing comes."""


class Growing:
    """Reads without ever waiting inside a read; ``wait`` waits, until there is more, or until ``stop`` or the deadline. A pipe ends when
    its other side closes it, a file never by itself: then ``ended`` stays False."""

    def __init__(self, path: Path, *, for_s: float | None, tick: Callable[[], None]) -> None:
        try:
            self._fd = 0 if str(path) == "-" else os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise UsageError(
                f"{path}: {error.strerror or error}", hint="it must be there before it is followed"
            ) from None
        if stat.S_ISDIR(os.fstat(self._fd).st_mode):
            raise UsageError(f"{path} is a folder", hint="follow one file, or `-` for standard input")
        self._is_file = stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._tick = tick
        self._until_s = None if for_s is None else time.monotonic() + for_s
        self._read = 0
        self.ended = False
        self._stopped = False

    @property
    def is_over(self) -> bool:
        """Whether reading should go on no longer, whatever there is."""
        return self._stopped or (self._until_s is not None and time.monotonic() >= self._until_s)

    def stop(self) -> None:
        """From a signal handler too."""
        self._stopped = True

    def readinto(self, buffer: memoryview) -> int:
        """What is there now, 0 where nothing is."""
        if not self._has_more():
            return 0
        count = os.readv(self._fd, [buffer])
        self._read += count
        self.ended = self.ended or (not count and not self._is_file)
        return count

    def wait(self) -> bool:
        """Until there is more; False where it has ended, or should be read no longer."""
        while not (self.ended or self.is_over):
            self._tick()
            try:
                wait_until(lambda: self.is_over or self._has_more(), awaited="more", timeout_s=TICK_S, poll_s=POLL_S)
            except NotReady:
                continue
            return not self.is_over
        return False

    def close(self) -> None:
        """Standard input stays open."""
        if self._fd:
            os.close(self._fd)

    def _has_more(self) -> bool:
        if self.ended:
            return False
        if not self._is_file:
            return bool(select.select([self._fd], [], [], 0)[0])
        size = os.fstat(self._fd).st_size
        if size < self._read:
            raise UsageError(
                "the file became shorter while it was followed", hint="follow the file it is written to now"
            )
        return size > self._read
