"""Calls between real processes: media on loopback, marks as told, figures that agree, a call control that dies meanwhile."""

from __future__ import annotations

import signal
import time

import pytest
from role_processes import Bed

TALK_S = 2.0


@pytest.fixture
def bed(tmp_path):
    bed = Bed(tmp_path, phones=4)
    try:
        yield bed
    finally:
        bed.close()


def call(phones, caller: str, number: str, talk_s: float | None = TALK_S) -> bool:
    (result,) = phones.ask(op="call", calls=[{"phone": caller, "number": number}], talk_s=talk_s)["results"]
    return result["ok"]


def phases(phones, *names: str) -> list[list[str]]:
    rows = {row["phone"]: row for row in phones.ask(op="ls")["phones"]}
    return [rows[name]["calls"] for name in names]


def test_a_call_carries_fifty_packets_a_second_each_way_and_both_ends_report_the_same(bed):
    control, _, phones = bed.all_roles()
    a, b = bed.names[:2]
    assert call(phones, a, "1002")
    connected = phones.await_events(2, "CallConnected")
    assert {event["phone"] for event in connected} == {a, b}
    started = phones.await_events(2, "StreamStarted")
    assert {event["tos"] for event in started} == {184}
    assert all(20480 <= event["remote_port"] <= 32766 and event["remote_port"] % 2 == 0 for event in started)
    ended = phones.await_events(2, "CallEnded")
    for event in ended:
        assert event["lost"] == event["invalid"] == 0
        assert event["sent"] == pytest.approx(TALK_S * 50, abs=6)
        assert event["received"] == pytest.approx(event["sent"], abs=4)
        assert event["largest_gap_s"] < 0.1
    reported = control.await_events(2, "CallFiguresReported")
    assert sorted((e["phone"], e["sent"], e["received"], e["lost"]) for e in reported) == sorted(
        (e["phone"], e["sent"], e["received"], e["lost"]) for e in ended
    )
    assert len(phones.seen("Registered")) == 4
    assert not phones.seen("CallControlLost")


def test_keys_of_the_control_socket_dial_answer_hold_and_hang_up(bed):
    _, _, phones = bed.all_roles()
    a, b = bed.names[:2]

    def press(phone: str, *keys: str) -> list[bool]:
        return [r["ok"] for r in phones.ask(op="keys", phone=phone, keys=list(keys))["results"]]

    phones.ask(op="answer", phones="all", after_s=None)
    assert press(a, "off-hook", *"1002") == [True] * 5
    phones.await_events(1, "CallBegun", direction="in", phone=b)
    assert press(b, "Answer") == [True]
    phones.await_events(2, "StreamStarted")
    assert press(a, "Hold") == [True]
    deadline = time.monotonic() + 5
    while phases(phones, a) != [["on hold 1002"]] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert phases(phones, a, b) == [["on hold 1002"], ["talking 1001"]]
    assert "on hold 1002" in phones.ask(op="screen", phone=a)["screen"]["lines"]
    press(a, "Resume")
    phones.await_events(4, "StreamStarted")
    assert press(b, "EndCall") == [True]
    first, second = phones.await_events(2, "CallEnded")
    for mine, other in ((first, second), (second, first)):
        assert mine["lost"] == 0
        assert mine["received"] == pytest.approx(other["sent"], abs=5), (
            "both streams of each, before and after the hold"
        )
    assert press(a, "on-hook") == [False]


def test_busy_and_unknown_numbers_are_refused_and_the_caller_hangs_up(bed):
    control, _, phones = bed.all_roles()
    a, b, c = bed.names[:3]
    assert call(phones, a, "1002", talk_s=None)
    phones.await_events(2, "CallConnected")
    assert call(phones, c, "1002")
    assert not call(phones, b, "1003")
    phones.await_events(1, "CallEnded", phone=c)
    assert call(phones, c, "4711")
    phones.await_events(2, "CallEnded", phone=c)
    assert [event["cause"] for event in control.seen("CallNotRouted")] == ["busy", "unknown number"]


@pytest.mark.parametrize("loss", ["kill", "freeze"])
def test_media_go_on_without_call_control_and_the_phones_re_home_when_the_call_is_over(bed, loss):
    control, _, phones = bed.all_roles()
    a, b = bed.names[:2]
    assert call(phones, a, "1002", talk_s=5.0)
    phones.await_events(2, "StreamStarted")
    if loss == "kill":
        control.kill()
    else:
        control.send(signal.SIGSTOP)
    others = set(bed.names[2:])
    rehomed = phones.await_events(2, "Rehomed", to="ccm-bk")
    assert {event["phone"] for event in rehomed} == others
    phones.await_events(2, "CallPreserved")
    ended = phones.await_events(2, "CallEnded")
    for event in ended:
        assert event["lost"] == 0
        assert event["largest_gap_s"] < 0.1
    assert sorted(event["sent"] > 240 for event in ended) == [True, True]
    back = [event for event in phones.await_events(4, "Rehomed", to="ccm-bk") if event["phone"] in (a, b)]
    for event in back:
        (end,) = [end for end in ended if end["phone"] == event["phone"]]
        assert 0 <= event.time_s - end.time_s < 1
    control.kill()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"op": "call", "calls": "1002"}, "calls"),
        ({"op": "call", "calls": [{"phone": "SEP020000000001", "number": "12a"}]}, "number"),
        ({"op": "call", "calls": [{"phone": "SEP020000000001", "number": ""}]}, "number"),
        ({"op": "call", "calls": [{"phone": "SEP0", "number": "1002"}]}, "no phone"),
        ({"op": "call", "calls": [{"phone": "SEP020000000001", "number": "1002"}], "talk_s": -1}, "talk_s"),
        ({"op": "answer", "after_s": "soon"}, "after_s"),
    ],
)
def test_wrong_requests_say_what_is_wrong(request_, said, tmp_path_factory, standing_phones):
    assert said in standing_phones.ask(**request_)["error"]


@pytest.fixture(scope="module")
def standing_phones(tmp_path_factory):
    bed = Bed(tmp_path_factory.mktemp("calls"), phones=4)
    try:
        yield bed.all_roles()[2]
    finally:
        bed.close()
