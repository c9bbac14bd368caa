from __future__ import annotations

import itertools
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sccp_wire import LATENCY_S, Pair

from testbed.profile import PROFILES
from testbed.sccp.call_control import Rules
from testbed.sccp.configuration_messages import DefineTimeDate
from testbed.sccp.messages import encode
from testbed.sccp.phone import Phone
from testbed.sccp.phone_state import Input, PhoneSettings, State
from testbed.sccp.phone_transitions import TRANSITIONS, draw
from testbed.sccp.registration_messages import (
    KeepAlive,
    KeepAliveAck,
    RegisterAck,
    RegisterTokenReq,
    Reset,
    UnregisterAck,
)

SRND, QUICK = PROFILES["srnd"], PROFILES["quick"]


def registered(**settings) -> Pair:
    """A pair whose phones are registered at the first call control and have their standby connection."""
    pair = Pair(**settings)
    pair.boot()
    pair.run_until(lambda: all(pair.registered_at(i) == 0 for i in range(len(pair.phones))))
    pair.run_for(0.1)
    return pair


def at_backup(**settings) -> Pair:
    """Re-homed, with the first call control gone."""
    pair = registered(**settings)
    pair.kill(0)
    pair.run_until(lambda: pair.registered_at() == 1)
    return pair


def test_phone_registers_at_the_first_of_its_list_and_opens_a_standby_connection_to_the_next():
    pair = registered()
    assert pair.registered_at() == 0
    assert pair.phones[0].line == "1001"
    assert [(e.data["to"], e.data["state"]) for e in pair.named("CallControlConnected")] == [
        (0, "active"),
        (1, "standby"),
    ]
    assert list(pair.controls[0].registered) == ["SEP020000000001"]
    assert not pair.controls[1].registered


def test_keepalives_go_out_at_the_intervals_that_the_call_control_asked_for():
    pair = registered()
    began = pair.now
    pair.run_for(301)
    keepalive = encode(KeepAlive())
    times = {
        rank: [t for t, way, _, r, data in pair.sent if r == rank and data == keepalive and t > began]
        for rank in (0, 1)
    }
    assert len(times[0]) == 10
    assert len(times[1]) == 5
    assert all(abs(b - a - 30) < 0.01 for a, b in zip(times[0], times[0][1:], strict=False))
    assert not pair.named("KeepaliveMissed")


@pytest.mark.parametrize("after_keepalive_s", [0.1, 15.0, 29.9])
@pytest.mark.parametrize("profile", [SRND, QUICK], ids=lambda p: p.name)
def test_phone_fails_over_three_intervals_after_the_last_answered_keepalive(profile, after_keepalive_s):
    pair = registered(profile=profile)
    scale = profile.keepalive_s / 30
    answered = pair.now
    pair.run_until(lambda: pair.sent[-1][1] == "down" and pair.sent[-1][3] == 0 and pair.sent[-1][0] > answered)
    last_answered = pair.now
    pair.run_for(after_keepalive_s * scale)
    pair.freeze(0)
    took = pair.run_until(lambda: pair.registered_at() == 1)
    shortest, longest = profile.freeze_detection_s
    assert shortest <= took <= longest + 0.1
    (lost,) = pair.named("CallControlLost")
    assert (lost.data["cause"], lost.data["state"]) == ("keepalive", "active")
    assert lost.now - last_answered == pytest.approx(3 * profile.keepalive_s, abs=0.01)
    assert lost.data["last_answered_s"] == pytest.approx(last_answered, abs=0.01)
    assert [e.data["missed"] for e in pair.named("KeepaliveMissed")] == [1, 2]


def test_a_late_answer_saves_the_registration():
    pair = registered()
    pair.freeze(0)
    pair.run_for(65)
    pair.thaw(0)
    pair.run_for(200)
    assert [e.data["missed"] for e in pair.named("KeepaliveMissed")] == [1]
    assert pair.registered_at() == 0
    assert not pair.named("CallControlLost")


def test_phone_fails_over_at_once_when_the_connection_is_reset():
    pair = registered()
    pair.kill(0)
    assert pair.run_until(lambda: pair.registered_at() == 1) < 0.1
    (lost,) = [e for e in pair.named("CallControlLost") if e.data["state"] == "active"]
    assert lost.data["cause"] == "reset"
    (rehomed,) = pair.named("Rehomed")
    assert dict(rehomed.data) == {"from": 0, "to": 1, "direction": "failover"}


def test_failover_uses_the_standby_connection_that_is_open():
    pair = at_backup()
    assert [e.data["to"] for e in pair.named("CallControlConnected")] == [0, 1]


