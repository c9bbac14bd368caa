"""Lines between call controls: what is written is read again, and nothing else is."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testbed.errors import PeerProtocolError
from testbed.sccp.across import MAX_NUMBERS, Across
from testbed.sccp.cluster import (
    HAPPENINGS,
    MAX_LINE_BYTES,
    MAX_MS,
    NUMBERS_A_LINE,
    Ask,
    Gone,
    Happened,
    Here,
    LineReader,
    Media,
    Registered,
    Setup,
    decode,
    encode,
)
from testbed.sccp.exchange import Exchange
from testbed.sccp.leg import Leg, LegState
from testbed.sccp.message import Message

LINES = [
    (Ask(), b'{"kind":"ask"}\n'),
    (Here(), b'{"kind":"here"}\n'),
    (
        Registered(numbers=("1001", "71001"), since_ms=(1_800_000_000_123, 0)),
        b'{"kind":"registered","numbers":["1001","71001"],"since_ms":[1800000000123,0]}\n',
    ),
    (Gone(numbers=("1001",)), b'{"kind":"gone","numbers":["1001"]}\n'),
    (
        Setup(call=3, called="1002", device="SEP020000000001", number="1001", reference=7),
        b'{"kind":"setup","call":3,"called":"1002","device":"SEP020000000001","number":"1001","reference":7}\n',
    ),
    (
        Happened(call=3, what="hangs up"),
        b'{"kind":"happened","call":3,"what":"hangs up","device":"","number":"","reference":0}\n',
    ),
    (
        Media(call=3, address="172.26.16.1", port=20480),
        b'{"kind":"media","call":3,"address":"172.26.16.1","port":20480}\n',
    ),
]


@pytest.mark.parametrize(("message", "line"), LINES)
def test_each_message_has_one_line(message, line):
    assert encode(message) == line
    assert decode(line) == message


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"7",
        b"null",
        b"[" * 4000,
        b"\xff",
        b'{"kind":"tell me"}',
        b'{"kind":["ask"]}',
        b'{"kind":"ask","more":1}',
        b'{"numbers":[]}',
        b'{"kind":"gone"}',
        b'{"kind":"gone","numbers":"1001"}',
        b'{"kind":"gone","numbers":[1001]}',
        b'{"kind":"gone","numbers":["10a1"]}',
        b'{"kind":"gone","numbers":[""]}',
        b'{"kind":"registered","numbers":[],"since_ms":1}',
        b'{"kind":"registered","numbers":["1001"],"since_ms":[]}',
        b'{"kind":"registered","numbers":["1001"],"since_ms":[1.5]}',
        b'{"kind":"registered","numbers":["1001"],"since_ms":[-1]}',
        b'{"kind":"registered","numbers":["1001"],"since_ms":[9007199254740993]}',
        b'{"kind":"media","call":3,"address":"172.26.16","port":20480}',
        b'{"kind":"media","call":3,"address":"172.26.16.1","port":0}',
        b'{"kind":"media","call":3,"address":"172.26.16.1","port":65536}',
        b'{"kind":"media","call":true,"address":"172.26.16.1","port":20480}',
        b'{"kind":"media","call":3.0,"address":"172.26.16.1","port":20480}',
        b'{"kind":"media","call":-1,"address":"172.26.16.1","port":20480}',
        b'{"kind":"happened","call":3,"what":"explodes","device":"","number":"","reference":0}',
        b'{"kind":"happened","call":3,"what":"rings","device":"\\u00e9","number":"","reference":0}',
        b'{"kind":"happened","call":3,"what":"rings","device":"12345678901234567","number":"","reference":0}',
        b'{"kind":"gone","numbers":' + json.dumps(["1"] * (NUMBERS_A_LINE + 1)).encode() + b"}",
        b'{"kind":"media","call":' + b"9" * 4000 + b',"address":"1.1.1.1","port":1}',
    ],
)
def test_any_other_line_is_the_senders_fault(line):
    with pytest.raises(PeerProtocolError):
        decode(line)


def test_the_longest_line_fits():
    numbers = ("9" * 24,) * NUMBERS_A_LINE
    assert len(encode(Registered(numbers=numbers, since_ms=(MAX_MS,) * NUMBERS_A_LINE))) <= MAX_LINE_BYTES


def test_a_line_without_an_end_is_not_collected_for_ever():
    reader = LineReader()
    assert not list(reader.feed(b"x" * (MAX_LINE_BYTES - 1)))
    with pytest.raises(PeerProtocolError):
        list(reader.feed(b"x"))


@given(cuts=st.lists(st.integers(0, 700), max_size=6))
def test_segments_do_not_matter(cuts):
    data = b"".join(line for _, line in LINES)
    reader, found, places = LineReader(), [], [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for begin, end in itertools.pairwise(places):
        found += list(reader.feed(data[begin:end]))
    assert found == [message for message, _ in LINES]


# -- a call control that is told anything

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
CALLS = st.integers(0, 6)
WORDS = st.sampled_from(["1001", "1002", "1003", "9"])
MESSAGES = st.one_of(
    st.builds(Ask),
    st.builds(Here),
    st.lists(st.tuples(WORDS, st.integers(0, MAX_MS)), max_size=3).map(
        lambda own: Registered(numbers=tuple(n for n, _ in own), since_ms=tuple(ms for _, ms in own))
    ),
    st.builds(Gone, numbers=st.lists(WORDS, max_size=3).map(tuple)),
    st.builds(Setup, call=CALLS, called=WORDS, device=st.just("SEP-X"), number=WORDS, reference=CALLS),
    st.builds(
        Happened,
        call=CALLS,
        what=st.sampled_from(list(HAPPENINGS)),
        device=st.sampled_from(["", "SEP-Y"]),
        number=WORDS,
    ),
    st.builds(Media, call=CALLS, address=st.just("172.26.16.9"), port=st.integers(1, 65535)),
)


class Board:
    """Takes everything."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def say_to(self, device_name: str, *messages: Message) -> None:
        """Nobody listens."""

    def tell(self, name: str, now: float, **data: Any) -> None:
        self.told.append(name)


