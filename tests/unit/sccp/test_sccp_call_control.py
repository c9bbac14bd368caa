from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.profile import PROFILES
from testbed.sccp.call_control import CallControl, Rules
from testbed.sccp.configuration_messages import (
    ButtonTemplateReq,
    ButtonTemplateRes,
    CapabilitiesReq,
    ConfigStatReq,
    ConfigStatRes,
    DefineTimeDate,
    FeatureStatReq,
    FeatureStatRes,
    ForwardStatReq,
    ForwardStatRes,
    LineStatReq,
    LineStatRes,
    ServerReq,
    ServerRes,
    ServiceUrlStatReq,
    ServiceUrlStatRes,
    SoftKeySetReq,
    SoftKeySetRes,
    SoftKeyTemplateReq,
    SoftKeyTemplateRes,
    SpeedDialStatReq,
    SpeedDialStatRes,
    TimeDateReq,
    VersionReq,
    VersionRes,
)
from testbed.sccp.framing import FrameReader
from testbed.sccp.messages import TABLE, Message, decode, encode
from testbed.sccp.registration_messages import (
    Alarm,
    IpPort,
    KeepAlive,
    KeepAliveAck,
    Register,
    RegisterAck,
    RegisterReject,
    RegisterTokenAck,
    RegisterTokenReject,
    RegisterTokenReq,
    Unregister,
    UnregisterAck,
)
from testbed.sccp.service import line_number, time_and_date

SRND = PROFILES["srnd"]
REGISTER = Register(device_name="SEP020000000007", address="172.26.16.7", device_type=7)


