"""A folder in place of a capture: the run's one capture, or what to type instead."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from testbed.errors import UsageError

_SUFFIXES = (".pcap", ".pcapng", ".pcap.gz", ".pcapng.gz", ".cap")
_MAX_NAMED = 6


def captures_of(paths: Iterable[Path]) -> list[Path]:
    """Folders replaced by the one capture in each; UsageError where there are several. A run's captures are of several hosts and see the
    same packets, so that together they would be counted twice; only a person knows which one is meant, or in which order they follow."""
    return [_capture_in(path) if path.is_dir() else path for path in paths]


def _capture_in(folder: Path) -> Path:
    is_run = (folder / "captures").is_dir()
    place = folder / "captures" if is_run else folder
    found = sorted(path for path in place.iterdir() if path.name.endswith(_SUFFIXES) and path.is_file())
    if len(found) == 1:
        return found[0]
    what = "run" if is_run else "folder"
    if not found:
        raise UsageError(
            f"{folder} is a {what} without a capture", hint="captures are what `tcpdump -w` or Wireshark write"
        )
    names = ", ".join(path.name for path in found[:_MAX_NAMED])
    more = f" and {len(found) - _MAX_NAMED} more" if len(found) > _MAX_NAMED else ""
    one, two = (shlex.quote(str(path)) for path in found[:2])
    raise UsageError(
        f"{folder} is a {what} with {len(found)} captures: {names}{more}",
        hint=f"name one, `testbed audit {one}`, or those along a way, `testbed audit --hops {one} {two}`"
        + (f"; `testbed judge {shlex.quote(str(folder))}` judges the run" if is_run else ""),
    )