def linked() -> tuple[Exchange, Across]:
    exchange = Exchange(Board(), 1.0)
    exchange.plug("SEP-A", {1: "1001"}, 0.0)
    exchange.plug("SEP-B", {1: "1002"}, 0.0)
    exchange.across.linked(1, "172.26.1.101", 0.0, dialled=True)
    exchange.across.to_send()
    return exchange, exchange.across


def is_sound(exchange: Exchange) -> bool:
    every = [*exchange.legs.values(), *(far for link in exchange.across.links.values() for far in link.legs.values())]
    return all(_is_mutual(leg) for leg in every)


def _is_mutual(leg: Leg) -> bool:
    return leg.other is None or (leg.other.other is leg and leg.other.state is not LegState.OVER)


@given(data=st.binary(max_size=200))
@example(b"[" * 3000 + b"\n")
def test_bytes_of_any_kind_close_the_link_or_do_nothing(data):
    exchange, across = linked()
    across.receive(1, data, 0.1)
    across.receive(1, b"\n", 0.2)
    assert across.to_close() == ([] if across.links else [1])
    assert is_sound(exchange)


@given(values=st.lists(JSON, max_size=5))
def test_json_of_any_kind_is_refused(values):
    _, across = linked()
    for value in values:
        across.receive(1, json.dumps(value).encode() + b"\n", 0.1)
    assert bool(values) == (across.to_close() == [1])


