"""The call control's machine: all connections of one call control. Sans-IO.

``peer`` is a number the owner gives to each accepted connection and never gives again. Registration, keepalives, tokens and
every question of a registering phone are answered; silent connections are closed. A mute call control takes what phones send,
acts on none of it, says nothing and closes nothing that TCP or garbage does not close.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, Final

from testbed.errors import PeerProtocolError
from testbed.profile import KEEPALIVE_MISSES, Profile
from testbed.sccp.call_control_state import CallControlEvent, CallControlSession, Rules
from testbed.sccp.configuration_messages import CapabilitiesReq, TimeDateReq
from testbed.sccp.exchange import Exchange
from testbed.sccp.leg import NEVER
from testbed.sccp.message import Direction, Message, Unknown
from testbed.sccp.messages import decode, encode, name_of
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
    Reset,
    Unregister,
    UnregisterAck,
)
from testbed.sccp.service import ANSWERS, Asker, numbers_of, time_and_date

__all__ = ["CallControl", "CallControlEvent", "CallControlSession", "Rules"]

PROTOCOL_VERSION = 5
DATE_TEMPLATE = "M/D/Y"
CALL_ACTIVE = 2
"""Status of an UnregisterAck that refuses."""
BEFORE_REGISTRATION: Final = (Register, Alarm, KeepAlive, IpPort, RegisterTokenReq)
"""What a connection may send that is not registered (Asterisk draws the same line). Unregister is answered too."""


class CallControl:
    """One call control and the phones at it."""

    def __init__(
        self, *, host: str, profile: Profile, rules: Rules | None = None, now: float = 0.0, lines: int = 1
    ) -> None:
        """``lines``: how many each phone has here, 1 or 2."""
        self.host, self.profile, self.lines = host, profile, lines
        self.rules = rules or Rules()
        self.exchange = Exchange(self, profile.keepalive_s)
        self.sessions: dict[int, CallControlSession] = {}
        self.registered: dict[str, CallControlSession] = {}
        """Device name -> its session."""
        self.unheeded: dict[int, int] | None = None
        """While mute: peer -> how many of its messages were passed over."""
        self._watch: list[tuple[float, int]] = []
        self._awake_at = self._awake_since = now
        self._realtime_offset_s = 0.0
        self._outbox: list[tuple[int, bytes]] = []
        self._closes: list[int] = []
        self._events: list[CallControlEvent] = []

    # -- what the owner tells

    def set_clock(self, now: float, realtime_s: float) -> None:
        """What time it is where phones are told the time."""
        self._realtime_offset_s = self.exchange.across.realtime_offset_s = realtime_s - now

    def connected(self, peer: int, address: str, now: float) -> None:
        """A connection was accepted."""
        self._wake(now)
        session = CallControlSession(peer, address, now, self.profile.secondary_keepalive_s)
        self.sessions[peer] = session
        self._watch_for_silence(session)

    def connection_lost(self, peer: int, now: float) -> None:
        """It ended; not for connections we asked to close."""
        session = self.sessions.pop(peer, None)
        if session is not None:
            self._unregister(session, "closed", now)

    def receive(self, peer: int, data: bytes, now: float) -> None:
        """Bytes from a phone, in any segmentation."""
        self._wake(now)
        session = self.sessions.get(peer)
        if session is None:
            return
        session.heard_at = now
        try:
            for version, message_id, body in session.reader.feed(data):
                self._take(session, decode(message_id, body, version), now)
                if peer not in self.sessions:
                    return
        except PeerProtocolError as error:
            self._refuse_peer(session, error.message, now)

    def tick(self, now: float) -> None:
        """Close connections that were silent for three of their keepalive intervals."""
        self._wake(now)
        self.exchange.across.tick(now)
        if self.unheeded is not None:
            self._awake_since = now
        else:
            self.exchange.tick(now)
        while self._watch and self._watch[0][0] <= now:
            due, peer = heapq.heappop(self._watch)
            session = self.sessions.get(peer)
            if session is None or session.watch_at != due:
                continue
            session.watch_at = float("inf")
            if self._silent_at(session) > now:
                self._watch_for_silence(session)
            else:
                self._hang_up(session, "keepalive", now)

    def next_timer(self) -> float | None:
        """When ``tick`` is due; never later than an interval ahead, so that a freeze of our own is noticed."""
        across_at = self.exchange.across.next_timer()
        if not self._watch:
            return across_at if across_at < NEVER else None
        calls_at = self.exchange.next_timer() if self.unheeded is None else NEVER
        return min(self._watch[0][0], self._awake_at + self.profile.keepalive_s, calls_at, across_at)

    def reset(self, device_name: str, kind: int, now: float) -> bool:
        """Send Reset (1 reset, 2 restart) to a registered phone; False where it is not registered."""
        session = self.registered.get(device_name)
        if session is not None:
            self._say(session, Reset(kind=kind))
        return session is not None

    def mute(self) -> None:
        """Answer nothing any more."""
        self.unheeded = {}
        self.exchange.across.mute()

    def unmute(self, now: float) -> int:
        """Answer again what comes from now on, and count silence from now; how many messages were passed over."""
        unheeded, self.unheeded = self.unheeded or {}, None
        self._awake_since = now
        self.exchange.across.unmute(now)
        return sum(unheeded.values())

    # -- what the owner asks

    def to_send(self) -> list[tuple[int, bytes]]:
        """(peer, bytes) to send now, in order; to be sent before ``to_close`` is followed."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def to_close(self) -> list[int]:
        """Connections to close once what was sent is out."""
        closes, self._closes = self._closes, []
        return closes

    def events(self) -> list[CallControlEvent]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    # -- messages

    def _take(self, session: CallControlSession, message: Message | Unknown, now: float) -> None:
        if self.unheeded is not None:
            self._pass_over(self.unheeded, session, message, now)
            return
        if isinstance(message, Unknown):
            if not session.device_name:
                self._refuse_peer(session, f"message 0x{message.message_id:04X} before registration", now)
            return
        if message.direction is not Direction.UP:
            self._refuse_peer(session, f"{name_of(message.message_id)} is not a phone's to send", now)
            return
        handler = _HANDLERS.get(type(message))
        if handler is not None:
            handler(self, session, message, now)
        elif type(message) in ANSWERS and session.device_name:
            asker = Asker(device_name=session.device_name, host=self.host, lines=self.lines)
            self._say(session, ANSWERS[type(message)](message, asker))
        elif session.device_name:
            self.exchange.take(session.device_name, message, now)
        elif not isinstance(message, BEFORE_REGISTRATION):
            self._refuse_peer(session, f"{name_of(message.message_id)} before registration", now)

    def on_register(self, session: CallControlSession, message: Register, now: float) -> None:
        name = message.device_name
        refusal = self.rules.reject
        if refusal is None and not (name.isascii() and name.isprintable() and name):
            refusal = "Error: Device Name"
        if refusal is not None:
            self._say(session, RegisterReject(text=refusal[:32]))
            self.tell("RegisterRefused", now, phone=_printable(name), text=refusal)
            self._hang_up(session, "closed", now)
            return
        if session.device_name not in ("", name):
            self._unregister(session, "unregister", now)
        older = self.registered.get(name)
        if older is not None and older is not session:
            self._hang_up(older, "duplicate", now)
        session.device_name, session.registered_at = name, now
        session.interval_s = self.profile.keepalive_s
        self._watch_for_silence(session)
        self.registered[name] = session
        self.exchange.plug(name, numbers_of(name, self.lines), now)
        self._say(
            session,
            RegisterAck(
                keepalive_interval_s=max(1, round(self.profile.keepalive_s)),
                date_template=DATE_TEMPLATE,
                secondary_keepalive_interval_s=max(1, round(self.profile.secondary_keepalive_s)),
                max_protocol_version=PROTOCOL_VERSION,
            ),
            CapabilitiesReq(),
        )
        self.tell("PhoneRegistered", now, phone=name, address=session.address)

    def on_unregister(self, session: CallControlSession, _message: Unregister, now: float) -> None:
        if self.exchange.has_calls(session.device_name):
            self._say(session, UnregisterAck(status=CALL_ACTIVE))
            return
        self._say(session, UnregisterAck())
        self._unregister(session, "unregister", now)

    def on_keepalive(self, session: CallControlSession, _message: KeepAlive, _now: float) -> None:
        self._say(session, KeepAliveAck())

    def on_token_request(self, session: CallControlSession, message: RegisterTokenReq, now: float) -> None:
        wait_s = self.rules.token_wait_s
        self._say(session, RegisterTokenAck() if wait_s is None else RegisterTokenReject(wait_s=wait_s))
        self.tell(
            "TokenAnswered", now, phone=_printable(message.device_name), granted=wait_s is None, wait_s=wait_s or 0
        )

    def on_time_request(self, session: CallControlSession, message: TimeDateReq, now: float) -> None:
        if session.device_name:
            self._say(session, time_and_date(now + self._realtime_offset_s))
        else:
            self._refuse_peer(session, f"{name_of(message.message_id)} before registration", now)

    def _pass_over(
        self, unheeded: dict[int, int], session: CallControlSession, message: Message | Unknown, now: float
    ) -> None:
        """The first of each connection is told: that is when its phone begins to wait."""
        if session.peer not in unheeded:
            phone = session.device_name or _printable(getattr(message, "device_name", ""))
            self.tell("MessageMuted", now, phone=phone, peer=session.address, message=name_of(message.message_id))
        unheeded[session.peer] = unheeded.get(session.peer, 0) + 1

    # -- sessions

    def _refuse_peer(self, session: CallControlSession, error: str, now: float) -> None:
        self.tell("PeerRejected", now, peer=session.address, error=error)
        self._hang_up(session, "protocol", now)

    def _hang_up(self, session: CallControlSession, cause: str, now: float) -> None:
        self._unregister(session, cause, now)
        if self.sessions.pop(session.peer, None) is not None:
            self._closes.append(session.peer)

    def _unregister(self, session: CallControlSession, cause: str, now: float) -> None:
        name, session.device_name = session.device_name, ""
        session.interval_s = self.profile.secondary_keepalive_s
        if name:
            del self.registered[name]
            self.exchange.unplug(name, now)
            self.tell("PhoneUnregistered", now, phone=name, cause=cause)

    def _watch_for_silence(self, session: CallControlSession) -> None:
        """Entries of the heap are never removed early: one that is no longer the session's own is passed over."""
        silent_at = self._silent_at(session)
        if silent_at < session.watch_at:
            session.watch_at = silent_at
            heapq.heappush(self._watch, (silent_at, session.peer))

    def _silent_at(self, session: CallControlSession) -> float:
        return max(session.heard_at, self._awake_since) + KEEPALIVE_MISSES * session.interval_s

    def _wake(self, now: float) -> None:
        """After a gap in our own time (we were frozen) all silence counts from now: nobody could have been heard."""
        if now - self._awake_at > 2 * self.profile.keepalive_s and self._watch:
            self._awake_since = now
        self._awake_at = now

    def _say(self, session: CallControlSession, *messages: Message) -> None:
        if self.unheeded is not None:
            return
        self._outbox.append((session.peer, b"".join([encode(message) for message in messages])))

    def say_to(self, device_name: str, *messages: Message) -> None:
        """To a phone that is registered, or nothing (of the exchange)."""
        session = self.registered.get(device_name)
        if session is not None:
            self._say(session, *messages)

    def tell(self, name: str, now: float, **data: Any) -> None:
        """An event."""
        self._events.append(CallControlEvent(name=name, now=now, data=data))


_HANDLERS: dict[type[Message], Callable[..., None]] = {
    Register: CallControl.on_register,
    Unregister: CallControl.on_unregister,
    KeepAlive: CallControl.on_keepalive,
    RegisterTokenReq: CallControl.on_token_request,
    TimeDateReq: CallControl.on_time_request,
}


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
