"""Calls between phones of two call controls, on a fake wire: phones 0 and 2 are at the first one, 1 and 3 at the second."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sccp_wire import Pair
from test_sccp_calls import idle, phase, press

from testbed.profile import PROFILES
from testbed.sccp import across, leg_transitions
from testbed.sccp.call_messages import CallInfo, DisplayPromptStatus, StartTone
from testbed.sccp.framing import FrameReader
from testbed.sccp.leg import LegInput, LegState
from testbed.sccp.leg_transitions import ASKED_S, REFUSED_S
from testbed.sccp.media_messages import OpenReceiveChannelAck, StartMediaTransmission
from testbed.sccp.message import Message
from testbed.sccp.messages import decode
from testbed.sccp.phone_call_state import Phase
from testbed.sccp.phone_calls import KEYS
from testbed.sccp.registration_messages import KeepAliveAck

QUICK = PROFILES["quick"]


def apart(phones: int = 4, **kwargs: Any) -> Pair:
    """The odd phones do not reach the first call control."""
    pair = Pair(phones=phones, **kwargs)
    pair.refused = {(phone, 0) for phone in range(1, phones, 2)}
    pair.boot()
    pair.run_until(lambda: all(pair.registered_at(i) == i % 2 for i in range(phones)))
    pair.join()
    pair.run_for(0.5)
    return pair


def talking_across(**kwargs: Any) -> Pair:
    pair = apart(**kwargs)
    assert pair.phones[0].calls.call("1002", pair.now)
    pair.run_until(lambda: pair.talks(0) and pair.talks(1), within=5)
    pair.run_for(0.1)
    return pair


def said(pair: Pair, phone: int, way: str) -> list[Message]:
    """Of this phone and its own call control."""
    reader = FrameReader()
    data = b"".join(d for _, w, p, r, d in pair.sent if (w, p, r) == (way, phone, phone % 2))
    return [decode(message_id, body, version) for version, message_id, body in reader.feed(data)]


def legs(pair: Pair) -> list[list[LegState]]:
    return [[leg.state for leg in control.exchange.legs.values()] for control in pair.controls]


def far_legs(pair: Pair) -> int:
    return sum(len(link.legs) for control in pair.controls for link in control.exchange.across.links.values())


def nothing_left(pair: Pair) -> bool:
    return idle(pair) and not far_legs(pair)


# -- a call


@pytest.mark.parametrize("who_ends", [0, 1])
def test_a_call_across_rings_is_answered_carries_media_both_ways_and_ends(who_ends):
    pair = apart()
    pair.phones[1].calls.answer_after_s = None
    assert press(pair, 0, "off-hook", *"1002") == [True] * 5
    assert (phase(pair, 0), phase(pair, 1)) == (Phase.CALLING, Phase.RINGING)
    press(pair, 1, "Answer")
    assert (phase(pair, 0), phase(pair, 1)) == (Phase.TALKING, Phase.TALKING)
    assert pair.talks(0)
    assert pair.talks(1)
    assert [pair.phones[i].calls.active.number for i in (0, 1)] == ["1002", "1001"]
    pair.run_for(10)
    press(pair, who_ends, "on-hook")
    assert nothing_left(pair)
    for phone in (0, 1):
        (ended,) = pair.named("CallEnded", phone)
        assert ended.data["sent"] == pytest.approx(503, abs=5)
        assert ended.data["received"] == pytest.approx(503, abs=5)
        assert pair.registered_at(phone) == phone


def test_each_phone_is_told_the_port_that_the_far_one_opened_and_the_octet():
    pair = apart()
    for control in pair.controls:
        control.exchange.media_tos = 104
    pair.phones[1].calls.call("1003", pair.now)
    pair.run_until(lambda: pair.talks(1) and pair.talks(2), within=5)
    acks = [next(m for m in said(pair, i, "up") if isinstance(m, OpenReceiveChannelAck)) for i in (1, 2)]
    starts = [next(m for m in said(pair, i, "down") if isinstance(m, StartMediaTransmission)) for i in (1, 2)]
    for start, ack, address in zip(starts, reversed(acks), ("172.26.16.3", "172.26.16.2"), strict=True):
        assert (start.remote_address, start.remote_port, start.precedence) == (ack.address, ack.port, 104)
        assert start.remote_address == address


@pytest.mark.parametrize("acts", ["answered", "held", "declined", "busy", "given up"])
def test_a_phone_is_told_the_same_as_in_a_call_within_one_call_control(acts):
    stories = []
    for is_across in (False, True):
        pair = apart()
        if not is_across:
            pair.refused = {(0, 0), (2, 0)}
            pair.kill(0)
            pair.run_until(lambda pair=pair: all(pair.registered_at(i) == 1 for i in range(4)))
        before = [len(heard_by(pair, i)) for i in range(2)]
        if acts == "busy":
            press(pair, 1, "off-hook")
        pair.phones[1].calls.answer_after_s = None
        press(pair, 0, "off-hook", *"1002")
        if acts in ("answered", "held"):
            press(pair, 1, "Answer")
        if acts == "held":
            press(pair, 1, "Hold", "Resume")
        press(pair, 1 if acts == "declined" else 0, "on-hook")
        if acts == "declined":
            press(pair, 0, "on-hook")
        stories.append([told_since(pair, i, before[i]) for i in range(2)])
    assert stories[0] == stories[1]


def heard_by(pair: Pair, phone: int) -> list[Message]:
    rank = pair.registered_at(phone)
    data = b"".join(d for _, w, p, r, d in pair.sent if (w, p, r) == ("down", phone, rank))
    return [decode(message_id, body, version) for version, message_id, body in FrameReader().feed(data)]


def told_since(pair: Pair, phone: int, count: int) -> list[tuple[str, str]]:
    """Kinds of messages in their order, with the words on the screen and the numbers of the call."""
    told = [m for m in heard_by(pair, phone)[count:] if not isinstance(m, KeepAliveAck)]
    words = {DisplayPromptStatus: "text", CallInfo: "calling_number"}
    return [(type(m).__name__, str(getattr(m, words.get(type(m), ""), ""))) for m in told]


# -- calls that come to nothing


def test_a_busy_phone_across_gives_the_busy_tone_and_is_left_alone():
    pair = talking_across()
    pair.phones[2].calls.call("1002", pair.now)
    pair.run_for(1)
    assert phase(pair, 2) is Phase.REFUSED
    assert [m.tone for m in said(pair, 2, "down") if isinstance(m, StartTone)] == [0x21, 0x23]
    assert phase(pair, 1) is Phase.TALKING
    press(pair, 2, "on-hook")
    press(pair, 0, "on-hook")
    assert nothing_left(pair)


def test_a_number_that_is_nobodys_anywhere_is_unknown():
    pair = apart()
    pair.phones[0].calls.call("1009", pair.now)
    pair.run_for(0.5)
    assert phase(pair, 0) is Phase.REFUSED
    assert [m.tone for m in said(pair, 0, "down") if isinstance(m, StartTone)][-1] == 0x25


def test_a_number_that_went_away_while_the_call_was_under_way_is_unknown():
    pair = apart()
    across_first = pair.controls[0].exchange.across
    across_first.directory.claim("1009", across_first.places["1002"], pair.now)
    pair.phones[0].calls.call("1009", pair.now)
    pair.run_for(0.5)
    causes = [e.data["cause"] for _, e in pair.control_events if e.name == "CallNotRouted"]
    assert (phase(pair, 0), causes) == (Phase.REFUSED, ["unknown number"])
    assert far_legs(pair) == 0


def test_a_declined_call_and_one_that_the_caller_gives_up():
    pair = apart()
    pair.phones[1].calls.answer_after_s = None
    pair.phones[0].calls.call("1002", pair.now)
    pair.run_for(0.1)
    press(pair, 1, "EndCall")
    assert (phase(pair, 0), phase(pair, 1)) == (Phase.REFUSED, None)
    press(pair, 0, "on-hook")
    pair.phones[0].calls.call("1002", pair.now)
    pair.run_for(0.1)
    press(pair, 0, "on-hook")
    assert nothing_left(pair)


def test_a_call_control_that_does_not_answer_is_waited_for_no_longer_than_its_time():
    pair = apart()
    pair.freeze(1)
    pair.phones[0].calls.call("1002", pair.now)
    pair.run_for(0.1)
    assert legs(pair)[0] == [LegState.ASKING]
    assert pair.run_until(lambda: phase(pair, 0) is Phase.REFUSED) == pytest.approx(ASKED_S, abs=0.2)
    assert pair.run_until(lambda: phase(pair, 0) is None) == pytest.approx(REFUSED_S, abs=1.5)


# -- where a number is


def test_a_phone_is_rung_where_it_registered_last_however_long_the_other_one_remembers_it():
    pair = apart()
    control = pair.controls[0]
    pair.refused.clear()
    pair.run_until(lambda: pair.registered_at(1) == 0)
    assert "1002" not in control.exchange.across.places
    assert "1002" in pair.controls[1].exchange.across.places
    stale = {**control.exchange.numbers}
    pair.refused = {(1, 0)}
    control._hang_up(control.registered["SEP020000000002"], "closed", pair.now)
    control.exchange.numbers = stale
    pair.run_until(lambda: pair.registered_at(1) == 1)
    pair.run_for(0.1)
    pair.phones[0].calls.call("1002", pair.now)
    pair.run_for(0.2)
    assert phase(pair, 1) is Phase.RINGING


def test_alone_a_call_control_knows_only_its_own():
    pair = apart()
    pair.part()
    assert not pair.controls[0].exchange.across.places
    pair.phones[0].calls.call("1002", pair.now)
    pair.run_for(0.2)
    assert phase(pair, 0) is Phase.REFUSED
    press(pair, 0, "on-hook")
    pair.join(1, 0)
    pair.run_for(0.1)
    pair.phones[0].calls.call("1002", pair.now)
    pair.run_until(lambda: pair.talks(0) and pair.talks(1), within=5)


# -- losses


@pytest.mark.parametrize("how", ["end", "silence", "kill"])
def test_a_link_that_is_lost_leaves_the_media_and_strands_the_legs(how):
    pair = talking_across(profile=QUICK)
    if how == "end":
        pair.part()
    elif how == "kill":
        pair.kill(1)
    else:
        pair.links_cut = True
        pair.run_for(4 * QUICK.keepalive_s)
    pair.run_for(1)
    assert pair.talks(0)
    assert pair.talks(1)
    assert legs(pair)[0] == [LegState.STRANDED]
    assert how == "kill" or legs(pair)[1] == [LegState.STRANDED]
    for phone in (0, 1):
        press(pair, phone, "on-hook")
    assert not any(legs(pair))
    assert not far_legs(pair)


@pytest.mark.parametrize("phone", [0, 1])
def test_a_link_that_is_lost_while_it_rings_refuses_the_caller_and_stops_the_ringing(phone):
    pair = apart()
    pair.phones[1].calls.answer_after_s = None
    pair.phones[0].calls.call("1002", pair.now)
    pair.run_for(0.1)
    pair.part()
    pair.run_for(0.1)
    assert (phase(pair, 0), phase(pair, 1)) == (Phase.REFUSED, None)


def test_a_phone_across_that_is_lost_strands_the_other_as_a_local_one_would():
    pair = talking_across(profile=QUICK)
    pair.drop = lambda way, phone, rank, data: phone == 1 and rank == 1
    pair.run_until(lambda: "SEP020000000002" not in pair.controls[1].registered, within=20)
    pair.run_for(0.5)
    assert legs(pair) == [[LegState.STRANDED], []]
    assert pair.talks(0)
    press(pair, 0, "on-hook")
    assert far_legs(pair) == 0


def test_a_mute_call_control_says_nothing_to_the_others_either_and_begins_anew():
    pair = talking_across(profile=QUICK)
    one = pair.controls[1]
    one.mute()
    pair.run_for(4 * QUICK.keepalive_s)
    assert not one.exchange.across.to_send()
    assert not pair.controls[0].exchange.across.links
    assert pair.talks(0)
    one.unmute(pair.now)
    assert not one.exchange.across.links


# -- hold and transfer


@pytest.mark.parametrize("who", [0, 1])
def test_hold_across_silences_both_ways_and_resume_brings_them_back(who):
    pair = talking_across()
    press(pair, who, "Hold")
    assert not pair.talks(0)
    assert not pair.talks(1)
    press(pair, who, "Resume")
    assert pair.talks(0)
    assert pair.talks(1)
    press(pair, 1 - who, "on-hook")
    assert nothing_left(pair)


def test_both_may_hold_at_the_same_moment():
    pair = talking_across()
    for phone in (0, 1):
        pair.phones[phone].calls.press("Hold", pair.now)
    pair.run_for(0.5)
    press(pair, 0, "Resume")
    press(pair, 1, "Resume")
    pair.run_for(0.5)
    assert pair.talks(0)
    assert pair.talks(1)
    press(pair, 1, "on-hook")
    assert nothing_left(pair)


@pytest.mark.parametrize(("by", "to"), [(0, 2), (0, 3), (1, 2), (1, 3)])
@pytest.mark.parametrize("is_blind", [True, False])
def test_a_call_across_is_transferred_to_a_phone_of_either_call_control(by, to, is_blind):
    pair = talking_across()
    pair.phones[to].calls.answer_after_s = None
    press(pair, by, "Trnsfer", *f"{1001 + to}")
    assert phase(pair, to) is Phase.RINGING
    press(pair, *((by, "Trnsfer") if is_blind else (to, "Answer")))
    press(pair, *((to, "Answer") if is_blind else (by, "Trnsfer")))
    pair.run_for(0.2)
    held = 1 - by
    assert phase(pair, by) is None
    assert pair.talks(held)
    assert pair.talks(to)
    assert [pair.phones[i].calls.active.number for i in (held, to)] == [f"{1001 + to}", f"{1001 + held}"]
    press(pair, to, "on-hook")
    assert nothing_left(pair)


def test_who_is_transferred_to_a_phone_that_rings_again_hears_it_ring():
    """Phone 0 holds 2 and consults 1 across, who hands the consultation on to 3, which rings; then 0 transfers 2 to it."""
    pair = apart()
    pair.phones[3].calls.answer_after_s = None
    pair.phones[2].calls.call("1001", pair.now)
    pair.run_until(lambda: pair.talks(2), within=5)
    press(pair, 0, "Trnsfer", *"1002")
    pair.run_until(lambda: pair.talks(1), within=5)
    press(pair, 1, "Trnsfer", *"1004", "Trnsfer")
    assert phase(pair, 3) is Phase.RINGING
    press(pair, 0, "Trnsfer")
    assert phase(pair, 0) is None
    assert not pair.talks(2)
    press(pair, 3, "Answer")
    pair.run_for(0.2)
    assert pair.talks(2)
    assert pair.talks(3)


# -- whatever happens

ACTS = st.one_of(
    st.tuples(st.integers(0, 3), st.sampled_from(KEYS)),
    st.tuples(st.integers(0, 3), st.sampled_from(["1001", "1002", "1003", "1004", "1005"])),
    st.tuples(st.just("run"), st.sampled_from([0.0005, 0.0015, 0.01, 0.5, 1.1, 5.0, 20.0])),
    st.tuples(st.just("link"), st.just("")),
)


@settings(max_examples=60, deadline=None)
@given(acts=st.lists(ACTS, max_size=25))
def test_no_keys_and_no_lost_link_wedge_the_machines(acts):
    """Whatever was pressed: when all hang up nothing is left at either call control, and a fresh call comes about."""
    pair = apart()
    for who, what in acts:
        if who == "run":
            pair.run_for(what)
        elif who == "link":
            pair.part()
            pair.join(1, 0)
        elif what in KEYS:
            pair.phones[who].calls.press(what, pair.now)
        else:
            pair.phones[who].calls.call(what, pair.now)
    pair.run_for(0.1)
    for phone in range(4):
        for _ in range(5):
            press(pair, phone, "on-hook")
    pair.run_for(30)
    assert nothing_left(pair)
    pair.phones[1].calls.answer_after_s = 1.0
    pair.phones[0].calls.call("1002", pair.now)
    pair.run_until(lambda: pair.talks(0) and pair.talks(1), within=5)
    assert [len(pair.named("Registered", phone)) for phone in range(4)] == [1] * 4


# -- mutants


def test_mutant_a_lost_link_that_is_taken_for_a_hang_up_ends_the_media(monkeypatch):
    """The check above that media outlive the link can fail."""
    monkeypatch.setitem(
        leg_transitions.TRANSITIONS, (LegState.TALKING, LegInput.OTHER_GONE), (LegState.OVER, leg_transitions._release)
    )
    pair = talking_across(profile=QUICK)
    pair.part()
    pair.run_for(1)
    assert not pair.talks(0)


def test_mutant_media_addresses_that_are_not_passed_on_leave_the_call_silent(monkeypatch):
    monkeypatch.setattr(across.Across, "start", lambda *_: None)
    pair = apart()
    pair.phones[0].calls.call("1002", pair.now)
    pair.run_for(5)
    assert (phase(pair, 0), phase(pair, 1)) == (Phase.TALKING, Phase.TALKING)
    assert not pair.talks(0)
    assert not pair.talks(1)
