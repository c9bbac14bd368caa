"""Re-homing: after a call control fails, every phone that loses it is registered at the next one in time (failover), after healing
back (fallback). Phones that the fault does not concern stay where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from testbed.checks.base import CheckKind, Params
from testbed.checks.bracket import Bracket, brackets
from testbed.checks.budget import failover_budget_s, fallback_budget_s, notice_of
from testbed.checks.capture import captures
from testbed.checks.concerned import Company, company, concerns, losses, strays
from testbed.checks.effect import Edge
from testbed.checks.effects import effect_of
from testbed.checks.facts import FaultWindow, call_controls, first, quantiles, seen
from testbed.checks.rehome_packets import agreement
from testbed.checks.rehome_times import Rehome, Rehomes, failover_end_s, failovers, fallbacks
from testbed.duration import PositiveDuration
from testbed.lists import ONE_OR_MORE
from testbed.packets.sccp import sccp_mask
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict

Notices = Literal["closed", "reset", "refused", "timeout", "unreachable", "keepalive"]


class RehomedParams(Params):
    """``from`` and ``to`` default to the failed call control and any other; ``within`` to what the class of failure allows.

    ``noticed``: by what the phones noticed, one of these or several: a FIN (closed), an RST (reset), a refusal, TCP giving up
    (timeout), a host that cannot be reached, or KeepAlives without answer. A phone whose KeepAlive was under way when the fault began
    may notice by KeepAlives where timeout is asked for.
    """

    from_: str | None = Field(default=None, alias="from")
    to: str | None = None
    direction: Literal["failover", "fallback"] = "failover"
    within: PositiveDuration | None = None
    noticed: Annotated[tuple[Notices, ...], *ONE_OR_MORE] = ()

    @model_validator(mode="after")
    def _notices_a_fault(self) -> RehomedParams:
        if self.noticed and self.direction == "fallback":
            raise ValueError("noticed belongs to a failover: a return is not noticed, it is looked for")
        return self

    @property
    def check(self) -> str:
        """The verdict's name: ``rehomed failover ccm-1->ccm-bk``."""
        return f"rehomed {self.direction} {self.from_ or '*'}->{self.to or '*'}"

    @property
    def failed(self) -> str | None:
        """The call control whose fault this is about, where the scenario names it."""
        return self.from_ if self.direction == "failover" else self.to


def judge_rehomed(run: Run, params: RehomedParams) -> Verdict:
    """Around every confirmed fault that takes the call control from phones; the worst of them is the verdict."""
    for name in (params.from_, params.to):
        if name:
            run.topology.host(name)
    faults = concerns(run, [params.failed]) if params.failed else losses(run, call_controls(run))
    if reason := _nothing_to_judge(run, params, [fault.window for fault in faults]):
        return Verdict(check=params.check, status=Status.INCONCLUSIVE, summary=reason)
    verdicts = [verdict for fault in faults if (verdict := _judge_fault(run, params, company(run, fault)))]
    if not verdicts:
        summary = "other faults that overlapped had taken the phones already, or everywhere they could go"
        return Verdict(check=params.check, status=Status.INCONCLUSIVE, summary=summary)
    return max(verdicts, key=lambda verdict: verdict.status)


def _nothing_to_judge(run: Run, params: RehomedParams, windows: Sequence[FaultWindow]) -> str:
    if not run.topology.phones:
        return "the bed has no phones"
    if not windows:
        return f"no fault that takes {params.failed or 'a call control'} from phones was confirmed"
    if params.direction == "fallback" and any(window.healed is None for window in windows):
        return f"{windows[-1]} was never healed"
    if not seen(run, "Registered"):
        return "no phone registered anywhere in this run"
    if params.direction == "failover" and params.within is None:
        for window in windows:
            if notice_of(window.kind, window.parameters) is None:
                return f"nothing says how long a re-home may take after {window}: write within: 5s"
    return ""


def _judge_fault(run: Run, params: RehomedParams, around_it: Company) -> Verdict | None:
    """None where no phone's loss or return is this fault's."""
    window = around_it.fault.window
    rehomes, cause, around = _measured(run, params, around_it)
    if not rehomes.done and not rehomes.missing:
        return None
    evidence: list[Evidence]
    status, summary, evidence = _outcome(run, params, around_it, rehomes)
    measured = agreement(run, rehomes.done, _cause_by_packets(run, params, window))
    if status is Status.PASS and (reason := _doubt(run, window, around) or measured.doubt):
        status, summary = Status.INCONCLUSIVE, reason
    evidence += [cause, *(item for bracket in around for item in bracket.evidence)]
    evidence += [measured.worst] if measured.worst else []
    figures = _figures(rehomes) | measured.figures
    return Verdict(check=params.check, status=status, summary=summary, evidence=tuple(evidence), figures=figures)


def _cause_by_packets(run: Run, params: RehomedParams, window: FaultWindow) -> Edge | None:
    """What a failover is counted from, in packets. A fallback is counted from the engine's word that the host runs again."""
    effect = effect_of(run, window)
    return effect.began if effect and params.direction == "failover" else None


