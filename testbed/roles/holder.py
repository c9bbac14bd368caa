"""Holds faults in a NIC: JSON lines in, JSON lines out. ``python3 -m testbed.roles.nic serve``, one per orchestrator.

The dead man's handle: when the input closes (the orchestrator is gone) or a lease ends, what is held is undone; nothing outlives
who asked for it. What is held is also on record in ``RECORDS``, one file a fault, from before the first command until after the
last undo: should this process itself be killed, whoever comes next knows what to undo.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed.roles.forked import Forked, is_role
from testbed.roles.namespace import interfaces, run, snapshot, snapshot_difference
from testbed.roles.namespace import marked as marked_with
from testbed.roles.nft import Nft, is_rules

RECORDS = Path("/run/testbed-faults")
READY_TIMEOUT_S = 5.0
END_TIMEOUT_S = 2.0
IMPAIRER = "testbed.roles.impairer"

Process = subprocess.Popen[bytes] | Forked
Commands = list[dict[str, Any]]
"""``{"argv": […], "input": text or None, "background": bool}``, placeholders filled in."""


@dataclass(slots=True)
class Held:
    """A fault that is held: how to undo it, when its lease ends (monotonic), what runs for it, and its cycle."""

    do: Commands
    undo: Commands
    lease_end: float = float("inf")
    cycle: tuple[float, float] | None = None
    done: bool = False
    next_turn: float = float("inf")
    turns: list[tuple[float, float, bool]] = field(default_factory=list)
    """(realtime seconds before and after, whether it was done or undone between them) of a cycle."""
    processes: list[Process] = field(default_factory=list)


class Holder:
    """Faults held in this namespace."""

    def __init__(self, records: Path = RECORDS, nft: Nft | None = None) -> None:
        """``nft``: what does the rules; None: the command nft."""
        self.held: dict[str, Held] = {}
        self._records, self._nft = records, nft
        self._before = snapshot()
        self._devices = {str(interface.ip): name for name, interface in interfaces()}

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request, one reply; operations are ``apply``, ``undo``, ``features`` and ``ping``."""
        if request["op"] == "apply":
            return self.apply(request)
        if request["op"] == "undo":
            return self.undo(request["id"])
        if request["op"] == "features":
            return {"features": _prepared()}
        if request["op"] == "ping":
            return {"held": sorted(self.held)}
        raise RuntimeError(f"unknown operation {request['op']!r}")

    def apply(self, request: dict[str, Any]) -> dict[str, Any]:
        """``id``, ``addresses`` (one of each link it is about), ``do``, ``undo``, ``confirm``, and maybe ``lease_s`` and ``cycle``.

        The undo is on record before the first command runs; a command that fails undoes what came before it.
        """
        devices = [self._device(address) for address in request["addresses"]]
        lease_s, cycle = request.get("lease_s"), request.get("cycle")
        held = Held(
            do=filled_in(request["do"], devices),
            undo=filled_in(request["undo"], devices),
            lease_end=float("inf") if lease_s is None else time.monotonic() + lease_s,
            cycle=tuple(cycle) if cycle else None,
        )
        self.held[request["id"]] = held
        self._record(request["id"], held, lease_s)
        began_s = time.time()
        try:
            self._do(held)
        except (RuntimeError, OSError, subprocess.TimeoutExpired):
            self._undo_quietly(request["id"])
            raise
        effect_s = time.time()
        seen = [self._run(command) for command in filled_in(request.get("confirm", ()), devices)]
        return {"began_s": began_s, "effect_s": effect_s, "seen": seen}

    def undo(self, fault_id: str) -> dict[str, Any]:
        """A fault that is not held counts as healed; so does one whose rule is gone already. ``residue``: what it left behind."""
        began_s = time.time()
        held = self.held.pop(fault_id, None)
        if held is None:
            return {"began_s": began_s, "effect_s": began_s, "residue": [], "turns": []}
        problems = self._undo(held)
        effect_s = time.time()
        base = fault_id.partition(".")[0]
        others = any(other.partition(".")[0] == base for other in self.held)
        residue = problems + ([] if others else marked_with(base))
        if not self.held:
            residue += snapshot_difference(self._before, snapshot())
        if not residue:
            self._path(fault_id).unlink(missing_ok=True)
        return {"began_s": began_s, "effect_s": effect_s, "residue": residue, "turns": held.turns}

    def next_moment(self) -> float:
        """When the next lease ends or the next turn of a cycle is due (monotonic)."""
        return min((min(held.lease_end, held.next_turn) for held in self.held.values()), default=float("inf"))

    def tick(self, now: float) -> None:
        """Undo what is over, and take the turns that are due."""
        for fault_id, held in list(self.held.items()):
            if held.lease_end <= now:
                self._undo_quietly(fault_id)
            elif held.next_turn <= now:
                self._turn(held)

    def end(self) -> None:
        """Undo everything."""
        for fault_id in reversed(list(self.held)):
            self._undo_quietly(fault_id)

    def _device(self, address: str) -> str:
        if address not in self._devices:
            there = ", ".join(f"{name} {ip}" for ip, name in self._devices.items())
            raise RuntimeError(f"no interface has {address}; there are {there}")
        return self._devices[address]

    def _run(self, command: dict[str, Any]) -> str:
        argv, text = command["argv"], command.get("input")
        return self._nft.run(argv, text) if self._nft and is_rules(argv, text) else run(argv, text)

    def _do(self, held: Held) -> None:
        began_s = time.time()
        for command in held.do:
            if command.get("background"):
                held.processes.append(_started(command))
            else:
                self._run(command)
        held.done = True
        if held.cycle:
            held.turns.append((began_s, time.time(), True))
            held.next_turn = time.monotonic() + held.cycle[0]

    def _undo(self, held: Held) -> list[str]:
        problems = []
        for process in held.processes:
            if (status := process.poll()) is not None:
                problems.append(f"a process that did its work ended by itself, with status {status}")
            _end(process)
        held.processes.clear()
        for command in held.undo if held.done or not held.cycle else ():
            try:
                self._run(command)
            except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
                if "No such file" not in str(error):
                    problems.append(str(error))
        held.done = False
        return problems

    def _turn(self, held: Held) -> None:
        """From done to undone, or back; the clock of the cycle does not drift."""
        assert held.cycle is not None
        due = held.next_turn
        if held.done:
            began_s = time.time()
            self._undo(held)
            held.turns.append((began_s, time.time(), False))
            held.next_turn = due + held.cycle[1]
        else:
            self._do(held)
            held.next_turn = due + held.cycle[0]

    def _record(self, fault_id: str, held: Held, lease_s: float | None) -> None:
        self._records.mkdir(parents=True, exist_ok=True)
        record = {"id": fault_id, "undo": held.undo, "time_s": time.time(), "lease_s": lease_s, "pid": os.getpid()}
        # At once: a record that is half written must not be taken for one whose holder died.
        new = self._path(fault_id).with_suffix(".new")
        new.write_text(json.dumps(record), encoding="utf-8")
        new.rename(self._path(fault_id))

    def _path(self, fault_id: str) -> Path:
        return self._records / f"{fault_id}.json"

    def _undo_quietly(self, fault_id: str) -> None:
        try:
            if residue := self.undo(fault_id)["residue"]:
                print(f"{fault_id} left behind: {'; '.join(residue)}", file=sys.stderr, flush=True)
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            print(f"could not undo {fault_id}: {error}", file=sys.stderr, flush=True)


