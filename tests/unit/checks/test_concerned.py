"""Faults that concern some phones only: exactly those re-home, the others stay."""

from __future__ import annotations

from pathlib import Path

import pytest
import stories
from recordings import PHONES, Recording, sccp
from stories import BEGAN_S, HEALING_S, KEEPALIVE_ACK

from testbed.checks import judge_expectation
from testbed.checks.concerned import concerned
from testbed.checks.facts import fault_windows
from testbed.checks.rehome import RehomedParams
from testbed.verdict import Status, Verdict

FAILOVER = {"from": "ccm-1", "to": "ccm-bk"}
FALLBACK = {"from": "ccm-bk", "to": "ccm-1", "direction": "fallback"}
FIRST_ONLY = f"{PHONES[0]}<->ccm-1"


def rehomed(recording: Recording, path: Path, **params: object) -> Verdict:
    return judge_expectation(recording.write(path), "rehomed", RehomedParams.model_validate(params))


def one_of_two(target: str = FIRST_ONLY, *, other_stays: bool = True) -> Recording:
    """A cut between the first phone and ccm-1: that one re-homes and comes back, the other never notices."""
    recording = stories.booted()
    recording.fault("cut", target, BEGAN_S, HEALING_S, hosts=("ccm-1",))
    stories.failed_over(recording, 0, "cut")
    if other_stays:
        stories.session(recording, 1, "ccm-1", 50_001, 0.9, stories.END_S - 1)
    return recording


def test_a_rehome_of_exactly_the_phones_concerned_passes(tmp_path: Path) -> None:
    verdict = rehomed(one_of_two(), tmp_path / "1", **FAILOVER)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.summary.startswith("1 of 1 phones at ccm-bk")
    assert verdict.summary.endswith("the other 1 stayed where they were")
    assert verdict.figures["rehomed"] == 1
    fallback = rehomed(one_of_two(), tmp_path / "2", **FALLBACK)
    assert fallback.status is Status.PASS, fallback.summary
    assert fallback.figures["rehomed"] == 1


def test_a_share_of_the_phones_is_concerned(tmp_path: Path) -> None:
    assert rehomed(one_of_two("1/2 of phones<->ccm-1"), tmp_path, **FAILOVER).status is Status.PASS


@pytest.mark.catches("phones-rehome")
def test_a_phone_that_is_concerned_and_stays_fails(tmp_path: Path) -> None:
    verdict = rehomed(one_of_two("phones<->ccm-1"), tmp_path, **FAILOVER)
    assert verdict.status is Status.FAIL
    assert verdict.summary.startswith(f"1 of 2 phones did not re-home: {PHONES[1]}")


def moves_too(recording: Recording) -> None:
    stories.failed_over(recording, 1, "cut")


def loses_its_session(recording: Recording) -> None:
    lost = {"phone": PHONES[1], "at": "ccm-1", "cause": "timeout", "state": "active"}
    recording.event(BEGAN_S + 2, "phones-1", "CallControlLost", **lost)


def was_nowhere(recording: Recording) -> None:
    recording.drop("Registered", phone=PHONES[1])


@pytest.mark.parametrize("spoil", [moves_too, loses_its_session, was_nowhere])
def test_a_phone_that_is_not_concerned_and_does_not_stay_fails(spoil, tmp_path: Path) -> None:
    recording = one_of_two()
    spoil(recording)
    verdict = rehomed(recording, tmp_path, **FAILOVER)
    assert verdict.status is Status.FAIL
    assert "1 of 1 phones that lost nothing did not stay" in verdict.summary
    assert PHONES[1] in verdict.evidence[0].text


def test_losing_a_standby_connection_is_staying(tmp_path: Path) -> None:
    recording = one_of_two()
    lost = {"phone": PHONES[1], "at": "ccm-bk", "cause": "closed", "state": "standby"}
    recording.event(BEGAN_S + 2, "phones-1", "CallControlLost", **lost)
    assert rehomed(recording, tmp_path, **FAILOVER).status is Status.PASS


def test_a_phone_that_another_fault_concerns_meanwhile_may_leave(tmp_path: Path) -> None:
    recording = one_of_two(other_stays=False)
    moves_too(recording)
    recording.fault("cut", f"{PHONES[1]}<->ccm-1", BEGAN_S, HEALING_S, hosts=("ccm-1",))
    verdict = rehomed(recording, tmp_path, **FAILOVER)
    assert verdict.status is Status.PASS, verdict.summary


