"""What a phone's calls are made of: phases and inputs, one call, and what the phone's owner is asked to do about media."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from testbed.rtp import Received

NEVER = float("inf")


class Phase(Enum):
    """Of one call, as the phone sees it."""

    NEW = "new"
    DIALLING = "dialling"
    CALLING = "calling"
    RINGING = "ringing"
    TALKING = "talking"
    ON_HOLD = "on hold"
    REFUSED = "refused"
    PRESERVED = "preserved"
    """The call control is lost; the media go on, and only hanging up is left to do."""
    HANGING_UP = "hanging up"
    OVER = "over"


class CallInput(Enum):
    """What makes a call change its phase: states that the call control tells, the user's keys, and losses."""

    OFF_HOOK = "CallState off hook"
    PROCEEDED = "CallState proceed or ring out"
    RUNG = "CallState ring in"
    CONNECTED = "CallState connected"
    REFUSED = "CallState busy, congestion or invalid number"
    HELD = "CallState hold"
    ON_HOOK = "CallState on hook"
    HANG_UP = "hangs up"
    LOST = "call control lost, no media"
    CUT_OFF = "call control lost, media up"
    SILENT = "nothing heard any more"
    OVERDUE = "no answer to hanging up"


class Call:
    """One call. ``heard_at`` is when the latest packet came; ``figures`` are those of its media, up to now or to the end."""

    __slots__ = (
        "began_at",
        "deadline",
        "hang_up_at",
        "is_receiving",
        "is_sending",
        "line",
        "number",
        "party",
        "phase",
        "reference",
        "talk_s",
    )

    def __init__(self, reference: int, line: int, now: float) -> None:
        self.reference, self.line, self.began_at = reference, line, now
        self.phase = Phase.NEW
        self.number = ""
        """Of the other side."""
        self.party = 0
        """What names the call's media in messages (passThruParty)."""
        self.is_receiving = self.is_sending = False
        self.deadline = NEVER
        """When the user answers (ringing), hears that nobody is there (preserved), or a hang-up counts as done."""
        self.talk_s: float | None = None
        """Of a call with an agreed end: how long the two talk."""
        self.hang_up_at = NEVER

    @property
    def has_media(self) -> bool:
        return self.is_receiving or self.is_sending


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaOrder:
    """What the owner does about the media of call ``reference``.

    ``open``: bind a port, then tell ``Calls.opened``. ``start``: send to ``remote``, marked ``tos``. ``stop``, ``close``: no more of it.
    ``clear``: its figures were told, forget them.
    """

    act: str
    reference: int
    remote: tuple[str, int] = ("", 0)
    tos: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaFigures:
    """What the owner knows of a call's media: sent and received so far, and when the latest packet came."""

    packets_sent: int
    octets_sent: int
    received: Received
    heard_at: float | None = None


def figures_of(media: MediaFigures | None) -> dict[str, Any]:
    """As events have them; nothing where there were no media."""
    if media is None:
        return {}
    received = media.received
    return {
        "sent": media.packets_sent,
        "received": received.packets,
        "lost": received.lost,
        "invalid": received.invalid,
        "jitter_s": received.jitter_s,
        "largest_gap_s": received.largest_gap_s,
    }
