"""Calls between phones at one call control, on a fake wire."""

from __future__ import annotations

import itertools
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sccp_wire import Pair
from test_sccp_phone import registered
from test_sccp_tshark import tshark, write_capture

from testbed.profile import PROFILES
from testbed.sccp.call_messages import CallState, OnHook, SetRinger, StartTone
from testbed.sccp.framing import FrameReader
from testbed.sccp.leg import LegInput, LegState
from testbed.sccp.leg_transitions import NO_ANSWER_S, REFUSED_S
from testbed.sccp.leg_transitions import TRANSITIONS as LEG_TRANSITIONS
from testbed.sccp.media_messages import (
    ConnectionStatisticsRes,
    OpenReceiveChannel,
    OpenReceiveChannelAck,
    StartMediaTransmission,
)
from testbed.sccp.message import Message
from testbed.sccp.messages import decode, encode
from testbed.sccp.phone_call_state import Phase
from testbed.sccp.phone_call_transitions import HANG_UP_S, SILENCE_S, TRANSITIONS
from testbed.sccp.phone_calls import KEYS
from testbed.sccp.registration_messages import Unregister

QUICK = PROFILES["quick"]


def press(pair: Pair, phone: int, *keys: str) -> list[bool]:
    done = []
    for key in keys:
        done.append(pair.phones[phone].calls.press(key, pair.now))
        pair.run_for(0.05)
    return done


def phase(pair: Pair, phone: int) -> Phase | None:
    call = pair.phones[phone].calls.active
    return None if call is None else call.phase


def talking(phones: int = 2, **kwargs) -> Pair:
    """Phone 0 has called phone 1, who has answered, and both are heard."""
    pair = registered(phones=phones, **kwargs)
    assert pair.phones[0].calls.call("1002", pair.now)
    pair.run_until(lambda: pair.talks(0) and pair.talks(1), within=5)
    pair.run_for(0.1)
    return pair


def said(pair: Pair, phone: int, way: str) -> list[Message]:
    """All messages of one direction between this phone and the first call control."""
    reader = FrameReader()
    data = b"".join(d for _, w, p, r, d in pair.sent if (w, p, r) == (way, phone, 0))
    return [decode(message_id, body, version) for version, message_id, body in reader.feed(data)]


def idle(pair: Pair) -> bool:
    return not any(p.calls.by_reference for p in pair.phones) and not any(c.exchange.legs for c in pair.controls)


# -- a call


def test_a_call_by_keys_rings_is_answered_carries_media_both_ways_and_ends():
    pair = registered(phones=2)
    pair.phones[1].calls.answer_after_s = None
    assert press(pair, 0, "off-hook") == [True]
    assert phase(pair, 0) is Phase.DIALLING
    assert press(pair, 0, *"1002") == [True] * 4
    assert (phase(pair, 0), phase(pair, 1)) == (Phase.CALLING, Phase.RINGING)
    assert not pair.talks(0)
    press(pair, 1, "Answer")
    assert (phase(pair, 0), phase(pair, 1)) == (Phase.TALKING, Phase.TALKING)
    assert pair.talks(0)
    assert pair.talks(1)
    assert [pair.phones[i].calls.active.number for i in (0, 1)] == ["1002", "1001"]
    pair.run_for(10)
    press(pair, 0, "on-hook")
    assert idle(pair)
    assert not pair.talks(0)
    assert not pair.talks(1)
    for phone in (0, 1):
        (ended,) = pair.named("CallEnded", phone)
        assert ended.data["sent"] == pytest.approx(503, abs=5)
        assert ended.data["received"] == pytest.approx(503, abs=5)
        assert pair.registered_at(phone) == 0


def test_the_one_who_was_called_can_hang_up_too():
    pair = talking()
    press(pair, 1, "EndCall")
    assert idle(pair)
    assert pair.named("CallEnded", 1)[0].data["cause"] == "hung up"


