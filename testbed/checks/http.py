"""HTTP requests, judged from captures alone: how many were answered, failed or were slow, on one hop or at one host.

A request fails without a whole answer, or with a status that is not wanted. A connection that is not made is a request that failed, for
whatever page it was meant. One that is open when its capture ends has neither failed nor been answered: it is slow, or not judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import Field, model_validator

from testbed.checks.base import CheckKind, Params
from testbed.checks.facts import first, quantiles, some
from testbed.checks.http_seen import Seen, Sighting, Span, When, at_host, on_hop, spans
from testbed.duration import PositiveDuration, parse_duration
from testbed.packets.exchange import Exchange
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict

Path = Annotated[str, Field(pattern=r"^(/[^\s?#*]*\*?|\*)$", max_length=200)]
"""``/text``, ``/shop/*`` (all that begin so), ``*``."""
HttpStatus = Annotated[int, Field(ge=100, le=599)]


class HttpParams(Params):
    """Requests over ``hop`` (``client->slb``; a side is a host or a role) or to the host ``at``; only those for ``path``, by ``method``,
    to ``port``.

    At most ``failed`` of them fail and none takes longer than ``slowest``; answers are good with one of ``statuses`` (any below 400).
    Every request for a page of ``work`` is answered, none for one of ``fail`` is (and those count for nothing else). ``fewest`` and
    ``most`` say how many there are; without them, at least one.
    """

    hop: Annotated[str, Field(pattern=r"^[^\s>]+ ?-> ?[^\s>]+$")] | None = None
    at: str | None = None
    when: When = "always"
    path: Path | None = None
    method: Annotated[str, Field(pattern=r"^[A-Z]{3,16}$")] | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    failed: Annotated[int, Field(ge=0)] = 0
    slowest: PositiveDuration = parse_duration("3s")
    statuses: Annotated[tuple[HttpStatus, ...], Field(max_length=20)] = ()
    work: tuple[Path, ...] = ()
    fail: tuple[Path, ...] = ()
    fewest: Annotated[int, Field(ge=1)] | None = None
    most: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.hop is None) == (self.at is None):
            raise ValueError("needs either hop (client->server) or at (a host)")
        if both := sorted(set(self.work) & set(self.fail)):
            raise ValueError(f"{both[0]} cannot both work and fail")
        if self.most is not None and (self.fewest or 0) > self.most:
            raise ValueError(f"cannot be at least {self.fewest} and at most {self.most}")
        return self

    @property
    def check(self) -> str:
        """The verdict's name: ``http during client->slb /text fail /pay``."""
        words = ["http", *([] if self.when == "always" else [self.when]), self.hop or f"at {self.at}"]
        words += [word for word in (self.method, self.path) if word]
        for word, paths in (("work", self.work), ("fail", self.fail)):
            words += [word, ",".join(paths)] if paths else []
        return " ".join(words)

    def is_good(self, exchange: Exchange) -> bool:
        """Whether it has a whole answer of a status that is wanted."""
        if exchange.failure or exchange.is_open:
            return False
        return exchange.status in self.statuses if self.statuses else exchange.status < 400


@dataclass(kw_only=True)
class _Tally:
    """Requests of one or several parts of a run, by what came of them."""

    every: list[Sighting]
    good: list[Sighting]
    failed: list[Sighting]
    slow: list[Sighting]
    open_: list[Sighting]
    broke: list[Evidence]
    """Against ``work`` and ``fail``."""
    unseen: list[str]
    """Pages of ``work`` and ``fail`` that nobody asked for."""


def judge_http(run: Run, params: HttpParams) -> Verdict:
    seen = on_hop(run, params.hop) if params.hop else at_host(run, str(params.at))
    chosen = spans(run, params.when)
    if seen.unseen or not chosen:
        reason = f"nothing was captured at {seen.unseen}" if seen.unseen else f"no fault makes a part {params.when!r}"
        return Verdict(check=params.check, status=Status.INCONCLUSIVE, summary=reason)
    tally = _tally(run, params, seen, chosen)
    figures = _figures(tally)
    problems, proof = _problems(run, params, tally)
    counts = _counts(tally, figures)
    if problems:
        summary = f"{', '.join(problems)}; {counts}"
        return Verdict(check=params.check, status=Status.FAIL, summary=summary, evidence=first(proof), figures=figures)
    if doubt := _doubt(params, tally):
        return Verdict(check=params.check, status=Status.INCONCLUSIVE, summary=doubt, figures=figures)
    shown = first(one.proves(run, _outcome(one)) for one in tally.every[:1])
    return Verdict(check=params.check, status=Status.PASS, summary=counts, evidence=shown, figures=figures)


def _tally(run: Run, params: HttpParams, seen: Seen, chosen: Iterable[Span]) -> _Tally:
    limit_s = params.slowest.seconds(run.profile)
    tally = _Tally(every=[], good=[], failed=[], slow=[], open_=[], broke=[], unseen=[])
    for span in chosen:
        inside = [one for one in span.of(seen.sightings) if _is_meant(params, one.exchange)]
        tally.every += inside
        _hold_to_lists(run, params, span, inside, tally)
        for one in inside:
            exchange = one.exchange
            if _matches(params.fail, exchange):
                continue
            is_slow = one.waited_s > limit_s
            if params.is_good(exchange):
                (tally.slow if is_slow else tally.good).append(one)
            elif exchange.is_open:
                (tally.slow if is_slow else tally.open_).append(one)
            else:
                tally.failed.append(one)
    return tally


def _is_meant(params: HttpParams, exchange: Exchange) -> bool:
    """A connection that was not made may have been for any page."""
    if params.port is not None and exchange.server[1] != params.port:
        return False
    if not exchange.method:
        return True
    return params.method in (None, exchange.method) and (params.path is None or _matches((params.path,), exchange))


def _matches(paths: Iterable[str], exchange: Exchange) -> bool:
    """``*`` is also what was never asked for want of a connection."""
    return any(path == "*" or (exchange.method != "" and _is_of(path, exchange.path)) for path in paths)


def _is_of(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


def _hold_to_lists(run: Run, params: HttpParams, span: Span, inside: list[Sighting], tally: _Tally) -> None:
    """A page works that is answered whenever it is asked for, and fails that is never answered while the part lasts."""
    unmade = [one for one in inside if not one.exchange.method]
    for path in params.work:
        own = [one for one in inside if _matches((path,), one.exchange)]
        bad = [one for one in own if not (params.is_good(one.exchange) or one.exchange.is_open)]
        tally.broke += [one.proves(run, f"{_outcome(one)}, expected to work") for one in bad]
        if not own:
            tally.unseen.append(path)
    for path in params.fail:
        own = [one for one in inside if _matches((path,), one.exchange) and span.wholly(one.exchange)]
        answered = [one for one in own if params.is_good(one.exchange) and _ended_by(one, span.until_s)]
        tally.broke += [one.proves(run, f"{_outcome(one)}, expected to fail") for one in answered]
        if not [one for one in (*own, *unmade) if one not in answered]:
            tally.unseen.append(path)


def _ended_by(one: Sighting, until_s: float) -> bool:
    return one.exchange.ended is not None and one.exchange.ended.time_s <= until_s


def _problems(run: Run, params: HttpParams, tally: _Tally) -> tuple[list[str], list[Evidence]]:
    problems, proof = [], list(tally.broke)
    if tally.broke:
        problems.append(f"{len(tally.broke)} against expectation: {tally.broke[0].text}")
    if len(tally.failed) > params.failed:
        problems.append(f"{len(tally.failed)} failed ({params.failed} allowed)")
        proof += [one.proves(run, _outcome(one)) for one in tally.failed]
    if tally.slow:
        problems.append(f"{len(tally.slow)} slower than {params.slowest}")
        proof += [one.proves(run, f"{_outcome(one)} after {one.waited_s:.3f} s") for one in tally.slow]
    if params.fewest is not None and len(tally.every) < params.fewest:
        problems.append(f"{len(tally.every)} requests, not at least {params.fewest}")
    if params.most is not None and len(tally.every) > params.most:
        problems.append(f"{len(tally.every)} requests, not at most {params.most}")
        proof += [one.proves(run, _outcome(one)) for one in tally.every]
    return problems, proof


def _doubt(params: HttpParams, tally: _Tally) -> str:
    if params.most is not None and not tally.every:
        return ""
    if not tally.every:
        return f"no request was seen {'' if params.when == 'always' else params.when + ' the fault '}".rstrip()
    if tally.unseen:
        return f"nobody asked for {some(tally.unseen)}"
    if len(tally.open_) == len(tally.every):
        return f"all {len(tally.every)} requests were open when the capture ended"
    return ""


def _outcome(one: Sighting) -> str:
    exchange = one.exchange
    if exchange.is_open:
        return "no answer yet"
    said = f"HTTP {exchange.status}" if exchange.status else ""
    return ", ".join(filter(None, [said, exchange.failure]))


def _counts(tally: _Tally, figures: dict[str, float]) -> str:
    statuses = Counter(str(one.exchange.status) for one in tally.every if one.exchange.status)
    words = [f"{len(tally.every)} requests"]
    words += [f"{count} x {status}" for status, count in sorted(statuses.items())]
    words += [f"{len(tally.failed)} failed", *([f"{len(tally.open_)} open"] if tally.open_ else [])]
    if "answer_max_s" in figures:
        words.append(f"answers p50 {figures['answer_p50_s']:.3f}, max {figures['answer_max_s']:.3f} s")
    return ", ".join(words)


def _figures(tally: _Tally) -> dict[str, float]:
    answered = [one for one in tally.every if one.exchange.answered and not one.exchange.failure]
    statuses = Counter(one.exchange.status for one in tally.every if one.exchange.status)
    return {
        "requests": float(len(tally.every)),
        "answered": float(len(tally.good)),
        "failed": float(len(tally.failed)),
        "slow": float(len(tally.slow)),
        "open": float(len(tally.open_)),
        **{f"status_{status}": float(number) for status, number in sorted(statuses.items())},
        **quantiles("answer", [one.waited_s for one in answered if not one.exchange.is_open]),
    }


HTTP = CheckKind(
    name="http",
    params=HttpParams,
    judge=judge_http,
    help=(
        "requests in the captures, over a hop (`hop: client->slb`) or to a host (`at`), before, during or after "
        "the faults: so many fail at most, none takes longer; `statuses` are good ones (below 400); pages of "
        "`work` are all answered, those of `fail` never; `fewest` and `most` say how many requests there are "
        "(at least one). Needs no phone"
    ),
)
