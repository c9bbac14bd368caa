from __future__ import annotations

from pathlib import Path

import pytest
import stories
from pydantic import ValidationError
from recordings import ACK, ADDRESSES, AF31_TOS, PHONE_ADDRESSES, RST, SYN, Connection, Recording

from testbed.checks import judge_expectation
from testbed.checks.marking import PacketsParams
from testbed.errors import UsageError
from testbed.verdict import Status, Verdict

SRND = {"policy": "srnd-table-11-4"}
WEB_TO_SLB = {"class": "http", "policy": {"allowed": ["AF31"]}, "hop": "web-1->slb"}


def packets(recording: Recording, path: Path, **params: object) -> Verdict:
    return judge_expectation(recording.write(path), "packets", PacketsParams.model_validate(params))


def test_signalling_marked_af31_both_ways_passes_with_counts(tmp_path: Path) -> None:
    verdict = packets(stories.rehome(), tmp_path, **{"class": "sccp"}, **SRND)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures["packets_AF31"] == verdict.figures["packets"] > 0


@pytest.mark.parametrize("flags", ["syn", "rst", "data"])
@pytest.mark.catches("signalling-marked")
def test_one_packet_with_another_mark_fails_and_is_named(flags: str, tmp_path: Path) -> None:
    recording = stories.rehome()
    bad = stories.signalling(recording, 0, "ccm-1", 60_000)
    bad.client_tos = 0
    {"syn": bad.open, "rst": lambda t: bad.reset(t, up=True), "data": lambda t: bad.send(t, b"x", up=True)}[flags](12.0)
    verdict = packets(recording, tmp_path, **{"class": "sccp"}, **SRND)
    assert verdict.status is Status.FAIL
    assert verdict.figures["wrong"] in (1, 2)
    assert verdict.evidence[0].capture == "phones-1.pcap"
    assert "phones-1:60000 to ccm-1:2000 is marked default" in verdict.evidence[0].text


def test_the_frame_named_is_the_first_that_offends(tmp_path: Path) -> None:
    recording = stories.booted()
    good = stories.signalling(recording, 0, "ccm-1", 60_000)
    good.open(2.0)
    good.packet(2.5, up=True, tos=0)
    verdict = packets(recording, tmp_path, **{"class": "sccp"}, **SRND)
    assert verdict.evidence[0].frame == 5  # the canary of the beginning and three of the handshake come before it


def test_the_two_ecn_bits_are_no_mark(tmp_path: Path) -> None:
    recording = stories.booted()
    stories.signalling(recording, 0, "ccm-1", 60_000).packet(2.0, up=True, tos=AF31_TOS | 3)
    assert packets(recording, tmp_path, **{"class": "sccp"}, **SRND).status is Status.PASS


def test_resets_are_exempt_only_while_a_reject_fault_lasts(tmp_path: Path) -> None:
    recording = stories.booted()
    session = stories.signalling(recording, 0, "ccm-1", 60_000)
    session.open(2.0)
    session.server_tos = 0
    session.reset(5.0, up=False)
    assert packets(recording, tmp_path / "1", **{"class": "sccp"}, **SRND).status is Status.FAIL
    recording.fault("reject", "ccm-1", 4.0, 6.0)
    assert packets(recording, tmp_path / "2", **{"class": "sccp"}, **SRND).status is Status.PASS
    session.reset(7.0, up=False)
    assert packets(recording, tmp_path / "3", **{"class": "sccp"}, **SRND).status is Status.FAIL


def test_a_marked_reset_outside_the_time_of_another_fault_is_not_exempt(tmp_path: Path) -> None:
    recording = stories.rehome("kill")
    session = stories.signalling(recording, 0, "ccm-1", 60_000)
    session.server_tos = 0
    session.packet(6.0, up=False, flags=RST | ACK)
    assert packets(recording, tmp_path, **{"class": "sccp"}, **SRND).status is Status.FAIL


def refused(recording: Recording, *, syn_tos: int, reset_tos: int) -> None:
    """A SYN to a port where nobody listens, and the kernel's answer: sequence number 0, the SYN acknowledged."""
    wires = [recording.wires["slb"]]
    refusal = Connection(wires=wires, client=(ADDRESSES["slb"], 42_000), server=(ADDRESSES["web-1"], 80), server_seq=0)
    refusal.packet(2.0, up=True, flags=SYN, tos=syn_tos)
    refusal.packet(2.1, up=False, flags=RST | ACK, tos=reset_tos)


def test_a_refusal_repeats_the_mark_of_the_syn_it_answers(tmp_path: Path) -> None:
    recording = marked_web()
    refused(recording, syn_tos=0, reset_tos=0)
    verdict = packets(recording, tmp_path, **WEB_TO_SLB)
    assert verdict.status is Status.PASS
    assert verdict.figures["resets_repeating"] == 1


