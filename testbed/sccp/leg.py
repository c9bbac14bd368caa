"""What a call is made of at its call control: two legs, one for each phone; states and inputs of a leg."""

from __future__ import annotations

from enum import Enum

NEVER = float("inf")


class LegState(Enum):
    """How far one phone is with its side of a call."""

    NEW = "new"
    DIALLING = "dialling"
    ASKING = "asking"
    """Dialled; the number is another call control's, which has not answered yet."""
    CALLING = "calling"
    RINGING = "ringing"
    TALKING = "talking"
    HOLDING = "holding"
    HELD = "held"
    REFUSED = "refused"
    STRANDED = "stranded"
    """The other phone is lost; what the two still send each other is not ours to end."""
    OVER = "over"


class LegInput(Enum):
    """What makes a leg change its state."""

    TAKEN = "line taken"
    KEY = "digit"
    ASKED = "number found elsewhere"
    ROUTED = "number found"
    UNKNOWN = "number unknown"
    BUSY = "number busy"
    OFFERED = "call offered"
    ANSWER = "answers"
    HANG_UP = "hangs up"
    HOLD = "holds"
    RESUME = "resumes"
    TRANSFER = "wants to transfer"
    JOIN = "transfers"
    NO_MEDIA = "has no port for media"
    GONE = "phone gone"
    OVERDUE = "overdue"
    OTHER_ANSWERED = "the other answers"
    OTHER_LEFT = "the other hangs up"
    OTHER_HOLDS = "the other holds"
    OTHER_RESUMED = "the other resumes"
    OTHER_RINGS = "is transferred, and it rings"
    OTHER_CHANGED = "talks to another"
    OTHER_GONE = "the other's phone is gone"


class Leg:
    """One phone's side of a call; ``reference`` is its own, ``call`` is the number both legs share."""

    __slots__ = (
        "call",
        "deadline",
        "device_name",
        "digits",
        "has_media",
        "line",
        "number",
        "other",
        "receives_at",
        "reference",
        "state",
        "transfers",
    )

    def __init__(self, device_name: str, line: int, number: str, reference: int, call: int) -> None:
        self.device_name, self.line, self.number = device_name, line, number
        self.reference, self.call = reference, call
        self.state = LegState.NEW
        self.other: Leg | None = None
        self.digits = ""
        self.has_media = False
        """Its channels were opened, and not closed yet."""
        self.receives_at: tuple[str, int] | None = None
        """Address and port of its OpenReceiveChannelAck."""
        self.transfers: Leg | None = None
        """The leg on hold whose other side is to talk to this one's."""
        self.deadline = NEVER
