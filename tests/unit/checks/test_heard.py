"""How media arrive; each test but the first spoils one thing."""

from __future__ import annotations

from pathlib import Path

import pytest
from call_stories import PHONE_HOSTS, TALKERS, Talk, call
from recordings import PHONES, Connection, Recording, sccp

from testbed.checks import judge_expectation
from testbed.checks.heard import HeardParams
from testbed.packets import SYN
from testbed.sccp.media_messages import StopMediaTransmission
from testbed.verdict import Status, Verdict


def judged(recording: Recording, path: Path, **params: object) -> Verdict:
    return judge_expectation(recording.write(path / "run"), "heard", HeardParams.model_validate(params))


def test_whole_streams_pass_with_their_figures(tmp_path: Path):
    verdict = judged(call(), tmp_path)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures["largest_gap_s"] == pytest.approx(0.02, abs=1e-5)
    assert verdict.figures["slowest_per_s"] == pytest.approx(50, abs=0.01)
    assert (verdict.figures["streams"], verdict.figures["lost"]) == (2, 0)


def test_one_lost_packet_fails_unless_it_is_allowed(tmp_path: Path):
    verdict = judged(call(Talk(lost=[100]), Talk()), tmp_path)
    assert verdict.status is Status.FAIL
    assert "1 packets are missing" in verdict.summary
    assert judged(call(Talk(lost=[100]), Talk()), tmp_path / "2", lost=1, gap="41ms").status is Status.PASS


