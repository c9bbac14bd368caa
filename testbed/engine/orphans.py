"""Processes of ours that outlive whoever started them: compose goes on creating containers when its orchestrator is killed.

They carry a claim in their environment from their first instant, children included: no moment in which nobody knows of them, and no
process number that may be somebody else's by now.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

VARIABLE = "TESTBED_CLAIM"


def end(claim: str, processes: Path = Path("/proc")) -> list[int]:
    """SIGKILL every process that carries this claim; which there were.

    In the instant of an execve a process has no environment to be read: whoever wants all of them gone asks until none is found.
    """
    mark = f"{VARIABLE}={claim}".encode()
    found = []
    for folder in processes.iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)
                found.append(int(folder.name))
    return found
