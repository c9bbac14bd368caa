"""Where the phones are registered, and whether the bed was in its steady state before and after."""

from __future__ import annotations

from typing import Literal

from testbed.checks.base import CheckKind, Params
from testbed.checks.facts import (
    first,
    registrations_at,
    seen,
    some,
)
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict

When = Literal["before", "after"]


class RegisteredParams(Params):
    """``phones`` (all, or device names) are registered at ``at`` in the steady state before or after the steps."""

    at: str
    when: When = "before"
    phones: Literal["all"] | tuple[str, ...] = "all"


class SteadyParams(Params):
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


REGISTERED = CheckKind(
    name="registered",
    params=RegisteredParams,
    judge=judge_registered,
    help="phones are registered at one call control, before or after the steps",
)
STEADY = CheckKind(
    name="steady",
    params=SteadyParams,
    judge=judge_steady,
    help=(
        "implied: the bed was well before and after: its hosts run, its phones are at their primary, and what"
        " the scenario calls `steady` holds"
    ),
)
