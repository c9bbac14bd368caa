"""The phone's machine: one phone, its group of call controls, at most one registration. Sans-IO.

``peer`` is the rank of a call control in the group, from 0. The owner opens and closes the connections that
``to_connect()`` and ``to_close()`` name, sends what ``to_send()`` gives, tells what happened, and calls ``tick`` when
``next_timer()`` comes. Every transition of a session is a row of ``phone_transitions.TRANSITIONS``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from testbed.errors import PeerProtocolError
from testbed.profile import KEEPALIVE_MISSES
from testbed.sccp.configuration_messages import ButtonTemplateRes, CapabilitiesReq, DefineTimeDate, LineStatRes
from testbed.sccp.message import Message, Unknown
from testbed.sccp.messages import decode, encode
from testbed.sccp.phone_calls import Calls
from testbed.sccp.phone_state import NEVER, OPEN_STATES, Input, PhoneEvent, PhoneSettings, Session, State
from testbed.sccp.phone_transitions import TRANSITIONS
from testbed.sccp.registration_messages import (
    KeepAliveAck,
    RegisterAck,
    RegisterReject,
    RegisterTokenAck,
    RegisterTokenReject,
    Reset,
    UnregisterAck,
)

UNREGISTER_REFUSED = 2

_AWAITING = frozenset({State.CONNECTING, State.REGISTERING, State.CONFIGURING, State.UNREGISTERING})
"""One answer is awaited, until the session's deadline; no keepalives are sent meanwhile."""
_WITH_CALLS = frozenset({State.REGISTERED, State.UNREGISTERING})
"""What the call control says about calls counts."""
_INPUTS: dict[type[Message], Input] = {
    RegisterAck: Input.REGISTER_ACK,
    CapabilitiesReq: Input.CAPABILITIES_REQ,
    ButtonTemplateRes: Input.BUTTON_TEMPLATE,
    LineStatRes: Input.LINE_STAT,
    DefineTimeDate: Input.TIME_DATE,
    RegisterReject: Input.REGISTER_REJECT,
    KeepAliveAck: Input.KEEPALIVE_ACK,
    RegisterTokenAck: Input.TOKEN_ACK,
    RegisterTokenReject: Input.TOKEN_REJECT,
    UnregisterAck: Input.UNREGISTER_ACK,
}


