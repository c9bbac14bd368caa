"""Re-homing: after a call control fails every phone is registered at the next one in time (failover), after healing back (fallback)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from testbed.checks.base import CheckKind, Params
from testbed.checks.bracket import Bracket, brackets
from testbed.checks.budget import failover_budget_s, fallback_budget_s, notice_of
from testbed.checks.capture import captures
from testbed.checks.facts import FaultWindow, call_controls, fault_windows, first, quantiles, seen
from testbed.checks.rehome_times import Rehome, Rehomes, failovers, fallbacks
from testbed.duration import PositiveDuration
from testbed.packets_sccp import sccp_mask
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict


class RehomedParams(Params):
    """``from`` and ``to`` default to the failed call control and any other; ``within`` to what the class of failure allows."""

    from_: str | None = Field(default=None, alias="from")
    to: str | None = None
    direction: Literal["failover", "fallback"] = "failover"
    within: PositiveDuration | None = None

    @property
    def check(self) -> str:
        """The verdict's name: ``rehomed failover ccm-1->ccm-bk``."""
        return f"rehomed {self.direction} {self.from_ or '*'}->{self.to or '*'}"

    @property
    def failed(self) -> str | None:
        """The call control whose fault this is about, where the scenario names it."""
        return self.from_ if self.direction == "failover" else self.to


def judge_rehomed(run: Run, params: RehomedParams) -> Verdict:
    """Every phone, around every confirmed fault of the call control; the worst of them is the verdict."""
    for name in (params.from_, params.to):
        if name:
            run.topology.host(name)
    failed = [params.failed] if params.failed else call_controls(run)
    windows = [window for window in fault_windows(run) if window.target in failed]
    if reason := _nothing_to_judge(run, params, windows):
        return Verdict(check=params.check, status=Status.INCONCLUSIVE, summary=reason)
    return max((_judge_window(run, params, window) for window in windows), key=lambda verdict: verdict.status)


def _nothing_to_judge(run: Run, params: RehomedParams, windows: Sequence[FaultWindow]) -> str:
    if not run.topology.phones:
        return "the bed has no phones"
    if not windows:
        return f"no fault of {params.failed or 'a call control'} was confirmed"
    if params.direction == "fallback" and any(window.healed is None for window in windows):
        return f"{windows[-1]} was never healed"
    if not seen(run, "Registered"):
        return "no phone registered anywhere in this run"
    if params.direction == "failover" and params.within is None:
        for window in windows:
            if notice_of(window.kind, window.parameters) is None:
                return f"nothing says how long a re-home may take after {window}: write within: 5s"
    return ""


def _judge_window(run: Run, params: RehomedParams, window: FaultWindow) -> Verdict:
    rehomes, cause, around = _measured(run, params, window)
    evidence: list[Evidence]
    status, summary, evidence = _outcome(run, params, window, rehomes)
    if status is Status.PASS and (reason := _doubt(run, window, around)):
        status, summary = Status.INCONCLUSIVE, reason
    evidence += [cause, *(item for bracket in around for item in bracket.evidence)]
    return Verdict(
        check=params.check, status=status, summary=summary, evidence=tuple(evidence), figures=_figures(rehomes)
    )


def _measured(run: Run, params: RehomedParams, window: FaultWindow) -> tuple[Rehomes, Evidence, list[Bracket]]:
    if params.direction == "fallback" and window.healed:
        return fallbacks(run, window, params.from_), window.healed.proves(f"{window} healed"), []
    cause = window.confirmed.proves(f"{window} in effect")
    # One that refuses registrations goes on answering: packets bracket nothing.
    around = [] if window.kind == "register-reject" else brackets(run, window)
    return failovers(run, window, params.to), cause, around


def _outcome(
    run: Run, params: RehomedParams, window: FaultWindow, rehomes: Rehomes
) -> tuple[Status, str, list[Evidence]]:
    total = len(run.topology.phones)
    if rehomes.missing:
        summary = f"{len(rehomes.missing)} of {total} phones did not re-home: {rehomes.missing[0].text}"
        return Status.FAIL, summary, list(first(rehomes.missing))
    slowest = max(rehomes.done, key=lambda rehome: rehome.total_s)
    outside = []
    for rehome in rehomes.done:
        low_s, high_s = _budget_s(run, params, window, rehome)
        if not low_s <= rehome.total_s <= high_s:
            outside.append(_proof(rehome, f", not within {max(low_s, 0.0):.2f} to {high_s:.2f} s"))
    if outside:
        return Status.FAIL, f"{len(outside)} of {total} phones out of time: {outside[0].text}", list(first(outside))
    limit_s = _budget_s(run, params, window, slowest)[1]
    parts = ", ".join(f"{part} {length_s:.3f}" for part, length_s in slowest.parts.items())
    summary = (
        f"{total} of {total} phones at {slowest.at}, slowest after {slowest.total_s:.3f} s of {limit_s:.2f} s allowed"
    )
    return Status.PASS, summary + (f" ({parts})" if parts else ""), [_proof(slowest)]


def _budget_s(run: Run, params: RehomedParams, window: FaultWindow, rehome: Rehome) -> tuple[float, float]:
    if params.within:
        return 0.0, params.within.seconds(run.profile)
    if params.direction == "fallback":
        return fallback_budget_s(run.profile, rehome.token_wait_s)
    notice = notice_of(window.kind, window.parameters)
    assert notice is not None
    return failover_budget_s(notice, run.profile)


def _doubt(run: Run, window: FaultWindow, around: Sequence[Bracket]) -> str:
    if not any(sccp_mask(packets).any() for packets in captures(run).values()):
        return "no packet of call control was captured"
    if any(bracket.contradicts(window) for bracket in around):
        return f"packets contradict the instant at which {window} took effect"
    return ""


def _figures(rehomes: Rehomes) -> dict[str, float]:
    figures = {"rehomed": float(len(rehomes.done)), "not_rehomed": float(len(rehomes.missing))}
    figures |= quantiles("rehome", [rehome.total_s for rehome in rehomes.done])
    for part in ("detection", "connection", "contact", "token", "registration"):
        figures |= quantiles(part, [rehome.parts[part] for rehome in rehomes.done if part in rehome.parts])
    return figures


def _proof(rehome: Rehome, more: str = "") -> Evidence:
    return rehome.registered.proves(f"{rehome.phone} registered at {rehome.at} after {rehome.total_s:.3f} s{more}")


REHOMED = CheckKind(
    name="rehomed",
    params=RehomedParams,
    judge=judge_rehomed,
    help="after a fault (failover) or its healing (fallback) every phone is registered elsewhere, in time",
)
