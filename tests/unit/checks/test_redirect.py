from __future__ import annotations

import struct
from pathlib import Path

import pytest
import stories
from recordings import ADDRESSES, PHONES, Connection, Recording, Wire, sccp
from stories import BEGAN_S, KEEPALIVE, KEEPALIVE_ACK, PAGE, REGISTER, REGISTER_ACK, VIP

from testbed.checks import judge_expectation
from testbed.checks.call_control_kept import CallControlKeptParams
from testbed.checks.redirect import RedirectedParams
from testbed.verdict import Status, Verdict


def redirected(recording: Recording, path: Path, **params: object) -> Verdict:
    model = RedirectedParams.model_validate({"from": "web-1", "to": "web-2", **params})
    return judge_expectation(recording.write(path), "redirected", model)


def test_requests_that_the_standby_answers_pass(tmp_path: Path) -> None:
    verdict = redirected(stories.standby(), tmp_path)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures["failed"] == 0
    assert verdict.figures["redirected"] == 19  # of 20: one came before the engine had confirmed the fault
    assert [item.text for item in verdict.evidence if item.capture] == ["slb asks web-2", "web-2 answers"]


def test_one_failed_request_fails_and_is_named(tmp_path: Path) -> None:
    recording = stories.standby()
    stories.failed(recording, BEGAN_S + 1.5, PHONES[0], "page", PAGE, "HTTP 503")
    verdict = redirected(recording, tmp_path / "1")
    assert verdict.status is Status.FAIL
    assert "HTTP 503" in verdict.evidence[0].text
    assert redirected(recording, tmp_path / "2", failed=1).status is Status.PASS


def test_a_request_in_flight_when_the_fault_came_counts(tmp_path: Path) -> None:
    recording = stories.standby()
    stories.failed(recording, BEGAN_S + 0.5, PHONES[0], "page", PAGE)
    recording.change("UrlFailed", elapsed_s=1.0)
    assert redirected(recording, tmp_path).status is Status.FAIL


def test_a_slow_answer_fails(tmp_path: Path) -> None:
    recording = stories.standby()
    stories.answered(recording, 8.0, PHONES[0], "page", PAGE, "web-2", elapsed_s=3.2)
    verdict = redirected(recording, tmp_path / "1")
    assert verdict.status is Status.FAIL
    assert verdict.figures["slowest_s"] == 3.2
    assert redirected(recording, tmp_path / "2", slowest="3500ms").status is Status.PASS


def test_an_answer_of_a_third_host_fails(tmp_path: Path) -> None:
    recording = stories.standby()
    stories.answered(recording, 6.0, PHONES[0], "page", PAGE, "ccm-1")
    assert redirected(recording, tmp_path).status is Status.FAIL


def test_a_standby_that_answers_before_the_fault_fails(tmp_path: Path) -> None:
    recording = stories.standby()
    stories.answered(recording, 3.0, PHONES[0], "page", PAGE, "web-2")
    assert redirected(recording, tmp_path).status is Status.FAIL


