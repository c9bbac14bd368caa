"""Transfers on a fake wire: phone 0 talks to phone 1 and hands it over to phone 2."""

from __future__ import annotations

import pytest
from sccp_wire import Pair
from test_sccp_calls import idle, phase, press, said, talking

from testbed.sccp.leg import LegState
from testbed.sccp.media_messages import StartMediaTransmission
from testbed.sccp.phone_call_state import Phase


def consulting() -> Pair:
    """The first call is on hold, the second rings at a phone that answers by hand."""
    pair = talking(phones=4)
    pair.phones[2].calls.answer_after_s = None
    press(pair, 0, "Trnsfer")
    assert [call.phase for call in pair.phones[0].calls.by_reference.values()] == [Phase.ON_HOLD, Phase.DIALLING]
    assert not pair.talks(1)
    press(pair, 0, *"1003")
    assert phase(pair, 2) is Phase.RINGING
    return pair


def test_a_blind_transfer_leaves_the_other_two_to_each_other():
    pair = consulting()
    press(pair, 0, "Trnsfer")
    assert phase(pair, 0) is None
    assert (phase(pair, 1), phase(pair, 2)) == (Phase.CALLING, Phase.RINGING)
    press(pair, 2, "Answer")
    assert (phase(pair, 1), phase(pair, 2)) == (Phase.TALKING, Phase.TALKING)
    assert pair.talks(1)
    assert pair.talks(2)
    assert [pair.phones[i].calls.active.number for i in (1, 2)] == ["1003", "1002"]
    start = [m for m in said(pair, 1, "down") if isinstance(m, StartMediaTransmission)][-1]
    assert start.remote_address == pair.phones[2].settings.address
    press(pair, 2, "on-hook")
    assert idle(pair)


def test_an_attended_transfer_joins_the_two_when_both_have_talked_to_the_first():
    pair = consulting()
    press(pair, 2, "Answer")
    assert pair.talks(0)
    assert pair.talks(2)
    press(pair, 0, "Trnsfer")
    assert phase(pair, 0) is None
    assert pair.talks(1)
    assert pair.talks(2)
    assert not pair.talks(0)
    press(pair, 1, "on-hook")
    assert idle(pair)


def test_a_transfer_may_be_given_up_and_the_first_call_resumed():
    pair = consulting()
    press(pair, 0, "EndCall")
    assert phase(pair, 2) is None
    assert phase(pair, 0) is Phase.ON_HOLD
    press(pair, 0, "Resume")
    assert pair.talks(0)
    assert pair.talks(1)


def test_a_transfer_to_a_busy_phone_comes_to_nothing():
    pair = talking(phones=4)
    pair.phones[2].calls.call("1004", pair.now)
    pair.run_until(lambda: pair.talks(2), within=5)
    press(pair, 0, "Trnsfer", *"1003", "Trnsfer")
    assert phase(pair, 0) is Phase.REFUSED
    press(pair, 0, "on-hook", "Resume")
    assert pair.talks(0)
    assert pair.talks(1)


@pytest.mark.parametrize("who", [1, 2])
def test_after_a_blind_transfer_either_side_may_give_up(who):
    pair = consulting()
    press(pair, 0, "Trnsfer")
    press(pair, who, "on-hook")
    if who == 2:
        assert phase(pair, 1) is Phase.REFUSED
        press(pair, 1, "on-hook")
    assert idle(pair)


def test_the_held_one_may_leave_before_the_transfer():
    pair = consulting()
    press(pair, 1, "on-hook")
    press(pair, 0, "Trnsfer")
    assert [leg.state for leg in pair.controls[0].exchange.legs.values()] == [LegState.CALLING, LegState.RINGING]
    press(pair, 0, "on-hook")
    assert idle(pair)


def test_a_transferred_call_that_nobody_answers_is_refused_in_time():
    pair = consulting()
    press(pair, 0, "Trnsfer")
    pair.run_for(61)
    assert (phase(pair, 1), phase(pair, 2)) == (Phase.REFUSED, None)
