from __future__ import annotations

from pathlib import Path

import pytest
import stories
from pydantic import ValidationError
from recordings import PHONES, Recording
from stories import BEGAN_S, PAGE

from testbed.checks import KINDS, judge_expectation
from testbed.checks.base import Params, as_wanted, doubted
from testbed.judge import exit_code, judge
from testbed.verdict import Evidence, Status, Verdict

REHOMED = {"from": "ccm-1", "to": "ccm-bk", "want": "fail"}
REDIRECTED = {"from": "web-1", "to": "web-2", "want": "fail"}


def verdict(status: Status, summary: str = "one of two phones is lost", *evidence: str) -> Verdict:
    return Verdict(
        check="x", status=status, summary=summary, evidence=tuple(Evidence(text=text, event=7) for text in evidence)
    )


def wanted(recording: Recording, path: Path, kind: str, **params: object) -> Verdict:
    return judge_expectation(recording.write(path), kind, KINDS[kind].params.model_validate(params))


def lost_phone() -> Recording:
    recording = stories.rehome()
    recording.drop("Registered", phone=PHONES[1], at="ccm-bk")
    return recording


@pytest.mark.parametrize("cause", ["phones is lost", "PHONES IS", r"\w+ of two", "shown in frame"])
def test_a_failure_by_the_cause_named_passes_and_keeps_what_proves_it(cause: str) -> None:
    failed = verdict(Status.FAIL, "one of two phones is lost", "other", "shown in frame 3")
    seen = as_wanted(failed, Params(want="fail", cause=cause))
    assert seen.status is Status.PASS
    assert seen.check == "x, to fail"
    assert seen.summary == f"fails as expected ({cause}): one of two phones is lost"
    assert seen.evidence == failed.evidence


def test_a_failure_by_another_cause_fails_and_says_so() -> None:
    seen = as_wanted(verdict(Status.FAIL), Params(want="fail", cause="refused"))
    assert seen.status is Status.FAIL
    assert seen.summary == "fails, but by another cause than expected (refused): one of two phones is lost"


def test_a_check_that_passes_against_expectation_fails() -> None:
    seen = as_wanted(verdict(Status.PASS, "all is well"), Params(want="fail", cause="well"))
    assert seen.status is Status.FAIL
    assert seen.summary == "expected to fail (well), but passed: all is well"


def test_what_showed_nothing_shows_no_failure_either() -> None:
    seen = as_wanted(verdict(Status.INCONCLUSIVE, "no packet was captured"), Params(want="fail", cause="captured"))
    assert seen.status is Status.INCONCLUSIVE
    assert seen.summary == "expected to fail (captured), but nothing was shown: no packet was captured"


@pytest.mark.parametrize("status", list(Status))
def test_without_it_a_verdict_stays_as_it_is(status: Status) -> None:
    assert as_wanted(verdict(status), Params()) == verdict(status)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_expectation_can_be_wanted_to_fail(kind: str) -> None:
    fields = KINDS[kind].params.model_fields
    assert {"want", "cause"} <= set(fields)


def test_a_phone_that_is_lost_is_the_failure_wanted(tmp_path: Path) -> None:
    seen = wanted(lost_phone(), tmp_path, "rehomed", **REHOMED, cause="did not register at ccm-bk")
    assert seen.status is Status.PASS
    assert seen.check == "rehomed failover ccm-1->ccm-bk, to fail"
    assert seen.figures["not_rehomed"] == 1


def test_a_bed_that_does_not_fail_is_caught(tmp_path: Path) -> None:
    """The mutant: all phones re-home although the scenario says that they cannot."""
    seen = wanted(stories.rehome(), tmp_path, "rehomed", **REHOMED, cause="did not register at ccm-bk")
    assert seen.status is Status.FAIL
    assert "expected to fail" in seen.summary


def test_a_bed_that_fails_in_another_way_is_caught(tmp_path: Path) -> None:
    """The mutant: the standby answers, only late; what was wanted is that it does not answer at all."""
    recording = stories.standby()
    stories.answered(recording, BEGAN_S + 4.0, PHONES[0], "page", PAGE, "web-2", elapsed_s=3.2)
    seen = wanted(recording, tmp_path, "redirected", **REDIRECTED, cause="none answered by web-2")
    assert seen.status is Status.FAIL
    assert "by another cause" in seen.summary


def test_a_failure_seen_in_a_capture_that_is_unsound_passes_nothing(tmp_path: Path) -> None:
    recording = lost_phone()
    recording.change("CaptureStopped", where={"capture": "phones-1"}, dropped=7)
    params = KINDS["rehomed"].params.model_validate({**REHOMED, "cause": "did not register"})
    verdicts = judge(recording.write(tmp_path), [("rehomed", params)])
    assert verdicts[-1].status is Status.INCONCLUSIVE
    assert exit_code(verdicts) == 3


def test_a_pass_in_a_capture_that_is_unsound_fails_nothing(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.change("CaptureStopped", where={"capture": "phones-1"}, dropped=7)
    params = KINDS["rehomed"].params.model_validate({**REHOMED, "cause": "did not register"})
    assert judge(recording.write(tmp_path), [("rehomed", params)])[-1].status is Status.INCONCLUSIVE


def test_doubts_touch_a_pass_only() -> None:
    doubts = [Evidence(text="slb: 7 packets dropped", event=3)]
    assert doubted(verdict(Status.FAIL), doubts) == verdict(Status.FAIL)
    seen = doubted(verdict(Status.PASS), doubts)
    assert (seen.status, seen.evidence) == (Status.INCONCLUSIVE, tuple(doubts))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"want": "fail"}, "want: fail needs a cause"),
        ({"cause": "refused"}, "cause belongs to want: fail"),
        ({"want": "fail", "cause": "(refused"}, "is no regular expression"),
        ({"want": "fail", "cause": ".*"}, "is found in everything"),
        ({"want": "inconclusive", "cause": "x"}, "'pass' or 'fail'"),
    ],
)
def test_what_makes_no_sense_is_refused(params: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Params.model_validate(params)