def test_a_refusal_with_a_mark_of_its_own_fails(tmp_path: Path) -> None:
    recording = marked_web()
    refused(recording, syn_tos=AF31_TOS, reset_tos=0)
    assert packets(recording, tmp_path, **WEB_TO_SLB).status is Status.FAIL


@pytest.mark.parametrize(("flags", "status"), [(RST, Status.PASS), (RST | ACK, Status.FAIL)])
def test_a_reset_repeats_a_mark_only_where_no_socket_sent_it(flags: int, status: Status, tmp_path: Path) -> None:
    """The SLB's half is gone; web-1's marked packet still comes. A socket's own reset would carry ACK."""
    recording = marked_web()
    wires = [recording.wires["slb"]]
    half = Connection(
        wires=wires, client=(ADDRESSES["slb"], 43_000), server=(ADDRESSES["web-1"], 80), server_tos=AF31_TOS
    )
    half.close(5.0, up=False)
    half.packet(5.1, up=True, flags=flags, tos=AF31_TOS)
    verdict = packets(recording, tmp_path, **{**WEB_TO_SLB, "policy": "srnd-table-11-4", "hop": "slb->web-1"})
    assert verdict.status is status


def test_no_packet_of_the_class_is_inconclusive(tmp_path: Path) -> None:
    for traffic in ("sccp", "http", "rtp"):
        verdict = packets(stories.booted(), tmp_path / traffic, **{"class": traffic}, **SRND)
        assert verdict.status is Status.INCONCLUSIVE


def test_no_capture_is_inconclusive(tmp_path: Path) -> None:
    recording = stories.booted()
    recording.wires.clear()
    recording.drop("CaptureStarted")
    assert packets(recording, tmp_path, **{"class": "sccp"}, **SRND).status is Status.INCONCLUSIVE


def marked_web() -> Recording:
    """web-1 marks its responses AF31; what the SLB sends to the phone is unmarked again."""
    recording = stories.booted()
    wires = [recording.wires["slb"]]
    web, slb = (ADDRESSES["web-1"], 80), (ADDRESSES["slb"], 80)
    for connection in (
        Connection(wires=wires, client=(ADDRESSES["slb"], 40_000), server=web, server_tos=AF31_TOS),
        Connection(wires=wires, client=(PHONE_ADDRESSES[0], 41_000), server=slb),
    ):
        connection.open(3.0)
        connection.send(3.1, b"GET / HTTP/1.1\r\n\r\n", up=True)
        connection.send(3.2, b"HTTP/1.1 200 OK\r\n\r\n", up=False)
    return recording


def test_each_hop_is_judged_by_its_name(tmp_path: Path) -> None:
    recording = marked_web()
    for number, params in enumerate([WEB_TO_SLB, {**WEB_TO_SLB, "hop": "slb -> phones", "policy": "srnd-table-11-4"}]):
        verdict = packets(recording, tmp_path / str(number), **params)
        assert verdict.status is Status.PASS, verdict.summary
        assert verdict.figures["packets"] == 2


@pytest.mark.catches("http-unmarked")
def test_the_same_mark_on_the_wrong_hop_fails(tmp_path: Path) -> None:
    recording = marked_web()
    assert packets(recording, tmp_path / "1", **{**WEB_TO_SLB, "hop": "slb->phones"}).status is Status.FAIL
    assert packets(recording, tmp_path / "2", **{"class": "http"}, **SRND).status is Status.FAIL
    assert packets(recording, tmp_path / "3", **{"class": "http", "direction": "up"}, **SRND).status is Status.PASS


@pytest.mark.catches("http-marked-by-application")
def test_a_web_host_that_does_not_mark_fails(tmp_path: Path) -> None:
    recording = stories.standby()
    verdict = packets(recording, tmp_path, **WEB_TO_SLB)
    assert verdict.status is Status.FAIL
    assert "web-1:80 to slb" in verdict.summary


def test_a_hop_without_packets_is_inconclusive(tmp_path: Path) -> None:
    assert packets(marked_web(), tmp_path, **{**WEB_TO_SLB, "hop": "web-2->slb"}).status is Status.INCONCLUSIVE


def test_a_hop_may_name_a_role(tmp_path: Path) -> None:
    assert packets(marked_web(), tmp_path, **{**WEB_TO_SLB, "hop": "web-host->slb"}).status is Status.PASS


