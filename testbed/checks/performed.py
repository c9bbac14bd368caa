"""Whether the scenario was performed at all: every fact awaited was seen, every fault confirmed, the steps begun and ended."""

from __future__ import annotations

from testbed.checks.base import CheckKind, Params
from testbed.checks.facts import first, seen
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
    absent = [name for name in ("StepsStarted", "StepsEnded") if not seen(run, name)]
    problems += [Evidence(text=f"the run was cut short: no {name}") for name in absent]
    intended, confirmed = _intended(run), len(seen(run, "FaultConfirmed"))
    if confirmed < intended:
        problems.append(Evidence(text=f"{confirmed} of {intended} faults were confirmed"))
    figures = {"facts_missed": float(len(missed)), "faults_confirmed": float(confirmed)}
    if problems:
        summary = "; ".join(problem.text for problem in problems[:3])
        proof = first(problems)
        return Verdict(check="steps", status=Status.INCONCLUSIVE, summary=summary, evidence=proof, figures=figures)
    summary = f"all performed, {confirmed} faults confirmed"
    return Verdict(check="steps", status=Status.PASS, summary=summary, figures=figures)


def _intended(run: Run) -> int:
    """Faults that the scenario asks for, or that the history says were begun: whichever are more."""
    steps = run.scenario.get("steps")
    asked = [step for step in steps if isinstance(step, dict) and step.get("inject")] if isinstance(steps, list) else []
    return max(len(asked), len(seen(run, "FaultIntended")))


STEPS = CheckKind(
    name="steps",
    params=StepsParams,
    judge=judge_steps,
    help="the steps were performed: every awaited fact seen, every fault confirmed (implied)",
)