def test_a_phone_answers_by_itself_after_its_time_and_one_without_a_user_rings_on():
    pair = registered(phones=3)
    pair.phones[2].calls.answer_after_s = None
    pair.phones[0].calls.call("1002", pair.now)
    assert pair.run_until(lambda: phase(pair, 0) is Phase.TALKING) == pytest.approx(1.0, abs=0.1)
    press(pair, 0, "on-hook")
    pair.phones[0].calls.call("1003", pair.now)
    pair.run_for(NO_ANSWER_S - 5)
    assert phase(pair, 2) is Phase.RINGING
    pair.run_for(10)
    assert (phase(pair, 0), phase(pair, 2)) == (Phase.REFUSED, None)


def test_lifting_the_handset_answers():
    pair = registered(phones=2)
    pair.phones[1].calls.answer_after_s = None
    pair.phones[0].calls.call("1002", pair.now)
    pair.run_for(0.1)
    press(pair, 1, "off-hook")
    assert phase(pair, 1) is Phase.TALKING


@pytest.mark.parametrize("tos", [184, 104, 0, 255])
def test_both_phones_send_with_the_octet_that_the_call_control_names(tos):
    pair = registered(phones=2)
    pair.controls[0].exchange.media_tos = tos
    pair.phones[0].calls.call("1002", pair.now)
    pair.run_until(lambda: pair.talks(0) and pair.talks(1), within=5)
    assert [media.sent[0][1] for media in pair.media.values()] == [tos, tos]
    for phone in (0, 1):
        (start,) = [m for m in said(pair, phone, "down") if isinstance(m, StartMediaTransmission)]
        assert start.precedence == tos


def test_each_phone_is_told_the_port_that_the_other_one_opened():
    pair = talking()
    acks = [next(m for m in said(pair, i, "up") if isinstance(m, OpenReceiveChannelAck)) for i in (0, 1)]
    starts = [next(m for m in said(pair, i, "down") if isinstance(m, StartMediaTransmission)) for i in (0, 1)]
    for start, ack in zip(starts, reversed(acks), strict=True):
        assert (start.remote_address, start.remote_port) == (ack.address, ack.port)
        assert (start.milliseconds, start.codec) == (20, 4)


def test_figures_that_phones_report_are_those_of_their_media():
    pair = talking()
    pair.run_for(20)
    press(pair, 0, "on-hook")
    for phone in (0, 1):
        (told,) = [m for m in said(pair, phone, "up") if isinstance(m, ConnectionStatisticsRes)]
        (ended,) = pair.named("CallEnded", phone)
        assert (told.packets_sent, told.packets_received, told.packets_lost) == (
            ended.data["sent"],
            ended.data["received"],
            0,
        )
        assert told.octets_sent == 160 * told.packets_sent
        assert told.packets_sent > 1000


# -- calls that come to nothing


def test_a_busy_phone_is_not_rung():
    pair = talking(phones=3)
    pair.phones[2].calls.call("1002", pair.now)
    pair.run_for(1)
    assert phase(pair, 2) is Phase.REFUSED
    assert CallState(state=6, line=1, call_reference=pair.phones[2].calls.active.reference) in said(pair, 2, "down")
    assert [m.tone for m in said(pair, 2, "down") if isinstance(m, StartTone)] == [0x21, 0x23]
    assert phase(pair, 1) is Phase.TALKING
    press(pair, 2, "on-hook")
    assert phase(pair, 2) is None


@pytest.mark.parametrize("number", ["7", "1009", "#", "*", "10021"])
def test_a_number_that_is_nobodys_is_refused_at_once(number):
    pair = registered(phones=2)
    pair.phones[0].calls.call(number, pair.now)
    pair.run_for(0.5)
    if number == "10021":  # its first four digits are a number
        assert phase(pair, 1) is Phase.RINGING
    else:
        assert phase(pair, 0) is Phase.REFUSED
        assert pair.named("CallRefused")
        assert [m.tone for m in said(pair, 0, "down") if isinstance(m, StartTone)][-1] == 0x25


def test_a_refused_call_ends_by_itself():
    pair = registered(phones=2)
    pair.phones[0].calls.call("1009", pair.now)
    pair.run_for(1)
    assert pair.run_until(lambda: idle(pair)) == pytest.approx(REFUSED_S, abs=1.5)


