"""The calls of one phone, apart from its registration: what its user does, what call control tells, what becomes of the media.

A phone is a stimulus terminal: keys go up, and the call control says what they did. Two things it decides by itself: a call whose
media are up outlives its call control, and a user who hangs up is heard by nobody from then on. Every transition of a call is a row of
``phone_call_transitions.TRANSITIONS``. Sans-IO, part of the phone's machine: ``phone.calls``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from testbed.sccp.call_codes import KEYPAD, CallStateCode, SoftKeyCode
from testbed.sccp.call_messages import CallInfo, CallState, KeypadButton, OffHook, OnHook, SoftKeyEvent
from testbed.sccp.media_messages import (
    CloseReceiveChannel,
    ConnectionStatisticsReq,
    ConnectionStatisticsRes,
    OpenReceiveChannel,
    OpenReceiveChannelAck,
    StartMediaTransmission,
    StopMediaTransmission,
)
from testbed.sccp.message import Message
from testbed.sccp.phone_call_state import NEVER, Call, CallInput, MediaFigures, MediaOrder, Phase, figures_of
from testbed.sccp.phone_call_transitions import SILENCE_S, TRANSITIONS

if TYPE_CHECKING:
    from testbed.sccp.phone import Phone

ANSWER_AFTER_S = 1.0
MAX_CALLS = 4
"""Of one phone; what a call control says about more is passed over."""
MAX_NUMBER = 24
OPEN_FAILED = 1
SOFT_KEYS = {
    "NewCall": SoftKeyCode.NEW_CALL,
    "Redial": SoftKeyCode.REDIAL,
    "Hold": SoftKeyCode.HOLD,
    "Resume": SoftKeyCode.RESUME,
    "Trnsfer": SoftKeyCode.TRANSFER,
    "EndCall": SoftKeyCode.END_CALL,
    "Answer": SoftKeyCode.ANSWER,
}
KEYS = ("off-hook", "on-hook", *SOFT_KEYS, *KEYPAD)
"""What a user can press in a call, as printed on the phone or its display."""

_STATES = {
    CallStateCode.OFF_HOOK: CallInput.OFF_HOOK,
    CallStateCode.ON_HOOK: CallInput.ON_HOOK,
    CallStateCode.RING_OUT: CallInput.PROCEEDED,
    CallStateCode.PROCEED: CallInput.PROCEEDED,
    CallStateCode.RING_IN: CallInput.RUNG,
    CallStateCode.CONNECTED: CallInput.CONNECTED,
    CallStateCode.HOLD: CallInput.HELD,
    CallStateCode.BUSY: CallInput.REFUSED,
    CallStateCode.CONGESTION: CallInput.REFUSED,
    CallStateCode.INVALID_NUMBER: CallInput.REFUSED,
}


class Calls:
    """All calls of one phone, by their reference."""

    __slots__ = ("_finished", "_orders", "_phone", "answer_after_s", "by_reference", "figures", "talk_s", "to_dial")

    def __init__(self, phone: Phone) -> None:
        self._phone = phone
        self.by_reference: dict[int, Call] = {}
        self.answer_after_s: float | None = ANSWER_AFTER_S
        """How long the user lets it ring; None: nobody is there."""
        self.figures: Callable[[int], MediaFigures | None] = _no_figures
        """The owner's: what it knows of a call's media."""
        self.to_dial = ""
        """Dialled as soon as there is a dial tone."""
        self.talk_s: float | None = None
        """Of the call that is dialled then: how long they talk, until the caller hangs up; None: for ever."""
        self._orders: list[MediaOrder] = []
        self._finished: int | None = None
        """The call that ended last; the call control may still ask for its figures."""

    # -- what the user does

    def call(self, number: str, now: float, *, line: int = 1, talk_s: float | None = None) -> bool:
        """Take a line and dial; False where the phone is not registered, or busy already.

        With ``talk_s`` the caller hangs up after they have talked for so long, or has heard for ``LISTEN_S`` that it comes to nothing.
        """
        if self._phone.home is None or self.by_reference:
            return False
        self.to_dial, self.talk_s = number[:MAX_NUMBER], talk_s
        self.say(SoftKeyEvent(event=SoftKeyCode.NEW_CALL, line=line))
        return True

    def press(self, key: str, now: float, line: int = 1) -> bool:
        """One of KEYS; False where it does nothing now."""
        call = self._meant(key)
        reference = call.reference if call is not None else 0
        if key in ("on-hook", "EndCall"):
            if call is None:
                return False
            self._hang_up(call, now, key)
        elif self._phone.home is None:
            return False
        elif key == "off-hook":
            self.say(OffHook(line=line, call_reference=reference))
        elif key in KEYPAD:
            if call is None or call.phase is not Phase.DIALLING:
                return False
            self.say(KeypadButton(key=KEYPAD[key], line=call.line, call_reference=reference))
        else:
            self.say(SoftKeyEvent(event=SOFT_KEYS[key], line=call.line if call else line, call_reference=reference))
        return True

    def hang_up_all(self, now: float) -> None:
        """The phone is about to be switched off: nothing is waited for."""
        for call in list(self.by_reference.values()):
            if call.phase is not Phase.HANGING_UP:
                self._hang_up(call, now, "on-hook")
            self._apply(call, CallInput.OVERDUE, now)

    @property
    def active(self) -> Call | None:
        """The call that keys are about: the latest one that is neither ringing nor on hold, or else that rings, or else the latest."""
        calls = [call for call in self.by_reference.values() if call.phase is not Phase.HANGING_UP]
        return max(reversed(calls), key=lambda call: _ATTENTION.get(call.phase, 2), default=None)

    def _meant(self, key: str) -> Call | None:
        """The call that this key is about."""
        wanted = {"off-hook": Phase.RINGING, "Answer": Phase.RINGING, "Resume": Phase.ON_HOLD}.get(key)
        if wanted is None:
            return self.active
        return next((call for call in reversed(self.by_reference.values()) if call.phase is wanted), None)

    # -- what the phone tells

    def take(self, message: Message, now: float) -> bool:
        """A message of the call control the phone is registered at; False where it is about no call."""
        handler = _HANDLERS.get(type(message))
        if handler is None:
            return False
        handler(self, message, now)
        return True

    def lose(self, now: float) -> None:
        """The call control is lost, or the phone has left it."""
        self.to_dial = ""
        for call in list(self.by_reference.values()):
            self._apply(call, CallInput.CUT_OFF if call.has_media else CallInput.LOST, now)

    def opened(self, reference: int, address: str, port: int, now: float) -> None:
        """The port that ``open`` asked for; 0 where there is none."""
        call = self.by_reference.get(reference)
        if call is None:
            return
        call.is_receiving = bool(port)
        status = 0 if port else OPEN_FAILED
        self.say(
            OpenReceiveChannelAck(
                status=status, address=address, port=port, pass_through_party=call.party, call_reference=reference
            )
        )

    def tick(self, now: float) -> None:
        """Do what is due."""
        for call in list(self.by_reference.values()):
            if call.hang_up_at <= now:
                call.hang_up_at = NEVER
                self._hang_up(call, now, "on-hook")
                continue
            if call.deadline > now:
                continue
            call.deadline = NEVER
            if call.phase is Phase.RINGING:
                self.say(SoftKeyEvent(event=SoftKeyCode.ANSWER, line=call.line, call_reference=call.reference))
            elif call.phase is Phase.PRESERVED:
                self._listen(call, now)
            else:
                self._apply(call, CallInput.OVERDUE, now)

    def next_timer(self) -> float:
        """When ``tick`` is due, or NEVER."""
        return min((min(call.deadline, call.hang_up_at) for call in self.by_reference.values()), default=NEVER)

    def orders(self) -> list[MediaOrder]:
        """What the owner is to do, in order."""
        orders, self._orders = self._orders, []
        return orders

    # -- messages

    def on_state(self, message: CallState, now: float) -> None:
        given = _STATES.get(message.state)  # type: ignore[call-overload]
        if given is None:
            return
        call = self.by_reference.get(message.call_reference)
        if call is None:
            if given not in (CallInput.OFF_HOOK, CallInput.RUNG) or len(self.by_reference) >= MAX_CALLS:
                return
            call = self._begin(message.call_reference, message.line or 1, now)
        self._apply(call, given, now)

    def on_info(self, message: CallInfo, _now: float) -> None:
        call = self.by_reference.get(message.call_reference)
        if call is not None:
            call.number = message.calling_number if message.kind == 1 else message.called_number

    def on_open(self, message: OpenReceiveChannel, _now: float) -> None:
        call = self._with_media(message.call_reference)
        if call is None:
            self.say(
                OpenReceiveChannelAck(
                    status=OPEN_FAILED,
                    address=self._phone.settings.address,
                    pass_through_party=message.pass_through_party,
                    call_reference=message.call_reference,
                )
            )
            return
        call.party = message.pass_through_party
        self._order("open", call)

    def on_start(self, message: StartMediaTransmission, now: float) -> None:
        call = self._with_media(message.call_reference)
        if call is None or not 0 < message.remote_port < 65536:
            return
        call.is_sending = True
        remote, tos = (message.remote_address, message.remote_port), message.precedence & 0xFF
        self._orders.append(MediaOrder(act="start", reference=call.reference, remote=remote, tos=tos))
        self.tell("StreamStarted", call, now, remote=remote[0], remote_port=remote[1], tos=tos)

    def on_stop(self, message: StopMediaTransmission, _now: float) -> None:
        call = self.by_reference.get(message.call_reference)
        if call is not None:
            self._stop(call)

    def on_close(self, message: CloseReceiveChannel, _now: float) -> None:
        call = self.by_reference.get(message.call_reference)
        if call is not None:
            self._close(call)

    def on_statistics(self, message: ConnectionStatisticsReq, _now: float) -> None:
        media = self.figures(message.call_reference)
        received = media.received if media is not None else None
        self.say(
            ConnectionStatisticsRes(
                number=message.number,
                call_reference=message.call_reference,
                mode=message.mode,
                packets_sent=media.packets_sent if media else 0,
                octets_sent=media.octets_sent if media else 0,
                packets_received=received.packets if received else 0,
                octets_received=received.octets if received else 0,
                packets_lost=max(0, received.lost) if received else 0,
                jitter=round(received.jitter_s * 1000) if received else 0,
            )
        )

    # -- parts

    def _apply(self, call: Call, given: CallInput, now: float) -> None:
        transition = TRANSITIONS.get((call.phase, given))
        if transition is None:
            return
        was = call.phase
        call.phase, action = transition
        if call.phase is not was:
            call.deadline = NEVER
        action(self, call, now)
        if call.phase is Phase.OVER:
            self._end(call, was, given, now)

    def _begin(self, reference: int, line: int, now: float) -> Call:
        if self._finished is not None:
            self._orders.append(MediaOrder(act="clear", reference=self._finished))
            self._finished = None
        call = Call(reference, line, now)
        self.by_reference[reference] = call
        if len(self.by_reference) == 1:
            self._phone.set_in_call(True, now)
        return call

    def _end(self, call: Call, was: Phase, given: CallInput, now: float) -> None:
        del self.by_reference[call.reference]
        self.silence(call)
        if self._finished is not None:
            self._orders.append(MediaOrder(act="clear", reference=self._finished))
        self._finished = call.reference
        figures = figures_of(self.figures(call.reference))
        cause = "hung up" if was is Phase.HANGING_UP else given.value
        self.tell("CallEnded", call, now, cause=cause, duration_s=now - call.began_at, **figures)
        if not self.by_reference:
            self._phone.set_in_call(False, now)

    def _hang_up(self, call: Call, now: float, key: str) -> None:
        if key == "EndCall":
            self.say(SoftKeyEvent(event=SoftKeyCode.END_CALL, line=call.line, call_reference=call.reference))
        else:
            self.say(OnHook(line=call.line, call_reference=call.reference))
        self._apply(call, CallInput.HANG_UP, now)

    def _listen(self, call: Call, now: float) -> None:
        media = self.figures(call.reference)
        heard_at = media.heard_at if media is not None and media.heard_at is not None else call.began_at
        if heard_at + SILENCE_S <= now:
            self._apply(call, CallInput.SILENT, now)
        else:
            call.deadline = heard_at + SILENCE_S

    def silence(self, call: Call) -> None:
        """Neither send nor receive any more."""
        self._stop(call)
        self._close(call)

    def _stop(self, call: Call) -> None:
        if call.is_sending:
            call.is_sending = False
            self._order("stop", call)

    def _close(self, call: Call) -> None:
        if call.is_receiving:
            call.is_receiving = False
            self._order("close", call)

    def _with_media(self, reference: int) -> Call | None:
        call = self.by_reference.get(reference)
        return call if call is not None and call.phase in _MEDIA_PHASES else None

    def _order(self, act: str, call: Call) -> None:
        self._orders.append(MediaOrder(act=act, reference=call.reference))

    def say(self, message: Message) -> None:
        """To the call control, where there is one."""
        home = self._phone.home
        if home is not None:
            self._phone.say(home, message)

    def tell(self, name: str, call: Call, now: float, **data: Any) -> None:
        """An event."""
        self._phone.tell(name, now, reference=call.reference, number=call.number, **data)


def _no_figures(_reference: int) -> None:
    return None


_HANDLERS: dict[type[Message], Callable[..., None]] = {
    CallState: Calls.on_state,
    CallInfo: Calls.on_info,
    OpenReceiveChannel: Calls.on_open,
    StartMediaTransmission: Calls.on_start,
    StopMediaTransmission: Calls.on_stop,
    CloseReceiveChannel: Calls.on_close,
    ConnectionStatisticsReq: Calls.on_statistics,
}
_ATTENTION = {Phase.ON_HOLD: 0, Phase.RINGING: 1}
"""What is asked for less than a call that is neither."""
_MEDIA_PHASES = frozenset({Phase.RINGING, Phase.CALLING, Phase.TALKING, Phase.ON_HOLD})
