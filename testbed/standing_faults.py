"""Faults in a bed that stands: added, listed, healed from the command line. Each is held by a process of its own (fault_holder)."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from testbed import claims, journal, leftovers, state
from testbed.claims import Mark
from testbed.document import known_words
from testbed.duration import parse_duration
from testbed.errors import BedError, EngineError, Unsupported, UsageError
from testbed.faults import KINDS, Fault, fault_of
from testbed.journal import Journal
from testbed.topology import Topology
from testbed.waiting import wait_until

HOLDER = "testbed.fault_holder"
EFFECT_TIMEOUT_S = 60.0
HEAL_TIMEOUT_S = 45.0
POLL_S = 0.1

_REFUSALS: dict[str | None, type[BedError]] = {kind.__name__: kind for kind in (UsageError, Unsupported)}


def fault_from(kind: str, target: str, words: Sequence[str]) -> Fault:
    """``words``: ``status=503`` or ``--status=503``, each value as in a scenario. UsageError with the known words."""
    parameters: dict[str, Any] = {}
    for word in words:
        name, sign, text = word.removeprefix("--").partition("=")
        if not sign or not name:
            raise UsageError(f"{word!r} is no parameter", hint=f"write NAME=VALUE, for instance {_example(kind)}")
        if name in parameters:
            raise UsageError(f"{name} is given twice", hint="give it once")
        try:
            parameters[name] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise UsageError(f"{word!r}: the value is no YAML", hint="quote it as in a scenario") from None
    if kind in KINDS:
        known = [field.alias or name for name, field in KINDS[kind].model_fields.items() if name != "at"]
        for name in parameters:
            if name not in known:
                raise UsageError(f"{kind} has no parameter {name!r}", hint=known_words(name, known))
    return fault_of(kind, target, **parameters)


def _example(kind: str) -> str:
    return KINDS[kind].example if kind in KINDS else "by=50ms"


def lease_s(text: str, topology: Topology) -> float:
    """How long, in seconds; UsageError for what is no length of time, or none at all."""
    try:
        length_s = parse_duration(text).seconds(topology.timers)
    except ValueError as error:
        raise UsageError(f"--for {text}: {error}", hint="for instance --for 30s") from None
    if length_s <= 0:
        raise UsageError(f"--for {text}: must be longer than nothing", hint="for instance --for 30s")
    return length_s


def refuse_run(bed: str) -> None:
    """UsageError where the bed goes with a process: its faults are that one's."""
    for mark in claims.marks(bed):
        if mark.what == "bed":
            raise UsageError(
                f"bed {bed} is not yours to break: {claims.holder_of(mark)}",
                hint="`testbed up --name lab` brings one up",
            )


def refuse_clashes(fault: Fault, topology: Topology, held: Journal) -> None:
    """UsageError where the fault cannot be beside those that are held, or where nobody can say which are."""
    if held.damaged:
        raise UsageError(
            f"the journal of bed {topology.bed} does not parse: what is held cannot be said",
            hint=f"`testbed fault heal --name {topology.bed}` heals everything, by labels",
        )
    for entry in held.open.values():
        other = fault_of(entry.kind, entry.target, **entry.parameters)
        if clash := fault.claims(topology) & other.claims(topology):
            raise UsageError(
                f"{fault} cannot overlap {other} ({entry.id}): both need {', '.join(sorted(clash))}",
                hint=f"`testbed fault heal {entry.id} --name {topology.bed}`",
            )