def test_whoever_dials_nothing_or_half_a_number_is_refused_in_time():
    pair = registered(phones=2)
    press(pair, 0, "off-hook")
    assert pair.run_until(lambda: phase(pair, 0) is Phase.REFUSED) == pytest.approx(15, abs=0.2)
    press(pair, 0, "on-hook", "NewCall", "1", "0")
    assert pair.run_until(lambda: phase(pair, 0) is Phase.REFUSED) == pytest.approx(4, abs=0.2)


def test_nobody_calls_himself():
    pair = registered(phones=1)
    pair.phones[0].calls.call("1001", pair.now)
    pair.run_for(0.5)
    assert phase(pair, 0) is Phase.REFUSED


def test_a_declined_call_is_refused_to_the_caller():
    pair = registered(phones=2)
    pair.phones[1].calls.answer_after_s = None
    pair.phones[0].calls.call("1002", pair.now)
    pair.run_for(0.1)
    press(pair, 1, "EndCall")
    assert (phase(pair, 0), phase(pair, 1)) == (Phase.REFUSED, None)


def test_a_caller_who_gives_up_stops_the_ringing():
    pair = registered(phones=2)
    pair.phones[1].calls.answer_after_s = None
    pair.phones[0].calls.call("1002", pair.now)
    pair.run_for(0.1)
    press(pair, 0, "on-hook")
    assert idle(pair)
    assert [m.mode for m in said(pair, 1, "down") if isinstance(m, SetRinger)] == [2, 1]


def test_a_phone_without_a_port_ends_the_call():
    pair = registered(phones=2)
    pair.no_ports.add(1)
    pair.phones[0].calls.call("1002", pair.now)
    pair.run_for(2)
    assert idle(pair)
    (ack,) = [m for m in said(pair, 1, "up") if isinstance(m, OpenReceiveChannelAck)]
    assert (ack.status, ack.port) == (1, 0)


def test_redial_calls_the_number_of_the_last_call():
    pair = talking()
    press(pair, 0, "on-hook", "Redial")
    assert phase(pair, 1) is Phase.RINGING


# -- hold


def test_hold_silences_both_ways_and_resume_brings_them_back():
    pair = talking()
    press(pair, 0, "Hold")
    assert (phase(pair, 0), phase(pair, 1)) == (Phase.ON_HOLD, Phase.TALKING)
    assert not pair.talks(0)
    assert not pair.talks(1)
    press(pair, 1, "Hold", "Resume")
    assert not pair.talks(0)
    press(pair, 0, "Resume")
    assert (phase(pair, 0), phase(pair, 1)) == (Phase.TALKING, Phase.TALKING)
    assert pair.talks(0)
    assert pair.talks(1)
    press(pair, 1, "on-hook")
    assert idle(pair)


@pytest.mark.parametrize("who", [0, 1])
def test_a_held_call_ends_from_either_side(who):
    pair = talking()
    press(pair, 0, "Hold")
    press(pair, who, "on-hook")
    assert idle(pair)


# -- calls and registration


@pytest.mark.parametrize("loss", ["kill", "cut", "freeze"])
def test_media_outlive_the_call_control_and_the_phones_fail_over_when_the_call_is_over(loss):
    pair = talking(profile=QUICK)
    getattr(pair, loss)(0)
    pair.run_for(30)
    assert (phase(pair, 0), phase(pair, 1)) == (Phase.PRESERVED, Phase.PRESERVED)
    assert [pair.registered_at(i) for i in (0, 1)] == [None, None]
    assert pair.talks(0)
    assert pair.talks(1)
    assert not pair.named("Registered")[1:]
    press(pair, 0, "on-hook")
    took_s = pair.run_until(lambda: pair.registered_at(0) == 1, within=5)
    assert took_s < 1
    assert pair.run_until(lambda: pair.registered_at(1) == 1, within=10) < SILENCE_S + 1
    assert not pair.named("CallEnded", 1)[0].data["cause"].startswith("hung")
    assert not any(phone.calls.by_reference for phone in pair.phones)


def test_a_call_that_was_not_answered_yet_dies_with_the_call_control():
    pair = registered(phones=2, profile=QUICK)
    pair.phones[1].calls.answer_after_s = None
    pair.phones[0].calls.call("1002", pair.now)
    pair.run_for(0.1)
    pair.kill(0)
    pair.run_until(lambda: pair.registered_at(0) == 1 and pair.registered_at(1) == 1, within=5)
    assert not any(phone.calls.by_reference for phone in pair.phones)


