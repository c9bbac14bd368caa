"""All transitions of the legs of calls in one table: (state, input) -> (next state, action)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from testbed.sccp import leg_messages
from testbed.sccp.leg import Leg, LegInput, LegState

if TYPE_CHECKING:
    from testbed.sccp.exchange import Exchange

Action = Callable[["Exchange", Leg, float, str], None]

FIRST_DIGIT_S, NEXT_DIGIT_S = 15.0, 4.0
"""Who takes a line and dials nothing, or stops in the middle of a number that could go on."""
NO_ANSWER_S = 60.0
ASKED_S = 4.0
"""Another call control that says nothing for so long to a call is one that does not answer any more."""
REFUSED_S = 30.0
"""The tone that a refused caller hears ends after this time (seen on a CallManager), and the call with it."""
MAX_DIGITS = 24


# -- dialling


def _give_dial_tone(exchange: Exchange, leg: Leg, now: float, _detail: str) -> None:
    exchange.say(leg, leg_messages.dial_tone(leg))
    exchange.expect(leg, now + FIRST_DIGIT_S)


def _take_digit(exchange: Exchange, leg: Leg, now: float, digit: str) -> None:
    if not leg.digits:
        exchange.say(leg, leg_messages.first_digit(leg))
    is_end = digit == "#"
    leg.digits += "" if is_end else digit
    could_go_on = len(leg.digits) < MAX_DIGITS and any(
        number.startswith(leg.digits) and number != leg.digits for number in exchange.all_numbers()
    )
    if is_end or not could_go_on:
        _route(exchange, leg, now, "")
    else:
        exchange.expect(leg, now + NEXT_DIGIT_S)


def _route(exchange: Exchange, leg: Leg, now: float, _detail: str) -> None:
    exchange.last_dialled[leg.device_name] = leg.digits
    if leg.digits in exchange.across.places:
        exchange.apply(leg, LegInput.ASKED, now)
    else:
        exchange.offer(leg, exchange.numbers.get(leg.digits), now)


def _ask(exchange: Exchange, leg: Leg, now: float, _detail: str) -> None:
    exchange.across.call(leg, leg.digits)
    exchange.expect(leg, now + ASKED_S)


def _ring_out(exchange: Exchange, leg: Leg, now: float, _detail: str) -> None:
    assert leg.other is not None
    exchange.say(leg, leg_messages.ring_out(leg))
    exchange.expect(leg, now + NO_ANSWER_S)
    exchange.board.tell(
        "CallRouted",
        now,
        phone=leg.device_name,
        to=leg.other.device_name,
        number=leg.digits,
        reference=leg.reference,
        to_reference=leg.other.reference,
    )


def _ring_in(exchange: Exchange, leg: Leg, _now: float, _detail: str) -> None:
    exchange.say(leg, leg_messages.ring_in(leg))


def _refuse(exchange: Exchange, leg: Leg, now: float, cause: str) -> None:
    exchange.say(leg, leg_messages.refused(leg, is_busy=cause == "busy", is_known=cause != "unknown number"))
    exchange.expect(leg, now + REFUSED_S)
    exchange.board.tell("CallNotRouted", now, phone=leg.device_name, number=leg.digits, cause=cause)


def _refuse_unknown(exchange: Exchange, leg: Leg, now: float, _detail: str) -> None:
    _refuse(exchange, leg, now, "unknown number")


def _refuse_busy(exchange: Exchange, leg: Leg, now: float, _detail: str) -> None:
    _refuse(exchange, leg, now, "busy")


def _refuse_declined(exchange: Exchange, leg: Leg, now: float, _detail: str) -> None:
    _refuse(exchange, leg, now, "declined")


def _refuse_unanswered(exchange: Exchange, leg: Leg, now: float, _detail: str) -> None:
    exchange.part(leg, LegInput.OTHER_LEFT, now)
    _refuse(exchange, leg, now, "no answer")


# -- talking


def _answer(exchange: Exchange, leg: Leg, now: float, _detail: str) -> None:
    assert leg.other is not None
    for talking in [one for one in exchange.by_device[leg.device_name] if one is not leg]:
        exchange.apply(talking, LegInput.HOLD, now)
    exchange.say(leg, leg_messages.answered(leg))
    _connect(exchange, leg, now, "")
    exchange.apply(leg.other, LegInput.OTHER_ANSWERED, now)
    exchange.board.tell(
        "CallAnswered",
        now,
        phone=leg.device_name,
        reference=leg.reference,
        **{"from": leg.other.device_name if leg.other else ""},
    )


def _connect(exchange: Exchange, leg: Leg, _now: float, _detail: str) -> None:
    leg.has_media, leg.receives_at = True, None
    exchange.say(leg, leg_messages.connected(leg, is_caller=bool(leg.digits)))


def _hold(exchange: Exchange, leg: Leg, now: float, _detail: str) -> None:
    exchange.say(leg, [*exchange.end_media(leg), *leg_messages.on_hold(leg)])
    if leg.other is not None:
        exchange.apply(leg.other, LegInput.OTHER_HOLDS, now)


def _be_held(exchange: Exchange, leg: Leg, _now: float, _detail: str) -> None:
    exchange.say(leg, [*exchange.end_media(leg), *leg_messages.held(leg)])


def _resume(exchange: Exchange, leg: Leg, now: float, _detail: str) -> None:
    _connect(exchange, leg, now, "")
    if leg.other is not None:
        exchange.apply(leg.other, LegInput.OTHER_RESUMED, now)


def _strand(exchange: Exchange, leg: Leg, now: float, _detail: str) -> None:
    exchange.board.tell("CallStranded", now, phone=leg.device_name, reference=leg.reference)


# -- transfer


def _consult(exchange: Exchange, leg: Leg, now: float, _detail: str) -> None:
    """Hold, and take a line to dial whom the other is to talk to."""
    _hold(exchange, leg, now, "")
    consultation = exchange.take_line(leg.device_name, leg.line, now)
    if consultation is not None:
        consultation.transfers = leg


def _join(exchange: Exchange, leg: Leg, now: float, _detail: str) -> None:
    """The two others are one call from here on, whether the second has answered (attended) or not (blind)."""
    first, target = leg.transfers, leg.other
    assert first is not None
    held = first.other
    assert held is not None
    assert target is not None
    first.other = leg.other = None
    held.other, target.other = target, held
    target.call = held.call
    exchange.apply(first, LegInput.HANG_UP, now)
    _release(exchange, leg, now, "")
    rings = target.state is LegState.RINGING
    exchange.apply(target, LegInput.OTHER_CHANGED, now)
    exchange.apply(held, LegInput.OTHER_RINGS if rings else LegInput.OTHER_ANSWERED, now)
    exchange.board.tell(
        "CallTransferred", now, phone=leg.device_name, to=target.device_name, **{"from": held.device_name}
    )


def _ring_out_again(exchange: Exchange, leg: Leg, now: float, _detail: str) -> None:
    exchange.say(leg, leg_messages.ring_out(leg))
    exchange.expect(leg, now + NO_ANSWER_S)


def _change(exchange: Exchange, leg: Leg, now: float, _detail: str) -> None:
    exchange.say(leg, exchange.end_media(leg))
    _connect(exchange, leg, now, "")


# -- the end


def _release(exchange: Exchange, leg: Leg, now: float, _detail: str) -> None:
    """Told to the phone, and to the other one."""
    had_media = leg.has_media
    figures = [leg_messages.ask_for_figures(leg)] if had_media else []
    exchange.say(leg, [*exchange.end_media(leg), *figures, *leg_messages.on_hook(leg)])
    exchange.part(leg, LegInput.OTHER_LEFT, now)


def _lose(exchange: Exchange, leg: Leg, now: float, _detail: str) -> None:
    """There is nobody to tell, but the other one."""
    exchange.part(leg, LegInput.OTHER_GONE, now)


_S, _I = LegState, LegInput
_ALIVE = tuple(state for state in LegState if state not in (_S.NEW, _S.OVER))
TRANSITIONS: dict[tuple[LegState, LegInput], tuple[LegState, Action]] = {
    (_S.NEW, _I.TAKEN): (_S.DIALLING, _give_dial_tone),
    (_S.NEW, _I.OFFERED): (_S.RINGING, _ring_in),
    (_S.DIALLING, _I.KEY): (_S.DIALLING, _take_digit),
    (_S.DIALLING, _I.OVERDUE): (_S.DIALLING, _route),
    (_S.DIALLING, _I.ASKED): (_S.ASKING, _ask),
    (_S.DIALLING, _I.ROUTED): (_S.CALLING, _ring_out),
    (_S.DIALLING, _I.UNKNOWN): (_S.REFUSED, _refuse_unknown),
    (_S.DIALLING, _I.BUSY): (_S.REFUSED, _refuse_busy),
    (_S.ASKING, _I.ROUTED): (_S.CALLING, _ring_out),
    (_S.ASKING, _I.UNKNOWN): (_S.REFUSED, _refuse_unknown),
    (_S.ASKING, _I.BUSY): (_S.REFUSED, _refuse_busy),
    (_S.ASKING, _I.OTHER_LEFT): (_S.REFUSED, _refuse_declined),
    (_S.ASKING, _I.OTHER_GONE): (_S.REFUSED, _refuse_declined),
    (_S.ASKING, _I.OVERDUE): (_S.REFUSED, _refuse_unanswered),
    (_S.CALLING, _I.OTHER_ANSWERED): (_S.TALKING, _connect),
    (_S.CALLING, _I.OTHER_LEFT): (_S.REFUSED, _refuse_declined),
    (_S.CALLING, _I.OTHER_GONE): (_S.REFUSED, _refuse_declined),
    (_S.CALLING, _I.OVERDUE): (_S.REFUSED, _refuse_unanswered),
    (_S.RINGING, _I.ANSWER): (_S.TALKING, _answer),
    (_S.RINGING, _I.OTHER_CHANGED): (_S.RINGING, _ring_in),
    (_S.TALKING, _I.HOLD): (_S.HOLDING, _hold),
    (_S.TALKING, _I.OTHER_HOLDS): (_S.HELD, _be_held),
    (_S.TALKING, _I.TRANSFER): (_S.HOLDING, _consult),
    (_S.CALLING, _I.JOIN): (_S.OVER, _join),
    (_S.TALKING, _I.JOIN): (_S.OVER, _join),
    (_S.HELD, _I.OTHER_RINGS): (_S.CALLING, _ring_out_again),
    (_S.HELD, _I.OTHER_ANSWERED): (_S.TALKING, _connect),
    (_S.TALKING, _I.OTHER_CHANGED): (_S.TALKING, _change),
    (_S.TALKING, _I.OTHER_RESUMED): (_S.TALKING, _change),  # at two call controls both may have held at the same moment
    (_S.TALKING, _I.OTHER_GONE): (_S.STRANDED, _strand),
    (_S.TALKING, _I.NO_MEDIA): (_S.OVER, _release),
    (_S.HOLDING, _I.RESUME): (_S.TALKING, _resume),
    (_S.HELD, _I.OTHER_RESUMED): (_S.TALKING, _connect),
    (_S.REFUSED, _I.OVERDUE): (_S.OVER, _release),
    **{(state, _I.HANG_UP): (_S.OVER, _release) for state in _ALIVE},
    **{(state, _I.GONE): (_S.OVER, _lose) for state in _ALIVE},
    **{(state, _I.OTHER_LEFT): (_S.OVER, _release) for state in (_S.RINGING, _S.TALKING, _S.HOLDING, _S.HELD)},
    **{(state, _I.OTHER_GONE): (_S.OVER, _release) for state in (_S.RINGING, _S.HOLDING, _S.HELD)},
}
"""An input that has no row in a state is passed over."""
