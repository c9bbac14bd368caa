"""Whether captures can be believed: listening before the first act and after the last, nothing dropped, nothing cut off.

Counters are not proof: the canary frames at both ends are. An unsound capture makes a verdict that rests on packets INCONCLUSIVE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.checks.base import CheckKind, Params
from testbed.checks.facts import first, seen
from testbed.errors import BedError
from testbed.faults import fault_of
from testbed.faults.probing import watched_hosts
from testbed.packets import CaptureError, Packets
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict

CLOCK_SLACK_S = 0.05
"""Capture and events are stamped by the same kernel clock, but the event is written by another process."""


class CapturesParams(Params):
    """No parameters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Soundness:
    """What is wrong with each capture (host -> evidence, empty where nothing is), and how many frames it holds."""

    problems: dict[str, tuple[Evidence, ...]]
    frames: dict[str, int]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with any of them."""
        return not any(self.problems.values())


def captured_hosts(run: Run) -> list[str]:
    """Hosts whose capture was asked for by the scenario, by name or by its faults, was started, or lies in the run folder."""
    asked = run.scenario.get("capture")
    started = [str(event["capture"]) for event in seen(run, "CaptureStarted")]
    lying = [path.stem for path in (run.path / "captures").glob("*.pcap")]
    named = [str(host) for host in asked] if isinstance(asked, list) else []
    return sorted({*named, *_watched(run, named), *started, *lying})


def _watched(run: Run, named: Sequence[str]) -> tuple[str, ...]:
    """Hosts that the faults of the scenario's steps need captures of; none of a step that holds no fault."""
    steps = run.scenario.get("steps")
    faults = []
    for step in steps if isinstance(steps, list) else ():
        inject = step.get("inject") if isinstance(step, dict) else None
        for kind, value in inject.items() if isinstance(inject, dict) else ():
            parameters = value if isinstance(value, dict) else {"at": value}
            try:
                fault = fault_of(str(kind), **{"target": parameters.get("at"), **_without_at(parameters)})
                fault.hosts(run.topology)
            except (BedError, TypeError):
                continue
            faults.append(fault)
    return watched_hosts(run.topology, faults, named)


def _without_at(parameters: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(word): value for word, value in parameters.items() if word != "at"}


def captures(run: Run) -> dict[str, Packets]:
    """Host -> its capture; files that cannot be read are left out (soundness names them)."""
    found = {}
    for host in captured_hosts(run):
        try:
            packets = run.packets(host)
        except CaptureError:
            continue
        if packets is not None:
            found[host] = packets
    return found


def soundness(run: Run) -> Soundness:
    """Judge every capture of the run."""
    problems: dict[str, tuple[Evidence, ...]] = {}
    frames: dict[str, int] = {}
    for host in captured_hosts(run):
        try:
            packets = run.packets(host)
        except CaptureError as error:
            problems[host] = (Evidence(text=error.message, capture=f"{host}.pcap"),)
            continue
        frames[host] = len(packets) if packets else 0
        problems[host] = tuple(_problems(run, host, packets))
    return Soundness(problems=problems, frames=frames)


def _problems(run: Run, host: str, packets: Packets | None) -> list[Evidence]:
    started = bool(seen(run, "CaptureStarted", capture=host))
    if packets is None:
        text = "the capture was started, but its file is not there" if started else "no capture was ever started"
        return [Evidence(text=f"{host}: {text}")]
    problems = [] if started else [Evidence(text=f"{host}: the history does not say that this capture was started")]
    if packets.truncated:
        problems.append(
            Evidence(text=f"{host}: the file ends inside a record", capture=packets.file, frame=len(packets) or None)
        )
    own = {canary.place: canary for canary in packets.canaries() if canary.host == host}
    for place in ("begin", "end"):
        if place not in own:
            problems.append(Evidence(text=f"{host}: the canary of the {place} is lost", capture=packets.file))
    stopped = seen(run, "CaptureStopped", capture=host)
    if not stopped:
        problems.append(Evidence(text=f"{host}: the capture was never stopped in order"))
    problems += [
        event.proves(f"{host}: {event['dropped']} packets dropped") for event in stopped if event["dropped"] != 0
    ]
    problems += [
        event.proves(f"{host}: {_counted(event['captured'])} captured, the file holds {len(packets)}")
        for event in stopped
        if event["captured"] != len(packets)
    ]
    steps = seen(run, "StepsStarted")
    if steps and "begin" in own and own["begin"].time_s > steps[0].time_s + CLOCK_SLACK_S:
        text = f"{host}: the capture began after the steps did"
        problems.append(Evidence(text=text, event=steps[0].index, capture=packets.file, frame=own["begin"].frame))
    ended = seen(run, "StepsEnded")
    if ended and "end" in own and own["end"].time_s < ended[-1].time_s - CLOCK_SLACK_S:
        text = f"{host}: the capture ended before the steps did"
        problems.append(Evidence(text=text, event=ended[-1].index, capture=packets.file, frame=own["end"].frame))
    return problems


def _counted(number: Any) -> str:
    return "nobody says how many packets were" if number is None else f"{number} packets were"


def judge_captures(run: Run, params: CapturesParams) -> Verdict:
    state = soundness(run)
    figures = {"captures": float(len(state.problems)), "frames": float(sum(state.frames.values()))}
    if not state.problems:
        return Verdict(check="captures", status=Status.INCONCLUSIVE, summary="nothing was captured", figures=figures)
    unsound = [host for host, problems in state.problems.items() if problems]
    if unsound:
        proof = first(problem for host in unsound for problem in state.problems[host])
        summary = f"{len(unsound)} of {len(state.problems)} captures cannot be relied on: {proof[0].text}"
        return Verdict(check="captures", status=Status.INCONCLUSIVE, summary=summary, evidence=proof, figures=figures)
    counts = ", ".join(f"{host} {count}" for host, count in state.frames.items())
    return Verdict(check="captures", status=Status.PASS, summary=f"sound, frames: {counts}", figures=figures)


CAPTURES = CheckKind(
    name="captures",
    params=CapturesParams,
    judge=judge_captures,
    help=(
        "implied: every capture asked for is there and whole: canaries at both ends, nothing dropped, as many"
        " packets as were counted"
    ),
)