def test_a_phone_in_a_call_falls_back_only_when_it_is_over():
    pair = registered(phones=2, profile=QUICK)
    pair.kill(0)
    pair.run_until(lambda: all(pair.registered_at(i) == 1 for i in (0, 1)))
    pair.phones[0].calls.call("1002", pair.now)
    pair.run_until(lambda: pair.talks(0), within=5)
    pair.start(0)
    pair.run_for(60)
    assert [pair.registered_at(i) for i in (0, 1)] == [1, 1]
    assert pair.talks(1)
    press(pair, 1, "on-hook")
    pair.run_until(lambda: all(pair.registered_at(i) == 0 for i in (0, 1)), within=20)


def test_hanging_up_at_a_frozen_call_control_ends_the_call_for_the_phone():
    pair = talking(profile=PROFILES["srnd"])
    pair.freeze(0)
    press(pair, 0, "on-hook")
    assert not pair.talks(0)
    assert phase(pair, 0) is None
    assert pair.run_until(lambda: not pair.phones[0].calls.by_reference) <= HANG_UP_S
    assert pair.registered_at(0) == 0
    pair.thaw(0)
    pair.run_for(1)
    assert idle(pair)


def test_when_one_phone_is_lost_to_the_call_control_the_other_keeps_its_media():
    pair = talking(profile=QUICK)
    lost = pair.phones[1].settings.device_name
    control = pair.controls[0]
    pair.drop = lambda way, phone, rank, data: phone == 1 and rank == 0
    pair.run_until(lambda: lost not in control.registered, within=20)
    pair.run_for(1)
    assert [leg.state for leg in control.exchange.legs.values()] == [LegState.STRANDED]
    assert pair.talks(0)
    assert pair.talks(1)
    press(pair, 0, "on-hook")
    assert not control.exchange.legs


def test_a_phone_that_is_switched_off_hangs_up_first():
    pair = talking()
    pair.phones[0].stop(pair.now)
    pair.run_for(1)
    assert pair.phones[0].ended
    assert idle(pair)
    ids = [m.message_id for m in said(pair, 0, "up")]
    assert ids.index(OnHook.message_id) < ids.index(0x27)


def test_a_call_control_refuses_to_let_a_phone_go_whose_call_is_up():
    pair = talking()
    control = pair.controls[0]
    peer = control.registered["SEP020000000001"].peer
    control.receive(peer, encode(Unregister()), pair.now)
    assert control.to_send()[-1][1][-4:] == (2).to_bytes(4, "little")
    assert "SEP020000000001" in control.registered


def test_a_mute_call_control_takes_no_key_and_calls_go_on():
    pair = talking(profile=PROFILES["srnd"])
    pair.controls[0].mute()
    press(pair, 1, "Hold")
    pair.run_for(5)
    assert pair.talks(0)
    assert pair.talks(1)


def test_open_receive_channel_for_no_call_is_answered_with_an_error():
    pair = registered(phones=1)
    pair.phones[0].receive(0, encode(OpenReceiveChannel(call_reference=5, pass_through_party=9)), pair.now)
    (_, data) = pair.phones[0].to_send()[-1]
    ack = decode(0x22, data[12:])
    assert isinstance(ack, OpenReceiveChannelAck)
    assert (ack.status, ack.pass_through_party) == (1, 9)


# -- whatever happens

ACTS = st.one_of(
    st.tuples(st.integers(0, 2), st.sampled_from(KEYS)),
    st.tuples(st.integers(0, 2), st.sampled_from(["1001", "1002", "1003", "1004"])),
    st.tuples(st.just("run"), st.sampled_from([0.0005, 0.01, 0.5, 1.1, 5.0, 20.0])),
)


