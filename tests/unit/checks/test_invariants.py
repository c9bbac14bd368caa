"""Each invariant holds in a run where all is well, and each is broken by its own mutant; what a fault does by its nature breaks none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import stories
from invariant_stories import BACK_S, LOST_S, asked, requests, restless
from pydantic import ValidationError
from recordings import AF31_TOS, PHONES, T0, Recording
from stories import BEGAN_S, HEALING_S

from testbed.checks import judge_expectation
from testbed.checks.invariants import InvariantsParams
from testbed.verdict import Status, Verdict


def judged(recording: Recording, path: Path, **params: object) -> Verdict:
    return judge_expectation(recording.write(path), "invariants", InvariantsParams.model_validate(params))


def test_all_four_hold_where_phones_rehome_and_every_request_is_answered(tmp_path: Path) -> None:
    verdict = judged(restless(), tmp_path)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures["phones"] == 2
    assert verdict.figures["steady_states"] == 2
    assert verdict.figures["gaps"] == 4  # two phones, there and back
    assert 0.1 < verdict.figures["out_longest_s"] < 0.3
    assert verdict.figures["requests"] == 38
    assert verdict.figures["packets"] > 100
    for name in ("registered_wrongly", "out_too_long", "requests_lost", "requests_excused", "marks_wrong"):
        assert verdict.figures[name] == 0, name


def fails(verdict: Verdict, invariant: str, figure: str) -> None:
    assert verdict.status is Status.FAIL, verdict.summary
    assert verdict.summary.startswith(f"{invariant}: ")
    assert verdict.figures[figure] >= 1
    assert verdict.evidence


# -- registered once


def test_a_phone_registered_at_two_fails(tmp_path: Path) -> None:
    recording = restless()
    assert recording.drop("PhoneUnregistered", phone=PHONES[1]) == 1
    verdict = judged(recording, tmp_path)
    fails(verdict, "registered once", "registered_wrongly")
    assert f"{PHONES[1]} is registered at ccm-1, and still at ccm-bk" in verdict.summary


def test_a_phone_that_its_call_control_does_not_know_fails(tmp_path: Path) -> None:
    recording = restless()
    recording.event(13.1, "ccm-1", "PhoneUnregistered", phone=PHONES[0], cause="keepalive")
    verdict = judged(recording, tmp_path)
    fails(verdict, "registered once", "registered_wrongly")
    assert "ccm-1 does not know it" in verdict.summary


def test_a_phone_registered_nowhere_in_steady_state_fails(tmp_path: Path) -> None:
    recording = restless()
    recording.event(13.1, "phones-1", "Unregistered", phone=PHONES[0], at="ccm-1", reason="stop")
    fails(judged(recording, tmp_path), "registered once", "registered_wrongly")


def test_a_call_control_that_was_kept_from_a_phone_may_hold_it_until_its_silence_is_noticed(tmp_path: Path) -> None:
    for healed_s, status in ((12.5, Status.PASS), (7.5, Status.FAIL)):
        recording = restless()
        recording.drop("PhoneUnregistered", phone=PHONES[1])
        recording.fault("cut", "ccm-bk", BACK_S - 5.0, healed_s, hosts=("ccm-bk",))
        verdict = judged(recording, tmp_path / str(healed_s))
        assert verdict.status is status, verdict.summary


def test_a_call_control_that_ends_forgets_its_phones(tmp_path: Path) -> None:
    recording = restless()
    recording.drop("PhoneUnregistered")
    recording.event(12.0, "ccm-bk", "RoleStarted", role="call-control")
    assert judged(recording, tmp_path).status is Status.PASS


# -- in service


def later(recording: Recording, by_s: float) -> Recording:
    """The first phone is at ccm-bk so much later."""
    assert recording.change("Registered", where={"phone": PHONES[0], "at": "ccm-bk"}, shift_s=by_s) == 1
    recording.change("PhoneRegistered", where={"phone": PHONES[0]}, shift_s=0.0)
    recording.events.sort(key=lambda event: event.time_s)
    return recording


def test_a_phone_out_longer_than_its_class_of_failure_allows_fails(tmp_path: Path) -> None:
    assert judged(later(restless(), 0.6), tmp_path / "1").status is Status.PASS
    verdict = judged(later(restless(), 1.2), tmp_path / "2")
    fails(verdict, "in service", "out_too_long")
    assert f"{PHONES[0]}, which lost ccm-1" in verdict.summary
    assert "1.00 s allowed" in verdict.summary
    assert "ccm-bk could be reached" in verdict.summary


def test_a_silent_call_control_may_be_missed_as_long_as_keepalives_take(tmp_path: Path) -> None:
    assert judged(later(restless("freeze"), 1.0), tmp_path / "1").status is Status.PASS
    fails(judged(later(restless("freeze"), 1.8), tmp_path / "2"), "in service", "out_too_long")


def test_a_phone_that_is_out_of_service_without_any_fault_fails(tmp_path: Path) -> None:
    recording = stories.booted()
    for phone in PHONES:
        recording.event(0.99, "ccm-1", "PhoneRegistered", phone=phone)
    requests(recording)
    recording.event(5.0, "phones-1", "CallControlLost", phone=PHONES[0], at="ccm-1", cause="closed", state="active")
    stories.registered(recording, 8.0, PHONES[0], "ccm-1", 0)
    recording.events.sort(key=lambda event: event.time_s)
    fails(judged(recording, tmp_path), "in service", "out_too_long")


def test_while_no_call_control_can_be_reached_nobody_is_late(tmp_path: Path) -> None:
    for hosts, status in ((("ccm-bk",), Status.PASS), (("web-2",), Status.FAIL)):
        recording = later(restless(), 3.5)
        recording.fault("kill", hosts[0], BEGAN_S + 0.1, BEGAN_S + 3.5, hosts=hosts)
        assert judged(recording, tmp_path / hosts[0]).status is status


def test_an_impairment_on_the_way_is_no_whole_way_and_marks_that_change_are_one(tmp_path: Path) -> None:
    faults: tuple[tuple[str, dict[str, Any], Status], ...] = (
        ("loss", {"by": 30}, Status.PASS),
        ("bleach", {}, Status.FAIL),
    )
    for kind, parameters, status in faults:
        recording = later(restless(), 2.0)
        recording.fault(kind, "ccm-bk", BEGAN_S - 0.5, BEGAN_S + 3.5, hosts=("ccm-bk",), **parameters)
        assert judged(recording, tmp_path / kind).status is status


def test_a_refusal_of_registrations_takes_nobody_who_is_registered(tmp_path: Path) -> None:
    recording = restless()
    recording.fault("register-reject", "ccm-bk", LOST_S + 1.0, HEALING_S - 1.0, hosts=("ccm-bk",))
    verdict = judged(recording, tmp_path)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures["out_longest_s"] < 0.3


def test_a_restart_is_over_when_the_host_runs_again_however_long_the_scenario_holds_it(tmp_path: Path) -> None:
    for kind, low_s, high_s in (("restart", 0.1, 0.3), ("kill", 1.8, 2.0)):
        recording = restless()
        late = {"began_s": T0 + 12.5, "effect_s": T0 + 12.55}
        for name in ("FaultIntended", "FaultConfirmed", "FaultHealed"):
            assert recording.change(name, kind=kind, **(late if name == "FaultHealed" else {})) == 1
        assert low_s < judged(recording, tmp_path / kind).figures["out_longest_s"] < high_s


# -- no request lost


def test_a_request_lost_while_the_standby_was_well_fails(tmp_path: Path) -> None:
    recording = restless()
    asked(recording, 6.33, 0, status=503)
    verdict = judged(recording, tmp_path)
    fails(verdict, "no request lost", "requests_lost")
    assert "phones-1 asks slb:80 GET /text: HTTP 503, and web-1 and web-2 could have answered" in verdict.summary


@pytest.mark.parametrize(
    ("faults", "status"),
    [
        ((("kill", "web-1", {}),), Status.FAIL),
        ((("kill", "web-1", {}), ("kill", "web-2", {})), Status.PASS),
        ((("kill", "slb", {}),), Status.PASS),
        ((("cut", "phones<->slb", {}),), Status.PASS),
        ((("cut", "1/2 of phones<->slb", {}),), Status.PASS),
        ((("cut", "slb<->web-host", {}),), Status.PASS),
        ((("http-error", "web-1", {"status": 503}),), Status.PASS),
        ((("loss", "web-1", {"by": 30}),), Status.PASS),
        ((("loss", "web-2", {"by": 30}), ("kill", "web-1", {})), Status.PASS),
        ((("bleach", "slb", {}),), Status.FAIL),
        ((("register-reject", "ccm-bk", {}),), Status.FAIL),
        ((("cut", "phones<->ccm-bk", {}),), Status.FAIL),
    ],
)
def test_a_request_is_owed_only_where_a_server_and_the_ways_to_it_are_well(
    faults: tuple[tuple[str, str, dict[str, Any]], ...], status: Status, tmp_path: Path
) -> None:
    recording = restless()
    asked(recording, 6.33, 0, status=503)
    for kind, target, parameters in faults:
        where = target.rpartition("<->")[2]
        hosts = ("web-1", "web-2") if where == "web-host" else (where,)
        recording.fault(kind, target, 5.0, 7.0, hosts=hosts, **parameters)
    verdict = judged(recording, tmp_path)
    assert verdict.status is status, verdict.summary
    assert verdict.figures["requests_excused"] == (status is Status.PASS)


def test_a_server_that_has_just_come_back_is_not_known_to_be_well(tmp_path: Path) -> None:
    for healed_s, status in ((5.5, Status.PASS), (3.0, Status.FAIL)):
        recording = restless()
        recording.fault("kill", "web-2", 2.5, healed_s, hosts=("web-2",))
        recording.fault("kill", "web-1", 6.2, 8.0, hosts=("web-1",))
        asked(recording, 6.33, 0, status=503)
        assert judged(recording, tmp_path / str(healed_s)).status is status


# -- marks


def test_a_wrong_mark_fails_and_is_named(tmp_path: Path) -> None:
    recording = restless()
    bad = stories.signalling(recording, 0, "ccm-bk", 60_000)
    bad.client_tos = 0
    bad.open(12.2)
    verdict = judged(recording, tmp_path)
    fails(verdict, "marks", "marks_wrong")
    assert "phones-1:60000 to ccm-bk:2000 is marked default" in verdict.summary


@pytest.mark.parametrize(
    ("target", "parameters", "until_s", "status"),
    [
        ("ccm-bk", {}, 13.0, Status.PASS),
        ("ccm-bk", {"direction": "in"}, 13.0, Status.PASS),
        ("ccm-bk", {"direction": "out"}, 13.0, Status.FAIL),
        ("phones<->ccm-bk", {}, 13.0, Status.PASS),
        ("tcp/2000 at ccm-bk", {}, 13.0, Status.PASS),
        ("tcp/80 at ccm-bk", {}, 13.0, Status.FAIL),
        ("ccm-1", {}, 13.0, Status.FAIL),
        ("ccm-bk", {}, 11.0, Status.FAIL),
    ],
)
def test_only_packets_that_pass_a_remarking_fault_may_carry_another_mark(
    target: str, parameters: dict[str, str], until_s: float, status: Status, tmp_path: Path
) -> None:
    recording = restless()
    hosts = ("ccm-1",) if target == "ccm-1" else ("ccm-bk",)
    recording.fault("bleach", target, 10.0, until_s, hosts=hosts, **parameters)
    bad = stories.signalling(recording, 0, "ccm-bk", 60_000)
    bad.packet(12.2, up=True, tos=0)
    verdict = judged(recording, tmp_path)
    assert verdict.status is status, verdict.summary
    assert verdict.figures["packets_remarked"] == (status is Status.PASS)


def test_a_corrupting_link_may_flip_a_bit_of_a_mark_and_a_slow_one_may_not(tmp_path: Path) -> None:
    for kind, by, status in (("corrupt", 5, Status.PASS), ("delay", "20ms", Status.FAIL)):
        recording = restless()
        recording.fault(kind, "ccm-bk", 12.0, 13.0, hosts=("ccm-bk",), by=by)
        bad = stories.signalling(recording, 0, "ccm-bk", 60_000)
        bad.packet(12.2, up=False, tos=AF31_TOS ^ 8)
        assert judged(recording, tmp_path / kind).status is status


def test_another_policy_judges_by_its_own_marks(tmp_path: Path) -> None:
    fails(judged(restless(), tmp_path / "cs3", policy="cs3"), "marks", "marks_wrong")
    mine = {"policy": "mine", "classes": {"sccp": ["AF31"], "http": ["default"]}}
    assert judged(restless(), tmp_path / "mine", policy=mine).status is Status.PASS
    with pytest.raises(ValidationError, match="unknown word 'cs4'"):
        InvariantsParams.model_validate({"policy": "cs4"})


# -- unknown is no pass


@pytest.mark.parametrize("name", ["SteadyStateReached", "Registered", "PhoneRegistered"])
def test_without_the_words_of_those_who_know_nothing_is_shown(name: str, tmp_path: Path) -> None:
    recording = restless()
    assert recording.drop(name)
    assert judged(recording, tmp_path).status is Status.INCONCLUSIVE


def test_without_packets_nothing_is_shown(tmp_path: Path) -> None:
    recording = restless()
    recording.wires.clear()
    recording.drop("CaptureStarted")
    verdict = judged(recording, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert "no request lost: nothing was captured at slb" in verdict.summary
    assert "marks: no packet" in verdict.summary


def test_without_requests_nothing_is_shown(tmp_path: Path) -> None:
    recording = stories.rehome()
    for phone in PHONES:
        recording.event(0.9, "ccm-1", "PhoneRegistered", phone=phone)
    verdict = judged(recording, tmp_path)
    assert "no request lost: no request through the SLB was captured" in verdict.summary


def test_a_fault_that_was_never_healed_shows_nothing(tmp_path: Path) -> None:
    recording = restless()
    recording.drop("FaultHealed")
    assert judged(recording, tmp_path).status is not Status.PASS


def test_a_fault_of_a_kind_that_nobody_knows_here_may_hinder_everything(tmp_path: Path) -> None:
    recording = later(restless(), 2.5)
    recording.fault("gremlin", "ccm-bk", BEGAN_S - 0.5, BEGAN_S + 3.5, hosts=("ccm-bk",))
    assert judged(recording, tmp_path).status is Status.PASS
