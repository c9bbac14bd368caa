"""Recovery: after every fault is healed the bed is as it was, by its phones, by what the SLB says, or by the pages that flow again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from testbed.checks.base import CheckKind, Params
from testbed.checks.facts import FaultWindow, Seen, call_controls, fault_windows, first, registrations_at, seen, some
from testbed.checks.http_return import Return, returns
from testbed.faults import KINDS
from testbed.recording import Run
from testbed.topology import Role
from testbed.verdict import Evidence, Status, Verdict

_NO_SERVER = ("FRONTEND", "BACKEND")
"""Rows of HAProxy's statistics that are no servers."""


class RecoveredParams(Params):
    """No parameters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _State:
    """The bed after the last healing. ``up``, ``down``, ``lost``: servers of the SLB; ``missed``: hosts that do not run, or pages that do
    not flow, as the run itself saw it."""

    windows: list[FaultWindow]
    phones: Sequence[str]
    away: list[str]
    up: list[Seen]
    down: list[Seen]
    lost: list[Seen]
    hops: list[Return]
    missed: Seen | None
    is_over: bool

    @property
    def servers(self) -> int:
        return len(self.up) + len(self.down) + len(self.lost)

    @property
    def failing(self) -> list[Return]:
        """Hops over which pages are asked for and not answered as before."""
        return [hop for hop in self.hops if hop.after_s is None and hop.last is not None]

    @property
    def silent(self) -> list[Return]:
        """Hops over which nothing has ended since."""
        return [hop for hop in self.hops if hop.last is None]


def judge_recovered(run: Run, params: RecoveredParams) -> Verdict:
    """With phones: all at the primary. With an SLB that says so: all servers up, those it had before among them. Without phones: hosts
    run, and pages are answered over every hop over which they were answered before."""
    state = _state_of(run)
    if reason := _nothing_to_judge(run, state):
        return Verdict(check="recovered", status=Status.INCONCLUSIVE, summary=reason)
    figures = {"phones_away": float(len(state.away)), "servers_down": float(len(state.down) + len(state.lost))}
    figures |= {"hops": float(len(state.hops)), "hops_failing": float(len(state.failing))}
    if delays := [hop.after_s for hop in state.hops if hop.after_s is not None]:
        figures["http_back_max_s"] = round(max(delays), 6)
    parts, proof = _problems(run, state)
    if parts:
        summary = "; ".join(parts)
        return Verdict(check="recovered", status=Status.FAIL, summary=summary, evidence=first(proof), figures=figures)
    if doubt := _doubt(run, state):
        return Verdict(check="recovered", status=Status.INCONCLUSIVE, summary=doubt, figures=figures)
    proof = [window.healed.proves(f"{window} healed") for window in state.windows if window.healed]
    summary = ", ".join(_good_words(run, state))
    return Verdict(check="recovered", status=Status.PASS, summary=summary, evidence=first(proof), figures=figures)


def _state_of(run: Run) -> _State:
    windows = fault_windows(run)
    states, lost = _servers(run, windows)
    controls = call_controls(run)[:1]
    phones = run.topology.phones if controls else ()
    known = seen(run, "SteadyStateReached", "SteadyStateMissed", when="after")
    held = registrations_at(run, known[-1].time_s if known else 0.0)
    down = [state for state in states if not _is_up(state["status"])]
    return _State(
        windows=windows,
        phones=phones,
        away=[phone for phone in phones if phone not in held or held[phone]["at"] != controls[0]],
        up=[state for state in states if state not in down],
        down=down,
        lost=lost,
        hops=[] if phones else returns(run),
        missed=known[-1] if known and known[-1].event.name == "SteadyStateMissed" and not phones else None,
        is_over=bool(known) and not (lost and not states and not seen(run, "RunEnded")),
    )


def _nothing_to_judge(run: Run, state: _State) -> str:
    if not state.windows:
        return "no fault was confirmed"
    if unhealed := [str(window) for window in state.windows if window.healed is None]:
        return f"not healed: {some(unhealed)}"
    return "" if state.is_over else "the run was cut short before its steady state after the steps"


def _problems(run: Run, state: _State) -> tuple[list[str], list[Evidence]]:
    parts: list[str] = []
    proof: list[Evidence] = []
    if state.away:
        home = call_controls(run)[0]
        parts.append(f"{len(state.away)} of {len(state.phones)} phones are not at {home}: {some(state.away)}")
    if state.down or state.lost:
        parts.append(f"{len(state.down) + len(state.lost)} of {state.servers} servers are not up")
        proof += [one.proves(f"{one['backend']}/{one['server']} is {one['status']}") for one in state.down]
        proof += [one.proves(f"{one['backend']}/{one['server']} is no more") for one in state.lost]
    if state.failing:
        parts.append(f"not answered as before: {some([str(hop) for hop in state.failing])}")
        proof += [hop.last.proves(run, "the last request that ended") for hop in state.failing if hop.last]
    for window in state.windows:
        if window.residue and window.healed:
            parts.append(f"{window}: {window.residue}")
            proof.append(window.healed.proves(f"{window}: {window.residue}"))
    if state.missed and not parts:
        parts.append(f"not steady: {state.missed['detail']}")
        proof.append(state.missed.proves("missed"))
    proof += [Evidence(text=f"{phone} is not at {call_controls(run)[0]}") for phone in state.away]
    return parts, proof


def _doubt(run: Run, state: _State) -> str:
    """Why nothing shows recovery, where nothing does."""
    slb = next((host.name for host in run.topology.with_role(Role.SLB)), "")
    if state.phones:
        says_nothing = slb and not state.servers
        return _mute_slb(slb) if says_nothing else ""
    if state.silent:
        hops = some([str(hop) for hop in state.silent])
        return f"no request over {hops} has ended since the healing: a step later than it (`at: 9s`) gives them time"
    unshown = [] if state.hops else _unshown(run, state)
    if not unshown:
        return ""
    if slb and not state.servers:
        return _mute_slb(slb)
    return f"nothing shows whether packets pass again after {unshown[0]}: capture at a client that asks for pages"


def _mute_slb(slb: str) -> str:
    return f"{slb} said nothing of its servers: its configuration needs `stats socket /run/haproxy/admin.sock`"


def _unshown(run: Run, state: _State) -> list[FaultWindow]:
    """Faults whose healing neither running hosts show (they leave them running) nor servers that the SLB finds well."""
    shown = {str(one["server"]) for one in state.up} | {host.name for host in run.topology.with_role(Role.SLB)}
    return [
        window
        for window in state.windows
        if getattr(KINDS.get(window.kind), "family", "") != "host"
        and not (state.up and window.hosts and set(window.hosts) <= shown)
    ]


def _good_words(run: Run, state: _State) -> list[str]:
    parts = [f"{len(state.phones)} phones are back at {call_controls(run)[0]}"] if state.phones else []
    parts += [f"{len(state.up)} servers are up"] if state.up else []
    if not state.phones:
        parts.append(f"{len(run.topology.hosts)} hosts run")
    if state.hops:
        latest = max(hop.after_s or 0.0 for hop in state.hops)
        parts.append(f"{len(state.hops)} hops answer as before, the last after {latest:.3f} s")
    return parts


def _servers(run: Run, windows: list[FaultWindow]) -> tuple[list[Seen], list[Seen]]:
    """The last word of each SLB on each of its servers since everything was healed; and on those it knew only before the steps."""
    healed_s = max((window.healed_s for window in windows), default=0.0)
    before = _last_words(seen(run, "SlbState", when="before"))
    after = _last_words(seen(run, "SlbState", when="after", since_s=healed_s))
    return list(after.values()), [state for key, state in before.items() if key not in after]


def _last_words(states: list[Seen]) -> dict[tuple[object, ...], Seen]:
    """(slb, backend, server) -> the last of these states."""
    last = {(state["slb"], state["backend"], state["server"]): state for state in states}
    return {key: state for key, state in last.items() if key[2] not in _NO_SERVER}


def _is_up(status: object) -> bool:
    """HAProxy writes ``UP``, ``UP 1/2`` (going down), ``no check``."""
    return str(status).startswith(("UP", "no check"))


RECOVERED = CheckKind(
    name="recovered",
    params=RecoveredParams,
    judge=judge_recovered,
    help="after healing, every phone is back at its primary and every server that the SLB had before is up",
)
