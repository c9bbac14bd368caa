"""All transitions of a phone's calls in one table: (phase, input) -> (next phase, action)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from testbed.sccp.call_codes import KEYPAD
from testbed.sccp.call_messages import KeypadButton
from testbed.sccp.phone_call_state import NEVER, Call, CallInput, Phase

if TYPE_CHECKING:
    from testbed.sccp.phone_calls import Calls

Action = Callable[["Calls", Call, float], None]

SILENCE_S = 2.0
"""Whoever hears nothing for this long in a call without call control hangs up."""
LISTEN_S = 1.0
"""How long a caller who has an appointment listens to the tone of a call that came to nothing."""
HANG_UP_S = 2.0
"""A call that was hung up is over for the phone after this time, also when nobody confirms it."""


def _nothing(_calls: Calls, _call: Call, _now: float) -> None:
    pass


def _take_line(calls: Calls, call: Call, now: float) -> None:
    calls.tell("CallBegun", call, now, direction="out")
    digits, calls.to_dial = calls.to_dial, ""
    call.talk_s, calls.talk_s = calls.talk_s, None
    for digit in digits:
        calls.say(KeypadButton(key=KEYPAD[digit], line=call.line, call_reference=call.reference))


def _ring(calls: Calls, call: Call, now: float) -> None:
    calls.tell("CallBegun", call, now, direction="in")
    if calls.answer_after_s is not None and len(calls.by_reference) == 1:
        call.deadline = now + calls.answer_after_s


def _talk(calls: Calls, call: Call, now: float) -> None:
    calls.tell("CallConnected", call, now)
    if call.talk_s is not None and call.hang_up_at == NEVER:
        call.hang_up_at = now + call.talk_s


def _hear_refusal(calls: Calls, call: Call, now: float) -> None:
    calls.tell("CallRefused", call, now)
    if call.talk_s is not None:
        call.hang_up_at = now + LISTEN_S


def _preserve(calls: Calls, call: Call, now: float) -> None:
    call.deadline = now + SILENCE_S
    calls.tell("CallPreserved", call, now)


def _leave(calls: Calls, call: Call, now: float) -> None:
    """Nobody is heard any more, and the call control is told; its word is awaited for a while."""
    call.deadline, call.hang_up_at = now + HANG_UP_S, NEVER
    calls.silence(call)


_P, _I = Phase, CallInput
TRANSITIONS: dict[tuple[Phase, CallInput], tuple[Phase, Action]] = {
    (_P.NEW, _I.OFF_HOOK): (_P.DIALLING, _take_line),
    (_P.NEW, _I.RUNG): (_P.RINGING, _ring),
    (_P.DIALLING, _I.PROCEEDED): (_P.CALLING, _nothing),
    (_P.DIALLING, _I.CONNECTED): (_P.TALKING, _talk),
    (_P.CALLING, _I.CONNECTED): (_P.TALKING, _talk),
    (_P.RINGING, _I.CONNECTED): (_P.TALKING, _talk),
    (_P.TALKING, _I.HELD): (_P.ON_HOLD, _nothing),
    (_P.TALKING, _I.PROCEEDED): (_P.CALLING, _nothing),
    (_P.ON_HOLD, _I.CONNECTED): (_P.TALKING, _talk),
    (_P.ON_HOLD, _I.PROCEEDED): (_P.CALLING, _nothing),
    **{(phase, _I.REFUSED): (_P.REFUSED, _hear_refusal) for phase in (_P.DIALLING, _P.CALLING, _P.TALKING, _P.ON_HOLD)},
    **{
        (phase, given): (_P.OVER, _nothing)
        for phase in (_P.NEW, _P.DIALLING, _P.CALLING, _P.RINGING, _P.TALKING, _P.ON_HOLD, _P.REFUSED, _P.HANGING_UP)
        for given in (_I.ON_HOOK, _I.LOST)
    },
    **{
        (phase, _I.HANG_UP): (_P.HANGING_UP, _leave)
        for phase in (_P.DIALLING, _P.CALLING, _P.RINGING, _P.TALKING, _P.ON_HOLD, _P.REFUSED)
    },
    **{
        (phase, _I.CUT_OFF): (_P.PRESERVED, _preserve)
        for phase in (_P.CALLING, _P.RINGING, _P.TALKING, _P.ON_HOLD, _P.REFUSED)
    },
    (_P.PRESERVED, _I.HANG_UP): (_P.OVER, _nothing),
    (_P.PRESERVED, _I.SILENT): (_P.OVER, _nothing),
    (_P.HANGING_UP, _I.OVERDUE): (_P.OVER, _nothing),
}
"""An input that has no row in a phase is passed over."""
