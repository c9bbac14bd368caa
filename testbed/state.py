"""Where beds keep their files: generated compose file, topology, rendered mounts, journal. A cache: labels are the truth."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.errors import UsageError
from testbed.topology import Topology, topology_from_json

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,30}")


def home() -> Path:
    """TESTBED_HOME, else the user's state folder."""
    if own := os.environ.get("TESTBED_HOME"):
        return Path(own).resolve()
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "testbed"


def bed_folder(bed: str) -> Path:
    """Folder of one bed; UsageError for a name that compose would not take."""
    if not NAME.fullmatch(bed):
        raise UsageError(
            f"{bed!r} is no name for a bed", hint="lower-case letters, digits, - and _, at most 31, for instance my-bed"
        )
    return home() / "beds" / bed


def write_bed(topology: Topology, compose_text: str) -> Path:
    """Keep a bed's description; the path of the generated compose file."""
    folder = bed_folder(topology.bed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "topology.json").write_text(json.dumps(topology.to_json(), indent=1), encoding="utf-8")
    file = folder / "compose.yaml"
    file.write_text(compose_text, encoding="utf-8")
    return file


def read_topology(bed: str) -> Topology | None:
    """The topology of a bed brought up earlier, or None where there is none (any more)."""
    try:
        return topology_from_json(json.loads((bed_folder(bed) / "topology.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget_bed(bed: str) -> None:
    """Remove a bed's files."""
    shutil.rmtree(bed_folder(bed), ignore_errors=True)


@contextmanager
def bed_lock(bed: str) -> Iterator[None]:
    """One at a time in this bed: seeing which faults are held and adding one."""
    with (bed_folder(bed) / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def machine_lock() -> Iterator[None]:
    """One at a time on this machine: choosing a block of addresses and creating the networks in it."""
    try:
        home().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make the folder {home()}: {error.strerror}", hint="TESTBED_HOME names another"
        ) from None
    if ":" in str(home()):
        raise UsageError(
            f"{home()} has a colon, which compose takes for the end of a path", hint="TESTBED_HOME names another folder"
        )
    with (home() / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
