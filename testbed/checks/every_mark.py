"""Marks of everything at once: every packet of every class of a policy, but those that a fault remarks."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from testbed.checks.base import CheckKind, Params
from testbed.checks.invariant_marks import as_policy_says
from testbed.checks.marking import policy_word
from testbed.policy import Policy, policy
from testbed.recording import Run
from testbed.verdict import Status, Verdict


class MarkingParams(Params):
    """``policy``: which marks each class of traffic may carry, a built-in one or a file."""

    policy: Annotated[str | Policy, BeforeValidator(policy_word)] = "srnd-table-11-4"


def judge_marking(run: Run, params: MarkingParams) -> Verdict:
    """In all captures, all the time."""
    chosen = policy(params.policy) if isinstance(params.policy, str) else params.policy
    found = as_policy_says(run, chosen)
    return Verdict(
        check=f"marking {chosen.name}",
        status=Status.FAIL if found.broken else Status.INCONCLUSIVE if found.unknown else Status.PASS,
        summary=found.said or found.unknown or found.good,
        evidence=found.broken,
        figures=found.figures,
    )


MARKING = CheckKind(
    name="marking",
    params=MarkingParams,
    judge=judge_marking,
    help=(
        "every packet of every class of the policy, in all captures, is marked as it says, but those that a "
        "fault remarks"
    ),
    rests_on_packets=True,
)
