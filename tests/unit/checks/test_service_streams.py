from __future__ import annotations

import contextlib
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from recordings import ADDRESSES, PHONE_ADDRESSES, PHONES, Connection, Recording, Wire

from testbed import phone_xml as px
from testbed.checks import judge_expectation
from testbed.checks.service_streams import FEWEST_PACKETS, ServiceStreamsParams
from testbed.errors import BedError
from testbed.packets import parse_capture
from testbed.packets.push import pushed_streams
from testbed.verdict import Status, Verdict

WEB = ADDRESSES["web-1"]
EF_TOS = 184
RTP = b"\x80\x00" + bytes(170)
UNMARKED, EF = {"allowed": ["DEFAULT"]}, {"allowed": ["EF"]}
PUSH_S, STREAM_S = 2.0, 2.1
GROUP = "239.26.1.1"


def judged(recording: Recording, path: Path, **params: object) -> Verdict:
    return judge_expectation(
        recording.write(path), "service-streams", ServiceStreamsParams.model_validate({"policy": UNMARKED, **params})
    )


def pushed(wires: list[Wire], at_s: float, phone: str, *urls: str) -> None:
    body = urlencode({"XML": px.Execute(items=tuple(px.ExecuteItem(url=url) for url in urls)).to_xml().decode()})
    connection = Connection(wires=wires, client=(WEB, 40_000), server=(phone, 80))
    connection.open(at_s)
    connection.send(at_s + 0.001, b"POST /CGI/Execute HTTP/1.1\r\nHost: x\r\n\r\n", up=True)
    connection.send(at_s + 0.002, body.encode(), up=True)


def sent(
    wires: list[Wire], at_s: float, src: tuple[str, int], dst: tuple[str, int], *, tos: int = 0, count: int = 50
) -> None:
    for number in range(count):
        for wire in wires:
            wire.udp(at_s + number * 0.02, src, dst, RTP, tos=tos)


def story(*, to_tos: int = 0, from_tos: int = 0) -> Recording:
    """web-1 streams to the first phone, the second streams to web-1."""
    recording = Recording()
    wires = [recording.capture(host, until_s=10) for host in ("web-1", "phones-1")]
    recording.steps(1.5, 9)
    play, send = PHONE_ADDRESSES
    pushed(wires, PUSH_S, play, f"RTPRx:{WEB}:20480:50")
    sent(wires, STREAM_S, (WEB, 24000), (play, 20480), tos=to_tos)
    pushed(wires, PUSH_S, send, f"RTPTx:{WEB}:24002")
    sent(wires, STREAM_S, (send, 20482), (WEB, 24002), tos=from_tos)
    return recording


@pytest.mark.parametrize("sender", ["services", "phones"])
def test_a_stream_is_tied_to_the_push_that_began_it_and_its_marks_are_told(sender: str, tmp_path: Path) -> None:
    verdict = judged(story(), tmp_path, sender=sender)
    assert verdict.status is Status.PASS, verdict.summary
    assert (verdict.figures["streams"], verdict.figures["packets_default"]) == (1, 50)
    assert "begun by a push of RTP" in verdict.evidence[0].text
    assert verdict.evidence[0].frame is not None


def test_the_directions_are_judged_apart(tmp_path: Path) -> None:
    recording = story(to_tos=EF_TOS)
    assert judged(recording, tmp_path / "a", sender="services", policy=EF).status is Status.PASS
    assert judged(recording, tmp_path / "b", sender="phones").status is Status.PASS
    assert judged(recording, tmp_path / "c", sender="phones", policy=EF).status is Status.FAIL


@pytest.mark.catches("rtp-unmarked-by-service")
def test_a_phone_that_marks_what_a_service_made_it_send_is_caught(tmp_path: Path) -> None:
    verdict = judged(story(from_tos=EF_TOS), tmp_path, sender="phones")
    assert verdict.status is Status.FAIL
    assert "is marked EF in 50 of 50 packets" in verdict.summary
    assert "begun by a push of RTPTx in frame" in verdict.summary


