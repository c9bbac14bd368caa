from __future__ import annotations

from pathlib import Path

import pytest
import stories
from recordings import PHONES, Recording

from testbed.checks import judge_expectation
from testbed.checks.recovered import RecoveredParams
from testbed.checks.registration import RegisteredParams, SteadyParams
from testbed.errors import UsageError
from testbed.verdict import Status, Verdict


def registered(recording: Recording, path: Path, **params: object) -> Verdict:
    return judge_expectation(recording.write(path), "registered", RegisteredParams.model_validate(params))


def test_all_phones_at_the_primary_before_the_steps_pass(tmp_path: Path) -> None:
    verdict = registered(stories.booted(), tmp_path, at="ccm-1")
    assert verdict.status is Status.PASS
    assert verdict.figures == {"phones": 2, "registered": 2}
    assert verdict.evidence[0].event is not None


def test_one_phone_at_another_call_control_fails_and_is_named(tmp_path: Path) -> None:
    recording = stories.booted()
    recording.change("Registered", where={"phone": PHONES[1]}, at="ccm-bk")
    verdict = registered(recording, tmp_path, at="ccm-1")
    assert verdict.status is Status.FAIL
    assert PHONES[1] in verdict.summary
    assert "ccm-bk" in verdict.evidence[0].text


def test_a_lost_registration_does_not_count(tmp_path: Path) -> None:
    recording = stories.booted()
    recording.event(1.5, "phones-1", "CallControlLost", phone=PHONES[0], at="ccm-1", cause="closed", state="active")
    assert registered(recording, tmp_path, at="ccm-1").status is Status.FAIL


def test_losing_the_standby_connection_keeps_the_registration(tmp_path: Path) -> None:
    recording = stories.booted()
    recording.event(1.5, "phones-1", "CallControlLost", phone=PHONES[0], at="ccm-1", cause="closed", state="standby")
    assert registered(recording, tmp_path, at="ccm-1").status is Status.PASS


def test_after_the_steps_is_judged_after_the_steps(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.drop("Registered", phone=PHONES[0], at="ccm-1", duration_s=0.09)
    assert registered(recording, tmp_path / "1", at="ccm-1").status is Status.PASS
    assert registered(recording, tmp_path / "2", at="ccm-1", when="after").status is Status.FAIL


def test_only_the_named_phones_are_asked_about(tmp_path: Path) -> None:
    recording = stories.booted()
    recording.change("Registered", where={"phone": PHONES[1]}, at="ccm-bk")
    assert registered(recording, tmp_path, at="ccm-bk", phones=[PHONES[1]]).status is Status.PASS


def test_nothing_is_shown_where_no_phone_registered_anywhere(tmp_path: Path) -> None:
    recording = stories.booted()
    recording.drop("Registered")
    assert registered(recording, tmp_path, at="ccm-1").status is Status.INCONCLUSIVE


def test_nothing_is_shown_by_a_bed_without_phones(tmp_path: Path) -> None:
    assert registered(stories.booted(phones=0), tmp_path, at="ccm-1").status is Status.INCONCLUSIVE


def test_nothing_is_shown_without_a_steady_state(tmp_path: Path) -> None:
    recording = stories.booted()
    recording.drop("SteadyStateReached")
    assert registered(recording, tmp_path, at="ccm-1", when="after").status is Status.INCONCLUSIVE


def test_an_unknown_host_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        registered(stories.booted(), tmp_path, at="ccm-9")
    assert "ccm-1" in caught.value.hint


def steady(recording: Recording, path: Path) -> Verdict:
    return judge_expectation(recording.write(path), "steady", SteadyParams())


def test_steady_before_and_after_passes(tmp_path: Path) -> None:
    assert steady(stories.booted(), tmp_path).status is Status.PASS


def test_not_steady_before_makes_the_run_inconclusive(tmp_path: Path) -> None:
    recording = stories.booted()
    recording.drop("SteadyStateReached", when="before")
    recording.event(1.8, "testbed", "SteadyStateMissed", when="before", detail="1 of 2 registered")
    verdict = steady(recording, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.evidence[0].text == "1 of 2 registered"


def test_not_steady_after_fails(tmp_path: Path) -> None:
    recording = stories.booted()
    recording.drop("SteadyStateReached", when="after")
    assert steady(recording, tmp_path).status is Status.FAIL


def test_a_run_cut_short_has_not_failed(tmp_path: Path) -> None:
    recording = stories.booted()
    recording.drop("SteadyStateReached", when="after")
    recording.drop("StepsEnded")
    assert steady(recording, tmp_path).status is Status.INCONCLUSIVE


def recovered(recording: Recording, path: Path) -> Verdict:
    return judge_expectation(recording.write(path), "recovered", RecoveredParams())


def test_everyone_back_and_every_server_up_is_recovered(tmp_path: Path) -> None:
    verdict = recovered(stories.standby(), tmp_path)
    assert verdict.status is Status.PASS
    assert "4 servers are up" in verdict.summary


def test_a_phone_that_stays_at_the_backup_is_not_recovered(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.drop("Unregistered", phone=PHONES[0])
    recording.drop("Registered", phone=PHONES[0], at="ccm-1", duration_s=0.09)
    verdict = recovered(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert PHONES[0] in verdict.summary


def test_a_server_that_stays_down_is_not_recovered(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.change("SlbState", where={"server": "web-1", "when": "after"}, status="DOWN")
    verdict = recovered(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert verdict.evidence[0].text == "phone-services/web-1 is DOWN"


def test_a_server_that_the_slb_no_longer_knows_is_not_recovered(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.drop("SlbState", server="web-1", when="after")
    verdict = recovered(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert "1 of 4 servers are not up" in verdict.summary
    assert verdict.evidence[0].text == "phone-services/web-1 is no more"


def test_an_slb_that_says_nothing_afterwards_has_no_server_up_unless_the_run_was_cut_short(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.drop("SlbState", when="after")
    recording.drop("RunEnded")
    assert recovered(recording, tmp_path / "1").status is Status.INCONCLUSIVE
    recording.event(13.6, "testbed", "RunEnded")
    assert recovered(recording, tmp_path / "2").status is Status.FAIL


def test_recovery_from_no_fault_is_not_shown(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.drop("FaultConfirmed")
    assert recovered(recording, tmp_path).status is Status.INCONCLUSIVE


def test_recovery_from_a_fault_that_was_not_healed_is_not_shown(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.drop("FaultHealed")
    assert recovered(recording, tmp_path).status is Status.INCONCLUSIVE


def test_a_phone_that_is_away_when_the_steady_state_is_missed_fails(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.drop("Registered", phone=PHONES[0], at="ccm-1", duration_s=0.09)
    recording.drop("SteadyStateReached", when="after")
    recording.event(13.2, "testbed", "SteadyStateMissed", when="after", detail="1 of 2 at ccm-1")
    assert registered(recording, tmp_path / "1", at="ccm-1", when="after").status is Status.FAIL
    assert recovered(recording, tmp_path / "2").status is Status.FAIL