def test_a_keepalive_left_open_on_the_standby_connection_is_no_miss_once_the_phone_is_registered_there():
    pair = Pair()
    pair.drop = lambda way, _phone, rank, data: way == "down" and rank == 1 and data == encode(KeepAliveAck())
    pair.boot()
    pair.run_for(1)
    pair.kill(0)
    pair.drop = lambda *_: False
    pair.run_until(lambda: pair.registered_at() == 1)
    pair.run_for(120)
    assert not pair.named("KeepaliveMissed")


def test_phone_fails_over_when_tcp_gives_up_on_a_cut_path():
    pair = registered()
    pair.cut(0)
    took = pair.run_until(lambda: pair.registered_at() == 1)
    shortest, longest = SRND.cut_detection_s
    assert shortest <= took <= longest
    assert pair.named("CallControlLost")[0].data["cause"] == "timeout"


def test_phone_goes_round_its_list_with_bounded_pauses_until_one_answers():
    pair = registered()
    pair.kill(1)
    pair.kill(0)
    pair.run_for(600)
    tries = [e.now for e in pair.named("CallControlLost") if e.data["state"] == "active" and e.data["at"] == 0]
    pauses = [b - a for a, b in itertools.pairwise(tries)]
    assert 20 < len(tries) < 60
    assert max(pauses) <= 2 * SRND.reject_retry_s + 0.1
    pair.start(1)
    assert pair.run_until(lambda: pair.registered_at() == 1) <= 2 * SRND.reject_retry_s + 0.1


def test_phone_at_boot_takes_the_next_call_control_when_the_first_does_not_answer():
    pair = Pair()
    pair.freeze(0)
    pair.boot()
    took = pair.run_until(lambda: pair.registered_at() == 1)
    assert took == pytest.approx(SRND.register_timeout_s, abs=0.1)
    assert pair.named("CallControlLost")[0].data["cause"] == "register-timeout"


def test_phone_falls_back_only_after_a_token():
    pair = at_backup()
    pair.start(0)
    pair.run_until(lambda: pair.registered_at() == 0)
    names = [
        e.name for _, e in pair.phone_events if e.name in ("TokenGranted", "Unregistered", "Registered", "Rehomed")
    ]
    assert names == ["Registered", "Registered", "Rehomed", "TokenGranted", "Unregistered", "Registered", "Rehomed"]
    assert pair.named("Rehomed")[-1].data["direction"] == "fallback"
    assert not pair.controls[1].registered


def test_refused_token_keeps_the_phone_where_it_is_for_the_time_it_was_told():
    pair = at_backup()
    pair.start(0, Rules(token_wait_s=45))
    pair.run_until(lambda: len(pair.named("TokenRefused")) == 4)
    times = [e.now for e in pair.named("TokenRefused")]
    assert all(b - a == pytest.approx(45, abs=0.1) for a, b in itertools.pairwise(times))
    assert pair.registered_at() == 1
    pair.controls[0].rules = Rules()
    assert pair.run_until(lambda: pair.registered_at() == 0) <= 45.1


def test_phone_falls_back_only_after_the_connection_monitor_period():
    pair = at_backup(monitor_s=120)
    pair.start(0)
    pair.run_until(lambda: pair.named("CallControlConnected")[-1].data["to"] == 0)
    opened = pair.now
    pair.run_until(lambda: pair.registered_at() == 0)
    assert pair.now - opened == pytest.approx(120, abs=0.1)


def test_a_missed_keepalive_starts_the_connection_monitor_period_anew():
    pair = at_backup(monitor_s=120)
    pair.start(0)
    pair.run_until(lambda: pair.named("CallControlConnected")[-1].data["to"] == 0)
    pair.run_for(50)
    pair.freeze(0)
    pair.run_for(80)
    pair.thaw(0)
    thawed = pair.now
    pair.run_until(lambda: pair.registered_at() == 0)
    assert pair.now - thawed == pytest.approx(120, abs=0.1)


def test_phone_does_not_ask_a_frozen_call_control_for_a_token():
    pair = registered()
    pair.freeze(0)
    pair.run_until(lambda: pair.registered_at() == 1)
    pair.run_for(500)
    asked = [data for _, way, _, rank, data in pair.sent if rank == 0 and data[8:12] == b"\x29\0\0\0"]
    assert not asked
    pair.thaw(0)
    assert pair.run_until(lambda: pair.registered_at() == 0) <= 61


