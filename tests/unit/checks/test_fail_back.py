from __future__ import annotations

from pathlib import Path

import pytest
import stories
from recordings import PHONES, Recording, Wire
from stories import HEALING_S, PAGE

from testbed.checks import judge_expectation
from testbed.checks.fail_back import RestoredParams
from testbed.errors import UsageError
from testbed.verdict import Status, Verdict


def restored(recording: Recording, path: Path, **params: object) -> Verdict:
    model = RestoredParams.model_validate({"from": "web-2", "to": "web-1", **params})
    return judge_expectation(recording.write(path), "restored", model)


def without_packets(recording: Recording) -> Recording:
    """Only the phones' word, so that a test can change it."""
    recording.drop("CaptureStarted", capture="slb")
    del recording.wires["slb"]
    return recording


def test_a_server_that_answers_again_passes_with_the_time_it_took(tmp_path: Path) -> None:
    verdict = restored(stories.standby(), tmp_path)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures["restored_s"] == pytest.approx(0.07, abs=1e-4)
    assert verdict.figures["failed"] == 0
    assert [item.text for item in verdict.evidence if item.capture] == ["slb asks web-1", "web-1 answers"]


@pytest.mark.catches("standby-answers")
def test_a_server_that_is_never_asked_again_fails(tmp_path: Path) -> None:
    recording = without_packets(stories.standby())
    recording.drop("UrlAnswered", served_by="web-1")
    for phone in PHONES:
        stories.answered(recording, 3.0, phone, "page", PAGE, "web-1")
        stories.answered(recording, HEALING_S + 3.2, phone, "page", PAGE, "web-2")
    verdict = restored(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert "none answered by web-1" in verdict.summary


def test_a_server_that_is_asked_late_fails(tmp_path: Path) -> None:
    verdict = restored(stories.standby(), tmp_path, within="50ms")
    assert verdict.status is Status.FAIL
    assert "web-1 answered only after 0.070 s (0.05 s allowed)" in verdict.summary


def test_a_standby_that_goes_on_answering_fails(tmp_path: Path) -> None:
    recording = stories.standby()
    stories.answered(recording, 12.0, PHONES[0], "page", PAGE, "web-2")
    verdict = restored(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert "1 answered by another host afterwards" in verdict.summary


def test_the_standby_may_answer_until_the_server_counts_as_up(tmp_path: Path) -> None:
    recording = stories.standby()
    stories.answered(recording, HEALING_S + 0.065, PHONES[0], "page", PAGE, "web-2", elapsed_s=0.004)
    assert restored(recording, tmp_path).status is Status.PASS


def test_a_request_that_fails_by_the_return_fails(tmp_path: Path) -> None:
    recording = stories.standby()
    stories.failed(recording, 10.0, PHONES[0], "page", PAGE, "HTTP 502")
    verdict = restored(recording, tmp_path / "1")
    assert verdict.status is Status.FAIL
    assert "1 failed (0 allowed)" in verdict.summary
    assert restored(recording, tmp_path / "2", failed=1).status is Status.PASS


def test_what_the_captures_do_not_bear_out_is_inconclusive(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.wires["slb"] = Wire()
    verdict = restored(recording, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert "shows no request that web-1 answered since" in verdict.summary


@pytest.mark.parametrize(
    ("event", "particulars", "reason"),
    [
        ("FaultConfirmed", {}, "no fault that takes web-1 from an SLB was confirmed"),
        ("FaultHealed", {}, "was never healed"),
        ("UrlAnswered", {"served_by": "web-1"}, "no request was answered by web-1 before the fault"),
        ("UrlAnswered", {"served_by": "web-2"}, "there is nothing to come back from"),
    ],
)
def test_where_nothing_came_back_nothing_is_shown(
    event: str, particulars: dict[str, str], reason: str, tmp_path: Path
) -> None:
    recording = stories.standby()
    recording.drop(event, **particulars)
    verdict = restored(recording, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert reason in verdict.summary


def test_requests_that_end_before_the_server_had_to_answer_show_nothing(tmp_path: Path) -> None:
    recording = without_packets(stories.standby())
    gone = [e for e in recording.events if e.name == "UrlAnswered" and e.time_s > stories.T0 + HEALING_S]
    recording.events = [event for event in recording.events if event not in gone]
    assert "no request was made after" in restored(recording, tmp_path / "1").summary
    stories.answered(recording, HEALING_S + 1.0, PHONES[0], "page", PAGE, "web-2")
    verdict = restored(recording, tmp_path / "2")
    assert verdict.status is Status.INCONCLUSIVE
    assert "the last request came before web-1 had to answer again" in verdict.summary


def test_a_host_the_bed_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="web-9"):
        restored(stories.standby(), tmp_path, to="web-9")