def test_packets_lost_at_the_very_end_are_missed_since_they_were_sent(tmp_path: Path):
    recording = call(Talk(lost=range(290, 300)), Talk())
    verdict = judged(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert verdict.figures["lost"] == 10


def test_a_phone_that_nobody_told_to_send_fails_though_the_other_is_heard(tmp_path: Path):
    verdict = judged(call(Talk(), Talk(ended_s=0.0, precedence=None)), tmp_path)
    assert verdict.status is Status.FAIL
    assert verdict.summary == f"{PHONES[1]} is in a call and was never told to send"


def test_a_phone_that_was_told_to_send_and_did_not_fails(tmp_path: Path):
    verdict = judged(call(Talk(), Talk(ended_s=0.0)), tmp_path)
    assert verdict.status is Status.FAIL
    assert "was told to send to 172.26.16.1:20480, and nothing of it was captured" in verdict.summary


@pytest.mark.parametrize(("ended_s", "status"), [(3.5, Status.FAIL), (8.8, Status.FAIL), (8.94, Status.PASS)])
def test_a_phone_that_falls_silent_before_its_call_ends_fails(ended_s: float, status: Status, tmp_path: Path):
    verdict = judged(call(Talk(), Talk(ended_s=ended_s)), tmp_path)
    assert verdict.status is status
    assert status is Status.PASS or "before its call, and nobody had said so" in verdict.summary


@pytest.mark.parametrize(("stops", "status"), [(True, Status.PASS), (False, Status.FAIL)])
def test_a_phone_that_is_told_to_stop_may_fall_silent(stops: bool, status: Status, tmp_path: Path):
    recording = call(Talk(), Talk(ended_s=6.0))
    stop = StopMediaTransmission(call_reference=0x1000002 if stops else 0x1000003)
    connection = Connection(
        wires=[recording.wires[PHONE_HOSTS[1]]], client=(TALKERS[1], 40_001), server=("172.26.1.100", 2000)
    )
    connection.packet(2.1, up=True, flags=SYN)
    connection.packet(2.1001, up=False, flags=SYN)
    connection.send(6.01, sccp(stop.message_id, stop.encode()), up=False)
    assert judged(recording, tmp_path).status is status


def test_a_call_that_is_over_at_once_needs_no_media(tmp_path: Path):
    recording = call()
    particulars = {"phone": PHONES[0], "reference": 7, "number": "1003"}
    recording.event(9.5, PHONE_HOSTS[0], "CallConnected", **particulars)
    recording.event(10.4, PHONE_HOSTS[0], "CallEnded", **particulars, cause="hung up", duration_s=1.0)
    assert judged(recording, tmp_path).status is Status.PASS


def test_a_pause_of_the_sender_is_found_though_nothing_is_lost(tmp_path: Path):
    recording = call()
    for host in PHONE_HOSTS:
        recording.wires[host].frames = [
            (t + (0.021 if t > 6 and len(frame) > 200 else 0), frame) for t, frame in recording.wires[host].frames
        ]
    verdict = judged(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert "a pause of 41.0 ms, more than 40" in verdict.summary
    assert judged(recording, tmp_path / "2", gap="42ms").status is Status.PASS


@pytest.mark.parametrize(
    ("pace", "status"), [(0.985, Status.FAIL), (0.995, Status.PASS), (1.005, Status.PASS), (1.015, Status.FAIL)]
)
def test_the_pace_is_fifty_packets_a_second_within_one_percent(pace: float, status: Status, tmp_path: Path):
    assert judged(call(Talk(pace=pace), Talk()), tmp_path).status is status


def test_without_a_capture_at_a_receiver_nothing_is_shown(tmp_path: Path):
    recording = call(Talk(), Talk(ended_s=0.0, precedence=None))
    del recording.wires[PHONE_HOSTS[1]]
    assert judged(recording, tmp_path).status is Status.INCONCLUSIVE


@pytest.mark.parametrize(
    ("waited_s", "host", "status"),
    [(0.021, "phones-1", Status.INCONCLUSIVE), (0.019, "phones-1", Status.FAIL), (0.5, "phones-2", Status.FAIL)],
)
def test_a_pause_that_the_machine_made_shows_nothing(waited_s: float, host: str, status: Status, tmp_path: Path):
    """60 ms, 40 are allowed: the sender's own process must have waited for the rest, and nobody else's."""
    recording = call(Talk(unsent=[101, 102]), Talk())
    recording.event(3.0 + 103 * 0.02, host, "MediaHeldUp", late_s=0.06, waited_s=waited_s)
    verdict = judged(recording, tmp_path, lost=2)
    assert verdict.status is status
    if status is Status.INCONCLUSIVE:
        assert "the machine is too busy" in verdict.summary


@pytest.mark.parametrize(("word", "off"), [("sent", 1), ("sent", -1), ("lost", 1), ("received", 2), ("received", -6)])
def test_a_phone_whose_own_figures_are_wrong_is_found_out(word: str, off: int, tmp_path: Path):
    recording = call()
    (right,) = {
        event.data[word] for event in recording.events if event.name == "CallEnded" and event.host == "phones-2"
    }
    recording.change("CallEnded", where={"phone": PHONES[1]}, **{word: right + off})
    verdict = judged(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert PHONES[1] in verdict.summary


def test_packets_that_come_when_a_phone_has_hung_up_are_not_its_own(tmp_path: Path):
    recording = call()
    recording.change("CallEnded", where={"phone": PHONES[1]}, received=296)
    assert judged(recording, tmp_path).status is Status.PASS


def test_what_the_other_side_says_to_a_phone_that_has_hung_up_is_no_difference(tmp_path: Path):
    """In a call without call control whoever is left hangs up when nothing has come for a while, and sends until then."""
    recording = call(Talk(ended_s=11.0), Talk())
    recording.change("CallEnded", where={"phone": PHONES[1]}, received=300, lost=0)
    verdict = judged(recording, tmp_path)
    assert verdict.status is Status.PASS, verdict.summary


def test_a_call_that_was_asked_for_and_did_not_come_about_fails(tmp_path: Path):
    recording = call()
    recording.scenario = "scenario: by-hand\nsteps: [{call: {pairs: 2, for: 6s}}]\n"
    recording.event(3.0, "phones-1", "CallRefused", phone="SEP020000000003", number="1004")
    verdict = judged(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert "2 of 4 phones got into their call: SEP020000000003 was refused 1004" in verdict.summary


@pytest.mark.parametrize("both", [False, True])
def test_a_stream_of_which_nothing_arrives_is_lost_whole(both: bool, tmp_path: Path):
    mute = Talk(lost=range(300))
    verdict = judged(call(mute, mute if both else Talk()), tmp_path)
    assert verdict.status is Status.FAIL
    assert "all 300 packets are missing" in verdict.summary
    assert verdict.figures["lost"] == (600 if both else 300)