class Desk:
    """A call control and what came of it."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.machine = CallControl(host="ccm-1", profile=SRND, rules=rules)
        self.closed: list[int] = []
        self.events: list[tuple[str, dict]] = []

    def open(self, peer: int, now: float = 0.0) -> None:
        self.machine.connected(peer, f"172.26.16.{peer}", now)

    def say(self, peer: int, *messages: Message, now: float = 0.0) -> list[Message]:
        return self.send(peer, b"".join(encode(message) for message in messages), now)

    def send(self, peer: int, data: bytes, now: float = 0.0) -> list[Message]:
        self.machine.receive(peer, data, now)
        return self.collect(peer)

    def collect(self, peer: int) -> list[Message]:
        reader, answers = FrameReader(), []
        for to, data in self.machine.to_send():
            if to == peer:
                answers += [decode(i, body, version) for version, i, body in reader.feed(data)]
        self.closed += self.machine.to_close()
        self.events += [(event.name, dict(event.data)) for event in self.machine.events()]
        return answers

    def tick(self, now: float) -> None:
        self.machine.tick(now)
        self.collect(0)


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.open(1)
    return desk


def test_registration_is_acknowledged_with_the_intervals_of_the_profile(desk):
    ack, question = desk.say(1, Alarm(), REGISTER, IpPort())
    assert isinstance(ack, RegisterAck)
    assert (ack.keepalive_interval_s, ack.secondary_keepalive_interval_s) == (30, 60)
    assert question == CapabilitiesReq()
    assert desk.events == [("PhoneRegistered", {"phone": "SEP020000000007", "address": "172.26.16.1"})]


QUESTIONS = {
    ButtonTemplateReq(): ButtonTemplateRes,
    SoftKeyTemplateReq(): SoftKeyTemplateRes,
    SoftKeySetReq(): SoftKeySetRes,
    ConfigStatReq(): ConfigStatRes,
    LineStatReq(line=1): LineStatRes,
    ForwardStatReq(line=1): ForwardStatRes,
    SpeedDialStatReq(index=1): SpeedDialStatRes,
    ServiceUrlStatReq(index=1): ServiceUrlStatRes,
    FeatureStatReq(index=1): FeatureStatRes,
    TimeDateReq(): DefineTimeDate,
    VersionReq(): VersionRes,
    ServerReq(): ServerRes,
    KeepAlive(): KeepAliveAck,
    Unregister(): UnregisterAck,
    RegisterTokenReq(): RegisterTokenAck,
}


@pytest.mark.parametrize(("question", "answer"), QUESTIONS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_every_question_of_a_registered_phone_is_answered(desk, question, answer):
    desk.say(1, REGISTER)
    (given_answer,) = desk.say(1, question)
    assert isinstance(given_answer, answer)


def test_the_line_carries_the_number_of_the_device(desk):
    desk.say(1, REGISTER)
    (line,) = desk.say(1, LineStatReq(line=1))
    assert (line.number, line.label) == ("1007", "1007")


def test_numbers_follow_the_index_and_strangers_get_their_own():
    assert [line_number(f"SEP{0x020000000000 + n:012X}") for n in (1, 12, 40000)] == ["1001", "1012", "41000"]
    assert line_number("SEP001380AD9E5F") == line_number("SEP001380AD9E5F") != line_number("SEP001380AD9E60")
    assert len(line_number("ATA1")) == 6


@pytest.mark.parametrize("message", [ButtonTemplateReq(), TimeDateReq(), LineStatReq(line=1), RegisterAck()], ids=repr)
def test_what_may_not_be_said_before_registration_ends_the_connection(desk, message):
    assert desk.say(1, message) == []
    assert desk.closed == [1]
    assert desk.events[0][0] == "PeerRejected"
    assert desk.events[0][1]["peer"] == "172.26.16.1"


def test_register_alarm_keepalive_port_and_token_may_be_said_before_registration(desk):
    assert desk.say(1, Alarm(), IpPort(), KeepAlive(), RegisterTokenReq()) == [KeepAliveAck(), RegisterTokenAck()]
    assert desk.closed == []


def test_registration_is_refused_with_the_text_of_the_rule():
    desk = Desk(Rules(reject="Error: No License"))
    desk.open(1)
    assert desk.say(1, REGISTER) == [RegisterReject(text="Error: No License")]
    assert desk.closed == [1]
    assert desk.events == [("RegisterRefused", {"phone": "SEP020000000007", "text": "Error: No License"})]


@pytest.mark.parametrize("name", ["", "SEP\x01", "SEP\xe9"])
def test_device_without_a_proper_name_is_refused(desk, name):
    assert isinstance(desk.say(1, Register(device_name=name))[0], RegisterReject)


def test_second_registration_of_a_device_ends_the_first_session(desk):
    desk.say(1, REGISTER)
    desk.open(2)
    desk.say(2, REGISTER)
    assert desk.closed == [1]
    assert ("PhoneUnregistered", {"phone": "SEP020000000007", "cause": "duplicate"}) in desk.events
    assert desk.machine.registered["SEP020000000007"].peer == 2


def test_registering_again_on_the_same_connection_is_no_duplicate(desk):
    desk.say(1, REGISTER)
    desk.say(1, REGISTER)
    assert desk.closed == []
    assert len(desk.machine.registered) == 1


def test_silent_phone_is_unregistered_after_three_keepalive_intervals(desk):
    desk.say(1, REGISTER, now=1.0)
    for moment in range(1, 91):
        desk.tick(float(moment))
    assert desk.closed == []
    desk.tick(91.0)
    assert desk.closed == [1]
    assert desk.events[-1] == ("PhoneUnregistered", {"phone": "SEP020000000007", "cause": "keepalive"})


def test_keepalives_keep_a_registration_and_a_standby_connection(desk):
    desk.open(2)
    desk.say(1, REGISTER)
    for moment in range(1, 601):
        if moment % 30 == 0:
            desk.say(1, KeepAlive(), now=float(moment))
        if moment % 60 == 0:
            assert desk.say(2, KeepAlive(), now=float(moment)) == [KeepAliveAck()]
        desk.tick(float(moment))
    assert desk.closed == []


def test_connection_that_never_says_anything_is_closed(desk):
    for moment in range(181):
        desk.tick(float(moment))
    assert desk.closed == [1]


def test_after_a_freeze_of_its_own_silence_counts_from_the_thaw(desk):
    desk.say(1, REGISTER, now=1.0)
    desk.tick(20.0)
    desk.tick(500.0)
    assert desk.closed == []
    for moment in range(501, 590):
        desk.tick(float(moment))
    assert desk.closed == []
    desk.tick(590.0)
    assert desk.closed == [1]


def test_timer_is_never_further_away_than_a_keepalive_interval(desk):
    assert desk.machine.next_timer() == 30.0


def test_tokens_are_refused_with_the_wait_of_the_rule(desk):
    desk.machine.rules = Rules(token_wait_s=45)
    assert desk.say(1, RegisterTokenReq(device_name="SEP020000000007")) == [RegisterTokenReject(wait_s=45)]
    assert desk.events == [("TokenAnswered", {"phone": "SEP020000000007", "granted": False, "wait_s": 45})]


def test_unregistered_phone_may_stay_connected(desk):
    desk.say(1, REGISTER)
    assert desk.say(1, Unregister(), KeepAlive()) == [UnregisterAck(), KeepAliveAck()]
    assert desk.closed == []
    assert not desk.machine.registered


def test_closed_connection_unregisters_its_phone(desk):
    desk.say(1, REGISTER)
    desk.machine.connection_lost(1, 5.0)
    desk.collect(1)
    assert desk.events[-1] == ("PhoneUnregistered", {"phone": "SEP020000000007", "cause": "closed"})
    assert not desk.machine.sessions


def test_repeated_registrations_do_not_fill_the_memory(desk):
    for _ in range(1000):
        desk.say(1, REGISTER)
    assert len(desk.machine._watch) <= 2


MUTED = {
    "a registration": (Alarm(), Register(device_name="SEP020000000008", address="172.26.16.1", device_type=7)),
    "a keepalive": (KeepAlive(),),
    "a question": (TimeDateReq(), LineStatReq(line=1)),
    "a token request": (RegisterTokenReq(device_name="SEP020000000008"),),
    "an unregistration": (Unregister(),),
    "what a phone may not send": (RegisterAck(),),
}


@pytest.mark.parametrize("messages", MUTED.values(), ids=MUTED)
def test_a_mute_call_control_takes_what_a_phone_sends_and_does_nothing(desk, messages):
    desk.say(1, REGISTER)
    desk.machine.mute()
    assert desk.say(1, *messages, now=5.0) == []
    assert desk.closed == []
    assert list(desk.machine.registered) == ["SEP020000000007"]
    assert desk.machine.unmute(6.0) == len(messages)


@pytest.mark.parametrize("messages", MUTED.values(), ids=MUTED)
def test_a_mute_call_control_does_nothing_for_a_stranger_either(desk, messages):
    desk.machine.mute()
    assert (desk.say(1, *messages), desk.closed) == ([], [])
    assert not desk.machine.registered


def test_the_first_message_passed_over_of_each_connection_is_told(desk):
    desk.say(1, REGISTER)
    desk.open(2)
    desk.events.clear()
    desk.machine.mute()
    desk.say(1, KeepAlive(), KeepAlive())
    desk.say(2, REGISTER)
    phone = "SEP020000000007"
    assert desk.events == [
        ("MessageMuted", {"phone": phone, "peer": "172.26.16.1", "message": "KeepAlive"}),
        ("MessageMuted", {"phone": phone, "peer": "172.26.16.2", "message": "Register"}),
    ]
    assert desk.machine.unmute(1.0) == 3


def test_a_message_that_began_while_it_was_mute_is_whole_afterwards(desk):
    desk.say(1, REGISTER)
    frame = encode(KeepAlive())
    desk.machine.mute()
    desk.send(1, frame[:5])
    desk.machine.unmute(1.0)
    assert desk.send(1, frame[5:]) == [KeepAliveAck()]


def test_a_mute_call_control_closes_no_silent_connection_and_counts_silence_from_its_end(desk):
    desk.say(1, REGISTER, now=1.0)
    desk.machine.mute()
    for moment in range(1, 400):
        desk.tick(float(moment))
    assert desk.closed == []
    desk.machine.unmute(400.0)
    for moment in range(400, 490):
        desk.tick(float(moment))
    assert desk.closed == []
    desk.tick(490.0)
    assert desk.closed == [1]


def test_a_phone_that_hangs_up_meanwhile_is_not_registered_any_more(desk):
    desk.say(1, REGISTER)
    desk.machine.mute()
    desk.machine.connection_lost(1, 5.0)
    desk.collect(1)
    assert desk.events[-1] == ("PhoneUnregistered", {"phone": "SEP020000000007", "cause": "closed"})
    assert not desk.machine.registered


def test_a_mute_call_control_resets_nobody(desk):
    desk.say(1, REGISTER)
    desk.machine.mute()
    desk.machine.reset("SEP020000000007", 2, 1.0)
    assert desk.collect(1) == []


@given(st.lists(st.binary(max_size=120), max_size=20), st.integers(0, 20), st.integers(0, 20))
def test_no_bytes_make_it_speak_while_it_is_mute(chunks, since, until):
    desk = Desk()
    desk.open(1)
    for place, chunk in enumerate(chunks):
        if place == since:
            desk.machine.mute()
        answers = desk.send(1, chunk)
        assert not (answers and desk.machine.unheeded is not None)
        if place == until:
            desk.machine.unmute(0.0)


@given(st.lists(st.binary(max_size=120), max_size=20))
def test_no_bytes_make_it_raise(chunks):
    desk = Desk()
    desk.open(1)
    for chunk in chunks:
        desk.send(1, chunk)
    desk.tick(1000.0)


@given(st.lists(st.sampled_from(TABLE), max_size=20), st.booleans())
def test_no_order_of_messages_makes_it_raise(rows, is_registered):
    desk = Desk()
    desk.open(1)
    if is_registered:
        desk.say(1, REGISTER)
    for row in rows:
        desk.say(1, row.layout())
    assert set(desk.machine.registered) <= {"SEP020000000007"}


def test_the_time_it_tells_is_the_time():
    told = time_and_date(1_000_000_000.25)
    assert (told.year, told.month, told.weekday, told.day) == (2001, 9, 0, 9)
    assert (told.hour, told.minute, told.second, told.milliseconds) == (1, 46, 40, 250)
    assert told.system_time_s == 1_000_000_000