def test_answers_to_phones_that_are_not_concerned_contradict_nothing(tmp_path: Path) -> None:
    """The other phone's keepalives are answered all along; an answer to the one that is cut off would be a contradiction."""
    recording = one_of_two()
    late = stories.signalling(recording, 0, "ccm-1", 59_999)
    late.open(3.0)
    late.send(BEGAN_S + 1.0, sccp(KEEPALIVE_ACK), up=False)
    verdict = rehomed(recording, tmp_path, **FAILOVER)
    assert verdict.status is Status.INCONCLUSIVE
    assert "contradict" in verdict.summary


@pytest.mark.parametrize("target", ["slb<->ccm-1", "tcp/80 at ccm-1"])
def test_a_fault_that_keeps_no_phone_from_call_control_demands_no_rehome(target: str, tmp_path: Path) -> None:
    verdict = rehomed(one_of_two(target), tmp_path, **FAILOVER)
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.summary == "no fault that takes ccm-1 from phones was confirmed"


def test_a_fault_at_the_phones_host_is_one_of_their_call_control(tmp_path: Path) -> None:
    recording = stories.booted()
    recording.fault("cut", "ccm-1<->phones", BEGAN_S, HEALING_S, hosts=("phones-1", "phones-2"))
    for index in range(2):
        stories.failed_over(recording, index, "cut")
    assert rehomed(recording, tmp_path / "1", **FAILOVER).status is Status.PASS
    assert rehomed(recording, tmp_path / "2").status is Status.PASS


@pytest.mark.parametrize("parameters", [{"at": 5}, {"at": "nobody<->ccm-1"}, {}, "cut"])
def test_a_run_without_a_target_on_record_is_about_all_phones_of_the_host(parameters, tmp_path: Path) -> None:
    recording = stories.rehome("cut")
    for name in ("FaultConfirmed", "FaultIntended"):
        recording.change(name, fault=parameters, hosts=["ccm-1"])
    run = recording.write(tmp_path)
    [window] = fault_windows(run)
    assert concerned(run, window, "ccm-1") == PHONES
    assert concerned(run, window, "ccm-bk") == ()
    assert judge_expectation(run, "rehomed", RehomedParams.model_validate(FAILOVER)).status is Status.PASS


@pytest.mark.parametrize(
    ("kind", "noticed", "status"),
    [
        ("kill", ["closed", "reset"], Status.PASS),
        ("kill", "timeout", Status.FAIL),
        ("cut", "keepalive", Status.PASS),
        ("cut", ["reset", "timeout"], Status.FAIL),
    ],
)
def test_by_what_phones_notice_is_held_against_what_they_report(
    kind: str, noticed: object, status: Status, tmp_path: Path
) -> None:
    """In these stories a phone says reset of a kill and keepalive of a cut."""
    verdict = rehomed(stories.rehome(kind), tmp_path, **FAILOVER, noticed=noticed)
    assert verdict.status is status
    assert "did not notice by" in verdict.summary or status is Status.PASS


@pytest.mark.parametrize(
    ("last_answered_s", "noticed", "status"),
    [
        # The next KeepAlive was due a tenth of a second before the fault, and is not answered.
        (stories.BEGAN_S - 1.1, ["timeout"], Status.PASS),
        (stories.BEGAN_S - 1.1, ["reset"], Status.FAIL),
        # It was due after the fault: TCP has something to give up.
        (stories.BEGAN_S - 0.9, ["timeout"], Status.FAIL),
        (None, ["timeout"], Status.FAIL),
    ],
)
def test_a_phone_whose_keepalive_was_under_way_may_miss_its_answer_where_tcp_gives_up(
    last_answered_s: float | None, noticed: list[str], status: Status, tmp_path: Path
) -> None:
    recording = stories.rehome("cut")
    time_s = None if last_answered_s is None else stories.T0 + last_answered_s
    recording.change("CallControlLost", last_answered_s=time_s)
    verdict = rehomed(recording, tmp_path, **FAILOVER, noticed=noticed)
    assert verdict.status is status, verdict.summary


def test_after_a_restart_phones_may_register_elsewhere_when_the_host_runs_again_already(tmp_path: Path) -> None:
    recording = stories.rehome("kill")
    for name in ("FaultConfirmed", "FaultHealed", "FaultIntended"):
        recording.change(name, kind="restart")
    recording.change("FaultHealed", began_s=stories.T0 + BEGAN_S + 0.1, effect_s=stories.T0 + BEGAN_S + 0.1)
    assert rehomed(recording, tmp_path / "1", **FAILOVER).status is Status.PASS
    recording.change("Registered", where={"phone": PHONES[1], "at": "ccm-bk"}, shift_s=1.2)
    assert rehomed(recording, tmp_path / "2", **FAILOVER).status is Status.FAIL
