"""Standard output and standard error as a command line has them: a reader that goes away, or one that never was, ends no command, and
changes no exit status."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import TextIO, cast

_GONE = (errno.EPIPE, errno.EIO)
"""Of a pipe and of a terminal whose other end is closed."""


class _Outlet(io.FileIO):
    """A file descriptor that leads nowhere as soon as nobody reads it, or it takes no more."""

    is_read = True

    def write(self, data: bytes, /) -> int | None:  # type: ignore[override]
        """All of it counts as written where nobody reads; any other error is raised once, and not again at the interpreter's end."""
        try:
            return super().write(data)
        except OSError as error:
            self._lead_nowhere()
            if error.errno not in _GONE:
                raise
        self.is_read = False
        return memoryview(data).nbytes

    def _lead_nowhere(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def prepare() -> None:
    """Once, before anything is printed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed before we began
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, _standing(stream))


def is_read() -> bool:
    """Whether anybody may still read standard output."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return not isinstance(raw, _Outlet) or raw.is_read


def _standing(stream: TextIO) -> TextIO:
    stream.flush()
    raw = _Outlet(stream.fileno(), "w", closefd=False)
    return cast(
        TextIO,
        io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=stream.isatty() or stream is sys.__stderr__,
        ),
    )
