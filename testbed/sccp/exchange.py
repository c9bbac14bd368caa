"""The calls of one call control, apart from its registrations: numbers, and the two legs of each call. Sans-IO.

Every transition of a leg is a row of ``leg_transitions.TRANSITIONS``. A phone that is lost takes its own leg with it; the other phone keeps its media
until it hangs up, since what two phones send each other does not pass the call control. Where the other phone is at another call
control its side is a far leg (``across.py``).
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from testbed.sccp import leg_messages
from testbed.sccp.across import Across, FarLeg
from testbed.sccp.call_codes import EF_TOS, FIRST_REFERENCE, KEYPAD, SoftKeyCode
from testbed.sccp.call_messages import EnblocCall, KeypadButton, OffHook, OnHook, SoftKeyEvent
from testbed.sccp.leg import NEVER, Leg, LegInput, LegState
from testbed.sccp.leg_transitions import MAX_DIGITS, TRANSITIONS
from testbed.sccp.media_messages import ConnectionStatisticsRes, OpenReceiveChannelAck
from testbed.sccp.message import Message

MAX_LEGS = 2
"""Of one phone: one on hold and another one."""
_PRINTED = {code: key for key, code in KEYPAD.items()}


class Board(Protocol):
    """What the call control does for its exchange."""

    def say_to(self, device_name: str, *messages: Message) -> None: ...
    def tell(self, name: str, now: float, **data: Any) -> None: ...


class Exchange:
    """All legs, by reference and by phone."""

    def __init__(self, board: Board, interval_s: float = 30.0) -> None:
        """``interval_s``: of keepalives between call controls."""
        self.board = board
        self.across = Across(self, interval_s)
        self.media_tos = EF_TOS
        """``precedence`` of StartMediaTransmission."""
        self.numbers: dict[str, tuple[str, int]] = {}
        """Number -> registered phone, and which of its lines."""
        self._lines: dict[str, dict[int, str]] = {}
        self.legs: dict[int, Leg] = {}
        self.by_device: dict[str, list[Leg]] = {}
        self.last_dialled: dict[str, str] = {}
        self._references = itertools.count(FIRST_REFERENCE)
        self._timers: list[tuple[float, int]] = []

    # -- what the call control tells

    def plug(self, device_name: str, numbers: dict[int, str], now: float) -> None:
        """A phone registered; its numbers by line, from 1."""
        self._lines[device_name] = numbers
        for line, number in numbers.items():
            self.numbers[number] = (device_name, line)
        self.across.plugged(numbers.values(), now)

    def unplug(self, device_name: str, now: float) -> None:
        """It is registered no longer."""
        # Two names may have one number: the later one has it.
        own = self._lines.pop(device_name, {}).values()
        gone = [number for number in own if self.numbers.get(number, ("", 0))[0] == device_name]
        for number in gone:
            del self.numbers[number]
        self.across.unplugged(gone)
        for leg in list(self.by_device.get(device_name, ())):
            self.apply(leg, LegInput.GONE, now)
        self.last_dialled.pop(device_name, None)

    def is_busy(self, device_name: str, line: int) -> bool:
        """Whether this line has a call, or the phone as many as it can have."""
        legs = self.by_device.get(device_name, ())
        return len(legs) >= MAX_LEGS or any(leg.line == line for leg in legs)

    def all_numbers(self) -> Iterable[str]:
        """Registered here or at another call control."""
        return itertools.chain(self.numbers, self.across.places)

    def has_calls(self, device_name: str) -> bool:
        return device_name in self.by_device

    def take(self, device_name: str, message: Message, now: float) -> bool:
        """A registered phone's message; False where it is about no call."""
        handler = _HANDLERS.get(type(message))
        if handler is None:
            return False
        handler(self, device_name, message, now)
        return True

    def tick(self, now: float) -> None:
        """Do what is due."""
        while self._timers and self._timers[0][0] <= now:
            due, reference = heapq.heappop(self._timers)
            leg = self.legs.get(reference)
            if leg is not None and leg.deadline == due:
                leg.deadline = NEVER
                self.apply(leg, LegInput.OVERDUE, now)

    def next_timer(self) -> float:
        """When ``tick`` is due, or NEVER."""
        return self._timers[0][0] if self._timers else NEVER

    # -- messages

    def on_off_hook(self, device_name: str, message: OffHook, now: float) -> None:
        """Answers where it rings, or else takes a line."""
        ringing = [leg for leg in self.by_device.get(device_name, ()) if leg.state is LegState.RINGING]
        if ringing:
            self.apply(ringing[0], LegInput.ANSWER, now)
        else:
            self.take_line(device_name, message.line or 1, now)

    def on_on_hook(self, device_name: str, message: OnHook, now: float) -> None:
        self._of(device_name, message.call_reference, LegInput.HANG_UP, now)

    def on_key(self, device_name: str, message: KeypadButton, now: float) -> None:
        digit = _PRINTED.get(message.key)
        leg = self._leg(device_name, message.call_reference)
        if leg is not None and digit is not None:
            self.apply(leg, LegInput.KEY, now, digit)

    def on_enbloc(self, device_name: str, message: EnblocCall, now: float) -> None:
        self._dial(device_name, 1, message.number, now)

    def on_soft_key(self, device_name: str, message: SoftKeyEvent, now: float) -> None:
        if message.event == SoftKeyCode.NEW_CALL:
            self.take_line(device_name, message.line or 1, now)
        elif message.event == SoftKeyCode.REDIAL:
            self._dial(device_name, message.line or 1, self.last_dialled.get(device_name, ""), now)
        elif message.event == SoftKeyCode.TRANSFER:
            leg = self._leg(device_name, message.call_reference)
            if leg is not None:
                self.apply(leg, LegInput.JOIN if self._can_join(leg) else LegInput.TRANSFER, now)
        elif message.event in _SOFT_KEYS:
            self._of(device_name, message.call_reference, _SOFT_KEYS[message.event], now)

    def on_open_ack(self, device_name: str, message: OpenReceiveChannelAck, now: float) -> None:
        leg = self._leg(device_name, message.call_reference or message.pass_through_party)
        if leg is None or leg.state is not LegState.TALKING or not leg.has_media or leg.other is None:
            return
        if message.status or not 0 < message.port < 65536:
            self.apply(leg, LegInput.NO_MEDIA, now)
            return
        leg.receives_at = (message.address, message.port)
        self.start_media(leg.other, leg.receives_at, now)

    def on_figures(self, device_name: str, message: ConnectionStatisticsRes, now: float) -> None:
        self.board.tell(
            "CallFiguresReported",
            now,
            phone=device_name,
            reference=message.call_reference,
            sent=message.packets_sent,
            received=message.packets_received,
            lost=message.packets_lost,
            jitter_ms=message.jitter,
        )

    # -- parts

    def _can_join(self, leg: Leg) -> bool:
        """It was dialled to transfer another, which is still there."""
        first = leg.transfers
        return first is not None and first.reference in self.legs and first.other is not None and leg.other is not None

    def _of(self, device_name: str, reference: int, given: LegInput, now: float) -> None:
        leg = self._leg(device_name, reference)
        if leg is not None:
            self.apply(leg, given, now)

    def _leg(self, device_name: str, reference: int) -> Leg | None:
        """The phone's leg of this reference; of reference 0 its latest one."""
        legs = self.by_device.get(device_name, [])
        if not reference:
            return legs[-1] if legs else None
        return next((leg for leg in legs if leg.reference == reference), None)

    def offer(self, leg: Leg, place: tuple[str, int] | None, now: float) -> None:
        """Let the line that this leg's phone has dialled ring, here or, of a far leg, for the other call control."""
        if place is None:
            self.apply(leg, LegInput.UNKNOWN, now)
        elif self.is_busy(*place):
            self.apply(leg, LegInput.BUSY, now)
        else:
            called = self.add(*place, call=leg.call or None)
            leg.other, called.other = called, leg
            self.apply(leg, LegInput.ROUTED, now)
            self.apply(called, LegInput.OFFERED, now)

    def start_media(self, leg: Leg, remote: tuple[str, int], now: float) -> None:
        """Its phone is to send there; not where it was put on hold while the word of another call control was under way."""
        if isinstance(leg, FarLeg):
            self.across.start(leg, remote)
        elif leg.state is LegState.TALKING and leg.has_media:
            self.board.say_to(leg.device_name, leg_messages.start_media(leg, remote, self.media_tos))
            self.board.tell(
                "MediaStarted",
                now,
                phone=leg.device_name,
                reference=leg.reference,
                remote=remote[0],
                remote_port=remote[1],
                tos=self.media_tos,
            )

    def add(self, device_name: str, line: int, call: int | None = None) -> Leg:
        reference = next(self._references)
        number = self._lines[device_name].get(line, "")
        leg = Leg(device_name, line, number, reference, reference if call is None else call)
        self.legs[reference] = leg
        self.by_device.setdefault(device_name, []).append(leg)
        return leg

    def take_line(self, device_name: str, line: int, now: float) -> Leg | None:
        """A new leg, or None where the phone has anything but a call on hold."""
        legs = self.by_device.get(device_name, [])
        if len(legs) >= MAX_LEGS or any(leg.state is not LegState.HOLDING for leg in legs):
            return None
        leg = self.add(device_name, line)
        self.apply(leg, LegInput.TAKEN, now)
        return leg

    def _dial(self, device_name: str, line: int, number: str, now: float) -> None:
        leg = self.take_line(device_name, line, now) if number else None
        for digit in number[:MAX_DIGITS]:
            if leg is not None and digit in KEYPAD:
                self.apply(leg, LegInput.KEY, now, digit)

    def apply(self, leg: Leg, given: LegInput, now: float, detail: str = "") -> None:
        if isinstance(leg, FarLeg):
            self.across.give(leg, given)
            return
        transition = TRANSITIONS.get((leg.state, given))
        if transition is None:
            return
        leg.state, action = transition
        leg.deadline = NEVER
        if leg.state is LegState.OVER:
            self._remove(leg)
        action(self, leg, now, detail)

    def _remove(self, leg: Leg) -> None:
        del self.legs[leg.reference]
        legs = self.by_device[leg.device_name]
        legs.remove(leg)
        if not legs:
            del self.by_device[leg.device_name]

    def expect(self, leg: Leg, deadline: float) -> None:
        leg.deadline = deadline
        heapq.heappush(self._timers, (deadline, leg.reference))

    def say(self, leg: Leg, messages: list[Message]) -> None:
        self.board.say_to(leg.device_name, *messages)

    def part(self, leg: Leg, given: LegInput, now: float) -> None:
        """The other leg goes its own way."""
        other, leg.other = leg.other, None
        if other is not None:
            other.other = None
            self.apply(other, given, now)

    def end_media(self, leg: Leg) -> list[Message]:
        was_up, leg.has_media, leg.receives_at = leg.has_media, False, None
        return leg_messages.end_media(leg) if was_up else []


_SOFT_KEYS: dict[int, LegInput] = {
    SoftKeyCode.HOLD: LegInput.HOLD,
    SoftKeyCode.RESUME: LegInput.RESUME,
    SoftKeyCode.END_CALL: LegInput.HANG_UP,
    SoftKeyCode.ANSWER: LegInput.ANSWER,
}
_HANDLERS: dict[type[Message], Callable[..., None]] = {
    OffHook: Exchange.on_off_hook,
    OnHook: Exchange.on_on_hook,
    KeypadButton: Exchange.on_key,
    EnblocCall: Exchange.on_enbloc,
    SoftKeyEvent: Exchange.on_soft_key,
    OpenReceiveChannelAck: Exchange.on_open_ack,
    ConnectionStatisticsRes: Exchange.on_figures,
}
