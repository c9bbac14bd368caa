"""What the phone's machine is made of: states and inputs, one session for each call control, settings, events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from testbed.profile import Profile
from testbed.sccp.framing import FrameReader

NEVER = float("inf")
DEVICE_TYPE_7960 = 7


class State(Enum):
    """Of one session: how far the phone is with one call control of its group."""

    IDLE = "idle"
    CONNECTING = "connecting"
    STANDBY = "standby"
    ASKING = "asking for a token"
    GRANTED = "token granted"
    REGISTERING = "registering"
    CONFIGURING = "register acknowledged"
    REGISTERED = "registered"
    UNREGISTERING = "unregistering"


OPEN_STATES = frozenset({State.STANDBY, State.ASKING, State.GRANTED})
"""Connected, not registered, and ready to be registered at."""


class Input(Enum):
    """What makes a session change its state."""

    CHOSEN = "chosen to register at"
    SPARE = "wanted as standby"
    UNWANTED = "no longer wanted"
    OPENED_CHOSEN = "connected, to register"
    OPENED_SPARE = "connected, as standby"
    REGISTER_ACK = "RegisterAck"
    CAPABILITIES_REQ = "CapabilitiesReq"
    BUTTON_TEMPLATE = "ButtonTemplateRes"
    LINE_STAT = "LineStatRes"
    TIME_DATE = "DefineTimeDate"
    REGISTER_REJECT = "RegisterReject"
    KEEPALIVE_ACK = "KeepAliveAck"
    TOKEN_ACK = "RegisterTokenAck"
    TOKEN_REJECT = "RegisterTokenReject"
    UNREGISTER_ACK = "UnregisterAck"
    UNREGISTER_NAK = "UnregisterAck, call active"
    LEAVE = "to be left"
    HELD_BACK = "not to be left yet"
    KEEPALIVE_DUE = "keepalive due"
    SILENT = "three intervals without answer"
    TOKEN_DUE = "token due"
    OVERDUE = "answer overdue"
    LOST = "connection lost"
    GARBAGE = "not SCCP"


class Session:
    """One call control of the group, and the connection to it where there is one."""

    __slots__ = (
        "alive_at",
        "answered",
        "barred_until",
        "deadline",
        "interval_s",
        "keepalive_at",
        "missed",
        "rank",
        "reader",
        "retry_at",
        "state",
        "steady_since",
        "token_at",
        "unanswered_since",
    )

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.state = State.IDLE
        self.retry_at = self.barred_until = 0.0
        self.clear()

    def clear(self) -> None:
        """Forget the connection."""
        self.reader: FrameReader | None = None
        self.deadline = self.keepalive_at = NEVER
        self.steady_since = NEVER
        self.token_at = 0.0
        self.interval_s = 0.0
        self.missed = 0
        self.alive_at = 0.0
        """When the last answered keepalive was sent; before the first one, when the connection or registration began."""
        self.answered = False
        """Something was answered on this connection."""
        self.unanswered_since: float | None = None
        """When the first keepalive was sent that has no answer yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneSettings:
    """Who the phone is and what its configuration file says. ``group_size``: number of call controls, by rank from 0.

    ``monitor_s``: how long a better call control must answer steadily before the phone goes back to it.
    """

    device_name: str
    address: str
    group_size: int
    profile: Profile
    monitor_s: float = 0.0
    load: str = ""
    device_type: int = DEVICE_TYPE_7960


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneEvent:
    """Something that happened at ``now``. In ``data``, ``at``, ``to`` and ``from`` are ranks, ``last_answered_s`` is on the
    clock of ``now`` (None: nothing was answered on that connection)."""

    name: str
    now: float
    data: Mapping[str, Any]
