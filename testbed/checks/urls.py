"""Phone URLs: which of them answer before, during and after a fault, for every phone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import model_validator

from testbed.checks.base import CheckKind, Params
from testbed.checks.facts import first, some
from testbed.checks.fetches import Fetch, Part, When, fetches, parts
from testbed.checks.url_targets import URL_NAMES, Prediction, predict, url_tables
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict

UrlName = Literal["services", "directory", "information", "messages", "authentication", "idle", "proxy", "page"]


class UrlsParams(Params):
    """``work`` and ``fail`` name URLs (``page``: any that is none of the phone's own); ``by`` is the host whose answers those that
    work must be; ``derive`` predicts each URL's fate from the host it points at, and holds the phones and the lists to it."""

    work: tuple[UrlName, ...] = ()
    by: str | None = None
    fail: tuple[UrlName, ...] = ()
    derive: bool = False
    when: When = "during"

    @model_validator(mode="after")
    def _says_something(self) -> UrlsParams:
        if not (self.work or self.fail or self.derive):
            raise ValueError("needs work, fail or derive: true")
        if self.by and not self.work:
            raise ValueError("by belongs to work: it says who answers")
        if both := sorted(set(self.work) & set(self.fail)):
            raise ValueError(f"{both[0]} cannot both work and fail")
        return self

    @property
    def check(self) -> str:
        """The verdict's name: ``urls during work idle,proxy fail services``."""
        words = ["urls", self.when]
        for word, names in (("work", self.work), ("fail", self.fail)):
            words += [word, ",".join(names)] if names else []
            words += ["by", self.by] if self.by and word == "work" else []
        return " ".join([*words, "derive"] if self.derive else words)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wanted:
    """What is expected of one URL of one phone; ``by`` is who must answer, where anybody in particular."""

    phone: str
    name: str
    works: bool
    reason: str
    by: str | None = None

    def contradicts(self, fetch: Fetch) -> bool:
        """Whether a fetch of it went otherwise."""
        return fetch.answered != self.works or bool(self.by and fetch.served_by != self.by)


def judge_urls(run: Run, params: UrlsParams) -> Verdict:
    if params.by:
        run.topology.host(params.by)
    every, chosen = fetches(run), parts(run, params.when)

    def verdict(status: Status, summary: str, evidence: Sequence[Evidence], **figures: float) -> Verdict:
        return Verdict(check=params.check, status=status, summary=summary, evidence=tuple(evidence), figures=figures)

    if not run.topology.phones or not chosen:
        reason = (
            f"no fault makes a part {params.when!r} of this run" if run.topology.phones else "the bed has no phones"
        )
        return verdict(Status.INCONCLUSIVE, reason, ())
    wrong: list[Evidence] = []
    unseen: list[str] = []
    shown: list[Evidence] = []
    judged = 0
    for part in chosen:
        inside = _by_url(part.of(every))
        for wanted in _wanted(run, params, part, every, unseen, wrong):
            own = inside.get((wanted.phone, wanted.name), [])
            judged += len(own)
            against = [fetch for fetch in own if wanted.contradicts(fetch)]
            wrong += [_against(fetch, wanted) for fetch in against[:1]]
            if not own:
                unseen.append(f"{wanted.phone} did not fetch {wanted.name}")
            elif not against and wanted.phone == run.topology.phones[0]:
                shown.append(own[0].seen.proves(f"{wanted.phone} {wanted.name} {own[0].outcome}"))
    counts = {"fetches": float(judged), "wrong": float(len(wrong)), "unseen": float(len(unseen))}
    if wrong:
        return verdict(Status.FAIL, f"{len(wrong)} against expectation: {wrong[0].text}", first(wrong), **counts)
    if unseen or not judged:
        return verdict(Status.INCONCLUSIVE, f"not seen {params.when}: {some(unseen) or 'any fetch'}", (), **counts)
    summary = f"{judged} fetches by {len(run.topology.phones)} phones, all as expected"
    return verdict(Status.PASS, summary, first(shown), **counts)


def _by_url(inside: Sequence[Fetch]) -> dict[tuple[str, str], list[Fetch]]:
    grouped: dict[tuple[str, str], list[Fetch]] = {}
    for fetch in inside:
        grouped.setdefault((fetch.phone, fetch.name), []).append(fetch)
    return grouped


def _against(fetch: Fetch, wanted: _Wanted) -> Evidence:
    expected = "work" if wanted.works else "fail"
    by = f" by {wanted.by}" if wanted.by else ""
    return fetch.seen.proves(f"{fetch.phone} {fetch.name} {fetch.outcome}, expected to {expected}{by}{wanted.reason}")


def _wanted(
    run: Run, params: UrlsParams, part: Part, every: Sequence[Fetch], unseen: list[str], wrong: list[Evidence]
) -> Iterator[_Wanted]:
    """What the lists say, then what derivation adds; where the two differ the scenario and the bed do not fit: ``wrong``."""
    said: dict[str, bool] = {**dict.fromkeys(params.work, True), **dict.fromkeys(params.fail, False)}
    for phone in run.topology.phones:
        for name, works in said.items():
            yield _Wanted(phone=phone, name=name, works=works, reason="", by=params.by if works else None)
    for phone, name, prediction in _derived(run, part, every, unseen) if params.derive else ():
        if prediction.works is None:
            unseen.append(prediction.reason)
        elif name not in said:
            yield _Wanted(phone=phone, name=name, works=prediction.works, reason=f": {prediction.reason}")
        elif said[name] != prediction.works:
            text = f"{phone} {name} is expected to {'work' if said[name] else 'fail'}, but {prediction.reason}"
            wrong.append(Evidence(text=text))


def _derived(run: Run, part: Part, every: Sequence[Fetch], unseen: list[str]) -> Iterator[tuple[str, str, Prediction]]:
    """Phone, URL name and prediction, for every URL in every phone's table."""
    limit_s = part.window.began_s if part.window else part.until_s
    tables = url_tables(run, limit_s)
    last = {(fetch.phone, fetch.name): fetch for fetch in every if fetch.answered and fetch.ended_s <= limit_s}
    for phone in run.topology.phones:
        table = tables.get(phone, {})
        if not table:
            unseen.append(f"{phone} read no configuration")
        for name in URL_NAMES:
            if name in table:
                yield phone, name, predict(run, part.window, phone, table[name], last.get((phone, name)))


URLS = CheckKind(
    name="urls",
    params=UrlsParams,
    judge=judge_urls,
    help=(
        "which URLs of the phones answer and which do not, `by` whom those that work; `derive: true` predicts"
        " it from where each URL points and compares; `page` is any URL that is none of the phone's own"
    ),
)
