"""Commands of the machine that take a while: apt-get, debootstrap."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from testbed.errors import EngineError

Progress = Callable[[str], None]
"""Takes one line for the user."""

HEARTBEAT_S = 10.0
"""How often a command that still runs is said to be running."""


def run_command(
    command: Sequence[str],
    progress: Progress,
    *,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 1200,
    hint: str = "",
) -> str:
    """Run to the end and return what it printed; EngineError with the end of that and `hint` when it fails or takes too long.

    The output goes through a file, not a pipe: a daemon the command leaves behind may keep it open for ever.
    """
    text = shlex.join(command)
    with tempfile.TemporaryFile(mode="w+", errors="replace") as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
            )
        except OSError as error:
            raise EngineError(f"cannot run {command[0]}: {error.strerror}", command=text) from error
        try:
            status = _wait(process, output, progress, timeout_s)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        output.seek(0)
        printed = output.read()
    if status is None:
        raise EngineError(f"took longer than {timeout_s:g} s", command=text, output=printed, hint=hint)
    if status != 0:
        raise EngineError("a command failed", command=text, status=status, output=printed, hint=hint)
    return printed


def _wait(process: subprocess.Popen[bytes], output: IO[str], progress: Progress, timeout_s: float) -> int | None:
    started = time.monotonic()
    while (spent := time.monotonic() - started) < timeout_s:
        try:
            return process.wait(timeout=min(HEARTBEAT_S, timeout_s - spent))
        except subprocess.TimeoutExpired:
            progress(f"  … {time.monotonic() - started:.0f} s: {_last_line(output)}")
    process.terminate()
    process.wait()
    return None


def _last_line(output: IO[str]) -> str:
    """The last line so far; reading by descriptor leaves the position the command writes at alone."""
    size = os.fstat(output.fileno()).st_size
    tail = os.pread(output.fileno(), 400, max(0, size - 400)).decode(errors="replace").strip()
    return tail.splitlines()[-1][:100] if tail else "nothing printed yet"
