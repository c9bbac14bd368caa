"""Out of service: phones that are kept from every call control are registered nowhere, and come back once one can be reached again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from testbed.checks.base import CheckKind, Params
from testbed.checks.budget import failover_budget_s, notice_of, return_budget_s
from testbed.checks.concerned import concerned
from testbed.checks.facts import (
    FOREVER,
    FaultWindow,
    call_controls,
    fault_windows,
    first,
    quantiles,
    registrations_at,
    seen,
)
from testbed.duration import PositiveDuration
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict


class OutOfServiceParams(Params):
    """``back``: how soon after the first healing a phone is registered again; without it the profile says."""

    back: PositiveDuration | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Outage:
    """One phone without any call control: from the last fault's certain effect to the beginning of the first healing, which is over at
    ``healed_s``. ``noticed_s``: how long the phone may take to notice the last fault."""

    phone: str
    since_s: float
    until_s: float
    healed_s: float
    noticed_s: float


def judge_out_of_service(run: Run, params: OutOfServiceParams) -> Verdict:
    """For every phone and every time at which all its call controls were gone."""
    check = "out-of-service"
    outages = [outage for phone in run.topology.phones for outage in _outages(run, phone)]
    if not outages:
        summary = "at no time was every call control gone" if run.topology.phones else "the bed has no phones"
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary=summary)
    budget_s = (
        params.back.seconds(run.profile) if params.back else return_budget_s(run.profile, len(call_controls(run)))
    )
    wrong, unknown, back = _judged(run, outages, budget_s)
    figures = {"phones": float(len({outage.phone for outage in outages})), **quantiles("back", back)}
    if wrong:
        summary = f"{len(wrong)} against expectation: {wrong[0].text}"
        return Verdict(check=check, status=Status.FAIL, summary=summary, evidence=first(wrong), figures=figures)
    if unknown:
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary=unknown[0], figures=figures)
    summary = (
        f"{figures['phones']:.0f} phones were registered nowhere while no call control could be reached, the slowest back "
        f"{max(back):.3f} s after the first healing of {budget_s:.2f} s allowed"
    )
    proof = [event.proves(f"{event['kind']} {event['target']} in effect") for event in seen(run, "FaultConfirmed")]
    return Verdict(check=check, status=Status.PASS, summary=summary, evidence=first(proof), figures=figures)


def _judged(run: Run, outages: Iterable[_Outage], budget_s: float) -> tuple[list[Evidence], list[str], list[float]]:
    """(what went against expectation, what cannot be told, how long each phone took to come back)."""
    wrong: list[Evidence] = []
    unknown: list[str] = []
    back: list[float] = []
    for outage in outages:
        found = seen(run, "Registered", phone=outage.phone, since_s=outage.since_s, until_s=outage.until_s)
        if found:
            text = f"{outage.phone} registered at {found[0]['at']} while no call control could be reached"
            wrong.append(found[0].proves(text))
            continue
        held = registrations_at(run, outage.until_s)
        if outage.phone in held:
            there = held[outage.phone]
            if outage.until_s < outage.since_s + outage.noticed_s:
                unknown.append(f"the faults did not last long enough for {outage.phone} to notice")
            else:
                text = f"{outage.phone} stayed registered at {there['at']} while no call control could be reached"
                wrong.append(there.proves(text))
            continue
        again = seen(run, "Registered", phone=outage.phone, since_s=outage.until_s)
        took_s = again[0].time_s - outage.healed_s if again else FOREVER
        if not again:
            wrong.append(Evidence(text=f"{outage.phone} did not come back"))
        elif took_s > budget_s:
            text = f"{outage.phone} came back after {took_s:.3f} s ({budget_s:.2f} s allowed)"
            wrong.append(again[0].proves(text))
        else:
            back.append(max(0.0, took_s))
    return wrong, unknown, back


def _outages(run: Run, phone: str) -> list[_Outage]:
    """Every choice of one fault for each call control that lasted at the same time."""
    windows = [window for window in fault_windows(run) if notice_of(window.kind, window.parameters) is not None]
    taken = [[w for w in windows if phone in concerned(run, w, control)] for control in call_controls(run)]
    found = {}
    for chosen in product(*taken) if taken else ():
        last, ends = max(chosen, key=lambda w: w.certain_s), min(chosen, key=lambda w: w.healing_s)
        if last.certain_s < ends.healing_s < FOREVER:
            found[last.certain_s] = _Outage(
                phone=phone,
                since_s=last.certain_s,
                until_s=ends.healing_s,
                healed_s=ends.healed_s,
                noticed_s=_noticed_s(run, last),
            )
    return list(found.values())


def _noticed_s(run: Run, window: FaultWindow) -> float:
    notice = notice_of(window.kind, window.parameters)
    assert notice is not None
    return failover_budget_s(notice, run.profile)[1]


OUT_OF_SERVICE = CheckKind(
    name="out-of-service",
    params=OutOfServiceParams,
    judge=judge_out_of_service,
    help=(
        "phones that are kept from every call control are registered nowhere, and come back in time once one "
        "is healed; without `back` the profile says how soon"
    ),
)
