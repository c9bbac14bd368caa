from __future__ import annotations

from pathlib import Path

import pytest
import stories
from recordings import PHONES, Recording

from testbed.checks import judge_expectation
from testbed.checks.pushed import PushedParams
from testbed.verdict import Status, Verdict

BEFORE_S, DURING_S = 2.5, 6.0
AUTHENTICATION = "http://172.26.1.100/CCMCIP/authenticate.asp"


def pushed(recording: Recording, path: Path, **params: object) -> Verdict:
    return judge_expectation(recording.write(path), "pushed", PushedParams.model_validate(params))


def executed(recording: Recording, at_s: float, phone: str) -> None:
    stories.answered(recording, at_s + 0.01, phone, "authentication", AUTHENTICATION, "ccm-1")
    recording.event(at_s + 0.02, "phones-1", "PushExecuted", phone=phone, items=["Play:a"], elapsed_s=0.02)
    recording.event(at_s + 0.03, "web-1", "PushAnswered", phone=phone, answers=["Success"], elapsed_s=0.03)


def refused(recording: Recording, at_s: float, phone: str, *, is_asked: bool = True, number: int = 4) -> None:
    if is_asked:
        stories.failed(recording, at_s + 0.01, phone, "authentication", AUTHENTICATION)
    reason = "authentication URL: refused"
    recording.event(at_s + 0.02, "phones-1", "PushRefused", phone=phone, error=number, reason=reason, elapsed_s=0.02)
    error = f"CiscoIPPhoneError {number}"
    recording.event(at_s + 0.03, "web-1", "PushFailed", phone=phone, ok=False, error=error, elapsed_s=0.03)


def story() -> Recording:
    """Pushes pass before ccm-1 dies and are refused afterwards."""
    recording = stories.rehome("kill")
    for phone in PHONES:
        executed(recording, BEFORE_S, phone)
        refused(recording, DURING_S, phone)
    return recording


def test_pushes_pass_while_the_authentication_url_answers_and_are_refused_when_it_does_not(tmp_path: Path) -> None:
    before = pushed(story(), tmp_path / "a", when="before", works=True)
    assert (before.status, before.figures["pushes"]) == (Status.PASS, 2)
    during = pushed(story(), tmp_path / "b", when="during", works=False, claim="page")
    assert (during.status, during.claim) == (Status.PASS, "page")
    assert "the authentication URL did not answer" in during.summary


@pytest.mark.catches("dependent-urls-die")
def test_a_phone_that_executes_without_leave_is_caught(tmp_path: Path) -> None:
    recording = stories.rehome("kill")
    refused(recording, DURING_S, PHONES[0])
    executed(recording, DURING_S, PHONES[1])
    verdict = pushed(recording, tmp_path, works=False)
    assert verdict.status is Status.FAIL
    assert f"{PHONES[1]}: executed" in verdict.summary


@pytest.mark.catches("slb-for-pages")
def test_a_push_that_is_refused_where_it_should_pass_is_caught(tmp_path: Path) -> None:
    verdict = pushed(story(), tmp_path, when="during", works=True)
    assert verdict.status is Status.FAIL
    assert "refused with error 4: authentication URL: refused" in verdict.summary


@pytest.mark.parametrize("spoil", [{"is_asked": False}, {"number": 1}])
def test_a_refusal_for_another_reason_shows_nothing_of_the_authentication_url(
    tmp_path: Path, spoil: dict[str, int]
) -> None:
    recording = stories.rehome("kill")
    refused(recording, DURING_S, PHONES[0])
    refused(recording, DURING_S, PHONES[1], **spoil)  # type: ignore[arg-type]
    assert pushed(recording, tmp_path, works=False).status is Status.FAIL


def test_another_phones_question_proves_nothing_for_this_one(tmp_path: Path) -> None:
    recording = stories.rehome("kill")
    refused(recording, DURING_S, PHONES[0])
    refused(recording, DURING_S, PHONES[1], is_asked=False)
    stories.failed(recording, DURING_S - 0.5, PHONES[1], "authentication", AUTHENTICATION)
    assert pushed(recording, tmp_path, works=False).status is Status.FAIL


def test_a_push_that_the_phone_never_saw_is_no_refusal(tmp_path: Path) -> None:
    recording = story()
    recording.drop("PushRefused", phone=PHONES[0])
    verdict = pushed(recording, tmp_path, works=False)
    assert verdict.status is Status.FAIL
    assert "was not seen by the phone" in verdict.summary


def test_no_push_to_a_phone_is_inconclusive(tmp_path: Path) -> None:
    recording = stories.rehome("kill")
    refused(recording, DURING_S, PHONES[0])
    verdict = pushed(recording, tmp_path / "a", works=False)
    assert (verdict.status, PHONES[1] in verdict.summary) == (Status.INCONCLUSIVE, True)
    assert pushed(stories.rehome("kill"), tmp_path / "b", works=True).status is Status.INCONCLUSIVE


def test_a_push_that_began_before_the_phones_had_rehomed_belongs_to_no_part(tmp_path: Path) -> None:
    recording = story()
    executed(recording, stories.BEGAN_S + 0.06, PHONES[0])
    assert pushed(recording, tmp_path, works=False).status is Status.PASS
