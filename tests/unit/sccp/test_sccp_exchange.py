"""The exchange against phones that say anything: it stays within its bounds, and whoever is gone leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.sccp.call_codes import FIRST_REFERENCE
from testbed.sccp.call_messages import EnblocCall, KeypadButton, OffHook, OnHook, SoftKeyEvent
from testbed.sccp.exchange import MAX_LEGS, Exchange
from testbed.sccp.leg import LegState
from testbed.sccp.media_messages import ConnectionStatisticsRes, OpenReceiveChannelAck
from testbed.sccp.message import Message
from testbed.sccp.messages import encode

PHONES = ("SEP-A", "SEP-B", "SEP-C")


class Wire:
    """What was said to whom; everything must be fit to be sent."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Message]] = []
        self.told: list[str] = []

    def say_to(self, device_name: str, *messages: Message) -> None:
        for message in messages:
            encode(message)
            self.said.append((device_name, message))

    def tell(self, name: str, now: float, **data: Any) -> None:
        self.told.append(name)


REFERENCES = st.integers(FIRST_REFERENCE, FIRST_REFERENCE + 8) | st.just(0) | st.integers(0, 0xFFFFFFFF)
LINES = st.integers(0, 3)
MESSAGES = st.one_of(
    st.builds(OffHook, line=LINES, call_reference=REFERENCES),
    st.builds(OnHook, line=LINES, call_reference=REFERENCES),
    st.builds(KeypadButton, key=st.integers(0, 20), call_reference=REFERENCES),
    st.builds(EnblocCall, number=st.text("0123456789*#x\x80", max_size=24)),
    st.builds(SoftKeyEvent, event=st.integers(0, 12), line=LINES, call_reference=REFERENCES),
    st.builds(
        OpenReceiveChannelAck,
        status=st.integers(0, 1),
        address=st.just("10.0.0.1"),
        port=st.integers(0, 70_000),
        call_reference=REFERENCES,
    ),
    st.builds(ConnectionStatisticsRes, call_reference=REFERENCES, packets_sent=st.integers(0, 0xFFFFFFFF)),
)
ACTS = st.lists(
    st.tuples(st.sampled_from(PHONES), st.one_of(MESSAGES, st.sampled_from(["leave", "come", "wait", "share"]))),
    max_size=40,
)


@settings(deadline=None)
@given(acts=ACTS)
def test_whatever_phones_say_legs_are_bounded_and_paired_and_all_go_with_their_phones(acts):
    wire, now = Wire(), 0.0
    exchange = Exchange(wire)
    for place, phone in enumerate(PHONES):
        exchange.plug(phone, {1: str(1001 + place)}, now)
    there = set(PHONES)
    for phone, act in acts:
        now += 0.1
        if act == "wait":
            now += 20
            exchange.tick(now)
        elif act == "leave":
            exchange.unplug(phone, now)
            there.discard(phone)
        elif act in ("come", "share"):
            if phone not in there:
                exchange.plug(phone, {1: "1001" if act == "share" else str(1001 + PHONES.index(phone))}, now)
                there.add(phone)
        elif phone in there:
            exchange.take(phone, act, now)
        assert {leg.device_name for leg in exchange.legs.values()} <= there
        for own in exchange.by_device.values():
            assert 1 <= len(own) <= MAX_LEGS
        for leg in exchange.legs.values():
            assert leg.state not in (LegState.NEW, LegState.OVER)
            assert leg.other is None or (leg.other.other is leg and leg.other.reference in exchange.legs)
    for phone in there:
        exchange.unplug(phone, now)
    assert not exchange.legs
    assert not exchange.by_device
    assert not exchange.numbers


@pytest.mark.parametrize("first", ["SEP-A", "SEP-B"])
def test_of_two_phones_with_one_number_the_later_one_has_it_and_either_may_leave_first(first: str):
    exchange = Exchange(Wire())
    exchange.plug("SEP-A", {1: "1001"}, 0.0)
    exchange.plug("SEP-B", {1: "1001"}, 0.5)
    exchange.unplug(first, 1.0)
    assert exchange.numbers == ({"1001": ("SEP-B", 1)} if first == "SEP-A" else {})
    exchange.unplug("SEP-A" if first == "SEP-B" else "SEP-B", 2.0)
    assert not exchange.numbers