class Phone:
    """A phone from power-on to its last Unregister."""

    __slots__ = (
        "_closes",
        "_connects",
        "_events",
        "_outbox",
        "calls",
        "chosen",
        "ended",
        "in_call",
        "keepalive_s",
        "last_cause",
        "last_home",
        "leaving_for",
        "line",
        "pending_reset",
        "register_began",
        "registered_at",
        "reset_kind",
        "resume_at",
        "rounds",
        "secondary_s",
        "sessions",
        "settings",
        "tried",
    )

    def __init__(self, settings: PhoneSettings) -> None:
        self.settings = settings
        self.sessions = tuple(Session(rank) for rank in range(settings.group_size))
        self.chosen: Session | None = None
        """Where the phone is registered or registering."""
        self.line = ""
        """Number of the first line, as the call control told it."""
        self.registered_at: float | None = None
        self.ended = False
        """Stopped, or left to be set up anew because of a Reset: nothing happens any more."""
        self.reset_kind = 0
        """Kind of the Reset message that ended this phone; 0 where none did."""
        self.keepalive_s = settings.profile.keepalive_s
        self.secondary_s = settings.profile.secondary_keepalive_s
        self.last_home: int | None = None
        self.tried: set[int] = set()
        self.rounds = 0
        self.resume_at = NEVER
        self.register_began = 0.0
        self.leaving_for = ""
        self.pending_reset = 0
        self.last_cause = ""
        self.in_call = False
        self.calls = Calls(self)
        self._outbox: list[tuple[int, bytes]] = []
        self._connects: list[int] = []
        self._closes: list[int] = []
        self._events: list[PhoneEvent] = []

    # -- what the owner tells

    def start(self, now: float) -> None:
        """Power on: connect to the best call control."""
        self.seek(now)

    def connected(self, peer: int, now: float) -> None:
        """The connection that ``to_connect`` asked for is open."""
        session = self.sessions[peer]
        self.apply(session, Input.OPENED_CHOSEN if session is self.chosen else Input.OPENED_SPARE, now)

    def connection_lost(self, peer: int, cause: str, now: float) -> None:
        """It failed or ended: closed, reset, refused, timeout or unreachable. Not for connections we asked to close."""
        self.apply(self.sessions[peer], Input.LOST, now, cause)

    def receive(self, peer: int, data: bytes, now: float) -> None:
        """Bytes from a call control, in any segmentation."""
        session = self.sessions[peer]
        if session.reader is None:
            return
        try:
            for version, message_id, body in session.reader.feed(data):
                self._take(session, decode(message_id, body, version), now)
                if session.reader is None:
                    return
        except PeerProtocolError:
            self.apply(session, Input.GARBAGE, now, "protocol")

    def tick(self, now: float) -> None:
        """Do what is due. Each timer fires once a call, so that bytes waiting in a socket are read between two misses."""
        for session in self.sessions:
            for due, given in self._timers(session):
                if due <= now:
                    self.apply(session, given, now)
                    break
        self.calls.tick(now)
        if self.resume_at <= now:
            self.seek(now)
        self.settle(now)

    def next_timer(self) -> float | None:
        """When ``tick`` is due, on the clock of ``now``."""
        due = min(self.resume_at, self.calls.next_timer())
        for session in self.sessions:
            for moment, _ in self._timers(session):
                due = min(due, moment)
            if session.state is State.IDLE and self._is_wanted(session):
                due = min(due, session.retry_at)
        return None if due == NEVER else due

    def stop(self, now: float) -> None:
        """Hang up, unregister, then close everything; ``ended`` says when that is done."""
        self.calls.hang_up_all(now)
        self._depart("stop", now)

    def set_in_call(self, in_call: bool, now: float) -> None:
        """While a call is up the phone goes to no other call control and takes no Reset; what waited comes at its end."""
        self.in_call = in_call
        if in_call or self.ended:
            return
        if self.pending_reset:
            self._take_reset(self.pending_reset, now)
        elif self.chosen is None:
            self.seek(now)
        else:
            self.go_back(now)

    # -- what the owner asks

    def to_send(self) -> list[tuple[int, bytes]]:
        """(peer, bytes) to send now, in order; to be sent before ``to_close`` is followed."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def to_connect(self) -> list[int]:
        """Peers to open a connection to."""
        connects, self._connects = self._connects, []
        return connects

    def to_close(self) -> list[int]:
        """Peers whose connection, open or opening, is to be closed without further notice."""
        closes, self._closes = self._closes, []
        return closes

    def events(self) -> list[PhoneEvent]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    @property
    def home(self) -> Session | None:
        """The session the phone is registered at."""
        return self.chosen if self.chosen is not None and self.chosen.state is State.REGISTERED else None

    # -- the machine

    def apply(self, session: Session, given: Input, now: float, detail: Any = None) -> None:
        transition = TRANSITIONS.get((session.state, given))
        if transition is None:
            return
        had_calls = session.state in _WITH_CALLS
        session.state, action = transition
        action(self, session, now, detail)
        if had_calls and session.state not in _WITH_CALLS:
            self.calls.lose(now)

    def _take(self, session: Session, message: Message | Unknown, now: float) -> None:
        if isinstance(message, Reset):
            if session.state is State.REGISTERED:
                self._take_reset(message.kind, now)
            return
        if session.state in _WITH_CALLS and isinstance(message, Message) and self.calls.take(message, now):
            return
        given = _INPUTS.get(type(message))  # type: ignore[arg-type]
        if isinstance(message, UnregisterAck) and message.status == UNREGISTER_REFUSED:
            given = Input.UNREGISTER_NAK
        if given is not None:
            self.apply(session, given, now, message)

    def _timers(self, session: Session) -> Sequence[tuple[float, Input]]:
        """What is due when, most urgent first."""
        state = session.state
        if state is State.IDLE:
            return ()
        if state in _AWAITING:
            return ((session.deadline, Input.OVERDUE),)
        # Two unanswered keepalives at least, and three intervals since the last answered one was sent.
        silent_at = session.alive_at + KEEPALIVE_MISSES * session.interval_s if session.missed else NEVER
        timers = [(silent_at, Input.SILENT), (session.keepalive_at, Input.KEEPALIVE_DUE)]
        if state is State.ASKING:
            timers.append((session.deadline, Input.OVERDUE))
        elif state is State.STANDBY:
            timers.append((self._token_due(session), Input.TOKEN_DUE))
        return timers

    def _token_due(self, session: Session) -> float:
        """A better call control is asked for a token once it has answered steadily for the monitor period."""
        home = self.home
        if home is None or session.rank > home.rank or self.in_call or session.unanswered_since is not None:
            return NEVER
        return max(session.steady_since + self.settings.monitor_s, session.token_at)

    def seek(self, now: float, *, only: State | None = None) -> None:
        """Choose where to register: open connections first, then the list in order, round and round.

        ``only``: rather a session in this state, where there is one.
        """
        self.resume_at = NEVER
        if self.chosen is not None or self.in_call or self.ended or self.leaving_for in ("stop", "reset"):
            return
        untried = [session for session in self.sessions if session.rank not in self.tried]
        if not untried:
            self.tried.clear()
            self.rounds += 1
            self.resume_at = now + self._back_off_s()
            return
        ready = [session for session in untried if session.barred_until <= now]
        if not ready:
            self.resume_at = min(session.barred_until for session in untried)
            return
        session = min([s for s in ready if s.state is only] or ready, key=_preference)
        self.chosen = session
        self.apply(session, Input.CHOSEN, now)

    def _back_off_s(self) -> float:
        """Between two rounds through the list: doubles from a quarter of the reject back-off to twice that."""
        reject_s = self.settings.profile.reject_retry_s
        return min(reject_s / 4 * 2.0 ** min(self.rounds - 1, 3), reject_s * 2)

    def _is_wanted(self, session: Session) -> bool:
        """As standby: the next in the list, and every better one, since the phone wants to go back."""
        return self.home is not None and session.rank <= self.home.rank + 1 and session is not self.chosen

    def settle(self, now: float) -> None:
        """Registered: open the connections that are wanted, close those that are not."""
        if self.home is None or self.leaving_for:
            return
        for session in self.sessions:
            if self._is_wanted(session):
                if session.state is State.IDLE and session.retry_at <= now:
                    self.apply(session, Input.SPARE, now)
            else:
                self.apply(session, Input.UNWANTED, now)

    def go_back(self, now: float) -> None:
        """Leave for a better call control where one has granted its token."""
        if any(session.state is State.GRANTED for session in self.sessions) and not self.in_call:
            self._leave("fallback", now)

    def _take_reset(self, kind: int, now: float) -> None:
        self.pending_reset = kind
        if not self.in_call:
            self.reset_kind = kind
            self._depart("reset", now)

    def _leave(self, purpose: str, now: float) -> None:
        if self.home is not None:
            self.leaving_for = purpose
            self.apply(self.home, Input.LEAVE, now)

    def _depart(self, purpose: str, now: float) -> None:
        """For good: unregister where registered, else end at once."""
        if self.ended:
            return
        self._leave(purpose, now)
        self.leaving_for = purpose
        if self.chosen is None or self.chosen.state is not State.UNREGISTERING:
            self.end(now)

    def end(self, now: float) -> None:
        self.ended = True
        self.calls.hang_up_all(now)
        self.chosen = None
        for session in self.sessions:
            if session.state is not State.IDLE:
                self.hang_up(session)
        self.resume_at = NEVER

    # -- what the actions of the transitions use

    def say(self, session: Session, *messages: Message) -> None:
        self._outbox.append((session.rank, b"".join([encode(message) for message in messages])))

    def tell(self, name: str, now: float, **data: Any) -> None:
        self._events.append(PhoneEvent(name=name, now=now, data=data))

    def ask_to_connect(self, session: Session) -> None:
        self._connects.append(session.rank)

    def ask_to_close(self, session: Session) -> None:
        self._closes.append(session.rank)

    def hang_up(self, session: Session) -> None:
        session.state = State.IDLE
        session.clear()
        self.ask_to_close(session)


def _preference(session: Session) -> tuple[bool, bool, int]:
    """Smallest first: open and known to answer, open, then by rank."""
    is_open = session.state in OPEN_STATES
    return not is_open, is_open and not session.answered, session.rank
