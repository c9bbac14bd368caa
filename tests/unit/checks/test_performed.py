from __future__ import annotations

from pathlib import Path

import pytest
import stories
from recordings import Recording

from testbed.checks import judge_expectation
from testbed.checks.effects import EffectsParams
from testbed.checks.performed import StepsParams
from testbed.checks.recovered import RecoveredParams
from testbed.checks.registration import SteadyParams
from testbed.judge import exit_code, judge
from testbed.verdict import Status, Verdict

TWO_FAULTS = """scenario: by-hand
steps:
- inject: {kill: ccm-1}
- at: 1s
- inject: {kill: web-1}
"""


def steps(recording: Recording, path: Path) -> Verdict:
    return judge_expectation(recording.write(path), "steps", StepsParams())


def test_steps_that_were_all_performed_pass(tmp_path: Path) -> None:
    verdict = steps(stories.rehome(), tmp_path)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures == {"facts_missed": 0, "faults_confirmed": 1}


def test_a_fact_awaited_in_vain_makes_the_whole_run_inconclusive(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.event(8.0, "testbed", "FactMissed", fact="rehomed", timeout_s=20, last_seen="1 of 2 at ccm-bk")
    verdicts = judge(recording.write(tmp_path), [("steady", SteadyParams())])
    verdict = next(verdict for verdict in verdicts if verdict.check == "steps")
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.summary == "rehomed was awaited in vain; last seen: 1 of 2 at ccm-bk"
    assert verdict.evidence[0].event is not None
    assert exit_code(verdicts) == 3


@pytest.mark.parametrize("name", ["StepsStarted", "StepsEnded"])
def test_steps_without_beginning_or_end_are_inconclusive(name: str, tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.drop(name)
    verdict = steps(recording, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert name in verdict.summary


def test_a_fault_that_was_begun_and_never_confirmed_is_inconclusive(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.drop("FaultConfirmed")
    assert "0 of 1 faults were confirmed" in steps(recording, tmp_path).summary


def test_a_fault_of_the_scenario_that_was_never_begun_is_inconclusive(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.scenario = TWO_FAULTS
    verdict = steps(recording, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert "1 of 2 faults were confirmed" in verdict.summary


def test_the_repetitions_of_a_fault_are_all_asked_for(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.scenario = (
        "scenario: by-hand\nsteps:\n- {inject: {kill: ccm-1}, for: 1s, every: 2s, times: 3}\n- {press: idle}\n"
    )
    assert "1 of 3 faults were confirmed" in steps(recording, tmp_path).summary


@pytest.mark.parametrize(("early_s", "said"), [(0.03, "30 ms"), (-0.02, "20 ms")])
def test_how_far_a_fault_was_off_its_time_is_said(early_s: float, said: str, tmp_path: Path) -> None:
    recording = stories.rehome()
    [confirmed] = [event for event in recording.events if event.name == "FaultConfirmed"]
    recording.change("FaultConfirmed", scheduled_s=confirmed["effect_s"] - early_s)
    verdict = steps(recording, tmp_path)
    assert verdict.summary == f"all performed, 1 fault confirmed, at most {said} off their times"
    assert verdict.figures["off_schedule_p95_s"] == pytest.approx(abs(early_s), abs=1e-5)


def test_a_fault_that_failed_is_inconclusive_whatever_was_confirmed(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.event(4.0, "testbed", "FaultFailed", fault_id="1", kind="kill", target="ccm-1", error="no engine")
    verdict = steps(recording, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.summary == "kill ccm-1 failed: no engine"


def test_a_fault_that_left_something_behind_is_not_proved_and_nothing_recovered(tmp_path: Path) -> None:
    recording = stories.rehome()
    asked = [("effects", EffectsParams()), ("recovered", RecoveredParams())]
    whole = {verdict.check: verdict.status for verdict in judge(recording.write(tmp_path / "1"), asked)}
    assert whole["effects"] is Status.PASS
    recording.change("FaultHealed", residue=["ccm-1: table testbed is still there"])
    verdicts = {verdict.check: verdict for verdict in judge(recording.write(tmp_path / "2"), asked)}
    assert verdicts["effects"].status is Status.INCONCLUSIVE
    assert "table testbed is still there" in verdicts["effects"].summary
    assert verdicts["recovered"].status is Status.FAIL
    assert "table testbed is still there" in verdicts["recovered"].summary


AWAITED = """scenario: by-hand
steps:
- inject: {kill: ccm-1}
  until: rehomed
- after: returned
- inject: {kill: ccm-1}
  until: 9s
"""


@pytest.mark.parametrize(("facts", "status"), [(2, Status.PASS), (1, Status.INCONCLUSIVE), (0, Status.INCONCLUSIVE)])
def test_every_awaited_fact_must_be_on_record(facts: int, status: Status, tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.scenario = AWAITED.removesuffix("- inject: {kill: ccm-1}\n  until: 9s\n")
    for fact in ("rehomed", "returned")[:facts]:
        recording.event(8.0, "testbed", "FactSeen", fact=fact)
    verdict = steps(recording, tmp_path / "1")
    assert verdict.status is status, verdict.summary
    recording.scenario = AWAITED
    assert ("awaited facts" in steps(recording, tmp_path / "2").summary) is (facts < 2)


def test_a_run_that_does_not_say_it_ended_was_cut_short(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.drop("RunEnded")
    verdict = steps(recording, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.summary == "the run was cut short: no RunEnded"


def test_lines_of_the_history_that_cannot_be_read_take_every_pass(tmp_path: Path) -> None:
    run = stories.rehome().write(tmp_path)
    file = tmp_path / "history.jsonl"
    file.write_text(file.read_text(encoding="utf-8") + '{"time_s": 5, "host": "phones\n', encoding="utf-8")
    verdicts = judge(run, [("steady", SteadyParams())])
    assert {verdict.status for verdict in verdicts} == {Status.INCONCLUSIVE}
    assert any("1 lines of history.jsonl cannot be read" in verdict.summary for verdict in verdicts)


def test_a_log_that_the_engine_could_not_read_takes_every_pass(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.event(3.0, "ccm-bk", "LogUnreadable", error="Error grabbing logs: unexpected EOF")
    verdicts = judge(recording.write(tmp_path), [("steady", SteadyParams())])
    assert {verdict.status for verdict in verdicts} == {Status.INCONCLUSIVE}
    assert any("could not read what ccm-bk printed: Error grabbing logs" in verdict.summary for verdict in verdicts)
