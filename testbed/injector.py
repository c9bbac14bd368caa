"""Performs the plans of faults, confirms them, and undoes them. Every intent is recorded before the engine or a kernel is touched."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from testbed.engine import containers, streams
from testbed.errors import BedError, EngineError, Unsupported, UsageError
from testbed.faults.base import Act, AtRole, Either, Fault, InNic, OnWorkload, Plan
from testbed.ledger import Ledger
from testbed.topology import Topology

NIC_COMMAND = ("python3", "-m", "testbed.roles.nic")

_STATE_AFTER = {
    "stop": "exited",
    "kill": "exited",
    "pause": "paused",
    "unpause": "running",
    "start": "running",
    "restart": "running",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Performed:
    """An act that was done: under which name a holder has it, and between which instants (realtime seconds)."""

    act: OnWorkload | InNic | AtRole
    name: str
    began_s: float
    effect_s: float


@dataclass(slots=True)
class Injected:
    """A fault that was performed; times are realtime seconds."""

    fault_id: str
    fault: Fault
    plan: Plan
    began_s: float
    effect_s: float = 0.0
    performed: list[_Performed] = field(default_factory=list)
    healed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Injector:
    """Faults of one bed: ``topology`` gives it as it is now, ``workload`` and ``nic`` the id of a host's container, ``ask`` a host's
    role; ``record`` writes an event, ``ledger`` keeps what has to be undone should we die. Several threads may inject and heal."""

    def __init__(
        self,
        topology: Callable[[], Topology],
        *,
        workload: Callable[[str], str],
        nic: Callable[[str], str],
        ask: Callable[[str, dict[str, Any]], Mapping[str, Any]],
        record: Callable[..., None],
        ledger: Ledger,
    ) -> None:
        self._topology, self._workload, self._nic, self._ask, self._record = topology, workload, nic, ask, record
        self._ledger = ledger
        self._holders: dict[str, streams.ExecStream] = {}
        self._features: dict[str, frozenset[str]] = {}
        self._injected: list[Injected] = []
        self._lock = threading.RLock()

    def prepare(self, faults: Iterable[Fault]) -> None:
        """Open the streams to these faults' NICs and roles: an exec costs far more than a line on an open stream."""
        topology = self._topology()
        acts = [act for fault in faults for act in fault.plan(topology, "id").acts]
        self._open(act.host for act in acts if isinstance(act, InNic | Either))
        for host in dict.fromkeys(act.host for act in acts if isinstance(act, AtRole)):
            self._ask(host, {"op": "faults"})
        for act in acts:
            if isinstance(act, Either) or (isinstance(act, InNic) and act.needs):
                self.features(act.host)

    def features(self, host: str) -> frozenset[str]:
        """What the kernel under this host's NIC can do for faults."""
        with self._lock:
            if host not in self._features:
                self._open([host])
                self._features[host] = frozenset(self._holders[host].ask({"op": "features"})["features"])
            return self._features[host]

    def inject(self, fault: Fault, **more: Any) -> Injected:
        """Perform a fault's plan and confirm it; recorded before the kernel or the engine is touched. ``more`` goes on record too.

        UsageError where it clashes with one that lasts, Unsupported where this machine cannot do it; then nothing was done.
        """
        fault_id = f"{fault.kind}-{uuid.uuid4().hex[:8]}"
        topology = self._topology()
        plan = fault.plan(topology, fault_id)
        injected = Injected(fault_id=fault_id, fault=fault, plan=plan, began_s=time.time())
        self._admit(injected, topology)
        particulars = self._particulars(injected)
        parameters = fault.model_dump(mode="json", by_alias=True)
        self._record("FaultIntended", **particulars, fault=parameters)
        try:
            self._ledger.intend(fault_id, fault, plan)
            acts = [self._chosen(act) for act in plan.acts]
            for number, act in enumerate(acts):
                injected.performed.append(self._do(act, fault_id if len(acts) == 1 else f"{fault_id}.{number}"))
        except Unsupported as error:
            injected.healed = True
            self._ledger.healed(fault_id)
            self._record("FaultUnsupported", **particulars, error=error.message)
            raise
        except BedError as error:
            self._record("FaultFailed", **particulars, error=str(error))
            self._heal_quietly(injected)
            raise
        injected.began_s = min(done.began_s for done in injected.performed)
        injected.effect_s = max(done.effect_s for done in injected.performed)
        instants = {"began_s": injected.began_s, "effect_s": injected.effect_s}
        means = ", ".join(dict.fromkeys(_means(done.act) for done in injected.performed))
        self._record("FaultConfirmed", **particulars, **instants, means=means, fault=parameters, **more)
        if all(isinstance(act, OnWorkload) and act.do == "restart" for act in acts):
            self.heal(injected)
        return injected

    def _particulars(self, injected: Injected) -> dict[str, Any]:
        hosts = list(dict.fromkeys(act.host for act in injected.plan.acts))
        fault = injected.fault
        return {"fault_id": injected.fault_id, "kind": fault.kind, "target": fault.at, "hosts": hosts}

    def _admit(self, injected: Injected, topology: Topology) -> None:
        claims = injected.fault.claims(topology)
        with self._lock:
            for other in self._injected:
                if not other.healed and (clash := claims & other.fault.claims(topology)):
                    raise UsageError(
                        f"{injected.fault} cannot overlap {other.fault}: both need {', '.join(sorted(clash))}",
                        hint="heal the one before the other begins: `for: 2s`, or a later `at`",
                    )
            self._injected.append(injected)

    def _chosen(self, act: Act) -> OnWorkload | InNic | AtRole:
        """Of several ways the first that this kernel has."""
        options = act.options if isinstance(act, Either) else (act,)
        wanted = []
        for option in options:
            if not isinstance(option, InNic) or not option.needs or option.needs in self.features(option.host):
                return option
            wanted.append(option.needs)
        raise Unsupported(
            f"the kernel under {act.host} has none of {', '.join(wanted)}", hint="`testbed doctor` lists what it has"
        )

    def _do(self, act: OnWorkload | InNic | AtRole, name: str) -> _Performed:
        """Dated by the engine's own event log for a workload, by the holder for a link, by the answer for a role."""
        began_s = time.time()
        if isinstance(act, OnWorkload):
            effect_s = self._do_to_workload(act, began_s)
        elif isinstance(act, InNic):
            if not act.addresses and _needs_device(act):
                raise EngineError(f"{act.host} has no address to find its link by")
            self._open([act.host])
            reply = self._holders[act.host].ask(
                {
                    "op": "apply",
                    "id": name,
                    "addresses": list(act.addresses),
                    "do": [command.to_json() for command in act.do],
                    "undo": [command.to_json() for command in act.undo],
                    "confirm": [command.to_json() for command in act.confirm],
                    "cycle": [act.cycle.on_s, act.cycle.off_s] if act.cycle else None,
                }
            )
            effect_s = float(reply["effect_s"])
        else:
            effect_s = _instant(self._ask(act.host, dict(act.do)))
        return _Performed(act=act, name=name, began_s=began_s, effect_s=effect_s)

    def _do_to_workload(self, act: OnWorkload, began_s: float) -> float:
        workload = self._workload(act.host)
        containers.signal_host(workload, act.do)
        seen = containers.state_of(workload)
        if seen != _STATE_AFTER[act.do]:
            raise EngineError(f"{act.do} of {act.host} was not confirmed: its container is {seen}")
        moment_s = containers.moment_of(workload, act.do, began_s)
        return began_s if moment_s is None else moment_s

    def _open(self, hosts: Iterable[str]) -> None:
        with self._lock:
            missing = [host for host in dict.fromkeys(hosts) if host not in self._holders]
            for host in missing:
                self._holders[host] = streams.ExecStream(self._nic(host), [*NIC_COMMAND, "serve"])
            for host in missing:
                self._holders[host].receive()

    def heal(self, injected: Injected) -> None:
        """Undo a fault, its acts last first; a target that is gone counts as healed. What it left behind is on record and an error."""
        with injected.lock:
            if injected.healed:
                return
            began_s = effect_s = time.time()
            residue: list[str] = []
            turns: list[Any] = []
            for done in reversed(injected.performed):
                effect_s, left, taken = self._undo(done)
                residue += [f"{done.act.host}: {text}" for text in left]
                turns += taken
            injected.healed = True
            began_s = min(began_s, effect_s)  # a restart was over before anybody healed it
        more: dict[str, Any] = {"residue": residue} if residue else {}
        more |= {"turns": turns} if turns else {}
        self._record("FaultHealed", **self._particulars(injected), began_s=began_s, effect_s=effect_s, **more)
        if not residue:
            self._ledger.healed(injected.fault_id)
        else:
            raise EngineError(f"{injected.fault} left behind: {'; '.join(residue)}")

    def _undo(self, done: _Performed) -> tuple[float, list[str], list[Any]]:
        """(when it took effect, what is left of it, turns of a cycle)."""
        act = done.act
        if isinstance(act, OnWorkload):
            return self._undo_workload(act, done.began_s), [], []
        if isinstance(act, InNic):
            try:
                reply = self._holders[act.host].ask({"op": "undo", "id": done.name})
            except EngineError:
                # A NIC that is gone took what was done in it along.
                if containers.state_of(self._nic(act.host)) == "running":
                    raise
                return time.time(), [], []
            return float(reply["effect_s"]), list(reply["residue"]), list(reply["turns"])
        try:
            return _instant(self._ask(act.host, dict(act.undo))), [], []
        except EngineError:
            # A role that was killed meanwhile has forgotten what it was asked to do.
            if containers.state_of(self._workload(act.host)) == "running":
                raise
        return time.time(), [], []

    def _undo_workload(self, act: OnWorkload, began_s: float) -> float:
        workload = self._workload(act.host)
        seen = containers.state_of(workload)
        if act.do == "restart" and seen == "running":
            return containers.moment_of(workload, "start", began_s) or time.time()
        if (act.undo == "unpause" and seen == "paused") or (act.undo == "start" and seen == "exited"):
            containers.signal_host(workload, act.undo)
        return time.time()

    def close(self) -> list[str]:
        """Heal everything, last first, and close the holder streams; what could not be healed, in words."""
        problems = [problem for injected in reversed(self._injected) if (problem := self._heal_quietly(injected))]
        with self._lock:
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


def _needs_device(act: InNic) -> bool:
    return any("{device" in text for command in act.do for text in (*command.argv, command.input))


def _instant(reply: Mapping[str, Any]) -> float:
    """When a role did what it was asked to, by its own word: the same clock, without the way there and back."""
    return float(reply.get("effect_s") or time.time())


def _means(act: OnWorkload | InNic | AtRole) -> str:
    return "engine" if isinstance(act, OnWorkload) else act.means
