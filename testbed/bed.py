"""Bed: the running set of containers. Up, ready, inject, heal, capture, down; a context manager that leaves nothing behind."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from testbed import claims, journal, leftovers, state
from testbed.captures import Captures
from testbed.claims import Claim
from testbed.compose_file import NIC_SUFFIX
from testbed.engine import compose, containers, orphans, streams
from testbed.engine.request_streams import RequestStreams
from testbed.engine.role_streams import RoleStreams
from testbed.errors import BedError, CleanupIncomplete, EngineError, NotReady, UsageError
from testbed.faults.probing import ProbePlan
from testbed.generation import BedSpec, generate, with_addresses
from testbed.history import Event, parse_event
from testbed.image import outdated
from testbed.injector import Injector
from testbed.ledger import Ledger
from testbed.live import Facts, Recorder
from testbed.probing import Probing
from testbed.topology import Role, Topology
from testbed.waiting import wait_until

READY_TIMEOUT_S = 60
CONTROL_TIMEOUT_S = 30
MAX_BLOCKS_TRIED = 4
ORCHESTRATOR = "testbed"
"""Host name in the events the orchestrator itself writes."""

Progress = Callable[[str], None]


class BedExists(UsageError):
    """The name is taken: nothing was started, and nothing of the bed that has it may be touched."""


class Bed:
    """One bed, up. ``Bed.up`` makes one that goes when this process dies, ``Bed.attach`` finds one that stands by itself; ``close`` ends
    our streams and leaves it standing, ``down`` removes it."""

    def __init__(self, topology: Topology, recorder: Recorder, progress: Progress, claim: Claim | None = None) -> None:
        self.topology = topology
        self.recorder = recorder
        self.facts = Facts(topology, recorder)
        self._progress = progress
        self._containers: dict[str, containers.Container] = {}
        self._nics: dict[str, containers.Container] = {}
        self.captures = Captures(lambda: self.topology, nic=lambda host: self._nics[host].id, record=self.record)
        self._goes_with_us = claim is not None
        self.ledger = Ledger(topology.bed, claim)
        self._roles = RoleStreams(lambda host: self._workload(host).id)
        self._requests = RequestStreams(lambda host: self._workload(host).id)
        self.injector = Injector(
            lambda: self.topology,
            workload=lambda host: self._workload(host).id,
            nic=lambda host: self._nics[host].id,
            ask=self._roles.ask,
            record=self.record,
            ledger=self.ledger,
        )
        self._stop_following = threading.Event()
        self._followed: set[str] = set()

    # -- up and down

    @classmethod
    def up(
        cls,
        spec: BedSpec,
        *,
        images: dict[str, str],
        recorder: Recorder,
        progress: Progress,
        check: Callable[[Topology], None] = lambda topology: None,
        capture_at: Callable[[Topology], Sequence[str]] = lambda topology: (),
        captures_folder: Path = Path("captures"),
    ) -> Bed:
        """Bring a bed up until every phone is registered. Captures at the hosts ``capture_at`` listen before any workload starts."""
        claim = _claimed(spec.name, progress)
        avoid: list[str] = []
        while True:
            bed = None
            try:
                bed = cls._started(spec, images, recorder, progress, check, capture_at, captures_folder, avoid, claim)
                bed.refuse_strays()
                bed.follow()
                bed.wait_ready()
                return bed
            except BaseException as error:
                again = isinstance(error, EngineError) and "overlap" in error.output and len(avoid) < MAX_BLOCKS_TRIED
                remove_started(spec.name, error, None if again else claim, progress)
                # Somebody else's network came up in this block since it was chosen.
                if again:
                    progress(f"the block {avoid[-1]} was taken meanwhile: trying another")
                    continue
                if bed is not None:
                    bed._end_quietly()
                raise

    @classmethod
    def _started(
        cls,
        spec: BedSpec,
        images: dict[str, str],
        recorder: Recorder,
        progress: Progress,
        check: Callable[[Topology], None],
        capture_at: Callable[[Topology], Sequence[str]],
        captures_folder: Path,
        avoid: list[str],
        claim: Claim,
    ) -> Bed:
        """All containers started; the block that was chosen is added to ``avoid``, should it turn out to be taken."""
        with state.machine_lock():
            topology, file, block = generate(spec, images, check, avoid)
            avoid.append(block.cidr)
            progress(
                f"bed {spec.name}: {len(topology.hosts)} hosts in {topology.prefix}, {len(topology.phones)} phones"
            )
            project = containers.project_of(spec.name)
            captured = capture_at(topology)
            nics = [host.name + NIC_SUFFIX for host in topology.hosts] if captured else []
            env = {**block.values, orphans.VARIABLE: claim.mark.id}
            compose.up(file, project=project, env=env, services=nics)
        bed = cls(topology, recorder, progress, claim)
        try:
            bed.discover()
            if captured:
                bed.captures.start(captured, captures_folder)
                compose.up(file, project=project, env=env)
                bed.discover()
        except BaseException:
            bed._end_quietly()
            raise
        return bed

    @classmethod
    def attach(cls, name: str, recorder: Recorder, progress: Progress) -> Bed:
        """The bed of this name that is up; UsageError lists those that are."""
        topology = state.read_topology(name)
        if topology is None or not containers.containers(name):
            runs = {mark.bed for mark in claims.marks() if mark.what == "bed"}
            known = sorted({c.bed for c in containers.containers()} - runs)
            raise UsageError(
                f"no bed named {name!r} is up",
                hint=f"add --name NAME, of those that are up: {', '.join(known)}"
                if known
                else "`testbed up` brings one up",
            )
        bed = cls(topology, recorder, progress)
        bed.discover()
        return bed

    def discover(self) -> None:
        """Look the bed's containers up, by label, with the addresses that Docker handed out where the compose file gave none."""
        found = containers.containers(self.topology.bed)
        self._nics = {c.host: c for c in found if c.is_nic}
        self._containers = {c.host: c for c in found if not c.is_nic}
        self.topology = with_addresses(self.topology, {host: nic.addresses for host, nic in self._nics.items()})

    def refuse_strays(self) -> None:
        """Every workload must be in its NIC's namespace: in any other its packets could leave the bed."""
        for host, workload in self._containers.items():
            if workload.joins != self._nics[host].id:
                raise EngineError(
                    f"{host} did not join the network of its NIC",
                    hint="another compose? `testbed doctor` says which is used",
                )

    def follow(self) -> None:
        """Collect the events of all workloads, from each one's start."""
        for host, container in self._containers.items():
            if container.id not in self._followed:
                self._followed.add(container.id)
                streams.follow_log(container.id, self._deliver(host), self._lost(host), self._stop_following)

    def _deliver(self, host: str) -> Callable[[float, str], None]:
        def deliver(time_s: float, line: str) -> None:
            self.recorder.add_line(host, line)
            event = parse_event(line)
            self.recorder.add(event or Event(time_s=time_s, host=host, name="LinePrinted", data={"line": line[:500]}))

        return deliver

    def _lost(self, host: str) -> Callable[[str], None]:
        def lost(reason: str) -> None:
            self.recorder.add(Event(time_s=time.time(), host=host, name="LogUnreadable", data={"error": reason[:500]}))

        return lost

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Return when every phone is registered; NotReady (with the log of a host that died) otherwise."""

        def ready() -> bool:
            self._refuse_dead_hosts()
            for host, reason in list(self.recorder.unreadable.items()):
                raise EngineError(
                    f"the engine cannot read what {host} prints: {reason}",
                    hint="is its disk full? `docker system df` and `df` say what takes how much",
                )
            return self.facts.holds("registered")

        wait_until(
            ready,
            awaited="every phone registered",
            timeout_s=timeout_s,
            last_seen=self.facts.seen,
            log_tail=self._phones_log,
            poll_s=0.05,
        )
        # A phone that was quicker than its primary call control is at the backup, and goes back by itself.
        with contextlib.suppress(NotReady):
            settle_s = 2 * self.topology.timers.secondary_keepalive_s + 1
            wait_until(lambda: self.facts.holds("returned"), awaited="every phone at its primary", timeout_s=settle_s)

    def _refuse_dead_hosts(self) -> None:
        now = time.monotonic()
        if now < getattr(self, "_looked_s", 0.0) + 1:
            return
        self._looked_s = now
        for container in containers.containers(self.topology.bed):
            if container.state in ("exited", "dead"):
                raise EngineError(
                    f"host {container.host} does not run: its container ended with exit status {container.exit_code}",
                    output=containers.log_of(container.id, tail=12),
                    hint=f"look at the service {container.host} in your compose files and at what it mounts",
                )

    def _phones_log(self) -> str:
        return "\n".join(
            line
            for host in self.topology.with_role(Role.PHONE)
            for line in list(self.recorder.tails.get(host.name, ()))[-4:]
        )

    def close(self) -> None:
        """End captures, heal faults, end our streams; the bed stays up, by itself from now on."""
        problems = self._end()
        if self._goes_with_us or not problems:
            self.ledger.close()
        if problems:
            raise CleanupIncomplete(
                "; ".join(problems), hint=f"`testbed down --name {self.topology.bed}` removes the bed with its faults"
            )

    def _end(self) -> list[str]:
        """What could not be healed, in words."""
        problems = self.injector.close()
        self._roles.close()
        self._requests.close()
        self.captures.stop_all()
        self._stop_following.set()
        return problems

    def _end_quietly(self) -> None:
        """While another error is on its way, or the bed goes anyway."""
        with contextlib.suppress(BedError):
            self._end()

    def down(self) -> None:
        """Close, then remove the bed's containers, networks and files: with them goes what could not be healed."""
        try:
            self._end_quietly()
        finally:
            leftovers.remove(self.topology.bed, self._progress)
        self.ledger.close()

    def __enter__(self) -> Bed:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def probing(self, plan: ProbePlan, folder: Path) -> Probing:
        """Probes between hosts while a ``with`` lasts; what they note goes into files there."""
        return Probing(plan, folder, nic=lambda host: self._nics[host].id, record=self.record)

    # -- what is in it

    def is_of(self, spec: BedSpec) -> bool:
        """Whether this is what bringing up ``spec`` would have given."""
        files = tuple(str(file) for file in spec.files)
        return (self.topology.files, self.topology.profile, len(self.topology.phones)) == (
            files,
            spec.profile,
            spec.phones,
        )

    def outdated(self, images: Mapping[str, str]) -> list[str]:
        """Names of our images (name -> tag) of which its containers run an older build."""
        return outdated((c.image for c in (*self._nics.values(), *self._containers.values())), images)

    def states(self) -> dict[str, str]:
        """Host -> Docker's word for its workload's state, asked now; "gone" for one that is no more, "no NIC" for one cut adrift."""
        found = containers.containers(self.topology.bed)
        workloads = {c.host: c.state for c in found if not c.is_nic}
        nics = {c.host for c in found if c.is_nic and c.state == "running"}
        return {
            host.name: workloads.get(host.name, "gone") if host.name in nics else "no NIC"
            for host in self.topology.hosts
        }

    def ask(self, host: str, request: dict[str, Any]) -> dict[str, Any]:
        """Ask a role through its control socket."""
        reply = self._requests.ask(host, request, timeout_s=CONTROL_TIMEOUT_S)
        if "error" in reply:
            raise UsageError(f"{host}: {reply['error']}")
        return reply

    def open_to(self, hosts: Iterable[str]) -> None:
        """Their roles will be asked something, and punctually."""
        self._requests.open(hosts)

    def ask_all(self, requests: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Ask several hosts at once: host -> request gives host -> reply."""
        with ThreadPoolExecutor(max_workers=max(1, len(requests))) as pool:
            return dict(zip(requests, pool.map(self.ask, requests, requests.values()), strict=True))

    def run_in(self, host: str, argv: list[str]) -> str:
        """Run a command in a host's workload; its output."""
        return streams.exec_once(self._workload(host).id, argv, timeout_s=CONTROL_TIMEOUT_S)

    def record(self, name: str, **data: Any) -> None:
        """Write one of the orchestrator's own events."""
        self.recorder.add(Event(time_s=time.time(), host=ORCHESTRATOR, name=name, data=data))

    def _workload(self, host: str) -> containers.Container:
        self.topology.host(host)
        if host not in self._containers:
            raise EngineError(
                f"the container of host {host!r} is gone",
                hint=f"`testbed status --name {self.topology.bed}` shows what is up",
            )
        return self._containers[host]


def _claimed(name: str, progress: Progress) -> Claim:
    """The claim upon a bed that is to come up: from now on it goes with us, and nobody else brings up one of this name."""
    state.bed_folder(name)  # refuses a name that is none
    leftovers.await_undone(name, progress)
    with state.machine_lock():
        if containers.containers(name) or claims.marks(name):
            raise BedExists(
                f"a bed named {name!r} is there already",
                hint=f"`testbed down --name {name}`, or choose another --name",
            )
        state.forget_bed(name)
        claim = Claim.take(name, "bed")
        journal.file_of(name).touch()
        return claim


def remove_started(name: str, error: BaseException, claim: Claim | None, progress: Progress) -> None:
    """Remove what there is of a bed that could not be brought up; what stays is said instead of the error that is on its way.

    The claim, if it is over too, is kept where something stays: its watcher tries again once we are gone.
    """
    try:
        containers.remove_bed(name, progress)
        state.forget_bed(name)
    except CleanupIncomplete as incomplete:
        raise incomplete from error
    except BedError:
        # No engine answers any more: the error that is on its way says so.
        return
    if claim is not None:
        claim.release()