def test_a_hop_of_an_unknown_host_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="web-9"):
        packets(marked_web(), tmp_path, **{**WEB_TO_SLB, "hop": "web-9->slb"})


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"class": "sccp", "policy": "srnd-table-11-5"}, "unknown word 'srnd-table-11-5'"),
        ({"class": "sip", "policy": "cs3"}, "'sccp', 'http', 'tftp' or 'rtp'"),
        ({"class": "tftp", "policy": "srnd-table-11-4"}, "policy srnd-table-11-4 has no rule for tftp"),
        ({"class": "sccp", "policy": {"allowed": ["AF99"]}}, "unknown word 'AF99'"),
        ({"class": "sccp", "policy": {"allowed": []}}, "at least 1 item"),
        ({"class": "sccp", "policy": "cs3", "hop": "web-1"}, "should match pattern"),
    ],
)
def test_what_makes_no_sense_is_refused(params: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PacketsParams.model_validate(params)


def bleached_while_the_fault_lasts() -> Recording:
    recording = stories.booted()
    recording.fault("bleach", "ccm-1", 4.0, 9.0, hosts=("ccm-1",))
    session = stories.signalling(recording, 0, "ccm-1", 60_000)
    session.open(2.0)
    for at_s in range(3, 13):
        session.send(at_s + 0.5, b"x", up=True)
        session.packet(at_s + 0.6, up=False, tos=0 if 4 <= at_s < 9 else AF31_TOS)
    return recording


@pytest.mark.parametrize(
    ("when", "status", "packets_"),
    [
        ("always", Status.FAIL, 23),
        ("before", Status.PASS, 5),
        ("during", Status.FAIL, 10),
        ("after", Status.PASS, 8),
    ],
)
def test_marks_are_judged_before_during_or_after_the_fault(
    when: str, status: Status, packets_: int, tmp_path: Path
) -> None:
    verdict = packets(bleached_while_the_fault_lasts(), tmp_path, **{"class": "sccp", "when": when}, **SRND)
    assert verdict.status is status, verdict.summary
    assert verdict.figures["packets"] == packets_


def test_without_a_fault_there_is_no_before_during_or_after(tmp_path: Path) -> None:
    recording = bleached_while_the_fault_lasts()
    recording.drop("FaultConfirmed")
    for when in ("before", "during", "after"):
        verdict = packets(recording, tmp_path / when, **{"class": "sccp", "when": when}, **SRND)
        assert verdict.status is Status.INCONCLUSIVE
        assert f"no sccp packet seen {when} the fault" in verdict.summary


def test_after_a_fault_that_was_never_healed_there_is_nothing(tmp_path: Path) -> None:
    recording = bleached_while_the_fault_lasts()
    recording.drop("FaultHealed")
    assert packets(recording, tmp_path, **{"class": "sccp", "when": "after"}, **SRND).status is Status.INCONCLUSIVE


def test_only_the_capture_at_the_host_named_is_judged(tmp_path: Path) -> None:
    """The mark is lost between ccm-1 and phones-1: there it is wrong, at the slb (who sees none of it) nothing is shown."""
    recording = bleached_while_the_fault_lasts()
    for host, status in (("phones-1", Status.FAIL), ("slb", Status.INCONCLUSIVE)):
        verdict = packets(recording, tmp_path / host, **{"class": "sccp", "seen-at": host}, **SRND)
        assert verdict.status is status
        assert verdict.check == f"packets sccp srnd-table-11-4 at {host}"
    with pytest.raises(UsageError, match="web-9"):
        packets(recording, tmp_path / "none", **{"class": "sccp", "seen-at": "web-9"}, **SRND)


def test_only_packets_with_payload_are_judged_where_that_is_asked_for(tmp_path: Path) -> None:
    """A server that marks its answers, but not its half of the handshake; and the same with one answer unmarked."""
    spoilt = ("handshake", "answer")
    for last, status in zip(spoilt, (Status.PASS, Status.FAIL), strict=True):
        recording = stories.rehome()
        connection = Connection([recording.wires["phones-1"]], ("172.26.16.7", 49_000), (ADDRESSES["ccm-1"], 2000))
        connection.packet(9.0, up=False, flags=SYN | ACK, tos=0)
        connection.packet(9.1, up=False, payload=b"data", tos=0 if last == "answer" else AF31_TOS)
        connection.packet(9.2, up=False, flags=ACK, tos=0)
        params = {"class": "sccp", "payload": True, **SRND}
        verdict = packets(recording, tmp_path / last, **params)
        assert verdict.status is status, verdict.summary
        assert verdict.check == "packets sccp payload srnd-table-11-4"
        assert packets(recording, tmp_path / f"{last}-all", **{"class": "sccp"}, **SRND).status is Status.FAIL


def test_a_policy_file_is_read_into_the_parameters(tmp_path: Path) -> None:
    """So the run is judged the same where the file is not."""
    file = tmp_path / "own.yaml"
    file.write_text("policy: own\nclasses: {sccp: [CS3, 26]}\n", encoding="utf-8")
    params = PacketsParams.model_validate({"class": "sccp", "policy": str(file)})
    file.unlink()
    dumped = params.model_dump(mode="json", by_alias=True)
    again = PacketsParams.model_validate(dumped)
    assert again == params
    assert again.allowed == {24, 26}
    assert packets(stories.rehome(), tmp_path / "run", **dumped).status is Status.PASS