def add(topology: Topology, fault: Fault, for_s: float) -> dict[str, Any]:
    """Have a process of its own hold it for so long; returns when it has taken effect: ``id``, ``began_s``, ``effect_s``, ``ends_s``.

    What that process refuses is refused here; one that does not answer is ended, and heals what it had done.
    """
    refuse_run(topology.bed)
    fault.plan(topology, "id")
    request = {
        "bed": topology.bed,
        "kind": fault.kind,
        "target": fault.at,
        "parameters": fault.model_dump(mode="json", by_alias=True, exclude={"at"}),
        "for_s": for_s,
    }
    holder = claims.detached([HOLDER, topology.bed], topology.bed, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        holder.stdin.write(json.dumps(request).encode())
        holder.stdin.close()
        answered = select.select([holder.stdout], [], [], EFFECT_TIMEOUT_S)[0]
        reply = json.loads((answered and holder.stdout.readline()) or "{}")
        why = f"did not take effect within {EFFECT_TIMEOUT_S:g} s" if not answered else "did not: its holder ended"
    except BaseException:
        holder.send_signal(signal.SIGTERM)
        raise
    if "id" in reply:
        return dict(reply)
    holder.send_signal(signal.SIGTERM)
    raise _REFUSALS.get(reply.get("error"), EngineError)(
        reply.get("message") or f"{fault} {why}",
        hint=reply.get("hint") or f"`testbed fault ls`, and {claims.log_file(topology.bed)}",
    )


def rows(bed: str) -> list[dict[str, Any]]:
    """One record a fault that is held, or that nobody answers for any more."""
    holders = {mark.id: claims.holder_of(mark) for mark in claims.marks(bed)}
    return [
        {
            "id": entry.id,
            "kind": entry.kind,
            "target": entry.target,
            "parameters": {name: value for name, value in entry.parameters.items() if value is not None},
            "ends_in_s": None if entry.ends_s is None else round(max(0.0, entry.ends_s - time.time()), 1),
            "holder": holders.get(entry.claim, "nobody"),
        }
        for entry in journal.read(bed).open.values()
    ]


def heal(bed: str, ids: Sequence[str], say: leftovers.Say) -> list[str]:
    """Heal these faults, or all: their holders do, and where there is none, we. Which, in words; UsageError lists the known ones."""
    refuse_run(bed)
    held = journal.read(bed)
    for fault_id in ids:
        if fault_id not in held.open:
            raise UsageError(f"no fault {fault_id!r} is held in bed {bed}", hint=known_words(fault_id, held.open))
    chosen = list(ids or held.open)
    wanted = {held.open[fault_id].claim for fault_id in chosen}
    asked = [mark for mark in claims.marks(bed) if not ids or mark.id in wanted]
    for mark in asked:
        _ask_to_end(mark)
    wait_until(
        lambda: not any(mark.file.exists() for mark in asked),
        awaited="the end of those that hold the faults",
        timeout_s=HEAL_TIMEOUT_S,
        last_seen=lambda: ", ".join(claims.holder_of(mark) for mark in asked if mark.file.exists()),
        poll_s=POLL_S,
    )
    if not ids or wanted - {mark.id for mark in asked}:
        end_unclaimed(bed)
    leftovers.heal_faults(bed, "", say, only=ids or None)
    return chosen + (["whatever the journal did not tell"] if held.damaged and not ids else [])


def end_unclaimed(bed: str) -> None:
    """End the holders of this bed whose claims somebody removed, each by SIGTERM; NotReady names those that go on."""

    def living() -> list[int]:
        owners = {claims.owner_of(mark) for mark in claims.marks(bed)}
        return [pid for pid in holders(bed) if pid not in owners]

    for pid in living():
        with contextlib.suppress(ProcessLookupError), _handle(pid) as process:
            if pid in holders(bed):
                signal.pidfd_send_signal(process, signal.SIGTERM)
    wait_until(
        lambda: not living(),
        awaited="the end of those that hold the faults",
        timeout_s=HEAL_TIMEOUT_S,
        last_seen=lambda: ", ".join(f"process {pid}" for pid in living()),
        poll_s=POLL_S,
    )


def holders(bed: str, processes: Path = Path("/proc")) -> list[int]:
    """The processes of this home that hold faults in this bed, claimed or not."""
    found = []
    home = f"TESTBED_HOME={state.home()}".encode()
    for folder in processes.iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                ours = words[-3:-1] == [HOLDER.encode(), bed.encode()]
                if ours and home in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
    return found


def _ask_to_end(mark: Mark) -> None:
    """SIGTERM to the holder, and to nobody else who may have got its number: a process that locks the claim lives."""
    pid = claims.owner_of(mark)
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError), _handle(pid) as process:
        if not _is_holder(pid):
            raise UsageError(f"a fault is held by process {pid}, which is not the test-bed's", hint="end that process")
        if claims.owner_of(mark) == pid:
            signal.pidfd_send_signal(process, signal.SIGTERM)


@contextlib.contextmanager
def _handle(pid: int) -> Iterator[int]:
    handle = os.pidfd_open(pid)
    try:
        yield handle
    finally:
        os.close(handle)


def _is_holder(pid: int) -> bool:
    try:
        return HOLDER.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return True
