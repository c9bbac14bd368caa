"""Call preservation; each test but the first spoils one thing."""

from __future__ import annotations

from pathlib import Path

import pytest
from call_stories import LOST_S, TALK_ENDED_S, Talk, call
from recordings import PHONES, Recording

from testbed.checks import judge_expectation
from testbed.checks.preserved import PreservedParams
from testbed.verdict import Status, Verdict


def judged(recording: Recording, path: Path, **params: object) -> Verdict:
    return judge_expectation(recording.write(path / "run"), "preserved", PreservedParams.model_validate(params))


def test_calls_that_outlive_their_call_control_pass_with_their_largest_gap(tmp_path: Path):
    verdict = judged(call(lost=True), tmp_path)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures["preserved"] == 2
    assert verdict.figures["largest_gap_s"] == pytest.approx(0.02, abs=1e-5)
    assert verdict.figures["back_after_s"] == pytest.approx(0.2, abs=1e-3)


def test_a_phone_that_fails_over_in_the_middle_of_its_call_fails(tmp_path: Path):
    recording = call(lost=True)
    recording.events.insert(-4, recording.events[-1])
    recording.events[-5] = type(recording.events[-1])(
        time_s=recording.events[-1].time_s - 2, host="phones-2", name="Registered", data=recording.events[-1].data
    )
    verdict = judged(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert "Registered at ccm-bk in the middle of its call" in verdict.summary


def test_a_phone_that_gives_its_call_up_fails(tmp_path: Path):
    recording = call(lost=True)
    assert recording.drop("CallPreserved", phone=PHONES[0]) == 1
    recording.change("CallEnded", where={"phone": PHONES[0]}, shift_s=LOST_S - TALK_ENDED_S)
    verdict = judged(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert "gave its call up" in verdict.summary


def test_media_that_stop_with_the_call_control_fail(tmp_path: Path):
    verdict = judged(call(Talk(ended_s=LOST_S), Talk(), lost=True), tmp_path)
    assert verdict.status is Status.FAIL
    assert "ended 4.02 s before the call" in verdict.summary


def test_a_pause_in_the_media_fails(tmp_path: Path):
    verdict = judged(call(Talk(unsent=[101, 102]), Talk(), lost=True), tmp_path)
    assert verdict.status is Status.FAIL
    assert "a pause of 60.0 ms, more than 40" in verdict.summary
    assert judged(call(Talk(unsent=[101, 102]), Talk(), lost=True), tmp_path / "2", gap="61ms").status is Status.PASS


@pytest.mark.parametrize("late_s", [2.5, None])
def test_a_phone_that_does_not_come_back_in_time_fails(late_s: float | None, tmp_path: Path):
    recording = call(lost=True)
    if late_s is None:
        recording.drop("Registered", at="ccm-bk", phone=PHONES[1])
    else:
        recording.change("Registered", where={"at": "ccm-bk", "phone": PHONES[1]}, shift_s=late_s)
    assert judged(recording, tmp_path).status is Status.FAIL


def test_a_call_that_never_ends_fails(tmp_path: Path):
    recording = call(lost=True)
    recording.drop("CallEnded", phone=PHONES[1])
    assert judged(recording, tmp_path).status is Status.FAIL


def test_without_a_loss_in_a_call_nothing_is_shown(tmp_path: Path):
    assert judged(call(), tmp_path).status is Status.INCONCLUSIVE


def test_without_a_capture_of_what_was_heard_it_does_not_pass(tmp_path: Path):
    recording = call(lost=True)
    recording.wires.clear()
    assert judged(recording, tmp_path).status is not Status.PASS


@pytest.mark.parametrize(
    ("waited_s", "host", "status"),
    [(0.021, "phones-1", Status.INCONCLUSIVE), (0.019, "phones-1", Status.FAIL), (0.5, "phones-2", Status.FAIL)],
)
def test_a_pause_that_the_machine_made_shows_nothing(waited_s: float, host: str, status: Status, tmp_path: Path):
    """60 ms, 40 are allowed: the sender's own process must have waited for the rest, and nobody else's."""
    recording = call(Talk(unsent=[101, 102]), Talk(), lost=True)
    recording.event(3.0 + 103 * 0.02, host, "MediaHeldUp", late_s=0.06, waited_s=waited_s)
    verdict = judged(
        recording,
        tmp_path,
    )
    assert verdict.status is status
    if status is Status.INCONCLUSIVE:
        assert "the machine is too busy" in verdict.summary