@given(
    messages=st.lists(st.tuples(MESSAGES, st.sampled_from(["", "1001", "1002", "lose A", "lose link"])), max_size=30)
)
def test_messages_in_any_order_leave_legs_that_are_each_others_and_nothing_once_the_link_is_lost(messages):
    exchange, across = linked()
    for place, (message, act) in enumerate(messages):
        now = 1.0 + place
        across.receive(1, encode(message), now)
        if act == "lose A":
            exchange.unplug("SEP-A", now)
            exchange.plug("SEP-A", {1: "1001"}, now)
        elif act == "lose link":
            across.lost(1, now)
        elif act:
            exchange._dial("SEP-A" if act == "1002" else "SEP-B", 1, act, now)
        assert is_sound(exchange)
    across.lost(1, 100.0)
    assert not across.places
    assert not any(leg.other is not None and leg.other.reference not in exchange.legs for leg in exchange.legs.values())


@pytest.mark.parametrize("call", [3, 4])
def test_a_call_that_is_not_the_senders_to_begin_closes_the_link(call):
    """Odd ones are those of who dialled, which is this side; an even one may be begun once."""
    _, across = linked()
    setup = encode(Setup(call=call, called="1001", device="SEP-X", number="1003", reference=1))
    across.receive(1, setup, 0.1)
    across.receive(1, setup, 0.1)
    assert across.to_close() == [1]


def registered(*numbers: str, since_s: float) -> bytes:
    return encode(Registered(numbers=numbers, since_ms=(round(1000 * since_s),) * len(numbers)))


def test_numbers_that_are_here_stay_here_unless_they_registered_elsewhere_later():
    """``linked`` has 1001 and 1002 here since 0 s."""
    exchange, across = linked()
    exchange.plug("SEP-A", {1: "1001"}, 5.0)
    across.receive(1, registered("1001", "1003", since_s=4.0), 6.0)
    assert set(across.places) == {"1003"}
    across.receive(1, registered("1001", since_s=7.0), 7.0)
    assert set(across.places) == {"1001", "1003"}
    across.receive(1, encode(Gone(numbers=("1001", "1002"))), 8.0)
    assert set(across.places) == {"1003"}


def test_a_number_that_two_call_controls_have_is_the_others_once_it_is_here_no_longer():
    exchange, across = linked()
    exchange.plug("SEP-A", {1: "1001"}, 5.0)
    across.receive(1, registered("1001", since_s=4.0), 6.0)
    exchange.unplug("SEP-A", 7.0)
    assert set(across.places) == {"1001"}
    exchange.plug("SEP-A", {1: "1001"}, 8.0)
    assert not across.places
    across.receive(1, encode(Gone(numbers=("1001",))), 9.0)
    exchange.unplug("SEP-A", 10.0)
    assert not across.places


def test_after_a_freeze_of_ours_phones_are_where_they_went_though_we_think_them_here():
    """They have re-homed meanwhile, and we hear so before we notice that they are silent."""
    _, across = linked()
    across.receive(1, registered("1001", since_s=60.0), 90.0)
    assert set(across.places) == {"1001"}


def test_what_is_told_is_since_when_by_the_clock_of_the_world():
    exchange, across = linked()
    across.realtime_offset_s = 1_800_000_000.0
    exchange.plug("SEP-C", {1: "1003"}, 2.5)
    told = [data for _, data in across.to_send()]
    assert told == [encode(Registered(numbers=("1003",), since_ms=(1_800_000_002_500,)))]
    across.linked(2, "172.26.1.102", 9.0, dialled=True)
    told = [data for link, data in across.to_send() if link == 2]
    assert encode(Registered(numbers=("1001", "1002", "1003"), since_ms=(0, 0, 1_800_000_002_500))) in told


def test_numbers_without_end_close_the_link():
    _, across = linked()
    for start in range(1_000_000, 1_000_000 + MAX_NUMBERS + 1, NUMBERS_A_LINE):
        numbers = tuple(map(str, range(start, start + NUMBERS_A_LINE)))
        across.receive(1, registered(*numbers, since_s=0.1), 0.1)
    assert across.to_close() == [1]
    assert not across.places
