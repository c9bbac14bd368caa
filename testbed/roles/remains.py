"""Undoes in a NIC what no living holder holds: ``python3 -m testbed.roles.nic heal`` prints, as JSON, what it did.

``healed``: faults that were on record and are undone; ``held``: those a living holder answers for; ``left``: what of ours could not be
removed. A record says how to undo a fault; what carries our mark and is on no record is removed by the mark alone. What does not
carry it is somebody else's, and stays.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from testbed.roles.holder import RECORDS
from testbed.roles.namespace import MARK, QDISC_HANDLE, run

_FAILURES = (RuntimeError, OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError)
_OURS = re.compile(rf"{MARK}[a-z0-9_]+_[0-9a-f]{{8}}(?![0-9a-zA-Z])")
"""The mark and a whole id of a fault: a user's own table may begin with the mark, too."""
_GONE = ("No such file", "Cannot find", "does not exist")


def heal(records: Path = RECORDS, processes: Path = Path("/proc")) -> dict[str, list[str]]:
    """Heal by the records, newest first, then by the mark; reads back what is there."""
    healed: list[str] = []
    held: list[str] = []
    left: list[str] = []
    for path in sorted(records.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        record = _record(path)
        if record is not None and _lives(record["pid"], processes):
            held.append(path.stem)
            continue
        # One that does not parse was not finished, so nothing had been done yet.
        problems = _undo(record["undo"]) if record is not None else []
        left += [f"{path.stem}: {problem}" for problem in problems]
        if not problems:
            path.unlink(missing_ok=True)
            healed.append(path.stem)
    return {"healed": healed, "held": held, "left": left + _swept(held)}


def _record(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {"pid": int(record["pid"]), "undo": [dict(command) for command in record["undo"]]}
    except _FAILURES:
        return None


def _lives(pid: int, processes: Path) -> bool:
    """Whether this process is a holder: its number may be another's by now."""
    try:
        words = (processes / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"testbed.roles.nic" in words and b"serve" in words


def _undo(commands: list[dict[str, Any]]) -> list[str]:
    problems = []
    for command in commands:
        try:
            run(command["argv"], command.get("input"))
        except _FAILURES as error:
            if not any(word in str(error) for word in _GONE):
                problems.append(str(error))
    return problems


def _swept(held: list[str]) -> list[str]:
    """Remove what carries our mark and belongs to no fault that is held; what is there all the same."""
    problems = []
    for argv in _marked(held):
        try:
            run(argv)
        except _FAILURES as error:
            problems.append(str(error))
    return problems + [f"left: {' '.join(argv[-3:])}" for argv in _marked(held)]


def _marked(held: list[str]) -> list[list[str]]:
    """The commands that would remove it. Queueing disciplines and links do not say whose they are: only where nothing is held."""
    own = tuple(MARK + name.partition(".")[0].replace("-", "_") for name in held)
    tables = [
        (item["table"]["family"], item["table"]["name"])
        for item in json.loads(run(["nft", "-j", "list", "tables"]))["nftables"]
        if "table" in item
    ]
    commands = [
        ["nft", "delete", "table", family, name]
        for family, name in tables
        if _OURS.match(name) and not (own and name.startswith(own))
    ]
    if held:
        return commands
    links = [str(link["ifname"]) for link in json.loads(run(["ip", "-j", "link", "show"]) or "[]")]
    ours = [link for link in links if link.startswith(MARK)]
    commands += [
        ["tc", "qdisc", "del", "dev", str(qdisc["dev"]), "root", "handle", QDISC_HANDLE]
        for qdisc in json.loads(run(["tc", "-j", "qdisc", "show"]) or "[]")
        if qdisc.get("root") and qdisc.get("handle") == QDISC_HANDLE and qdisc["dev"] not in ours
    ]
    return commands + [["ip", "link", "del", link] for link in ours]