def test_one_marked_packet_among_many_is_enough(tmp_path: Path) -> None:
    recording = story()
    wires = list(recording.wires.values())
    sent(wires, STREAM_S + 1.5, (WEB, 24000), (PHONE_ADDRESSES[0], 20480), tos=EF_TOS, count=1)
    verdict = judged(recording, tmp_path, sender="services")
    assert (verdict.status, "1 of 51 packets" in verdict.summary) == (Status.FAIL, True)


@pytest.mark.parametrize(
    "url",
    [
        f"RTPRx:{WEB}:20482:50",
        "RTPRx:172.26.1.112:20480:50",
        "RTPTx:172.26.1.111:20480",
        "Play:chime.raw",
    ],
)
def test_a_stream_that_no_push_names_is_caught(url: str, tmp_path: Path) -> None:
    recording = Recording()
    wires = [recording.capture(host, until_s=10) for host in ("web-1", "phones-1")]
    recording.steps(1.5, 9)
    pushed(wires, PUSH_S, PHONE_ADDRESSES[0], url)
    sent(wires, STREAM_S, (WEB, 24000), (PHONE_ADDRESSES[0], 20480))
    verdict = judged(recording, tmp_path, sender="services")
    assert (verdict.status, "was begun by no push" in verdict.summary) == (Status.FAIL, True)


def test_a_push_after_its_first_packet_began_no_stream(tmp_path: Path) -> None:
    recording = Recording()
    wires = [recording.capture("web-1", until_s=10)]
    recording.steps(1.5, 9)
    sent(wires, STREAM_S, (WEB, 24000), (PHONE_ADDRESSES[0], 20480))
    pushed(wires, STREAM_S + 0.1, PHONE_ADDRESSES[0], f"RTPRx:{WEB}:20480:50")
    assert judged(recording, tmp_path, sender="services").status is Status.FAIL


def test_multicast_streams_belong_to_the_push_of_their_group(tmp_path: Path) -> None:
    recording = Recording()
    wires = [recording.capture(host, until_s=10) for host in ("web-1", "phones-1")]
    recording.steps(1.5, 9)
    pushed(wires, PUSH_S, PHONE_ADDRESSES[0], f"RTPMRx:{GROUP}:20480:50")
    sent(wires, STREAM_S, (WEB, 24000), (GROUP, 20480))
    pushed(wires, PUSH_S, PHONE_ADDRESSES[1], f"RTPMTx:{GROUP}:20490")
    sent(wires, STREAM_S, (PHONE_ADDRESSES[1], 24004), (GROUP, 20490))
    assert judged(recording, tmp_path / "a", sender="services").status is Status.PASS
    assert judged(recording, tmp_path / "b", sender="phones").status is Status.PASS


def told(recording: Recording, phone: int, scheme: str, remote: tuple[str, int], until_s: float, **said: int) -> None:
    """A phone's account of a stream, from the first packet on."""
    particulars = {"phone": PHONES[phone], "scheme": scheme}
    begun = {**particulars, "address": remote[0], "port": remote[1]}
    recording.event(STREAM_S - 0.05, "phones-1", "ServiceStreamStarted", **begun)
    if said:
        recording.event(until_s, "phones-1", "ServiceStreamStopped", **particulars, **said)


def test_a_phone_that_was_told_to_send_and_of_which_nothing_was_captured_is_named(tmp_path: Path) -> None:
    recording = story()
    told(recording, 0, "RTPMTx", (GROUP, 20480), 3.1, sent=50)
    verdict = judged(recording, tmp_path / "a", sender="phones")
    assert verdict.status is Status.FAIL
    assert f"{PHONES[0]} was told to send to {GROUP}:20480, and nothing of it was captured" in verdict.summary
    assert judged(recording, tmp_path / "b", sender="services").status is Status.PASS


@pytest.mark.parametrize(
    ("until_s", "status"), [(3.1, Status.PASS), (3.15, Status.PASS), (3.4, Status.FAIL), (None, Status.FAIL)]
)
def test_a_phone_sends_until_it_stops_or_the_steps_end(until_s: float | None, status: Status, tmp_path: Path) -> None:
    """Its 50 packets are captured within a second."""
    recording = story()
    told(recording, 1, "RTPTx", (WEB, 24002), until_s or 0, **({"sent": 50} if until_s else {}))
    verdict = judged(recording, tmp_path, sender="phones")
    assert verdict.status is status, verdict.summary
    assert status is Status.PASS or "50 of " in verdict.summary


