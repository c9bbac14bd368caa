"""Redirection: while a web host is gone, the SLB has the hot standby answer the requests that the web host answered before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from testbed.checks.base import CheckKind, Params
from testbed.checks.call_control_kept import CallControlKeptParams, judge_call_control_kept
from testbed.checks.concerned import takes_away
from testbed.checks.episodes import Episode, episodes
from testbed.checks.facts import FOREVER, fault_windows, first, judged_span, quantiles
from testbed.checks.fetches import Fetch, fetches
from testbed.checks.slb_packets import standby_requests
from testbed.duration import PositiveDuration, parse_duration
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict


class RedirectedParams(Params):
    """Requests that ``from`` answered before its fault are answered by ``to`` while it lasts. From the fault until the next one, or
    until the bed is steady again, at most ``failed`` of them fail, and no answer takes longer than ``slowest``; one that failed before any fault
    makes it INCONCLUSIVE. With ``call-control: kept`` the same verdict says that no SCCP session dropped and no KeepAlive went
    unanswered from the first step on."""

    from_: str = Field(alias="from")
    to: str
    failed: Annotated[int, Field(ge=0)] = 0
    slowest: PositiveDuration = parse_duration("3s")
    method: Literal["GET", "POST"] = "GET"
    call_control: Literal["kept"] | None = Field(default=None, alias="call-control")

    @property
    def check(self) -> str:
        """The verdict's name: ``redirected web-1->web-2 GET``."""
        return f"redirected {self.from_}->{self.to} {self.method}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Requests:
    """Fetches of the URLs that ``from`` answered before the fault: from the first step until the fault began, since then, and
    wholly while it lasted."""

    urls: frozenset[str]
    before: tuple[Fetch, ...]
    since: tuple[Fetch, ...]
    during: tuple[Fetch, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Outcome:
    """``since`` the fault: requests that failed or were slow. ``strayed``: answered by the wrong host. ``taken``: by the standby."""

    failed: tuple[Fetch, ...]
    slow: tuple[Fetch, ...]
    strayed: tuple[Fetch, ...]
    taken: tuple[Fetch, ...]


def judge_redirected(run: Run, params: RedirectedParams) -> Verdict:
    """Every confirmed fault of ``from`` that takes it away, those that overlap as one; the worst of them is the verdict."""
    for name in (params.from_, params.to):
        run.topology.host(name)
    windows = [window for window in fault_windows(run) if window.target == params.from_ and takes_away(window)]
    if not windows:
        return _inconclusive(params, f"no fault of {params.from_} was confirmed")
    verdicts = [_judge_episode(run, params, episode) for episode in episodes(windows, _back_again(run, params))]
    redirected = max(verdicts, key=lambda verdict: verdict.status)
    if len(verdicts) > 1 and redirected.status is Status.PASS:
        redirected = _summed_up(params, verdicts)
    return redirected if params.call_control is None else _with_call_control(run, redirected)


def _with_call_control(run: Run, redirected: Verdict) -> Verdict:
    """Both on one clock: from the first step until the bed was steady after the last."""
    kept = judge_call_control_kept(run, CallControlKeptParams())
    return replace(
        redirected,
        status=max(redirected.status, kept.status),
        summary=f"{redirected.summary}; call control: {kept.summary}",
        evidence=(*redirected.evidence, *kept.evidence),
        figures={**redirected.figures, **kept.figures},
    )


def _inconclusive(params: RedirectedParams, summary: str) -> Verdict:
    return Verdict(check=params.check, status=Status.INCONCLUSIVE, summary=summary)


def _back_again(run: Run, params: RedirectedParams) -> Callable[[float], float]:
    """After a healing: when ``from`` first answered again, from where on the standby is not to be asked."""
    own = [fetch.ended_s for fetch in fetches(run) if fetch.method == params.method and fetch.served_by == params.from_]
    return lambda healed_s: min((ended_s for ended_s in own if ended_s > healed_s), default=FOREVER)


def _summed_up(params: RedirectedParams, verdicts: Sequence[Verdict]) -> Verdict:
    """All passed: numbers of requests add up, times are those of the slowest."""
    names = dict.fromkeys(name for verdict in verdicts for name in verdict.figures)
    figures = {}
    for name in names:
        values = [verdict.figures[name] for verdict in verdicts if name in verdict.figures]
        figures[name] = max(values) if name.endswith("_s") else sum(values)
    summary = (
        f"{len(verdicts)} times: {figures['redirected']:.0f} requests answered by {params.to}, {figures['failed']:.0f} failed, "
        f"0 slow, slowest answer after {figures['slowest_s']:.3f} s"
    )
    proof = tuple(item for verdict in verdicts for item in verdict.evidence)
    return Verdict(check=params.check, status=Status.PASS, summary=summary, evidence=proof, figures=figures)


def _judge_episode(run: Run, params: RedirectedParams, episode: Episode) -> Verdict:
    requests = _requests(run, params, episode)
    if not requests.before:
        return _inconclusive(params, f"no request was answered by {params.from_} before {episode}")
    first_fault_s = min(other.began_s for other in fault_windows(run))
    if unwell := [fetch for fetch in requests.before if not fetch.answered and fetch.ended_s < first_fault_s]:
        summary = f"{len(unwell)} requests failed before the fault: the bed was not well"
        proof = first(fetch.seen.proves(f"{fetch.phone} {fetch.url} {fetch.outcome}") for fetch in unwell)
        return replace(_inconclusive(params, summary), evidence=proof)
    if not requests.during:
        return _inconclusive(params, f"no request was made while {episode} lasted")
    outcome = _outcome(run, params, requests)
    packets = standby_requests(run, episode, params.to, requests.urls, params.method)
    figures = _figures(requests, outcome)
    problems = _problems(params, outcome)
    if packets.early:
        problems.append(f"{params.to} was asked before the fault")
    if problems:
        summary = f"of {len(requests.since)} requests since the fault: {', '.join(problems)}"
        evidence = first([*packets.early, *_proofs(outcome)])
        return Verdict(check=params.check, status=Status.FAIL, summary=summary, evidence=evidence, figures=figures)
    if packets.doubt:
        return Verdict(check=params.check, status=Status.INCONCLUSIVE, summary=packets.doubt, figures=figures)
    summary = (
        f"{len(outcome.taken)} requests answered by {params.to}, {len(outcome.failed)} failed, 0 slow, "
        f"slowest answer after {figures['slowest_s']:.3f} s"
    )
    first_answer = outcome.taken[0].seen.proves(f"first answer of {params.to}")
    in_effect = [window.confirmed.proves(f"{window} in effect") for window in episode.windows]
    evidence = (*in_effect, first_answer, *packets.shown)
    return Verdict(check=params.check, status=Status.PASS, summary=summary, evidence=evidence, figures=figures)


def _requests(run: Run, params: RedirectedParams, episode: Episode) -> _Requests:
    since_s, until_s = judged_span(run)
    of_method = [
        fetch
        for fetch in fetches(run)
        if fetch.method == params.method and since_s <= fetch.ended_s < episode.until_s and fetch.began_s <= until_s
    ]
    before = [fetch for fetch in of_method if fetch.ended_s < episode.began_s and fetch.began_s >= episode.since_s]
    urls = frozenset(fetch.url for fetch in before if fetch.served_by == params.from_)
    since = [fetch for fetch in of_method if fetch.url in urls and fetch.ended_s >= episode.began_s]
    during = [fetch for fetch in since if fetch.began_s >= episode.certain_s and fetch.ended_s <= episode.healing_s]
    return _Requests(
        urls=urls,
        before=tuple(fetch for fetch in before if fetch.url in urls),
        since=tuple(since),
        during=tuple(during),
    )


def _outcome(run: Run, params: RedirectedParams, requests: _Requests) -> _Outcome:
    limit_s = params.slowest.seconds(run.profile)
    expected = [
        *((fetch, params.from_) for fetch in requests.before),
        *((fetch, params.to) for fetch in requests.during),
    ]
    return _Outcome(
        failed=tuple(fetch for fetch in requests.since if not fetch.answered),
        slow=tuple(fetch for fetch in requests.since if fetch.answered and fetch.elapsed_s > limit_s),
        strayed=tuple(fetch for fetch, host in expected if fetch.answered and fetch.served_by != host),
        taken=tuple(fetch for fetch in requests.during if fetch.answered and fetch.served_by == params.to),
    )


def _problems(params: RedirectedParams, outcome: _Outcome) -> list[str]:
    problems = []
    if len(outcome.failed) > params.failed:
        problems.append(f"{len(outcome.failed)} failed ({params.failed} allowed)")
    if outcome.slow:
        problems.append(f"{len(outcome.slow)} slower than {params.slowest}")
    if outcome.strayed:
        problems.append(f"{len(outcome.strayed)} answered by the wrong host")
    if not outcome.taken:
        problems.append(f"none answered by {params.to}")
    return problems


def _proofs(outcome: _Outcome) -> Sequence[Evidence]:
    return [
        fetch.seen.proves(f"{fetch.phone} {fetch.url} {fetch.outcome}, {fetch.elapsed_s:.3f} s")
        for fetch in (*outcome.failed, *outcome.slow, *outcome.strayed)
    ]


def _figures(requests: _Requests, outcome: _Outcome) -> dict[str, float]:
    answered = [fetch.elapsed_s for fetch in requests.since if fetch.answered]
    return {
        "requests": float(len(requests.since)),
        "failed": float(len(outcome.failed)),
        "slow": float(len(outcome.slow)),
        "redirected": float(len(outcome.taken)),
        "slowest_s": round(max(answered, default=0.0), 6),
        **quantiles("answer", answered),
    }


REDIRECTED = CheckKind(
    name="redirected",
    params=RedirectedParams,
    judge=judge_redirected,
    help=(
        "requests go to the hot standby while the fault lasts; from the fault until the bed is steady again, "
        "failed and slow ones are counted; one that fails before the fault makes it inconclusive; with "
        "`call-control: kept` the same verdict says that no SCCP session noticed"
    ),
)
