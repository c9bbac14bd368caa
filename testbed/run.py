"""A run: the six stages in order. describe, up, observe, act, down, judge; everything before judging only fills the run folder."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from testbed import __version__, state
from testbed.address_block import AddressBlock
from testbed.bed import Bed, Progress
from testbed.engine import slb_stats, versions
from testbed.errors import CleanupIncomplete, NotReady
from testbed.faults.probing import plan_probes, watched_hosts
from testbed.generation import BedSpec
from testbed.judge import judge_run
from testbed.live import Recorder, fact_timeout_s
from testbed.recording import Run
from testbed.scenario import LoadedScenario, Scenario, check_against, dump_scenario
from testbed.steps import Steps
from testbed.topology import Role, Topology
from testbed.verdict import Verdict
from testbed.waiting import wait_until
from testbed.watching import HttpWatch


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """``keep`` leaves the bed up; ``prefix`` asks for a block of addresses; ``runs`` is where run folders go."""

    images: dict[str, str]
    runs: Path
    keep: bool = False
    bed: str = ""
    prefix: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Performed:
    """A run that was judged. ``left_behind``: what of its bed could not be removed; the verdicts stand all the same."""

    run: Run
    verdicts: list[Verdict]
    left_behind: CleanupIncomplete | None = None


def run_scenario(loaded: LoadedScenario, options: RunOptions, progress: Progress) -> Performed:
    """Perform a scenario on a fresh bed and judge what was recorded. Errors of the environment come through; verdicts never raise."""
    scenario = loaded.scenario
    run_id = uuid.uuid4().hex[:6]
    folder = options.runs / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{scenario.scenario}-{run_id}"
    spec = BedSpec(
        name=options.bed or f"run-{run_id}",
        files=loaded.bed_files(),
        phones=scenario.phones,
        profile=scenario.profile,
        prefix=options.prefix,
    )
    folder.mkdir(parents=True)
    (folder / "scenario.yaml").write_text(dump_scenario(scenario), encoding="utf-8")
    recorder = Recorder(folder / "history.jsonl")
    left_behind: CleanupIncomplete | None = None
    try:
        bed = Bed.up(
            spec,
            images=options.images,
            recorder=recorder,
            progress=progress,
            check=lambda topology: check_against(loaded, topology),
            capture_at=lambda topology: captured_hosts(scenario, topology),
            captures_folder=folder / "captures",
        )
        try:
            (folder / "topology.json").write_text(json.dumps(bed.topology.to_json(), indent=1), encoding="utf-8")
            (folder / "versions.json").write_text(json.dumps(versions.collect(bed), indent=1), encoding="utf-8")
            shutil.copytree(state.bed_folder(spec.name), folder / "bed")
            observe_and_act(bed, loaded, progress, folder)
        except BaseException:
            _leave(bed, options.keep, progress)
            raise
        try:
            _leave(bed, options.keep, progress)
        except CleanupIncomplete as error:
            left_behind = error
    finally:
        recorder.close()
        if not (folder / "topology.json").exists():
            # The bed never came up: there is nothing to judge, now or later.
            shutil.rmtree(folder, ignore_errors=True)
    run = Run.open(folder)
    return Performed(run=run, verdicts=judge_run(run), left_behind=left_behind)


def _leave(bed: Bed, keep: bool, progress: Progress) -> None:
    name = bed.topology.bed
    if keep:
        bed.close()
        progress(f"bed {name} is left up: `testbed status --name {name}`, `testbed down --name {name}`")
    else:
        bed.down()


def captured_hosts(scenario: Scenario, topology: Topology) -> tuple[str, ...]:
    """Those the scenario names, those its faults are at or are seen from, and the phones hosts where it measures re-homes."""
    hosts = watched_hosts(topology, scenario.faults, scenario.capture)
    fleets = topology.with_role(Role.PHONE) if hosts and scenario.measures_rehomes else ()
    return tuple(dict.fromkeys([*hosts, *(host.name for host in fleets)]))


def observe_and_act(bed: Bed, loaded: LoadedScenario, progress: Progress, folder: Path) -> None:
    """Steady state, steps, steady state; captures have been running since before the first workload, probes run with the steps."""
    scenario = loaded.scenario
    bed.record("RunStarted", scenario=scenario.scenario, version=__version__)
    watch = HttpWatch(folder, scenario, bed.topology.phones)
    await_steady(bed, "before", set(), watch)
    servers = record_slb(bed, "before")
    progress(f"{scenario.scenario}: {len(scenario.steps)} steps")
    with bed.probing(plan_probes(bed.topology, scenario.faults, scenario.capture), folder / "probes"):
        Steps(bed, scenario, AddressBlock(bed.topology.prefix.removesuffix(".0.0/16"))).perform()
    await_steady(bed, "after", servers, watch)
    record_slb(bed, "after")
    bed.captures.stop_all()
    bed.record("RunEnded")


Server = tuple[str, str, str]
"""SLB, backend and server."""


def await_steady(bed: Bed, when: str, servers: set[Server], watch: HttpWatch) -> None:
    """Steady: every phone at its primary, every host running, every server of the SLB up, and every one there that was before; pages
    flow where the scenario says so, and where they flowed before.

    A miss is recorded, for the checks to judge.
    """
    timers = bed.topology.timers
    expected = len(bed.topology.phones)

    def steady() -> bool:
        return (
            bed.facts.holds("returned")
            and set(bed.states().values()) == {"running"}
            and not servers_down(bed, servers)
            and not watch.missing(when)
        )

    try:
        wait_until(
            steady, awaited="steady state", timeout_s=fact_timeout_s(timers), last_seen=bed.facts.seen, poll_s=0.1
        )
        bed.record("SteadyStateReached", when=when, registered=len(bed.recorder.registered), expected=expected)
    except NotReady as error:
        states = ", ".join(f"{host} {state}" for host, state in bed.states().items() if state != "running")
        detail = "; ".join(
            filter(None, [error.last_seen, states, ", ".join(servers_down(bed, servers)), watch.missing(when)])
        )
        bed.record("SteadyStateMissed", when=when, detail=detail)


def servers_down(bed: Bed, expected: set[Server]) -> list[str]:
    """Servers the SLB does not send requests to, or says nothing of any more, in words."""
    rows = [(slb.name, row) for slb in bed.topology.with_role(Role.SLB) for row in slb_stats.read(bed, slb.name)]
    down = [
        f"{row['backend']}/{row['server']} {row['status']}"
        for _, row in rows
        if not row["status"].startswith(("UP", "no check"))
    ]
    unheard = expected - {(slb, row["backend"], row["server"]) for slb, row in rows}
    return down + [f"{backend}/{server} not heard of" for _, backend, server in sorted(unheard)]


SERVERS_WITHIN_S = 5.0
"""An SLB's first checks, of servers that were not there yet."""


def await_servers(bed: Bed, say: Progress) -> None:
    """Until every SLB sends requests to all its servers; of those that it does not ask after a while it is said."""
    down: list[str] = []

    def none_down() -> bool:
        down[:] = servers_down(bed, set())
        return not down

    try:
        wait_until(
            none_down,
            awaited="servers of the SLB",
            timeout_s=SERVERS_WITHIN_S,
            last_seen=lambda: ", ".join(down),
            poll_s=0.1,
        )
    except NotReady:
        say(f"the SLB does not ask every server: {', '.join(down)}")


def record_slb(bed: Bed, when: str) -> set[Server]:
    """HAProxy's own statistics, through its admin socket, as events; an SLB of another make has none. The servers there are."""
    servers: set[Server] = set()
    for host in bed.topology.with_role(Role.SLB):
        for server in slb_stats.read(bed, host.name):
            bed.record("SlbState", slb=host.name, when=when, **server)
            servers.add((host.name, server["backend"], server["server"]))
    return servers
