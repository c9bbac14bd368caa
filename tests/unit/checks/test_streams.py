"""Streams and their cause; each test but the first spoils one thing."""

from __future__ import annotations

from pathlib import Path

import pytest
from call_stories import EF_TOS, PHONE_HOSTS, Talk, call
from pydantic import ValidationError
from recordings import Recording

from testbed.checks import judge_expectation
from testbed.checks.streams import StreamsParams
from testbed.verdict import Status, Verdict

STRICT = {"policy": "srnd-strict"}


def judged(recording: Recording, path: Path, **params: object) -> Verdict:
    return judge_expectation(recording.write(path / "run"), "streams", StreamsParams.model_validate(params or STRICT))


def test_streams_marked_as_told_pass_and_name_the_frames_that_began_them(tmp_path: Path):
    verdict = judged(call(), tmp_path)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures["streams"] == verdict.figures["started_by_call_control"] == 2
    assert verdict.figures["packets_EF"] == 600
    assert [
        (e.capture, "started by StartMediaTransmission (precedence 184, EF) in frame" in e.text)
        for e in verdict.evidence
    ] == [
        ("phones-1.pcap", True),
        ("phones-2.pcap", True),
    ]


@pytest.mark.catches("rtp-marked-by-call-manager")
def test_a_phone_that_ignores_the_precedence_fails(tmp_path: Path):
    verdict = judged(call(Talk(tos=0), Talk()), tmp_path)
    assert verdict.status is Status.FAIL
    assert "not marked as told: precedence 184 (EF)" in verdict.summary


@pytest.mark.catches("rtp-marked-by-call-manager")
def test_a_call_control_that_says_0_fails_by_the_policy(tmp_path: Path):
    verdict = judged(call(Talk(tos=0, precedence=0), Talk(tos=0, precedence=0)), tmp_path)
    assert verdict.status is Status.FAIL
    assert "is marked default, which srnd-strict does not allow" in verdict.summary


def test_one_packet_with_another_mark_is_named(tmp_path: Path):
    verdict = judged(call(Talk(more={7: 104}), Talk()), tmp_path)
    assert verdict.status is Status.FAIL
    assert "1 of 300 packets are not marked as told" in verdict.summary
    assert verdict.evidence[0].frame is not None


def test_the_ecn_bits_are_no_mark(tmp_path: Path):
    assert judged(call(Talk(more={7: EF_TOS | 1}), Talk()), tmp_path).status is Status.PASS


@pytest.mark.parametrize(("policy", "status"), [("srnd-table-11-4", Status.PASS), ("srnd-strict", Status.FAIL)])
def test_af31_is_right_by_the_words_of_the_table_only(policy: str, status: Status, tmp_path: Path):
    talks = (Talk(tos=104, precedence=104), Talk(tos=104, precedence=104))
    assert judged(call(*talks), tmp_path, policy=policy).status is status


def test_a_stream_that_no_call_control_started_fails(tmp_path: Path):
    verdict = judged(call(Talk(precedence=None), Talk()), tmp_path)
    assert verdict.status is Status.FAIL
    assert "172.26.16.1:20480 to 172.26.24.1:20482 was started by no StartMediaTransmission" in verdict.summary


def test_an_order_for_another_port_is_no_cause(tmp_path: Path):
    recording = call(Talk(), Talk(precedence=None, port=20490))
    assert judged(recording, tmp_path).status is Status.FAIL


def test_a_phone_that_was_told_to_send_and_does_not_fails(tmp_path: Path):
    verdict = judged(call(Talk(ended_s=0.0), Talk()), tmp_path)
    assert verdict.status is Status.FAIL
    assert "nothing of it was captured" in verdict.summary


def test_no_stream_shows_nothing(tmp_path: Path):
    recording = call(Talk(ended_s=0.0, precedence=None), Talk(ended_s=0.0, precedence=None))
    assert judged(recording, tmp_path).status is Status.INCONCLUSIVE


def test_streams_seen_at_their_receiver_only_show_nothing_of_their_cause(tmp_path: Path):
    recording = call(Talk(), Talk(ended_s=0.0, precedence=None))
    del recording.wires[PHONE_HOSTS[0]]
    assert judged(recording, tmp_path).status is Status.INCONCLUSIVE


@pytest.mark.parametrize("policy", ["nowhere", "nowhere.yaml"])
def test_an_unknown_policy_is_refused(policy: str):
    with pytest.raises(ValidationError):
        StreamsParams.model_validate({"policy": policy})


def test_a_policy_without_a_rule_for_rtp_is_refused(tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text("policy: mine\nclasses: {sccp: [AF31]}\n")
    with pytest.raises(ValidationError, match="mine has no rule for rtp"):
        StreamsParams.model_validate({"policy": str(file)})
