"""Performs the plans of faults, confirms them, and undoes them. Every intent is recorded before the engine or a kernel is touched."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from testbed.engine import containers, streams
from testbed.errors import BedError, EngineError
from testbed.faults.base import Fault, InNic, OnWorkload, Plan
from testbed.topology import Topology

NIC_COMMAND = ("python3", "-m", "testbed.roles.nic")


@dataclass(slots=True)
class Injected:
    """A fault that was performed; times are realtime seconds."""

    fault_id: str
    fault: Fault
    plan: Plan
    began_s: float
    effect_s: float
    healed: bool = field(default=False)


class Injector:
    """Faults of one bed: ``topology`` gives it as it is now, ``workload`` and ``nic`` the id of a host's container; ``record`` writes an event."""

    def __init__(
        self,
        topology: Callable[[], Topology],
        *,
        workload: Callable[[str], str],
        nic: Callable[[str], str],
        record: Callable[..., None],
    ) -> None:
        self._topology, self._workload, self._nic, self._record = topology, workload, nic, record
        self._holders: dict[str, streams.ExecStream] = {}
        self._injected: list[Injected] = []

    def open_holders(self, hosts: Iterable[str]) -> None:
        """Open the holder streams of these hosts' NICs (an exec costs far more than a line on an open stream)."""
        missing = [host for host in dict.fromkeys(hosts) if host not in self._holders]
        for host in missing:
            self._holders[host] = streams.ExecStream(self._nic(host), [*NIC_COMMAND, "serve"])
        for host in missing:
            self._holders[host].receive()

    def inject(self, fault: Fault) -> Injected:
        """Perform a fault's plan and confirm it; recorded before the kernel or the engine is touched."""
        fault_id = f"{fault.kind}-{uuid.uuid4().hex[:8]}"
        plan = fault.plan(self._topology(), fault_id)
        particulars = {"fault_id": fault_id, "kind": fault.kind, "target": fault.target}
        injected = Injected(fault_id=fault_id, fault=fault, plan=plan, began_s=time.time(), effect_s=0.0)
        self._injected.append(injected)
        self._record("FaultIntended", **particulars)
        try:
            injected.began_s, injected.effect_s = self._do(plan, fault_id)
        except BedError as error:
            self._record("FaultFailed", **particulars, error=str(error))
            self._heal_quietly(injected)
            raise
        self._record("FaultConfirmed", **particulars, began_s=injected.began_s, effect_s=injected.effect_s)
        return injected

    def _do(self, plan: Plan, fault_id: str) -> tuple[float, float]:
        """(began, effect), realtime seconds: by the engine's own event log for a host fault, by the holder in the NIC for a link."""
        if isinstance(plan.do, OnWorkload):
            began_s = time.time()
            workload = self._workload(plan.do.host)
            containers.signal_host(workload, plan.do.action)
            self._confirm_state(plan.do)
            moment_s = containers.moment_of(workload, plan.do.action, began_s)
            return began_s, began_s if moment_s is None else moment_s
        self.open_holders([plan.do.host])
        device = self._device(plan.do)
        undo = plan.undo
        assert isinstance(undo, InNic)
        reply = self._holders[plan.do.host].ask(
            {
                "op": "apply",
                "id": fault_id,
                "do": [_filled(command.to_json(), device) for command in plan.do.commands],
                "undo": [_filled(command.to_json(), device) for command in undo.commands],
                "confirm": [_filled(command.to_json(), device) for command in plan.confirm],
            }
        )
        return float(reply["began_s"]), float(reply["effect_s"])

    def _device(self, place: InNic) -> str:
        return str(self._holders[place.host].ask({"op": "device", "address": place.address})["device"])

    def _confirm_state(self, act: OnWorkload) -> None:
        expected = {
            "stop": ("exited",),
            "kill": ("exited",),
            "pause": ("paused",),
            "unpause": ("running",),
            "start": ("running",),
        }[act.action]
        seen = containers.state_of(self._workload(act.host))
        if seen not in expected:
            raise EngineError(f"{act.action} of {act.host} was not confirmed: its container is {seen}")

    def heal(self, injected: Injected) -> None:
        """Undo a fault; a target that is gone counts as healed."""
        if injected.healed:
            return
        began_s = effect_s = time.time()
        undo = injected.plan.undo
        if isinstance(undo, OnWorkload):
            effect_s = self._heal_workload(undo)
        elif undo.host in self._holders:
            reply = self._holders[undo.host].ask({"op": "undo", "id": injected.fault_id})
            began_s, effect_s = float(reply["began_s"]), float(reply["effect_s"])
        injected.healed = True
        particulars = {"fault_id": injected.fault_id, "kind": injected.fault.kind, "target": injected.fault.target}
        self._record("FaultHealed", **particulars, began_s=began_s, effect_s=effect_s)

    def _heal_workload(self, undo: OnWorkload) -> float:
        container = self._workload(undo.host)
        seen = containers.state_of(container)
        if undo.action == "unpause" and seen == "paused":
            containers.signal_host(container, "unpause")
        elif undo.action == "start" and seen == "exited":
            containers.signal_host(container, "start")
        return time.time()

    def close(self) -> list[str]:
        """Heal everything, last first, and close the holder streams; what could not be healed, in words."""
        problems = [problem for injected in reversed(self._injected) if (problem := self._heal_quietly(injected))]
        if self._holders:
            with ThreadPoolExecutor(max_workers=8) as pool:
                list(pool.map(lambda holder: holder.close(), self._holders.values()))
            self._holders.clear()
        return problems

    def _heal_quietly(self, injected: Injected) -> str:
        try:
            self.heal(injected)
        except BedError as error:
            return str(error)
        return ""

    @contextmanager
    def fault(self, fault: Fault) -> Iterator[Injected]:
        """The fault for as long as the block lasts."""
        injected = self.inject(fault)
        try:
            yield injected
        finally:
            self.heal(injected)


def _filled(command: dict[str, Any], device: str) -> dict[str, Any]:
    text = command["input"]
    return {
        "argv": [word.replace("{device}", device) for word in command["argv"]],
        "input": text and text.replace("{device}", device),
    }
