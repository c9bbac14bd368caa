"""The journal of a bed's faults: what was about to be done, from before it was, and that it is undone. JSON lines.

It is read tolerantly: lines that do not parse are counted, for whoever heals must then go by labels too. It is not synced to the
disk: it has to outlive a process, and no fault outlives the machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed import state
from testbed.faults.base import Act, AtRole, OnWorkload


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A fault that was begun. ``workloads``: (host, engine action that undoes it); ``roles``: (host, request that undoes it)."""

    id: str
    claim: str
    kind: str
    target: str
    parameters: Mapping[str, Any]
    workloads: tuple[tuple[str, str], ...] = ()
    nics: tuple[str, ...] = ()
    roles: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    ends_s: float | None = None
    """When its lease ends (realtime seconds)."""


@dataclass(slots=True)
class Journal:
    """``open``: faults begun and not healed, by id, in order; ``damaged``: how many lines could not be read."""

    open: dict[str, Entry] = field(default_factory=dict)
    damaged: int = 0


def file_of(bed: str) -> Path:
    """Where a bed's journal is."""
    return state.bed_folder(bed) / "journal.jsonl"


def read(bed: str) -> Journal:
    """A bed's journal. One that is missing is an empty one; one that is there and cannot be read is a damaged one."""
    try:
        return parse(file_of(bed).read_text(encoding="utf-8", errors="replace").splitlines())
    except FileNotFoundError:
        return Journal()
    except OSError:
        return Journal(damaged=1)


def parse(lines: Iterable[str]) -> Journal:
    """What these lines add up to."""
    journal = Journal()
    for line in lines:
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if record["what"] == "intended":
                entry = _entry(record)
                journal.open[entry.id] = entry
            elif record["what"] == "healed":
                journal.open.pop(str(record["id"]), None)
            else:
                journal.damaged += 1
        except (ValueError, KeyError, TypeError, RecursionError):
            journal.damaged += 1
    return journal


def _entry(record: Mapping[str, Any]) -> Entry:
    ends_s = record["ends_s"]
    return Entry(
        id=str(record["id"]),
        claim=str(record["claim"]),
        kind=str(record["kind"]),
        target=str(record["target"]),
        parameters=dict(record["parameters"]),
        workloads=tuple((str(host), str(action)) for host, action in record["workloads"]),
        nics=tuple(str(host) for host in record["nics"]),
        roles=tuple((str(host), dict(request)) for host, request in record["roles"]),
        ends_s=None if ends_s is None else float(ends_s),
    )


def intended(entry: Entry) -> str:
    """The line that says that this fault is about to be done."""
    values = {name: getattr(entry, name) for name in Entry.__slots__}
    return json.dumps({"what": "intended", **values})


def healed(fault_id: str) -> str:
    """The line that says that nothing is left of this fault."""
    return json.dumps({"what": "healed", "id": fault_id})


def append(bed: str, line: str) -> None:
    """Add a line, whole: a writer that died in the middle of one spoils no more than that."""
    file = file_of(bed)
    with file.open("ab") as journal:
        journal.write(f"\n{line}\n".encode())


def undoing(acts: Iterable[Act]) -> dict[str, Any]:
    """``workloads``, ``nics`` and ``roles`` of an entry for these acts."""
    acts = tuple(acts)
    return {
        "workloads": tuple((act.host, act.undo) for act in acts if isinstance(act, OnWorkload) and act.undo),
        "nics": tuple(dict.fromkeys(act.host for act in acts if not isinstance(act, OnWorkload | AtRole))),
        "roles": tuple((act.host, dict(act.undo)) for act in acts if isinstance(act, AtRole)),
    }
