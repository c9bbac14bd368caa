"""Calls between phones of two call controls: links, and the far legs of calls across them. Sans-IO.

Of a call across each call control has its own phone's leg and a ``FarLeg`` in place of the other one. What the table of transitions
gives to the far leg goes over the link as it is, and is given at the other end to the leg there: so a phone is told the same,
in the same order, wherever the other one is registered. A transfer may leave a call control with two far legs, which it joins.

``link`` is a number that the owner gives to each connection between two call controls and never gives again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from testbed.errors import PeerProtocolError
from testbed.profile import KEEPALIVE_MISSES
from testbed.sccp.cluster import (
    ENDINGS,
    HAPPENINGS,
    NUMBERS_A_LINE,
    Ask,
    ClusterMessage,
    Gone,
    Happened,
    Here,
    LineReader,
    Media,
    Registered,
    Setup,
    encode,
)
from testbed.sccp.directory import Directory
from testbed.sccp.leg import NEVER, Leg, LegInput, LegState

if TYPE_CHECKING:
    from testbed.sccp.exchange import Exchange

MAX_NUMBERS = 200_000
"""Registered elsewhere: two lines of more phones than an address block has."""
_WORDS = {given: word for word, given in HAPPENINGS.items()}


class FarLeg(Leg):
    """The side of a phone at another call control: its leg is there, and this is where to tell it."""

    __slots__ = ("call_id", "link")

    def __init__(self, link: int, call_id: int, *, device_name: str = "", number: str = "", reference: int = 0) -> None:
        super().__init__(device_name, 0, number, reference, reference)
        self.link, self.call_id = link, call_id


class Link:
    """One connection to another call control."""

    __slots__ = ("address", "ask_at", "dialled", "heard_at", "is_known", "legs", "reader")

    def __init__(self, address: str, now: float, *, dialled: bool) -> None:
        self.address, self.dialled = address, dialled
        self.reader = LineReader()
        self.legs: dict[int, FarLeg] = {}
        self.is_known = False
        """Something was heard: there is a call control behind it."""
        self.heard_at = self.ask_at = now


class Across:
    """All links of one call control, and the calls over them."""

    def __init__(self, exchange: Exchange, interval_s: float) -> None:
        self._exchange, self._interval_s = exchange, interval_s
        self.links: dict[int, Link] = {}
        self.directory = Directory()
        self.realtime_offset_s = 0.0
        """What is to be added to ``now`` for seconds since 1970: call controls compare when a phone registered where."""
        self.is_mute = False
        self._calls = itertools.count(1)
        self._awake_at = 0.0
        self._outbox: list[tuple[int, bytes]] = []
        self._closes: list[int] = []

    @property
    def places(self) -> Mapping[str, int]:
        """Number -> link to the call control where it registered last; numbers that are here are not among them."""
        return self.directory.places

    # -- what the owner tells

    def linked(self, link: int, address: str, now: float, *, dialled: bool) -> None:
        """A connection to this address is up; one to it that was up before is none any more."""
        for older in [number for number, one in self.links.items() if one.address == address]:
            self._close(older, now)
        self.links[link] = Link(address, now, dialled=dialled)
        self._tell_numbers([link], list(self.directory.here()))
        self.tick(now)

    def receive(self, link: int, data: bytes, now: float) -> None:
        """Bytes from the other call control, in any segmentation."""
        one = self.links.get(link)
        if one is None or self.is_mute:
            return
        one.heard_at = now
        try:
            for message in one.reader.feed(data):
                if not one.is_known:
                    one.is_known = True
                    self._exchange.board.tell("CallControlJoined", now, peer=one.address)
                _HANDLERS[type(message)](self, link, message, now)
        except PeerProtocolError as error:
            self._exchange.board.tell("PeerRejected", now, peer=one.address, error=error.message)
            self._close(link, now)

    def lost(self, link: int, now: float) -> None:
        """It ended: to our phones it is as if the phones at its other end were gone."""
        one = self.links.pop(link, None)
        if one is None:
            return
        self.directory.lost(link)
        for far in list(one.legs.values()):
            self._end(one, far, LegInput.OTHER_GONE, now)
        if one.is_known:
            self._exchange.board.tell("CallControlParted", now, peer=one.address)

    def tick(self, now: float) -> None:
        """Ask who is there; close what was silent for three intervals, unless nobody could be heard since we were frozen."""
        was_frozen = now - self._awake_at > 2 * self._interval_s
        self._awake_at = now
        for link, one in list(self.links.items()):
            one.heard_at = now if was_frozen or self.is_mute else one.heard_at
            if now - one.heard_at >= KEEPALIVE_MISSES * self._interval_s:
                self._close(link, now)
            elif one.ask_at <= now:
                one.ask_at = now + self._interval_s
                self._send(link, Ask())

    def next_timer(self) -> float:
        """When ``tick`` is due, or NEVER."""
        return min((one.ask_at for one in self.links.values()), default=NEVER)

    def mute(self) -> None:
        """Say nothing and act on nothing any more."""
        self.is_mute = True

    def unmute(self, now: float) -> None:
        """What was said meanwhile is lost, so all links begin anew."""
        self.is_mute = False
        for link in list(self.links):
            self._close(link, now)

    # -- what the owner asks

    def to_send(self) -> list[tuple[int, bytes]]:
        """(link, bytes) to send now, in order; to be sent before ``to_close`` is followed."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def to_close(self) -> list[int]:
        """Connections to close."""
        closes, self._closes = self._closes, []
        return closes

    # -- what the exchange tells

    def plugged(self, numbers: Iterable[str], now: float) -> None:
        """They registered here."""
        own = [(number, now + self.realtime_offset_s) for number in numbers]
        for number, since_s in own:
            self.directory.came(number, since_s)
        self._tell_numbers(self.links, own)

    def unplugged(self, numbers: list[str]) -> None:
        """They are registered here no longer."""
        for number in numbers:
            self.directory.gone(number)
        for link in self.links if numbers else ():
            self._send(link, Gone(numbers=tuple(numbers)))

    def call(self, leg: Leg, number: str) -> None:
        """Let this leg's phone call a number that is in ``places``; what comes of it comes as an input of the leg."""
        link = self.places[number]
        call_id = 2 * next(self._calls) + self.links[link].dialled
        far = FarLeg(link, call_id, number=number)
        self.links[link].legs[call_id] = far
        leg.other, far.other = far, leg
        device, own, reference = leg.device_name, leg.number, leg.reference
        self._send(link, Setup(call=call_id, called=number, device=device, number=own, reference=reference))

    def give(self, far: FarLeg, given: LegInput) -> None:
        """An input for the leg at the other end; those that concern nobody there go nowhere."""
        link, other = self.links.get(far.link), far.other
        if link is None or far.call_id not in link.legs or given not in _WORDS:
            return
        if given in ENDINGS:
            del link.legs[far.call_id]
        who: dict[str, Any] = {}
        if other is not None:
            who = {"device": other.device_name, "number": other.number, "reference": other.reference}
        self._send(far.link, Happened(call=far.call_id, what=_WORDS[given], **who))

    def start(self, far: FarLeg, remote: tuple[str, int]) -> None:
        """Let the phone at the other end send there."""
        link = self.links.get(far.link)
        if link is not None and far.call_id in link.legs:
            self._send(far.link, Media(call=far.call_id, address=remote[0], port=remote[1]))

    # -- messages

    def on_ask(self, link: int, _message: Ask, _now: float) -> None:
        self._send(link, Here())

    def on_here(self, _link: int, _message: Here, _now: float) -> None:
        """That it came is all that counts."""

    def on_registered(self, link: int, message: Registered, _now: float) -> None:
        for number, since_ms in zip(message.numbers, message.since_ms, strict=True):
            self.directory.claim(number, link, since_ms / 1000)
        if len(self.directory) > MAX_NUMBERS:
            raise PeerProtocolError(f"more than {MAX_NUMBERS} numbers")

    def on_gone(self, link: int, message: Gone, _now: float) -> None:
        for number in message.numbers:
            self.directory.withdraw(number, link)

    def on_setup(self, link: int, message: Setup, now: float) -> None:
        one = self.links[link]
        if message.call in one.legs or message.call % 2 == one.dialled:
            raise PeerProtocolError(f"call {message.call} is not the sender's to begin")
        far = FarLeg(link, message.call, device_name=message.device, number=message.number, reference=message.reference)
        one.legs[message.call] = far
        self._exchange.offer(far, self._exchange.numbers.get(message.called), now)

    def on_happened(self, link: int, message: Happened, now: float) -> None:
        """Of a call that has ended here meanwhile nothing is to be done."""
        one = self.links[link]
        far, given = one.legs.get(message.call), HAPPENINGS[message.what]
        if far is None:
            return
        if given in ENDINGS:
            self._end(one, far, given, now)
            return
        if message.device:
            far.device_name, far.number, far.reference = message.device, message.number, message.reference
        if given in (LegInput.ROUTED, LegInput.OTHER_RINGS):
            far.state = LegState.RINGING
        elif given is LegInput.OTHER_ANSWERED:
            far.state = LegState.TALKING
        if far.other is not None:
            self._exchange.apply(far.other, given, now)

    def on_media(self, link: int, message: Media, now: float) -> None:
        far = self.links[link].legs.get(message.call)
        if far is not None and far.other is not None:
            self._exchange.start_media(far.other, (message.address, message.port), now)

    # -- parts

    def _end(self, one: Link, far: FarLeg, given: LegInput, now: float) -> None:
        """The leg here has nobody at its other side; refusing a call that rings or talks already is hanging up."""
        del one.legs[far.call_id]
        leg, far.other = far.other, None
        if leg is None:
            return
        leg.other = None
        refuses = given in (LegInput.BUSY, LegInput.UNKNOWN)
        self._exchange.apply(leg, LegInput.OTHER_LEFT if refuses and leg.state is not LegState.ASKING else given, now)

    def _close(self, link: int, now: float) -> None:
        self._closes.append(link)
        self.lost(link, now)

    def _tell_numbers(self, links: Iterable[int], own: Sequence[tuple[str, float]]) -> None:
        for link, start in itertools.product(list(links), range(0, len(own), NUMBERS_A_LINE)):
            numbers, since_s = zip(*own[start : start + NUMBERS_A_LINE], strict=True)
            self._send(link, Registered(numbers=numbers, since_ms=tuple(round(1000 * each) for each in since_s)))

    def _send(self, link: int, message: ClusterMessage) -> None:
        if not self.is_mute:
            self._outbox.append((link, encode(message)))


_HANDLERS: dict[type[Any], Callable[..., None]] = {
    Ask: Across.on_ask,
    Here: Across.on_here,
    Registered: Across.on_registered,
    Gone: Across.on_gone,
    Setup: Across.on_setup,
    Happened: Across.on_happened,
    Media: Across.on_media,
}
