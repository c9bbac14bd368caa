"""What must hold whatever is broken, and how: the judgement of schedules that nobody has written an expectation for.

Four invariants, each with figures and evidence of its own: every phone registered at exactly one call control in steady state; no
phone out of service longer than what broke it allows; no request lost where a server was well; every packet marked as the policy says.
What a fault does by its nature breaks none of them: the faults say themselves what they hinder and what they alter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator

from testbed.checks.base import CheckKind, Params
from testbed.checks.facts import fault_windows
from testbed.checks.invariant import Outcome
from testbed.checks.invariant_marks import as_policy_says
from testbed.checks.invariant_phones import in_service, registered_once
from testbed.checks.invariant_requests import none_lost
from testbed.checks.marking import policy_word
from testbed.policy import Policy, policy
from testbed.recording import Run
from testbed.verdict import Status, Verdict


class InvariantsParams(Params):
    """``policy``: which marks each class of traffic may carry, a built-in one or a file."""

    policy: Annotated[str | Policy, BeforeValidator(policy_word)] = "srnd-table-11-4"


def judge_invariants(run: Run, params: InvariantsParams) -> Verdict:
    """The worst of the four; one that does not go with the bed counts for nothing."""
    judged: dict[str, Callable[[], Outcome]] = {
        "registered once": lambda: registered_once(run),
        "in service": lambda: in_service(run),
        "no request lost": lambda: none_lost(run),
        "marks": lambda: as_policy_says(
            run, policy(params.policy) if isinstance(params.policy, str) else params.policy
        ),
    }
    found = {name: judge() for name, judge in judged.items()}
    figures = {name: value for outcome in found.values() for name, value in outcome.figures.items()}
    evidence = tuple(item for outcome in found.values() for item in outcome.broken)
    status, words = _summed_up(found)
    if status is Status.PASS and any(window.healed is None for window in fault_windows(run)):
        status, words = Status.INCONCLUSIVE, "a fault was never healed"
    return Verdict(check="invariants", status=status, summary=words, evidence=evidence, figures=figures)


def _summed_up(found: dict[str, Outcome]) -> tuple[Status, str]:
    if broken := {name: outcome.said for name, outcome in found.items() if outcome.broken}:
        return Status.FAIL, "; ".join(f"{name}: {said}" for name, said in broken.items())
    if unknown := {name: outcome.unknown for name, outcome in found.items() if outcome.unknown}:
        return Status.INCONCLUSIVE, "; ".join(f"{name}: {why}" for name, why in unknown.items())
    shown = [outcome.good for outcome in found.values() if not outcome.absent]
    left = [f"not judged: {outcome.absent}" for outcome in found.values() if outcome.absent]
    return Status.PASS if shown else Status.INCONCLUSIVE, "; ".join([*shown, *dict.fromkeys(left)])


INVARIANTS = CheckKind(
    name="invariants",
    params=InvariantsParams,
    judge=judge_invariants,
    help=(
        "whatever is broken: every phone is registered at exactly one call control in the steady states, by "
        "its own word and by theirs; no phone is out of service longer than what broke it allows, once a call"
        " control is whole for it; no request through the SLB is lost while a server behind it was well; "
        "every packet is marked as the policy says, but those that a fault remarks"
    ),
)
