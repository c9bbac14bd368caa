"""Pushes to phones: executed, or refused because the authentication URL, which only the phone can ask, gave no leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from testbed.checks.base import CheckKind, Params
from testbed.checks.facts import Seen, first, seen, some
from testbed.checks.fetches import Part, When, fetches, parts
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict

AUTHENTICATION = "authentication"
SLACK_S = 0.5
"""Between what a phone says of a push and what its sender says: their clocks are one, their log lines are not."""


class PushedParams(Params):
    """``works``: every push was executed; or none was, and each for want of an answer from the authentication URL."""

    works: bool
    when: When = "during"

    @property
    def check(self) -> str:
        """The verdict's name: ``pushed during refused``."""
        return f"pushed {self.when} {'executed' if self.works else 'refused'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Push:
    """One push as its sender saw it (``sent``) and as the phone did (``done``, None where the phone said nothing)."""

    sent: Seen
    done: Seen | None

    @property
    def phone(self) -> str:
        return str(self.sent["phone"])

    @property
    def was_executed(self) -> bool:
        return self.done is not None and self.done.event.name == "PushExecuted"

    @property
    def outcome(self) -> str:
        if self.done is None:
            return f"was not seen by the phone: {self.sent['error'] or 'answered'}"
        if self.was_executed:
            return "executed"
        return f"refused with error {self.done['error']}: {self.done['reason']}"


def judge_pushed(run: Run, params: PushedParams) -> Verdict:
    pushes, chosen = _pushes(run), parts(run, params.when)

    def verdict(status: Status, summary: str, evidence: Sequence[Evidence] = (), **figures: float) -> Verdict:
        return Verdict(check=params.check, status=status, summary=summary, evidence=tuple(evidence), figures=figures)

    if not run.topology.phones or not chosen:
        reason = (
            f"no fault makes a part {params.when!r} of this run" if run.topology.phones else "the bed has no phones"
        )
        return verdict(Status.INCONCLUSIVE, reason)
    failed = {
        (fetch.phone, round(fetch.ended_s, 6))
        for fetch in fetches(run)
        if fetch.name == AUTHENTICATION and not fetch.answered
    }
    wrong: list[Evidence] = []
    unseen: list[str] = []
    shown: list[Evidence] = []
    judged = 0
    for part in chosen:
        inside = [push for push in pushes if _is_in(part, push)]
        judged += len(inside)
        unseen += [phone for phone in run.topology.phones if phone not in {push.phone for push in inside}]
        for push in inside:
            (shown if _is_as_wanted(push, params, failed) else wrong).append(
                (push.done or push.sent).proves(f"{push.phone}: {push.outcome}")
            )
    counts = {"pushes": float(judged), "wrong": float(len(wrong)), "unseen": float(len(unseen))}
    if wrong:
        wanted = (
            "expected to be executed" if params.works else "expected to be refused for want of the authentication URL"
        )
        return verdict(
            Status.FAIL, f"{len(wrong)} of {judged} pushes {wanted}: {wrong[0].text}", first(wrong), **counts
        )
    if unseen or not judged:
        return verdict(Status.INCONCLUSIVE, f"no push {params.when} to {some(unseen) or 'any phone'}", (), **counts)
    outcome = "executed" if params.works else "refused, the authentication URL did not answer"
    return verdict(
        Status.PASS, f"{judged} pushes to {len(run.topology.phones)} phones, all {outcome}", first(shown), **counts
    )


def _pushes(run: Run) -> list[_Push]:
    """Each as its sender reports its end, with what the phone said of it in between."""
    of_phones = seen(run, "PushExecuted", "PushRefused")
    return [
        _Push(sent=sent, done=next((done for done in of_phones if _is_of(done, sent)), None))
        for sent in seen(run, "PushAnswered", "PushFailed")
    ]


def _is_of(done: Seen, sent: Seen) -> bool:
    began_s = sent.time_s - (sent["elapsed_s"] or 0.0)
    return done["phone"] == sent["phone"] and began_s <= done.time_s <= sent.time_s + SLACK_S


def _is_in(part: Part, push: _Push) -> bool:
    return part.since_s <= push.sent.time_s - (push.sent["elapsed_s"] or 0.0) and push.sent.time_s <= part.until_s


def _is_as_wanted(push: _Push, params: PushedParams, failed: set[tuple[str, float]]) -> bool:
    """Sender and phone agree; a refusal is error 4, and the phone's own question to the authentication URL failed in its course."""
    if params.works:
        return push.was_executed and push.sent.event.name == "PushAnswered"
    if push.done is None or push.was_executed or push.sent.event.name != "PushFailed" or push.done["error"] != 4:
        return False
    began_s = push.sent.time_s - (push.sent["elapsed_s"] or 0.0)
    return any(phone == push.phone and began_s <= ended_s <= push.done.time_s for phone, ended_s in failed)


PUSHED = CheckKind(
    name="pushed",
    params=PushedParams,
    judge=judge_pushed,
    help=(
        "every push was executed; or every one was refused with error 4, and the phone's own question to its "
        "authentication URL failed in its course; every phone was pushed to"
    ),
)
