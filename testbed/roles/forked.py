"""A role of ours in a fork of this process: it works after 3 ms, where a Python of its own takes 27 ms to start."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

POLL_S = 0.001


def is_role(argv: list[str]) -> bool:
    """Whether this command is ``python3 -m testbed.roles.…``."""
    return argv[:2] == ["python3", "-m"] and len(argv) > 2 and argv[2].startswith("testbed.roles.")


class Forked:
    """As much of ``subprocess.Popen`` as a holder needs. The role's ``main(argv)`` runs with our modules, and with none of our files."""

    def __init__(self, argv: list[str]) -> None:
        role = importlib.import_module(argv[2])
        (out, child_out), (err, child_err) = os.pipe(), os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            _become(role.main, argv[3:], child_out, child_err)
        os.close(child_out)
        os.close(child_err)
        self.stdout, self.stderr = os.fdopen(out, "rb", buffering=0), os.fdopen(err, "rb", buffering=0)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status once it has ended; subprocess.TimeoutExpired."""
        deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
        while (status := self.poll()) is None:
            if time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired("role", timeout or 0.0)
            time.sleep(POLL_S)
        return status

    def terminate(self) -> None:
        """SIGTERM."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def _become(main: Callable[[list[str]], int], argv: list[str], out: int, err: int) -> NoReturn:
    """In the child: other files, default signals, the role, the end. Never returns into the parent's code."""
    status = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        _close_others()
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
        status = main(argv)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _close_others() -> None:
    """All files but the standard three. By name: the limit may be a million, and closing each number takes longer than the start."""
    for path in list(Path("/proc/self/fd").iterdir()):
        if int(path.name) > 2:
            with contextlib.suppress(OSError):
                os.close(int(path.name))