def test_a_second_push_of_which_nothing_came_is_not_covered_by_the_first(tmp_path: Path) -> None:
    recording = story()
    told(recording, 1, "RTPTx", (WEB, 24002), 3.1, sent=50)
    again = {"phone": PHONES[1], "scheme": "RTPTx", "address": WEB, "port": 24002}
    recording.event(5.0, "phones-1", "ServiceStreamStarted", **again)
    assert "nothing of it was captured" in judged(recording, tmp_path, sender="phones").summary


@pytest.mark.parametrize(
    ("scheme", "received", "status"),
    [
        ("RTPRx", 0, Status.FAIL),
        ("RTPRx", 1, Status.FAIL),
        ("RTPRx", 40, Status.FAIL),
        ("RTPRx", 46, Status.PASS),
        ("RTPRx", 50, Status.PASS),
        ("RTPMRx", 0, Status.PASS),
    ],
)
def test_a_phone_that_was_to_play_a_stream_has_heard_it_unless_the_engine_drops_multicast(
    scheme: str, received: int, status: Status, tmp_path: Path
) -> None:
    recording = story()
    told(recording, 0, scheme, (WEB, 20480), 4.1, received=received)
    verdict = judged(recording, tmp_path, sender="services")
    assert verdict.status is status, verdict.summary


@pytest.mark.parametrize("arrives", [True, False])
def test_a_phone_that_still_plays_at_the_end_is_judged_by_the_capture_there(arrives: bool, tmp_path: Path) -> None:
    recording = story()
    told(recording, 0, "RTPRx", (WEB, 20480), 0)
    if not arrives:
        recording.wires["phones-1"].frames = [
            frame for frame in recording.wires["phones-1"].frames if frame[0] < STREAM_S
        ]
    verdict = judged(recording, tmp_path, sender="services")
    assert verdict.status is (Status.PASS if arrives else Status.FAIL), verdict.summary


def test_no_stream_or_a_few_packets_show_nothing(tmp_path: Path) -> None:
    recording = Recording()
    wires = [recording.capture("web-1", until_s=10)]
    recording.steps(1.5, 9)
    assert judged(recording, tmp_path / "a", sender="services").status is Status.INCONCLUSIVE
    pushed(wires, PUSH_S, PHONE_ADDRESSES[0], f"RTPRx:{WEB}:20480:50")
    sent(wires, STREAM_S, (WEB, 24000), (PHONE_ADDRESSES[0], 20480), count=FEWEST_PACKETS - 1)
    assert judged(recording, tmp_path / "b", sender="services").status is Status.INCONCLUSIVE


def test_a_wrong_sender_or_policy_is_refused() -> None:
    for params in ({"sender": "web-1", "policy": "cs3"}, {"sender": "phones"}):
        with pytest.raises(ValidationError):
            ServiceStreamsParams.model_validate(params)


def test_the_first_ports_outside_the_range_are_no_rtp(tmp_path: Path) -> None:
    recording = story()
    wires = list(recording.wires.values())
    for port in (20479, 32769):
        sent(wires, STREAM_S, (WEB, 24000), (PHONE_ADDRESSES[0], port), tos=EF_TOS)
    assert judged(recording, tmp_path, sender="services").figures["packets"] == 50


@given(st.binary(max_size=300))
def test_no_payload_makes_the_reader_of_pushes_stumble(payload: bytes) -> None:
    wire = Wire()
    Connection(wires=[wire], client=(WEB, 40_000), server=(PHONE_ADDRESSES[0], 80)).send(
        1.0, b"XML=RTPRx%3A999.1.1.1%3A20480" + payload, up=True
    )
    with contextlib.suppress(BedError):
        assert len(pushed_streams(parse_capture(wire.pcap(), file="a"))) <= len(payload)
