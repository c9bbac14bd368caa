from __future__ import annotations

from pathlib import Path

import pytest
import stories
from recordings import PHONES, Recording
from stories import BEGAN_S, HEALING_S

from testbed.checks import judge_expectation
from testbed.checks.budget import return_budget_s
from testbed.checks.out_of_service import OutOfServiceParams
from testbed.profile import PROFILES
from testbed.verdict import Status, Verdict

SECOND_S = 6.0
"""When ccm-bk goes as well."""


def out_of_service(recording: Recording, path: Path, **params: object) -> Verdict:
    model = OutOfServiceParams.model_validate(params)
    return judge_expectation(recording.write(path), "out-of-service", model)


def both_gone(*, second: bool = True) -> Recording:
    """ccm-1 dies, phones go to ccm-bk, that dies too; both come back, ccm-1 first."""
    recording = stories.booted()
    recording.fault("kill", "ccm-1", BEGAN_S, HEALING_S, hosts=("ccm-1",))
    if second:
        recording.fault("kill", "ccm-bk", SECOND_S, HEALING_S + 1.0, hosts=("ccm-bk",))
    for index, phone in enumerate(PHONES):
        lost(recording, BEGAN_S + 0.02, phone, "ccm-1")
        stories.registered(recording, BEGAN_S + 0.2, phone, "ccm-bk", 1)
        lost(recording, SECOND_S + 0.02, phone, "ccm-bk")
        stories.registered(recording, HEALING_S + 1.0 + index, phone, "ccm-1", 0)
    return recording


def lost(recording: Recording, at_s: float, phone: str, at: str) -> None:
    recording.event(at_s, "phones-1", "CallControlLost", phone=phone, at=at, cause="closed", state="active")


def test_phones_that_are_registered_nowhere_and_come_back_pass(tmp_path: Path) -> None:
    verdict = out_of_service(both_gone(), tmp_path)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures["phones"] == 2
    assert verdict.figures["back_max_s"] == pytest.approx(1.95, abs=1e-4)
    assert len(verdict.evidence) == 2


def test_one_fault_of_all_call_controls_is_an_outage_too(tmp_path: Path) -> None:
    recording = both_gone(second=False)
    for name in ("FaultIntended", "FaultConfirmed", "FaultHealed"):
        recording.change(
            name, kind="cut", target="call-control", hosts=["ccm-1", "ccm-bk"], fault={"at": "call-control"}
        )
    recording.drop("Registered", at="ccm-bk")
    assert out_of_service(recording, tmp_path).status is Status.PASS


def test_a_phone_that_stays_registered_fails_and_is_named(tmp_path: Path) -> None:
    recording = both_gone()
    recording.drop("CallControlLost", phone=PHONES[1], at="ccm-bk")
    verdict = out_of_service(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert f"{PHONES[1]} stayed registered at ccm-bk" in verdict.summary


def test_a_phone_that_registers_while_everything_is_gone_fails(tmp_path: Path) -> None:
    recording = both_gone()
    stories.registered(recording, 7.0, PHONES[0], "ccm-bk", 1)
    lost(recording, 7.5, PHONES[0], "ccm-bk")
    verdict = out_of_service(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert f"{PHONES[0]} registered at ccm-bk while no call control could be reached" in verdict.summary


def test_a_phone_that_does_not_come_back_fails(tmp_path: Path) -> None:
    recording = both_gone()
    recording.drop("Registered", phone=PHONES[1], at="ccm-1")
    verdict = out_of_service(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert f"{PHONES[1]} did not come back" in verdict.summary


def test_a_phone_that_comes_back_late_fails(tmp_path: Path) -> None:
    verdict = out_of_service(both_gone(), tmp_path, back="1500ms")
    assert verdict.status is Status.FAIL
    assert f"{PHONES[1]} came back after 1.950 s (1.50 s allowed)" in verdict.summary


def test_faults_too_short_to_be_noticed_show_nothing(tmp_path: Path) -> None:
    recording = both_gone()
    recording.drop("CallControlLost", at="ccm-bk")
    recording.change("FaultHealed", where={"target": "ccm-1"}, began_s=stories.T0 + SECOND_S + 0.5)
    assert out_of_service(recording, tmp_path).status is Status.INCONCLUSIVE


def test_where_one_call_control_was_left_nothing_is_shown(tmp_path: Path) -> None:
    verdict = out_of_service(both_gone(second=False), tmp_path / "1")
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.summary == "at no time was every call control gone"
    recording = both_gone()
    recording.change("FaultHealed", where={"target": "ccm-1"}, began_s=stories.T0 + SECOND_S - 0.5)
    assert out_of_service(recording, tmp_path / "2").status is Status.INCONCLUSIVE


def test_a_fault_that_does_not_take_a_call_control_away_is_no_outage(tmp_path: Path) -> None:
    recording = both_gone()
    recording.change("FaultConfirmed", where={"target": "ccm-bk"}, kind="bleach")
    assert out_of_service(recording, tmp_path).status is Status.INCONCLUSIVE


def test_a_bed_without_phones_shows_nothing(tmp_path: Path) -> None:
    assert out_of_service(stories.booted(phones=0), tmp_path).status is Status.INCONCLUSIVE


def test_the_way_back_may_take_as_long_as_a_phone_pauses_and_tries_others() -> None:
    assert return_budget_s(PROFILES["quick"], 2) == pytest.approx(2 + 1 + 0.5 + 2 + 1)
    assert return_budget_s(PROFILES["srnd"], 2) == pytest.approx(40 + 20 + 10 + 2 + 5)
