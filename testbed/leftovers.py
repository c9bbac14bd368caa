"""What a crashed owner left: beds that go with it are taken down, faults in beds that stand are healed.

Done by the watcher of the claim, or, where that was killed too, by the next command of the test-bed. By journal where it can be read,
by labels and marks where it cannot.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from testbed import claims, journal, state
from testbed.claims import Mark
from testbed.engine import containers, orphans, streams
from testbed.engine.containers import Container
from testbed.errors import BedError, CleanupIncomplete, EngineError, NotReady
from testbed.journal import Entry
from testbed.waiting import wait_until

WATCHER_TIMEOUT_S = 600.0
"""Longer than an engine takes to start again."""
COMMAND_TIMEOUT_S = 60.0
QUIET_S = 3.0
"""The engine may still be creating what a killed compose asked it for."""
POLL_S = 0.5
EXEC_TIMEOUT_S = 30.0

NIC_HEAL = ("python3", "-m", "testbed.roles.nic", "heal")
ROLE_ASK = ("python3", "-m", "testbed.roles.control")

Say = Callable[[str], None]


def remove(bed: str, say: Say) -> None:
    """Remove a bed by its labels, with the files kept for it, and last of all whoever's claim upon it."""
    containers.remove_bed(bed, say)
    state.forget_bed(bed)
    claims.forget(bed)


def undo(mark: Mark, *, timeout_s: float, say: Say) -> None:
    """Undo what a dead owner left, and drop its claim; NotReady says what is still there. To be called with the claim's lock."""
    if mark.what == "bed":
        _take_down(mark, timeout_s, say)
    else:
        _persist(lambda: heal_faults(mark.bed, mark.id, say), f"bed {mark.bed} healed", timeout_s)
    mark.file.unlink(missing_ok=True)


def undo_stale(say: Say, *, beds: Collection[str] | None = None, timeout_s: float = COMMAND_TIMEOUT_S) -> list[str]:
    """Undo for every owner that died without a watcher, or only in these beds; what could not be undone, in words."""
    problems = []
    for mark in _marks(beds):
        lock = claims.take_over(mark) if claims.engine_of(mark) == claims.engine() else None
        if lock is None:
            continue
        what = "removing it" if mark.what == "bed" else "healing its faults"
        say(f"bed {mark.bed}: whoever had it is gone, and its watcher too: {what}")
        try:
            undo(mark, timeout_s=timeout_s, say=say)
        except BedError as error:
            problems.append(f"bed {mark.bed}: {error.message}")
        finally:
            os.close(lock)
    return problems


def await_undone(bed: str, say: Say) -> None:
    """Return once nobody is taking this bed down any more; NotReady where that takes too long."""

    def crashed() -> list[Mark]:
        return [mark for mark in claims.marks(bed) if claims.holder_of(mark).startswith("crashed")]

    if crashed():
        say(f"bed {bed}: whoever had it is gone; waiting until it is removed")
        wait_until(lambda: not crashed(), awaited=f"the end of bed {bed}", timeout_s=COMMAND_TIMEOUT_S, poll_s=POLL_S)


def await_all_undone(say: Say, beds: Collection[str] | None = None) -> None:
    """Undo for every dead owner (``beds``: in these only), or wait until its watcher has; CleanupIncomplete says what stays."""
    problems = undo_stale(say, beds=beds)
    for bed in dict.fromkeys(mark.bed for mark in _marks(beds)):
        try:
            await_undone(bed, say)
        except NotReady as error:
            problems.append(f"bed {bed}: {error.message}")
    if problems:
        raise CleanupIncomplete("; ".join(problems), hint="is the engine well? `testbed doctor`, then `testbed ls`")


def _marks(beds: Collection[str] | None) -> list[Mark]:
    return [mark for mark in claims.marks() if beds is None or mark.bed in beds]


def _take_down(mark: Mark, timeout_s: float, say: Say) -> None:
    """Until nothing new has appeared for a while."""
    quiet_since = time.monotonic()

    def quiet() -> bool:
        nonlocal quiet_since
        ended = [f"process {pid}" for pid in orphans.end(mark.id)]
        if found := ended + containers.remove_bed(mark.bed, say):
            say(f"bed {mark.bed}: removed {', '.join(found)}")
            quiet_since = time.monotonic()
        return time.monotonic() >= quiet_since + QUIET_S

    _persist(quiet, f"bed {mark.bed} gone", timeout_s)
    state.forget_bed(mark.bed)
    claims.forget(mark.bed)


