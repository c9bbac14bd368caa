"""Whether the scenario was performed at all: every fact awaited was seen, every fault confirmed, the steps begun and ended."""

from __future__ import annotations

from testbed.checks.base import CheckKind, Params
from testbed.checks.facts import first, quantiles, seen
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict


class StepsParams(Params):
    """No parameters."""


def judge_steps(run: Run, params: StepsParams) -> Verdict:
    """Never a FAIL: what was not performed shows nothing about the bed."""
    missed = seen(run, "FactMissed")
    problems = [
        event.proves(f"{event['fact']} was awaited in vain; last seen: {event['last_seen'] or 'nothing'}")
        for event in missed
    ]
    problems += [
        event.proves(f"{event['kind']} {event['target']} failed: {event['error'] or 'no reason on record'}")
        for event in seen(run, "FaultFailed", "FaultUnsupported")
    ]
    absent = [name for name in ("StepsStarted", "StepsEnded") if not seen(run, name)]
    problems += [Evidence(text=f"the run was cut short: no {name}") for name in absent]
    if not absent and not seen(run, "RunEnded"):
        problems.append(Evidence(text="the run was cut short: no RunEnded"))
    awaited, known = _awaited(run), len(seen(run, "FactSeen")) + len(missed)
    if known < awaited:
        problems.append(Evidence(text=f"{known} of {awaited} awaited facts are on record"))
    intended, confirmed = _intended(run), len(seen(run, "FaultConfirmed"))
    if confirmed < intended:
        problems.append(Evidence(text=f"{confirmed} of {intended} faults were confirmed"))
    off_s = _off_schedule_s(run)
    figures = {"facts_missed": float(len(missed)), "faults_confirmed": float(confirmed)}
    figures |= quantiles("off_schedule", off_s)
    if problems:
        summary = "; ".join(problem.text for problem in problems[:3])
        proof = first(problems)
        return Verdict(check="steps", status=Status.INCONCLUSIVE, summary=summary, evidence=proof, figures=figures)
    summary = f"all performed, {confirmed} fault{'' if confirmed == 1 else 's'} confirmed"
    summary += f", at most {max(off_s) * 1000:.0f} ms off their times" if off_s else ""
    return Verdict(check="steps", status=Status.PASS, summary=summary, figures=figures)


def _off_schedule_s(run: Run) -> list[float]:
    """How long before or after its time each fault took effect that had one."""
    return [
        abs(event["effect_s"] - event["scheduled_s"])
        for event in seen(run, "FaultConfirmed")
        if event["effect_s"] is not None and event["scheduled_s"] is not None
    ]


def _awaited(run: Run) -> int:
    """Facts that the scenario's steps wait for, before they begin (``after``) or to end (``until``, which may be a time instead)."""
    steps = run.scenario.get("steps")
    own = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    ends = [str(step.get("until") or "") for step in own]
    return sum(1 for step in own if step.get("after")) + sum(1 for end in ends if end[:1].isalpha())


def _intended(run: Run) -> int:
    """Faults that the scenario asks for, or that the history says were begun: whichever are more."""
    steps = run.scenario.get("steps")
    asked = [step for step in steps if isinstance(step, dict) and step.get("inject")] if isinstance(steps, list) else []
    times = [step.get("times") for step in asked]
    return max(sum(each if isinstance(each, int) else 1 for each in times), len(seen(run, "FaultIntended")))


STEPS = CheckKind(
    name="steps",
    params=StepsParams,
    judge=judge_steps,
    help=(
        "implied: the steps were performed: every awaited fact seen, every fault confirmed, and how near to its time"
    ),
)
