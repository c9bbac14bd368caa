"""All transitions of the phone's sessions in one table: (state, input) -> (next state, action). ``draw()`` draws it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from testbed.sccp.configuration_messages import ButtonTemplateRes, LineStatRes
from testbed.sccp.framing import FrameReader
from testbed.sccp.phone_messages import capabilities_and_templates, introduction, questions_about, token_request
from testbed.sccp.phone_state import NEVER, Input, Session, State
from testbed.sccp.registration_messages import KeepAlive, RegisterAck, RegisterReject, RegisterTokenReject, Unregister

if TYPE_CHECKING:
    from testbed.sccp.phone import Phone

Action = Callable[["Phone", Session, float, Any], None]

MAX_INTERVAL_S = 3600
"""No RegisterAck makes a phone wait longer for its next keepalive, no RegisterTokenReject for its next question."""


def _nothing(_phone: Phone, _session: Session, _now: float, _detail: Any) -> None:
    pass


# -- connecting


def _connect(phone: Phone, session: Session, now: float, _detail: Any) -> None:
    session.deadline = now + phone.settings.profile.connect_timeout_s
    phone.ask_to_connect(session)


def _open_standby(phone: Phone, session: Session, now: float, _detail: Any) -> None:
    """Not registered there; keepalives at the second interval, the first at once to see whether anybody answers."""
    session.reader = FrameReader()
    session.deadline = NEVER
    session.interval_s = phone.secondary_s
    session.steady_since = session.alive_at = now
    phone.tell("CallControlConnected", now, to=session.rank, rank=session.rank, state="standby")
    _send_keepalive(phone, session, now, None)


def _open_and_register(phone: Phone, session: Session, now: float, _detail: Any) -> None:
    session.reader = FrameReader()
    phone.tell("CallControlConnected", now, to=session.rank, rank=session.rank, state="active")
    _register(phone, session, now, None)


# -- registering


def _register(phone: Phone, session: Session, now: float, _detail: Any) -> None:
    phone.register_began = now
    session.deadline = now + phone.settings.profile.register_timeout_s
    phone.say(session, *introduction(phone.settings, phone.last_cause))


def _take_intervals(phone: Phone, session: Session, now: float, ack: RegisterAck) -> None:
    profile = phone.settings.profile
    session.answered, session.alive_at = True, now
    phone.keepalive_s = min(ack.keepalive_interval_s, MAX_INTERVAL_S) or profile.keepalive_s
    phone.secondary_s = min(ack.secondary_keepalive_interval_s, MAX_INTERVAL_S) or profile.secondary_keepalive_s


def _ask_for_templates(phone: Phone, session: Session, _now: float, _detail: Any) -> None:
    phone.say(session, *capabilities_and_templates())


def _ask_about_buttons(phone: Phone, session: Session, _now: float, template: ButtonTemplateRes) -> None:
    phone.say(session, *questions_about(template.buttons))


def _take_line(phone: Phone, _session: Session, _now: float, line: LineStatRes) -> None:
    if line.line <= 1:
        phone.line = line.number


def _finish_registration(phone: Phone, session: Session, now: float, _detail: Any) -> None:
    """The time and date come last: the phone is in service."""
    session.deadline, session.interval_s = NEVER, phone.keepalive_s
    session.alive_at, session.answered = now, True
    session.missed, session.unanswered_since = 0, None
    session.keepalive_at = now + session.interval_s
    phone.tried.clear()
    phone.rounds = 0
    phone.registered_at = now
    phone.tell(
        "Registered",
        now,
        at=session.rank,
        rank=session.rank,
        duration_s=now - phone.register_began,
        keepalive_s=phone.keepalive_s,
    )
    home, phone.last_home = phone.last_home, session.rank
    if home is not None and home != session.rank:
        direction = "failover" if session.rank > home else "fallback"
        phone.tell("Rehomed", now, **{"from": home, "to": session.rank, "direction": direction})
    phone.settle(now)


def _take_reject(phone: Phone, session: Session, now: float, reject: RegisterReject) -> None:
    phone.tell("RegisterRejected", now, at=session.rank, text=reject.text)
    phone.hang_up(session)
    session.barred_until = session.retry_at = now + phone.settings.profile.reject_retry_s
    phone.last_cause = "reject"
    _give_up(phone, session, now)


# -- liveness


def _send_keepalive(phone: Phone, session: Session, now: float, _detail: Any) -> None:
    """One that falls due while another has no answer yet counts a miss."""
    if session.unanswered_since is None:
        session.unanswered_since = now
    else:
        _count_miss(phone, session, now)
    session.keepalive_at = now + session.interval_s
    phone.say(session, KeepAlive())


def _count_miss(phone: Phone, session: Session, now: float) -> None:
    session.missed += 1
    phone.tell("KeepaliveMissed", now, at=session.rank, missed=session.missed)


def _note_answer(_phone: Phone, session: Session, now: float, _detail: Any) -> None:
    if session.unanswered_since is None:
        return
    # After misses, which of the keepalives this answers is unknown: the last one sent gives the peer the benefit.
    session.alive_at = session.keepalive_at - session.interval_s if session.missed else session.unanswered_since
    if session.missed:
        session.steady_since = now
    session.answered, session.missed, session.unanswered_since = True, 0, None


def _lose_silent(phone: Phone, session: Session, now: float, _detail: Any) -> None:
    _count_miss(phone, session, now)
    _lose_and_close(phone, session, now, "keepalive")


# -- losing


def _lose_overdue(phone: Phone, session: Session, now: float, _detail: Any) -> None:
    _lose_and_close(phone, session, now, "timeout")


def _lose_registering(phone: Phone, session: Session, now: float, _detail: Any) -> None:
    _lose_and_close(phone, session, now, "register-timeout")


def _lose_and_close(phone: Phone, session: Session, now: float, cause: str) -> None:
    phone.ask_to_close(session)
    _lose(phone, session, now, cause)


def _lose(phone: Phone, session: Session, now: float, cause: str) -> None:
    is_active = session is phone.chosen
    phone.tell(
        "CallControlLost",
        now,
        at=session.rank,
        cause=cause,
        last_answered_s=session.alive_at if session.answered else None,
        state="active" if is_active else "standby",
    )
    session.clear()
    session.retry_at = now + phone.secondary_s
    if is_active:
        phone.last_cause = cause
        _give_up(phone, session, now)


def _give_up(phone: Phone, session: Session, now: float) -> None:
    """This one failed in this round through the list: on to the next."""
    phone.chosen, phone.registered_at = None, None
    phone.tried.add(session.rank)
    phone.seek(now)


# -- going back to a better call control, and leaving


def _ask_for_token(phone: Phone, session: Session, now: float, _detail: Any) -> None:
    session.deadline = now + phone.settings.profile.register_timeout_s
    phone.say(session, token_request(phone.settings))


def _take_token(phone: Phone, session: Session, now: float, _detail: Any) -> None:
    session.deadline = NEVER
    phone.tell("TokenGranted", now, at=session.rank)
    phone.go_back(now)


def _wait_for_token(phone: Phone, session: Session, now: float, reject: RegisterTokenReject) -> None:
    wait_s = min(max(reject.wait_s, 1), MAX_INTERVAL_S)
    session.deadline, session.token_at = NEVER, now + wait_s
    phone.tell("TokenRefused", now, at=session.rank, wait_s=wait_s)


def _wait_longer(phone: Phone, session: Session, now: float, _detail: Any) -> None:
    session.token_at = now + phone.settings.profile.token_retry_s


def _unregister(phone: Phone, session: Session, now: float, _detail: Any) -> None:
    session.deadline = now + phone.settings.profile.register_timeout_s
    phone.say(session, Unregister())


def _left_and_close(phone: Phone, session: Session, now: float, _detail: Any) -> None:
    phone.ask_to_close(session)
    _left(phone, session, now, None)


def _left(phone: Phone, session: Session, now: float, _detail: Any) -> None:
    """Unregistered, or as good as: the other side is gone or does not answer."""
    reason, phone.leaving_for = phone.leaving_for, ""
    phone.tell("Unregistered", now, at=session.rank, reason=reason)
    session.clear()
    session.retry_at = now
    phone.chosen, phone.registered_at = None, None
    if reason != "fallback":
        phone.end(now)
        return
    phone.last_cause = "fallback"
    phone.seek(now, only=State.GRANTED)


def _stay(phone: Phone, session: Session, now: float, _detail: Any) -> None:
    """A call is up over there: back in service, and the token is asked for again later."""
    reason, phone.leaving_for = phone.leaving_for, ""
    session.deadline = NEVER
    if reason != "fallback":
        phone.end(now)
        return
    for other in phone.sessions:
        phone.apply(other, Input.HELD_BACK, now)


def _drop(phone: Phone, session: Session, _now: float, _detail: Any) -> None:
    phone.ask_to_close(session)
    session.clear()


_S, _I = State, Input
TRANSITIONS: dict[tuple[State, Input], tuple[State, Action]] = {
    (_S.IDLE, _I.CHOSEN): (_S.CONNECTING, _connect),
    (_S.IDLE, _I.SPARE): (_S.CONNECTING, _connect),
    (_S.CONNECTING, _I.CHOSEN): (_S.CONNECTING, _nothing),
    (_S.CONNECTING, _I.OPENED_CHOSEN): (_S.REGISTERING, _open_and_register),
    (_S.CONNECTING, _I.OPENED_SPARE): (_S.STANDBY, _open_standby),
    (_S.CONNECTING, _I.OVERDUE): (_S.IDLE, _lose_overdue),
    (_S.CONNECTING, _I.LOST): (_S.IDLE, _lose),
    (_S.CONNECTING, _I.UNWANTED): (_S.IDLE, _drop),
    (_S.REGISTERING, _I.REGISTER_ACK): (_S.CONFIGURING, _take_intervals),
    (_S.CONFIGURING, _I.CAPABILITIES_REQ): (_S.CONFIGURING, _ask_for_templates),
    (_S.CONFIGURING, _I.BUTTON_TEMPLATE): (_S.CONFIGURING, _ask_about_buttons),
    (_S.CONFIGURING, _I.LINE_STAT): (_S.CONFIGURING, _take_line),
    (_S.CONFIGURING, _I.TIME_DATE): (_S.REGISTERED, _finish_registration),
    **{
        (state, given): (_S.IDLE, action)
        for state in (_S.REGISTERING, _S.CONFIGURING)
        for given, action in (
            (_I.REGISTER_REJECT, _take_reject),
            (_I.OVERDUE, _lose_registering),
            (_I.LOST, _lose),
            (_I.GARBAGE, _lose_and_close),
        )
    },
    (_S.REGISTERED, _I.KEEPALIVE_DUE): (_S.REGISTERED, _send_keepalive),
    (_S.REGISTERED, _I.KEEPALIVE_ACK): (_S.REGISTERED, _note_answer),
    (_S.REGISTERED, _I.LINE_STAT): (_S.REGISTERED, _take_line),
    (_S.REGISTERED, _I.SILENT): (_S.IDLE, _lose_silent),
    (_S.REGISTERED, _I.LOST): (_S.IDLE, _lose),
    (_S.REGISTERED, _I.GARBAGE): (_S.IDLE, _lose_and_close),
    (_S.REGISTERED, _I.LEAVE): (_S.UNREGISTERING, _unregister),
    (_S.UNREGISTERING, _I.UNREGISTER_ACK): (_S.IDLE, _left_and_close),
    (_S.UNREGISTERING, _I.UNREGISTER_NAK): (_S.REGISTERED, _stay),
    (_S.UNREGISTERING, _I.OVERDUE): (_S.IDLE, _left_and_close),
    (_S.UNREGISTERING, _I.LOST): (_S.IDLE, _left),
    (_S.UNREGISTERING, _I.GARBAGE): (_S.IDLE, _left_and_close),
    (_S.STANDBY, _I.TOKEN_DUE): (_S.ASKING, _ask_for_token),
    (_S.ASKING, _I.TOKEN_ACK): (_S.GRANTED, _take_token),
    (_S.ASKING, _I.TOKEN_REJECT): (_S.STANDBY, _wait_for_token),
    (_S.ASKING, _I.OVERDUE): (_S.IDLE, _lose_overdue),
    (_S.GRANTED, _I.HELD_BACK): (_S.STANDBY, _wait_longer),
    **{
        (state, given): (after or state, action)
        for state in (_S.STANDBY, _S.ASKING, _S.GRANTED)
        for given, after, action in (
            (_I.CHOSEN, _S.REGISTERING, _register),
            (_I.KEEPALIVE_DUE, None, _send_keepalive),
            (_I.KEEPALIVE_ACK, None, _note_answer),
            (_I.SILENT, _S.IDLE, _lose_silent),
            (_I.LOST, _S.IDLE, _lose),
            (_I.GARBAGE, _S.IDLE, _lose_and_close),
            (_I.UNWANTED, _S.IDLE, _drop),
        )
    },
}
"""An input that has no row in a state is passed over: late answers, messages for the display, a peer's odd ideas."""


def draw() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> IDLE"]
    lines += [f"    {state.name} --> {after.name}: {given.value}" for (state, given), (after, _) in TRANSITIONS.items()]
    return "\n".join(lines)
