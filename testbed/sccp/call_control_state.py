"""What a call control keeps: its rules, what happened, and one session for each connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from testbed.sccp.framing import FrameReader
from testbed.sccp.service import line_number


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """``reject``: refuse registrations with this text (at most 32 characters), None to accept them. ``token_wait_s``: refuse
    tokens and have phones wait this long, None to grant them."""

    reject: str | None = None
    token_wait_s: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CallControlEvent:
    """Something that happened at ``now``."""

    name: str
    now: float
    data: Mapping[str, Any]


class CallControlSession:
    """One connection: of a registered phone, or of one that only sends keepalives."""

    __slots__ = ("address", "device_name", "heard_at", "interval_s", "peer", "reader", "registered_at", "watch_at")

    def __init__(self, peer: int, address: str, now: float, interval_s: float) -> None:
        self.peer, self.address = peer, address
        self.reader = FrameReader()
        self.device_name = ""
        """Of a registered phone; "" before and after."""
        self.registered_at = 0.0
        self.heard_at = now
        self.interval_s = interval_s
        self.watch_at = float("inf")
        """When its silence is looked at next."""

    @property
    def line(self) -> str:
        return line_number(self.device_name)