def test_a_request_to_the_standby_before_the_fault_fails_by_packets(tmp_path: Path) -> None:
    recording = stories.standby()
    early = Connection(wires=[recording.wires["slb"]], client=(VIP, 20_000), server=(ADDRESSES["web-2"], 80))
    early.open(3.0)
    early.send(3.01, b"GET /text HTTP/1.1\r\n\r\n", up=True)
    verdict = redirected(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert verdict.evidence[0].capture == "slb.pcap"


@pytest.mark.catches("standby-answers")
def test_an_slb_without_backup_fails(tmp_path: Path) -> None:
    recording = stories.standby()
    for event in [event for event in recording.events if event.get("served_by") == "web-2"]:
        recording.events.remove(event)
        stories.failed(recording, event.time_s - stories.T0, event["phone"], "page", PAGE, "HTTP 503")
    recording.wires["slb"].frames = [item for item in recording.wires["slb"].frames if not BEGAN_S < item[0] < 10]
    verdict = redirected(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert "none answered by web-2" in verdict.summary


def test_a_capture_that_does_not_show_the_redirection_is_inconclusive(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.wires["slb"] = Wire()
    verdict = redirected(recording, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert "no request that web-2 answered" in verdict.summary


def test_without_a_capture_at_the_slb_the_phones_word_is_taken(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.drop("CaptureStarted", capture="slb")
    del recording.wires["slb"]
    assert redirected(recording, tmp_path).status is Status.PASS


def test_without_requests_while_the_fault_lasted_it_is_inconclusive(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.drop("UrlAnswered", served_by="web-2")
    assert redirected(recording, tmp_path).status is Status.INCONCLUSIVE


def test_without_requests_before_the_fault_it_is_inconclusive(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.drop("UrlAnswered", served_by="web-1")
    assert redirected(recording, tmp_path).status is Status.INCONCLUSIVE


def test_without_a_confirmed_fault_it_is_inconclusive(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.drop("FaultConfirmed")
    assert redirected(recording, tmp_path).status is Status.INCONCLUSIVE


def kept(recording: Recording, path: Path) -> Verdict:
    return judge_expectation(recording.write(path), "call-control-kept", CallControlKeptParams())


def test_sessions_that_do_not_notice_pass(tmp_path: Path) -> None:
    verdict = kept(stories.standby(), tmp_path)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures["keepalives_answered"] >= 10


@pytest.mark.parametrize("name", ["CallControlLost", "KeepaliveMissed", "PhoneUnregistered"])
@pytest.mark.catches("call-control-preserved")
def test_an_event_of_a_lost_session_fails(name: str, tmp_path: Path) -> None:
    recording = stories.standby()
    recording.event(6.0, "phones-1", name, phone=PHONES[1], at="ccm-1", cause="closed", state="active", missed=1)
    verdict = kept(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert PHONES[1] in verdict.summary


@pytest.mark.parametrize("at_s", [1.9, 13.5])
def test_an_event_before_the_steps_or_after_the_steady_state_does_not_count(at_s: float, tmp_path: Path) -> None:
    recording = stories.standby()
    recording.event(at_s, "phones-1", "KeepaliveMissed", phone=PHONES[1], at="ccm-1", missed=1)
    stories.signalling(recording, 0, "ccm-1", 60_000).reset(at_s, up=False)
    assert kept(recording, tmp_path).status is Status.PASS


@pytest.mark.parametrize("at_s", [3.0, 9.5, 13.1])
def test_a_session_lost_before_the_fault_or_after_its_healing_fails(at_s: float, tmp_path: Path) -> None:
    by_event = stories.standby()
    by_event.event(at_s, "phones-1", "CallControlLost", phone=PHONES[1], at="ccm-1", cause="closed", state="active")
    assert kept(by_event, tmp_path / "event").status is Status.FAIL
    by_packet = stories.standby()
    stories.signalling(by_packet, 0, "ccm-1", 60_000).reset(at_s, up=False)
    assert kept(by_packet, tmp_path / "packet").status is Status.FAIL


def test_without_a_steady_state_afterwards_the_rest_of_the_run_counts(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.drop("SteadyStateReached", when="after")
    recording.event(13.5, "phones-1", "CallControlLost", phone=PHONES[1], at="ccm-1", cause="closed", state="active")
    assert kept(recording, tmp_path).status is Status.FAIL


def test_sessions_that_end_because_the_bed_is_taken_down_do_not_count(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.drop("SteadyStateReached", when="after")
    recording.event(14.5, "phones-1", "CallControlLost", phone=PHONES[1], at="ccm-1", cause="closed", state="active")
    assert kept(recording, tmp_path).status is Status.PASS


def test_keepalives_answered_only_outside_the_fault_show_nothing(tmp_path: Path) -> None:
    recording = stories.standby()
    assert recording.change("FaultHealed", effect_s=stories.T0 + BEGAN_S + 0.5)  # before the next KeepAlive
    assert kept(recording, tmp_path).status is Status.INCONCLUSIVE


def without_keepalives(recording: Recording, phone: int, since_s: float, until_s: float) -> None:
    """This phone's session again, with no KeepAlive from then until then."""
    wire, port = recording.wires["phones-1"], 50_000 + phone
    wire.frames = [item for item in wire.frames if struct.pack(">H", port) not in item[1]]
    connection = stories.signalling(recording, phone, "ccm-1", port)
    connection.open(0.9)
    connection.send(0.91, sccp(REGISTER, bytes(52)), up=True)
    connection.send(0.92, sccp(REGISTER_ACK, bytes(20)), up=False)
    for number in range(13):
        if not since_s < (at_s := 1.9 + number) < until_s:
            stories.keepalives(connection, at_s, at_s + 0.5)


@pytest.mark.catches("call-control-preserved")
@pytest.mark.parametrize(("since_s", "until_s"), [(5.5, 6.95), (11.5, 20.0), (0.95, 20.0)], ids=["one", "last", "all"])
def test_one_phone_that_sends_no_keepalive_when_it_is_due_fails(since_s: float, until_s: float, tmp_path: Path) -> None:
    recording = stories.standby()
    without_keepalives(recording, 1, since_s, until_s)
    verdict = kept(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert f"{PHONES[1]} sent no KeepAlive for" in verdict.summary
    assert verdict.evidence[0].frame


def test_a_host_that_sent_nothing_for_any_phone_was_held_up_by_the_machine(tmp_path: Path) -> None:
    recording = stories.standby()
    for phone in range(len(PHONES)):
        without_keepalives(recording, phone, 5.5, 6.95)
    verdict = kept(recording, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert "the machine may have held it up" in verdict.summary


def test_phones_that_are_silent_as_long_as_call_control_waits_fail_whatever_held_them_up(tmp_path: Path) -> None:
    recording = stories.standby()
    for phone in range(len(PHONES)):
        without_keepalives(recording, phone, 5.5, 9.5)
    assert kept(recording, tmp_path).status is Status.FAIL


def test_what_was_sent_before_the_registration_does_not_count(tmp_path: Path) -> None:
    """It may have waited for a token, or have been a standby connection with an interval of its own."""
    recording = stories.standby()
    recording.change("Registered", where={"phone": PHONES[1]}, shift_s=0.9)
    without_keepalives(recording, 1, 1.0, 2.5)
    assert kept(recording, tmp_path).status is Status.PASS


def test_call_control_says_how_often_a_phone_sends(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.change("Registered", where={"phone": PHONES[1]}, keepalive_s=2)
    without_keepalives(recording, 1, 5.5, 7.5)
    assert kept(recording, tmp_path).status is Status.PASS


def test_keepalives_that_come_late_at_another_host_are_not_left_out(tmp_path: Path) -> None:
    recording = stories.standby()
    wires = recording.wires
    recording.capture("ccm-1", until_s=stories.END_S)
    wires["ccm-1"], wires["phones-1"] = wires["phones-1"], wires["ccm-1"]
    without_keepalives(recording, 1, 5.5, 7.5)
    wires["ccm-1"], wires["phones-1"] = wires["phones-1"], wires["ccm-1"]
    assert kept(recording, tmp_path).status is Status.PASS


def test_a_keepalive_left_out_after_the_steady_state_does_not_count(tmp_path: Path) -> None:
    recording = stories.standby()
    without_keepalives(recording, 1, 13.4, 20.0)
    assert kept(recording, tmp_path).status is Status.PASS


def test_a_request_that_failed_before_the_fault_makes_the_redirection_inconclusive(tmp_path: Path) -> None:
    recording = stories.standby()
    stories.failed(recording, 3.0, PHONES[0], "page", PAGE, "HTTP 503")
    verdict = redirected(recording, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert "1 requests failed before the fault: the bed was not well" in verdict.summary
    assert "HTTP 503" in verdict.evidence[0].text


def test_a_request_that_failed_before_the_steps_or_elsewhere_does_not_count(tmp_path: Path) -> None:
    recording = stories.standby()
    stories.failed(recording, 1.5, PHONES[0], "page", PAGE)
    stories.failed(recording, 3.0, PHONES[0], "page", "http://elsewhere/")
    assert redirected(recording, tmp_path).status is Status.PASS


def test_a_request_still_open_in_the_steady_state_counts_when_it_fails(tmp_path: Path) -> None:
    recording = stories.standby()
    stories.failed(recording, 13.5, PHONES[0], "page", PAGE, "timeout")
    recording.change("UrlFailed", elapsed_s=2.0)
    assert redirected(recording, tmp_path).status is Status.FAIL


@pytest.mark.catches("call-control-preserved")
def test_a_keepalive_without_an_answer_fails_with_its_frame(tmp_path: Path) -> None:
    recording = stories.standby()
    silent = stories.signalling(recording, 0, "ccm-1", 60_000)
    silent.open(3.0)
    silent.send(6.0, sccp(KEEPALIVE), up=True)
    verdict = kept(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert verdict.evidence[0].frame


def test_a_keepalive_answered_after_the_next_was_due_fails(tmp_path: Path) -> None:
    recording = stories.standby()
    slow = stories.signalling(recording, 0, "ccm-1", 60_000)
    slow.open(3.0)
    slow.send(6.0, sccp(KEEPALIVE), up=True)
    slow.send(7.1, sccp(KEEPALIVE_ACK), up=False)
    verdict = kept(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert "answered late" in verdict.summary


def test_a_request_that_was_made_before_the_fault_was_confirmed_may_still_be_answered(tmp_path: Path) -> None:
    recording = stories.standby()
    stories.answered(recording, BEGAN_S + 0.055, PHONES[0], "page", PAGE, "web-1", elapsed_s=0.002)
    assert redirected(recording, tmp_path).status is Status.PASS


def test_a_reset_on_port_2000_fails(tmp_path: Path) -> None:
    recording = stories.standby()
    stories.signalling(recording, 0, "ccm-1", 60_000).reset(6.0, up=False)
    verdict = kept(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert "FIN or RST" in verdict.summary


def test_without_captured_keepalives_it_is_inconclusive(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.wires["phones-1"] = Wire()
    assert kept(recording, tmp_path).status is Status.INCONCLUSIVE


def test_a_phone_that_was_not_registered_shows_nothing(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.drop("Registered", phone=PHONES[0])
    assert kept(recording, tmp_path).status is Status.INCONCLUSIVE


def test_no_fault_shows_nothing(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.drop("FaultConfirmed")
    assert kept(recording, tmp_path).status is Status.INCONCLUSIVE


def redirected_with_call_control(recording: Recording, path: Path) -> Verdict:
    params = RedirectedParams.model_validate({"from": "web-1", "to": "web-2", "call-control": "kept"})
    return judge_expectation(recording.write(path), "redirected", params)


def test_one_verdict_says_that_requests_moved_and_call_control_did_not(tmp_path: Path) -> None:
    verdict = redirected_with_call_control(stories.standby(), tmp_path)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures["redirected"]
    assert verdict.figures["keepalives_answered"]


def test_one_verdict_fails_when_requests_moved_but_a_session_dropped(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.event(6.0, "phones-1", "CallControlLost", phone=PHONES[1], at="ccm-1", cause="closed", state="active")
    verdict = redirected_with_call_control(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert PHONES[1] in verdict.summary


def test_a_standby_connection_that_drops_is_no_session_lost(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.event(6.0, "phones-1", "KeepaliveMissed", phone=PHONES[1], at="ccm-bk", missed=1)
    recording.event(
        6.5, "phones-1", "CallControlLost", phone=PHONES[1], at="ccm-bk", cause="keepalive", state="standby"
    )
    stories.signalling(recording, 0, "ccm-bk", 60_001).reset(6.6, up=False)
    assert kept(recording, tmp_path).status is Status.PASS