def test_phone_is_never_registered_at_two_call_controls():
    pair = registered(phones=3, controls=3)

    def homes(name: str) -> int:
        return sum(name in control.registered for control in pair.controls)

    for fault, undo in (
        (pair.kill, pair.start),
        (pair.freeze, pair.thaw),
        (pair.cut, pair.heal),
        (pair.kill, pair.start),
    ):
        fault(0)
        for _ in range(40):
            pair.run_for(5)
            for phone in pair.phones:
                live = [c for rank, c in enumerate(pair.controls) if rank != 0]
                assert sum(phone.settings.device_name in c.registered for c in live) <= 1
        undo(0)
        pair.run_until(lambda: all(pair.registered_at(i) == 0 for i in range(3)))
        pair.run_for(200)
        assert [homes(phone.settings.device_name) for phone in pair.phones] == [1, 1, 1]


def test_the_third_call_control_serves_when_two_are_gone_and_the_best_one_is_taken_back():
    pair = registered(controls=3)
    pair.kill(0)
    pair.run_until(lambda: pair.registered_at() == 1)
    pair.kill(1)
    pair.run_until(lambda: pair.registered_at() == 2)
    pair.start(1)
    pair.run_until(lambda: pair.registered_at() == 1)
    pair.start(0)
    pair.run_until(lambda: pair.registered_at() == 0)
    assert [e.data["direction"] for e in pair.named("Rehomed")] == ["failover", "failover", "fallback", "fallback"]


def test_rejected_phone_tries_the_next_and_comes_back_after_its_back_off():
    pair = Pair()
    pair.controls[0].rules = Rules(reject="Error: No License")
    pair.boot()
    assert pair.run_until(lambda: pair.registered_at() == 1) < 1
    assert [e.data["text"] for e in pair.named("RegisterRejected")] == ["Error: No License"]


def test_rejected_phone_without_another_call_control_tries_again_after_ten_seconds():
    pair = Pair(controls=1)
    pair.controls[0].rules = Rules(reject="Error: DB Config")
    pair.boot()
    pair.run_until(lambda: len(pair.named("RegisterRejected")) == 5)
    times = [e.now for e in pair.named("RegisterRejected")]
    assert all(10 <= b - a < 23 for a, b in itertools.pairwise(times))


def test_stopped_phone_unregisters_and_ends():
    pair = registered()
    pair.phones[0].stop(pair.now)
    pair.run_for(1)
    assert pair.phones[0].ended
    assert pair.named("Unregistered")[0].data["reason"] == "stop"
    assert not pair.controls[0].registered
    assert not pair.controls[0].sessions
    assert pair.phones[0].next_timer() is None


def test_stop_ends_in_bounded_time_when_nobody_answers():
    pair = registered()
    pair.freeze(0)
    pair.phones[0].stop(pair.now)
    took = pair.run_until(lambda: pair.phones[0].ended)
    assert took <= SRND.register_timeout_s + 0.1


def test_reset_unregisters_and_asks_the_owner_to_start_over():
    pair = registered()
    assert pair.controls[0].reset("SEP020000000001", 2, pair.now)
    pair.run_for(1)
    assert pair.phones[0].ended
    assert pair.phones[0].reset_kind == 2
    assert pair.named("Unregistered")[0].data["reason"] == "reset"


def test_phone_in_a_call_fails_over_only_when_the_call_is_over():
    pair = registered()
    pair.phones[0].set_in_call(True, pair.now)
    pair.kill(0)
    pair.run_for(300)
    assert pair.registered_at() is None
    assert len(pair.named("CallControlLost")) == 1
    pair.phones[0].set_in_call(False, pair.now)
    assert pair.run_until(lambda: pair.registered_at() == 1) < 1


def test_phone_in_a_call_falls_back_and_takes_a_reset_only_when_the_call_is_over():
    pair = at_backup()
    pair.phones[0].set_in_call(True, pair.now)
    pair.start(0)
    pair.run_for(300)
    assert pair.registered_at() == 1
    pair.controls[1].reset("SEP020000000001", 1, pair.now)
    pair.run_for(10)
    assert not pair.phones[0].ended
    pair.phones[0].set_in_call(False, pair.now)
    pair.run_for(1)
    assert pair.phones[0].reset_kind == 1


def test_phone_stays_where_a_call_is_up_according_to_the_call_control_and_asks_again_later():
    pair = at_backup()
    pair.start(0)
    phone = pair.phones[0]
    pair.run_until(lambda: phone.chosen is not None and phone.chosen.state is State.UNREGISTERING)
    phone.receive(1, encode(UnregisterAck(status=2)), pair.now)
    assert pair.registered_at() == 1
    pair.run_for(SRND.token_retry_s - 1)
    assert len(pair.named("TokenGranted")) == 1
    pair.run_for(2)
    assert len(pair.named("TokenGranted")) == 2