@settings(max_examples=60, deadline=None)
@given(acts=st.lists(ACTS, max_size=25))
def test_no_keys_wedge_the_machines_and_registration_is_untouched(acts):
    """Whatever was pressed: all calls end within the timers, then a fresh call comes about; nobody ever re-registers."""
    pair = registered(phones=3)
    for who, what in acts:
        if who == "run":
            pair.run_for(what)
        elif what in KEYS:
            pair.phones[who].calls.press(what, pair.now)
        else:
            pair.phones[who].calls.call(what, pair.now)
    pair.run_for(0.1)
    for leg in pair.controls[0].exchange.legs.values():
        assert leg.other is None or leg.other.other is leg
    for phone in range(3):
        for _ in range(5):
            press(pair, phone, "on-hook")
    pair.run_for(HANG_UP_S + 0.1)
    assert idle(pair)
    assert not any(media.sent and media.sent[-1][3] == float("inf") for media in pair.media.values())
    assert all(not phone.in_call for phone in pair.phones)
    pair.phones[0].calls.call("1003", pair.now)
    pair.run_until(lambda: pair.talks(0) and pair.talks(2), within=5)
    for phone in range(3):
        assert len(pair.named("Registered", phone)) == 1
        assert not pair.named("CallControlLost", phone)


@settings(max_examples=40, deadline=None)
@given(
    acts=st.lists(
        st.one_of(ACTS, st.tuples(st.sampled_from(["kill", "start", "cut", "heal", "freeze", "thaw"]), st.just(0))),
        max_size=20,
    )
)
def test_every_call_ends_and_every_phone_is_registered_again_whatever_fails(acts):
    pair = registered(phones=3, profile=QUICK)
    for who, what in acts:
        if who == "run":
            pair.run_for(what)
        elif isinstance(who, str):
            getattr(pair, who)(0)
        elif what in KEYS:
            pair.phones[who].calls.press(what, pair.now)
        else:
            pair.phones[who].calls.call(what, pair.now)
    for act in ("heal", "thaw"):
        getattr(pair, act)(0)
    pair.run_for(30)
    for phone, _ in itertools.product(range(3), range(3)):
        press(pair, phone, "on-hook")
    pair.run_for(90)
    assert not any(phone.calls.by_reference for phone in pair.phones)
    assert all(pair.registered_at(i) is not None for i in range(3))


@pytest.mark.parametrize("table", [TRANSITIONS, LEG_TRANSITIONS], ids=["phone", "call-control"])
def test_from_every_state_of_a_call_its_end_can_be_reached(table):
    states = type(next(iter(table))[0])
    reached = {states["OVER"]}
    for _ in states:
        reached |= {before for (before, _), (after, _) in table.items() if after in reached}
    assert reached == set(states)


def test_a_leg_is_over_when_its_user_hangs_up_or_its_phone_is_gone_whatever_state_it_is_in():
    for state in LegState:
        if state not in (LegState.NEW, LegState.OVER):
            assert LEG_TRANSITIONS[state, LegInput.HANG_UP][0] is LegState.OVER
            assert LEG_TRANSITIONS[state, LegInput.GONE][0] is LegState.OVER


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_decodes_a_call_without_malformed_messages_and_pairs_requests_with_answers(tmp_path):
    pair = talking()
    pair.run_for(5)
    press(pair, 0, "Hold", "Resume", "on-hook")
    path = tmp_path / "call.pcap"
    write_capture(path, [(way == "up", data) for _, way, phone, rank, data in pair.sent if (phone, rank) == (0, 0)])
    assert tshark(path, "frame.number", only="_ws.malformed") == []
    ids = [int(i) for row in tshark(path, "skinny.messageId") for i in row[0].split(",")]
    order = (0x26, 0x82, 0x03, 0x11D, 0x8F, 0x105, 0x22, 0x8A)
    assert [ids.index(i) for i in order] == sorted(ids.index(i) for i in order)
    assert {0x106, 0x8B, 0x107, 0x23} <= set(ids)
    assert tshark(path, "skinny.precedenceValue", only="skinny.messageId==0x8a")[0][0] == "184"
    asked = tshark(path, "frame.number", only="skinny.messageId==0x105 || skinny.messageId==0x107")
    answered = tshark(path, "skinny.response_to", only="skinny.messageId==0x22 || skinny.messageId==0x23")
    assert len(asked) == len(answered) == 3
    assert all(row[0] for row in answered)
