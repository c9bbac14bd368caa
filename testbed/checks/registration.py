"""Where the phones are registered, and whether the bed was in its steady state before and after."""

from __future__ import annotations

from typing import Literal

from testbed.checks.base import CheckKind, Params
from testbed.checks.facts import (
    FaultWindow,
    Seen,
    call_controls,
    fault_windows,
    first,
    registrations_at,
    seen,
    some,
)
from testbed.recording import Run
from testbed.topology import Role
from testbed.verdict import Evidence, Status, Verdict

When = Literal["before", "after"]


class RegisteredParams(Params):
    """``phones`` (all, or device names) are registered at ``at`` in the steady state before or after the steps."""

    at: str
    when: When = "before"
    phones: Literal["all"] | tuple[str, ...] = "all"


class SteadyParams(Params):
    """No parameters."""


class RecoveredParams(Params):
    """No parameters."""


def _instant_s(run: Run, when: When) -> float | None:
    """The instant at which the bed was, or was still not, in its steady state before or after the steps."""
    known = seen(run, "SteadyStateReached", "SteadyStateMissed", when=when)
    return known[-1].time_s if known else None


def judge_registered(run: Run, params: RegisteredParams) -> Verdict:
    check = f"registered at {params.at} {params.when}"
    run.topology.host(params.at)
    phones = run.topology.phones if params.phones == "all" else params.phones
    at_s = _instant_s(run, params.when)
    if at_s is None or not phones:
        missing = "the bed has no phones" if not phones else f"no steady state was seen {params.when} the steps"
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary=missing)
    if not seen(run, "Registered"):
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary="no phone registered anywhere in this run")
    held = registrations_at(run, at_s)
    wrong = [phone for phone in phones if phone not in held or held[phone]["at"] != params.at]
    figures = {"phones": float(len(phones)), "registered": float(len(phones) - len(wrong))}
    if wrong:
        proof = first(_elsewhere(run, phone, at_s) for phone in wrong)
        summary = f"{len(wrong)} of {len(phones)} phones are not registered at {params.at}: {some(wrong)}"
        return Verdict(check=check, status=Status.FAIL, summary=summary, evidence=proof, figures=figures)
    last = max((held[phone] for phone in phones), key=lambda event: event.index)
    proof = (last.proves(f"{last['phone']} registered at {params.at}, the last of them"),)
    summary = f"{len(phones)} of {len(phones)} phones registered at {params.at}"
    return Verdict(check=check, status=Status.PASS, summary=summary, evidence=proof, figures=figures)


def _elsewhere(run: Run, phone: str, at_s: float) -> Evidence:
    events = seen(run, "Registered", "CallControlLost", "Unregistered", "RegisterRejected", until_s=at_s, phone=phone)
    if not events:
        return Evidence(text=f"{phone}: no registration in the history")
    return events[-1].proves(f"{phone}: {events[-1].event.name} at {events[-1]['at']}")


def judge_steady(run: Run, params: SteadyParams) -> Verdict:
    """Not steady before: nothing can be judged. Not steady after: the bed did not come back."""
    check = "steady"
    before = seen(run, "SteadyStateReached", when="before")
    if not before:
        missed = seen(run, "SteadyStateMissed", when="before")
        proof = tuple(event.proves(str(event["detail"])) for event in missed[:1])
        return Verdict(
            check=check, status=Status.INCONCLUSIVE, summary="no steady state before the steps", evidence=proof
        )
    after = seen(run, "SteadyStateReached", when="after")
    if after:
        proof = (before[0].proves("steady before the steps"), after[-1].proves("steady after them"))
        return Verdict(check=check, status=Status.PASS, summary="steady before and after the steps", evidence=proof)
    missed = seen(run, "SteadyStateMissed", when="after")
    if not missed and not seen(run, "StepsEnded"):
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary="the run was cut short before its steps ended")
    proof = tuple(event.proves(str(event["detail"])) for event in missed[:1])
    return Verdict(check=check, status=Status.FAIL, summary="no steady state after the steps", evidence=proof)


_NO_SERVER = ("FRONTEND", "BACKEND")
"""Rows of HAProxy's statistics that are no servers."""


def judge_recovered(run: Run, params: RecoveredParams) -> Verdict:
    """After every fault is healed: all phones at the primary, all servers of the SLB up, those it had before among them."""
    windows = fault_windows(run)
    states, lost = _servers(run, windows)
    controls = call_controls(run)[:1]
    phones = run.topology.phones if controls else ()
    slb = next((host.name for host in run.topology.with_role(Role.SLB)), "")
    at_s = _instant_s(run, "after")
    cut_short = at_s is None or bool(lost and not states and not seen(run, "RunEnded"))
    if reason := _no_recovery_to_judge(windows, bool(states or lost), bool(phones), cut_short):
        return Verdict(check="recovered", status=Status.INCONCLUSIVE, summary=reason)
    held = registrations_at(run, at_s or 0.0)
    away = [phone for phone in phones if phone not in held or held[phone]["at"] != controls[0]]
    down = [state for state in states if not _is_up(state["status"])]
    figures = {"phones_away": float(len(away)), "servers_down": float(len(down) + len(lost))}
    if down or lost or away:
        parts = [f"{len(away)} of {len(phones)} phones are not at {controls[0]}: {some(away)}"] if away else []
        total = len(states) + len(lost)
        parts += [f"{len(down) + len(lost)} of {total} servers are not up"] if down or lost else []
        proof = [state.proves(f"{state['backend']}/{state['server']} is {state['status']}") for state in down]
        proof += [state.proves(f"{state['backend']}/{state['server']} is no more") for state in lost]
        proof += [Evidence(text=f"{phone} is not at {controls[0]}") for phone in away]
        summary = "; ".join(parts)
        return Verdict(check="recovered", status=Status.FAIL, summary=summary, evidence=first(proof), figures=figures)
    if slb and not states:
        summary = f"{slb} said nothing of its servers: its configuration needs `stats socket /run/haproxy/admin.sock`"
        return Verdict(check="recovered", status=Status.INCONCLUSIVE, summary=summary, figures=figures)
    parts = [f"{len(phones)} phones are back at {controls[0]}"] if phones else []
    parts += [f"{len(states)} servers are up"] if states else []
    proof = [window.healed.proves(f"{window} healed") for window in windows if window.healed]
    summary = ", ".join(parts)
    return Verdict(check="recovered", status=Status.PASS, summary=summary, evidence=first(proof), figures=figures)


def _no_recovery_to_judge(windows: list[FaultWindow], servers: bool, phones: bool, cut_short: bool) -> str:
    if not windows:
        return "no fault was confirmed"
    if unhealed := [str(window) for window in windows if window.healed is None]:
        return f"not healed: {some(unhealed)}"
    if not servers and not phones:
        return "no phone and no server to see recovery by"
    return "the run was cut short before its steady state after the steps" if cut_short else ""


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


REGISTERED = CheckKind(
    name="registered",
    params=RegisteredParams,
    judge=judge_registered,
    help="phones are registered at one call control before or after the steps",
)
STEADY = CheckKind(
    name="steady",
    params=SteadyParams,
    judge=judge_steady,
    help="the bed was steady before and after the steps (implied)",
)
RECOVERED = CheckKind(
    name="recovered",
    params=RecoveredParams,
    judge=judge_recovered,
    help="after healing, every phone is back at the primary and every server of the SLB is up",
)