def _prepared() -> list[str]:
    """What the kernel can do; the process that impairs is loaded meanwhile, which takes longer than all else about an impairment."""
    from testbed.roles.features import features

    found = features()
    if "nfqueue" in found:
        importlib.import_module(IMPAIRER)
    return found


def filled_in(commands: Any, devices: list[str]) -> Commands:
    """``{device}``: once for each; ``{devices}``: all of them, quoted for nft."""
    quoted = ", ".join(f'"{device}"' for device in devices)
    result: Commands = []
    for command in commands:
        text = command.get("input") or ""
        each = any("{device}" in word for word in (*command["argv"], text))
        for device in devices if each else ("",):
            filled = [
                word.replace("{device}", device).replace("{devices}", quoted) for word in (*command["argv"], text)
            ]
            result.append({**command, "argv": filled[:-1], "input": filled[-1] or None})
    return result


def _started(command: dict[str, Any]) -> Process:
    """A process in the background, once it has said that it is ready."""
    argv, pipe = command["argv"], subprocess.PIPE
    process: Process = (
        Forked(argv) if is_role(argv) else subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    )
    assert process.stdout is not None
    readable = select.select([process.stdout], [], [], READY_TIMEOUT_S)[0]
    line = process.stdout.readline() if readable else b""
    if not line.strip():
        _end(process)
        said = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
        raise RuntimeError(f"{' '.join(command['argv'][:4])}: not ready within {READY_TIMEOUT_S:g} s; {said[-300:]}")
    return process


def _end(process: Process) -> None:
    process.terminate()
    try:
        process.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def serve() -> None:
    """Answer requests until the input closes, then undo all that is held."""
    # A dying orchestrator's terminal may signal us too; the end of the input is the only end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    holder = Holder(nft=Nft.loaded())
    pending = b""
    print(json.dumps({"ready": True}), flush=True)
    try:
        while True:
            left = holder.next_moment() - time.monotonic()
            if left <= 0:
                holder.tick(time.monotonic())
                continue
            if not select.select([0], [], [], min(left, 3600.0))[0]:
                continue
            data = os.read(0, 65536)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                print(json.dumps(_reply(holder, line)), flush=True)
    finally:
        holder.end()


def _reply(holder: Holder, line: bytes) -> dict[str, Any]:
    try:
        return holder.handle(json.loads(line))
    except (RuntimeError, ValueError, KeyError, TypeError, OSError, subprocess.TimeoutExpired) as error:
        return {"error": str(error)}
