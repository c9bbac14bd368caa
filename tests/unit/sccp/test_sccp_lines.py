"""Phones with two lines."""

from __future__ import annotations

from sccp_wire import Pair
from test_sccp_calls import idle, phase, press, said, talking
from test_sccp_phone import registered

from testbed.sccp.configuration_messages import LineStatRes
from testbed.sccp.phone_call_state import Phase


def phases(pair: Pair, phone: int) -> list[Phase]:
    return [call.phase for call in pair.phones[phone].calls.by_reference.values()]


def test_a_phone_with_two_lines_registers_both_and_is_named_by_the_first():
    pair = registered(phones=1, lines=2)
    assert [m.number for m in said(pair, 0, "down") if isinstance(m, LineStatRes)] == ["1001", "71001"]
    assert pair.phones[0].line == "1001"


def test_the_second_line_rings_while_the_first_one_talks_and_answering_it_holds_the_first():
    pair = talking(phones=3, lines=2)
    pair.phones[2].calls.call("71002", pair.now)
    pair.run_for(5)
    assert phases(pair, 1) == [Phase.TALKING, Phase.RINGING], "nobody answers by himself while he talks"
    assert pair.talks(0)
    press(pair, 1, "Answer")
    assert phases(pair, 1) == [Phase.ON_HOLD, Phase.TALKING]
    assert not pair.talks(0)
    assert pair.talks(2)
    assert [call.line for call in pair.phones[1].calls.by_reference.values()] == [1, 2]
    press(pair, 1, "EndCall", "Resume")
    assert phases(pair, 1) == [Phase.TALKING]
    assert pair.talks(0)
    press(pair, 1, "on-hook")
    assert idle(pair)


def test_a_line_that_talks_is_busy_though_the_other_is_free():
    pair = talking(phones=3, lines=2)
    pair.phones[2].calls.call("1002", pair.now)
    pair.run_for(1)
    assert phase(pair, 2) is Phase.REFUSED


def test_a_call_may_be_made_from_the_second_line():
    pair = registered(phones=2, lines=2)
    assert pair.phones[0].calls.call("1002", pair.now, line=2)
    pair.run_until(lambda: pair.talks(0), within=5)
    assert pair.phones[1].calls.active.number == "71001"


def test_with_one_line_the_second_number_is_nobodys():
    pair = registered(phones=2)
    pair.phones[0].calls.call("71002", pair.now)
    pair.run_for(1)
    assert phase(pair, 0) is Phase.REFUSED


def test_keys_mean_the_call_that_talks_not_the_one_that_rings():
    pair = talking(phones=3, lines=2)
    pair.phones[2].calls.call("71002", pair.now)
    pair.run_for(0.5)
    press(pair, 1, "Hold")
    assert phases(pair, 1) == [Phase.ON_HOLD, Phase.RINGING]