def _measured(run: Run, params: RehomedParams, around_it: Company) -> tuple[Rehomes, Evidence, list[Bracket]]:
    fault, window = around_it.fault, around_it.fault.window
    if params.direction == "fallback" and window.healed:
        return fallbacks(run, around_it, params.from_), window.healed.proves(f"{window} healed"), []
    cause = window.confirmed.proves(f"{window} in effect")
    # One that refuses registrations goes on answering: packets bracket nothing.
    around = [] if window.kind == "register-reject" else brackets(run, window, fault.phones)
    return failovers(run, around_it, params.to), cause, around


def _outcome(
    run: Run, params: RehomedParams, around_it: Company, rehomes: Rehomes
) -> tuple[Status, str, list[Evidence]]:
    fault, window = around_it.fault, around_it.fault.window
    total = len(rehomes.done) + len(rehomes.missing)
    if rehomes.missing:
        summary = f"{len(rehomes.missing)} of {total} phones did not re-home: {rehomes.missing[0].text}"
        return Status.FAIL, summary, list(first(rehomes.missing))
    if moved := strays(run, fault.others, window.began_s, failover_end_s(run, window)):
        summary = f"{len(moved)} of {len(fault.others)} phones that lost nothing did not stay: {moved[0].text}"
        return Status.FAIL, summary, list(first(moved))
    if wrong := [rehome for rehome in rehomes.done if params.noticed and not _noticed_so(run, params, rehome)]:
        proof = [_proof(rehome, f", noticed by: {rehome.noticed or 'nothing reported'}") for rehome in wrong]
        summary = f"{len(wrong)} of {total} phones did not notice by {' or '.join(params.noticed)}: {proof[0].text}"
        return Status.FAIL, summary, list(first(proof))
    slowest = max(rehomes.done, key=lambda rehome: rehome.total_s)
    outside = []
    for rehome in rehomes.done:
        low_s, high_s = _budget_s(run, params, around_it, rehome)
        if not low_s <= rehome.total_s <= high_s:
            outside.append(_proof(rehome, f", not within {max(low_s, 0.0):.2f} to {high_s:.2f} s"))
    if outside:
        return Status.FAIL, f"{len(outside)} of {total} phones out of time: {outside[0].text}", list(first(outside))
    return Status.PASS, _passed(run, params, around_it, rehomes), [_proof(slowest)]


def _noticed_so(run: Run, params: RehomedParams, rehome: Rehome) -> bool:
    """By what was asked for. Where TCP has to give up there is one other way: a KeepAlive that was under way when the fault began
    has been acknowledged by the other side's kernel, and its answer is what gets lost. TCP has nothing to send again then, and at
    quick timers the phone has missed its answers before it has given up on the next one."""
    if rehome.noticed in params.noticed:
        return True
    answered_s = rehome.last_answered_s
    was_under_way = answered_s is not None and answered_s + run.profile.keepalive_s <= rehome.effect_s
    return rehome.noticed == "keepalive" and "timeout" in params.noticed and was_under_way


def _passed(run: Run, params: RehomedParams, around_it: Company, rehomes: Rehomes) -> str:
    total, stayed = len(rehomes.done), len(around_it.fault.others)
    slowest = max(rehomes.done, key=lambda rehome: rehome.total_s)
    limit_s = _budget_s(run, params, around_it, slowest)[1]
    parts = ", ".join(f"{part} {length_s:.3f}" for part, length_s in slowest.parts.items())
    return (
        f"{total} of {total} phones at {slowest.at}, slowest after {slowest.total_s:.3f} s of {limit_s:.2f} s allowed"
        + (f" ({parts})" if parts else "")
        + (f"; the other {stayed} stayed where they were" if stayed else "")
    )


def _budget_s(run: Run, params: RehomedParams, around_it: Company, rehome: Rehome) -> tuple[float, float]:
    """Of a failover: what the class of failure allows; where further faults came before the phone was elsewhere, the phone may
    have noticed any of them, so it is the span of what they allow."""
    if params.within:
        return 0.0, params.within.seconds(run.profile)
    if params.direction == "fallback":
        return fallback_budget_s(run.profile, rehome.token_wait_s)
    own = around_it.fault.window
    meanwhile = [w for w in around_it.same(rehome.phone) if own.began_s <= w.began_s <= rehome.registered.time_s]
    spans = []
    for window in (own, *meanwhile):
        if notice := notice_of(window.kind, window.parameters):
            offset_s = window.effect_s - rehome.effect_s if window is not own else 0.0
            spans.append([offset_s + limit_s for limit_s in failover_budget_s(notice, run.profile)])
    return min(low_s for low_s, _ in spans), max(high_s for _, high_s in spans)


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
    help=(
        "after a fault (failover) or its healing (fallback) every phone that the fault keeps from its call "
        "control is registered elsewhere, in time, and every other phone has stayed; without `within` the "
        "budget follows from the class of failure and the profile; `noticed` says by what the phones must "
        "have noticed"
    ),
)