def _persist(attempt: Callable[[], bool], awaited: str, timeout_s: float) -> None:
    """Try again until it succeeds: an engine that does not answer now may do so soon."""
    last = "not tried"

    def succeeds() -> bool:
        nonlocal last
        try:
            done = attempt()
        except BedError as error:
            last = error.message
            return False
        last = "not done yet"
        return done

    wait_until(succeeds, awaited=awaited, timeout_s=timeout_s, last_seen=lambda: last, poll_s=POLL_S)


def heal_faults(bed: str, claim: str, say: Say, only: Iterable[str] | None = None) -> bool:
    """Heal this claim's faults and those that nobody answers for (``only``: of these ids). Whether nothing of them is left.

    A target that is gone counts as healed. With a damaged journal the labels say what is there: every workload should run.
    """
    if not state.bed_folder(bed).exists():
        return True
    others = {mark.id for mark in claims.marks(bed)} - {claim}
    read = journal.read(bed)
    entries = [e for e in reversed(read.open.values()) if e.claim not in others and (only is None or e.id in set(only))]
    spared = [e for e in read.open.values() if e not in entries]
    by_label = only is None and (read.damaged > 0 or not journal.file_of(bed).exists())
    found = containers.containers(bed)
    workloads = {c.host: c for c in found if not c.is_nic}
    nics = {c.host: c for c in found if c.is_nic and c.state == "running"}
    if by_label:
        say(f"bed {bed}: its journal cannot be read ({read.damaged} lines): healing by labels")
    for host, action in _due(entries, spared, workloads if by_label else {}):
        _right(workloads.get(host), nics.get(host), action)
    for host, request in (pair for entry in entries for pair in entry.roles):
        _ask_role(workloads.get(host), request)
    if by_label:
        for workload in workloads.values():
            _heal_role(workload, {e.id for e in spared})
    affected = nics if by_label else {host: nics[host] for entry in entries for host in entry.nics if host in nics}
    left = [text for host, nic in affected.items() for text in _heal_nic(host, nic, {e.id for e in entries})]
    if left:
        raise EngineError(f"bed {bed}: {'; '.join(left)}")
    for entry in entries:
        journal.append(bed, journal.healed(entry.id))
        say(f"bed {bed}: healed {entry.kind} {entry.target} ({entry.id})")
    if by_label:
        _restore(bed, spared)
    return True


def _due(entries: Iterable[Entry], spared: Iterable[Entry], by_label: Mapping[str, Container]) -> list[tuple[str, str]]:
    """(host, engine action) to do; never at a workload whose fault somebody living holds."""
    taken = {host for entry in spared for host, _ in entry.workloads}
    wanted = [pair for entry in entries for pair in entry.workloads]
    wanted += [(host, "unpause" if c.state == "paused" else "start") for host, c in by_label.items()]
    return [(host, action) for host, action in dict.fromkeys(wanted) if host not in taken]


def _right(workload: Container | None, nic: Container | None, action: str) -> None:
    """Unpause what is paused, start what has exited; without its NIC no workload can start."""
    if workload is None:
        return
    seen = containers.state_of(workload.id)
    if (action == "unpause" and seen == "paused") or (action == "start" and seen == "exited" and nic is not None):
        containers.signal_host(workload.id, action)


def _ask_role(workload: Container | None, request: Mapping[str, object]) -> dict[str, object]:
    """A role that does not run has no fault, nor has an image that has no role."""
    if workload is None or containers.state_of(workload.id) != "running":
        return {}
    try:
        said = streams.exec_once(workload.id, [*ROLE_ASK, json.dumps(request)], timeout_s=EXEC_TIMEOUT_S)
        return dict(json.loads(said))
    except (EngineError, ValueError):
        return {}


def _heal_role(workload: Container, spared: set[str]) -> None:
    faults = _ask_role(workload, {"op": "faults"}).get("faults")
    for fault in faults if isinstance(faults, list) else ():
        if fault["id"] not in spared:
            _ask_role(workload, {"op": "heal", "id": fault["id"]})


def _heal_nic(host: str, nic: Container, ids: set[str]) -> list[str]:
    """What is left of these faults there, in words."""
    said = json.loads(streams.exec_once(nic.id, list(NIC_HEAL), timeout_s=EXEC_TIMEOUT_S))
    held = [name for name in said["held"] if name.partition(".")[0] in ids]
    return [f"{host}: {text}" for text in (*said["left"], *(f"{name} is still held" for name in held))]


def _restore(bed: str, spared: Iterable[Entry]) -> None:
    """A journal that can be read again: with the faults that are held, and no others."""
    file = journal.file_of(bed)
    new = file.with_suffix(".new")
    new.write_text("".join(journal.intended(entry) + "\n" for entry in spared), encoding="utf-8")
    if file.is_dir() and not file.is_symlink():
        shutil.rmtree(file)
    new.rename(file)