def test_garbage_from_the_call_control_closes_that_connection_only():
    pair = registered()
    phone = pair.phones[0]
    phone.receive(0, b"HTTP/1.1 400 Bad Request\r\n\r\n", pair.now)
    pair.run_until(lambda: pair.registered_at() == 1)
    assert pair.named("CallControlLost")[0].data["cause"] == "protocol"


def test_time_and_date_before_the_acknowledgement_is_no_registration():
    pair = Pair()
    pair.drop = lambda way, *_: way == "down"
    pair.boot()
    pair.run_for(1)
    pair.phones[0].receive(0, encode(DefineTimeDate()), pair.now)
    assert pair.registered_at() is None
    pair.phones[0].receive(0, encode(RegisterAck(keepalive_interval_s=15)) + encode(DefineTimeDate()), pair.now)
    assert pair.registered_at() == 0
    assert pair.phones[0].keepalive_s == 15


def test_absurd_intervals_are_bounded():
    pair = Pair()
    pair.drop = lambda way, *_: way == "down"
    pair.boot()
    pair.run_for(1)
    pair.phones[0].receive(0, encode(RegisterAck(keepalive_interval_s=2**32 - 1)), pair.now)
    assert (pair.phones[0].keepalive_s, pair.phones[0].secondary_s) == (3600, SRND.secondary_keepalive_s)


@given(st.lists(st.tuples(st.integers(0, 1), st.binary(max_size=80)), max_size=12))
def test_no_bytes_make_the_phone_raise_or_stop_trying(chunks):
    pair = Pair(profile=QUICK)
    pair.boot()
    pair.run_for(0.5)
    for rank, data in chunks:
        pair.phones[0].receive(rank, data, pair.now)
        pair.run_for(0.01)
    pair.run_until(lambda: pair.registered_at() is not None)


@given(
    st.lists(
        st.tuples(st.sampled_from(["connected", "lost", "ack", "token", "tick", "stop"]), st.integers(0, 1)),
        max_size=30,
    )
)
def test_no_order_of_inputs_makes_the_phone_raise(steps):
    phone = Phone(PhoneSettings(device_name="SEP1", address="10.0.0.1", group_size=2, profile=QUICK))
    phone.start(0.0)
    for now, (step, rank) in enumerate(steps):
        if step == "connected":
            phone.connected(rank, now)
        elif step == "lost":
            phone.connection_lost(rank, "reset", now)
        elif step == "ack":
            phone.receive(rank, encode(RegisterAck()) + encode(DefineTimeDate()) + encode(KeepAliveAck()), now)
        elif step == "token":
            phone.receive(rank, encode(RegisterTokenReq()) + encode(Reset(kind=1)), now)
        elif step == "stop":
            phone.stop(now)
        phone.tick(now)
        timer = phone.next_timer()
        assert phone.ended or timer is None or timer < now + 3700
        assert sum(s.state in (State.REGISTERED, State.REGISTERING, State.CONFIGURING) for s in phone.sessions) <= 1


def test_every_state_can_be_entered_and_left():
    entered = {after for (state, _), (after, _) in TRANSITIONS.items() if after is not state}
    left = {state for (state, _), (after, _) in TRANSITIONS.items() if after is not state}
    assert entered == left == set(State)
    assert {given for _, given in TRANSITIONS} == set(Input)


def test_every_open_state_ends_when_the_connection_does():
    for state in set(State) - {State.IDLE}:
        assert TRANSITIONS[state, Input.LOST][0] is State.IDLE


def test_the_table_draws_itself():
    lines = draw().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert "    CONFIGURING --> REGISTERED: DefineTimeDate" in lines
    assert len(lines) == len(TRANSITIONS) + 2


def test_an_idle_phone_is_small():
    pair = registered()
    phone = pair.phones[0]
    parts = [
        phone,
        phone.calls,
        phone.calls.by_reference,
        *phone.sessions,
        *(s.reader for s in phone.sessions),
        phone.settings,
        phone.sessions,
    ]
    assert sum(sys.getsizeof(part) for part in parts) < 2000
    assert not hasattr(phone, "__dict__")
    assert not hasattr(phone.sessions[0], "__dict__")


def test_latency_of_the_wire_is_all_that_registration_takes():
    pair = Pair()
    pair.boot()
    assert pair.run_until(lambda: pair.registered_at() == 0) == pytest.approx(7 * LATENCY_S)
