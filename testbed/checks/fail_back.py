"""Fail-back: once a server is healed the SLB sends it requests again, in time and from then on all of them; none is lost by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from testbed.checks.base import CheckKind, Params
from testbed.checks.concerned import takes
from testbed.checks.facts import FaultWindow, fault_windows, first, judged_span
from testbed.checks.fetches import Fetch, fetches
from testbed.checks.slb_packets import requests_since
from testbed.duration import PositiveDuration, parse_duration
from testbed.faults.reach import HTTP_PORT, end_of
from testbed.recording import Run
from testbed.topology import Role
from testbed.verdict import Evidence, Status, Verdict


class RestoredParams(Params):
    """Requests that ``to`` answered before its fault and ``from`` while it lasted are answered by ``to`` again ``within`` that time
    of its healing, and none by ``from`` any more. At most ``failed`` of them fail from the healing on."""

    from_: str = Field(alias="from")
    to: str
    within: PositiveDuration = parse_duration("3s")
    failed: Annotated[int, Field(ge=0)] = 0
    method: Literal["GET", "POST"] = "GET"

    @property
    def check(self) -> str:
        """The verdict's name: ``restored web-2->web-1 GET``."""
        return f"restored {self.from_}->{self.to} {self.method}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Return:
    """Fetches of the URLs concerned: while the fault lasted, and those begun since it was healed. ``again``: the first of the latter
    that ``to`` answered."""

    urls: frozenset[str]
    during: tuple[Fetch, ...]
    since: tuple[Fetch, ...]
    again: Fetch | None


def judge_restored(run: Run, params: RestoredParams) -> Verdict:
    """Around every confirmed fault that takes ``to`` from the SLB; the worst of them is the verdict."""
    for name in (params.from_, params.to):
        run.topology.host(name)
    windows = [window for window in fault_windows(run) if _takes_server(run, window, params.to)]
    if not windows:
        return _inconclusive(params, f"no fault that takes {params.to} from an SLB was confirmed")
    return max((_judge_window(run, params, window) for window in windows), key=lambda verdict: verdict.status)


def _takes_server(run: Run, window: FaultWindow, server: str) -> bool:
    balancers = run.topology.with_role(Role.SLB)
    there = run.topology.host(server)
    return any(takes(run, window, end_of(balancer), there, HTTP_PORT) for balancer in balancers)


def _inconclusive(params: RestoredParams, summary: str) -> Verdict:
    return Verdict(check=params.check, status=Status.INCONCLUSIVE, summary=summary)


def _judge_window(run: Run, params: RestoredParams, window: FaultWindow) -> Verdict:
    if window.healed is None:
        return _inconclusive(params, f"{window} was never healed")
    seen = _return(run, params, window)
    limit_s = params.within.seconds(run.profile)
    if reason := _nothing_to_judge(params, window, seen, limit_s):
        return _inconclusive(params, reason)
    problems, proof = _problems(params, window, seen, limit_s)
    figures = _figures(window, seen)
    if problems:
        summary = f"of {len(seen.since)} requests since the healing: {', '.join(problems)}"
        return Verdict(check=params.check, status=Status.FAIL, summary=summary, evidence=first(proof), figures=figures)
    packets = requests_since(run, window.healing_s, params.to, seen.urls, params.method)
    if packets.doubt:
        return Verdict(check=params.check, status=Status.INCONCLUSIVE, summary=packets.doubt, figures=figures)
    assert seen.again is not None
    summary = (
        f"{params.to} answers again {figures['restored_s']:.3f} s after its healing of {limit_s:.2f} s allowed, "
        f"{len(seen.since)} requests since, {figures['failed']:.0f} failed"
    )
    evidence = (window.healed.proves(f"{window} healed"), _proof(seen.again), *packets.shown)
    return Verdict(check=params.check, status=Status.PASS, summary=summary, evidence=evidence, figures=figures)


def _return(run: Run, params: RestoredParams, window: FaultWindow) -> _Return:
    since_s, until_s = judged_span(run)
    later = [other.began_s for other in fault_windows(run) if other.began_s > window.healing_s]
    until_s = min([until_s, *later])
    own = [
        fetch
        for fetch in fetches(run)
        if fetch.method == params.method and fetch.began_s >= since_s and fetch.ended_s <= until_s
    ]
    urls = frozenset(fetch.url for fetch in own if fetch.ended_s < window.began_s and fetch.served_by == params.to)
    own = [fetch for fetch in own if fetch.url in urls]
    during = [fetch for fetch in own if fetch.began_s >= window.certain_s and fetch.ended_s <= window.healing_s]
    since = [fetch for fetch in own if fetch.began_s >= window.healed_s]
    again = next((fetch for fetch in since if fetch.answered and fetch.served_by == params.to), None)
    return _Return(urls=urls, during=tuple(during), since=tuple(since), again=again)


def _nothing_to_judge(params: RestoredParams, window: FaultWindow, seen: _Return, limit_s: float) -> str:
    if not seen.urls:
        return f"no request was answered by {params.to} before the fault"
    if not any(fetch.answered and fetch.served_by == params.from_ for fetch in seen.during):
        return f"no request was answered by {params.from_} while {window} lasted: there is nothing to come back from"
    if not seen.since:
        return f"no request was made after {window} was healed"
    if seen.again is None and seen.since[-1].ended_s < window.healed_s + limit_s:
        return f"the last request came before {params.to} had to answer again"
    return ""


def _problems(
    params: RestoredParams, window: FaultWindow, seen: _Return, limit_s: float
) -> tuple[list[str], Sequence[Evidence]]:
    failed = [fetch for fetch in seen.since if not fetch.answered]
    problems = [f"{len(failed)} failed ({params.failed} allowed)"] if len(failed) > params.failed else []
    again = seen.again
    if again is None:
        return [*problems, f"none answered by {params.to}"], [_proof(fetch) for fetch in (*failed, *seen.since)]
    strayed = [fetch for fetch in seen.since if fetch.began_s > again.ended_s and fetch.answered]
    strayed = [fetch for fetch in strayed if fetch.served_by != params.to]
    took_s = again.ended_s - window.healed_s
    problems += (
        [f"{params.to} answered only after {took_s:.3f} s ({limit_s:.2f} s allowed)"] if took_s > limit_s else []
    )
    problems += [f"{len(strayed)} answered by another host afterwards"] if strayed else []
    late = [again] if took_s > limit_s else []
    return problems, [_proof(fetch) for fetch in (*failed, *strayed, *late)]


def _proof(fetch: Fetch) -> Evidence:
    return fetch.seen.proves(f"{fetch.phone} {fetch.url} {fetch.outcome}")


def _figures(window: FaultWindow, seen: _Return) -> dict[str, float]:
    figures = {
        "requests": float(len(seen.since)),
        "failed": float(sum(not fetch.answered for fetch in seen.since)),
    }
    return figures | ({"restored_s": round(seen.again.ended_s - window.healed_s, 6)} if seen.again else {})


RESTORED = CheckKind(
    name="restored",
    params=RestoredParams,
    judge=judge_restored,
    help=(
        "fail-back of the SLB: requests that `from` answered while the fault lasted are answered by `to` "
        "again in time, and from then on all of them"
    ),
)
