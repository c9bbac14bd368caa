"""Files that a user names for us to write: what is there already is replaced only where it is of the same kind, so that a slip of the
hand costs no capture and no policy."""

from __future__ import annotations

from pathlib import Path

from testbed.errors import UsageError

BEGINNINGS = {"HTML": (b"<!doctype html", b"<html"), "SVG": (b"<svg", b"<?xml")}


def check_target(file: Path, kind: str) -> None:
    """``kind``: of BEGINNINGS. UsageError where this would destroy something else, or can only hang."""
    try:
        if file.is_fifo() or file.is_socket():
            raise UsageError(f"{file} is a pipe", hint="name a file")
        if not file.is_file() or not file.stat().st_size:
            return
        with file.open("rb") as there:
            beginning = there.read(64).lstrip().lower()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}", hint="name another file") from None
    if not beginning.startswith(BEGINNINGS[kind]):
        raise UsageError(
            f"{file} is there already, and is no {kind} file", hint="name another file; nothing was written"
        )
