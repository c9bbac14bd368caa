"""What is wrong with a site's pages: an error instead of some of them, a delay before them, or no answer at all.

A share of requests is taken evenly and without chance: the n-th request that a fault is about is taken if floor(n * share / 100) is
greater than for the one before it. So equal runs have equal faults, and half of ten requests are five.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from testbed.errors import UsageError
from testbed.roles.control import number_in
from testbed.roles.held_faults import Begin, Undo

HEALTH_PATH = "/health"
"""What an SLB asks: no fault that names no path touches it, or the SLB would notice every one."""
EVERY_PATH = "*"
MAX_DELAY_S = 120.0
MAX_PATH_CHARS = 200


@dataclass(slots=True, kw_only=True, eq=False)
class PageFault:
    """One fault. ``path``: "" for every page but the health page, ``*`` for that one too, ``/a`` for one, ``/a*`` for all that begin so.

    ``status``: the error answered, 0 for none; ``delay_s``: how long the answer waits, infinity for ever.
    """

    fault_id: str
    path: str = ""
    share_percent: float = 100.0
    status: int = 0
    delay_s: float = 0.0
    asked: int = 0
    effects: int = 0
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_mute(self) -> bool:
        """Whether nothing is ever answered."""
        return self.delay_s == float("inf")

    def is_about(self, path: str) -> bool:
        """Whether requests for this path are counted."""
        if not self.path:
            return path != HEALTH_PATH
        return path.startswith(self.path[:-1]) if self.path.endswith("*") else path == self.path

    def takes(self, path: str) -> bool:
        """Whether this request is one of the share; counts it."""
        if not self.is_about(path):
            return False
        before = int(self.asked * self.share_percent / 100)
        self.asked += 1
        taken = int(self.asked * self.share_percent / 100) > before
        self.effects += taken
        return taken

    async def wait(self) -> None:
        """Until the delay is over, or the fault is."""
        if self.delay_s:
            timeout_s = None if self.is_mute else self.delay_s
            try:
                await asyncio.wait_for(self._over.wait(), timeout_s)
            except TimeoutError:
                return

    def end(self) -> int:
        """Let go what waits; how many requests were taken."""
        self._over.set()
        return self.effects


class PageFaults:
    """All faults of one site's pages, the latest first."""

    def __init__(self) -> None:
        self._held: list[PageFault] = []

    def taking(self, path: str) -> PageFault | None:
        """The fault that this request meets; every fault that is about it counts it."""
        taken = [fault for fault in self._held if fault.takes(path)]
        return taken[0] if taken else None

    @property
    def kinds(self) -> dict[str, Begin]:
        """Kinds of faults that any site can have; ``status`` (400 to 599) or ``by_s`` (seconds), ``path``, ``share`` (percent)."""
        return {"http-error": self._begin_error, "http-slow": self._begin_slow}

    def begin_mute(self, fault_id: str) -> Undo:
        """Every request, the SLB's own too, is accepted and gets no answer."""
        return self._begin(PageFault(fault_id=fault_id, path=EVERY_PATH, delay_s=float("inf")))

    def _begin_error(self, fault_id: str, request: Mapping[str, Any]) -> Undo:
        status = number_in(request, "status", least=400, most=599)
        return self._begin(PageFault(fault_id=fault_id, status=int(status), **_which(request)))

    def _begin_slow(self, fault_id: str, request: Mapping[str, Any]) -> Undo:
        delay_s = number_in(request, "by_s", least=0.001, most=MAX_DELAY_S)
        return self._begin(PageFault(fault_id=fault_id, delay_s=delay_s, **_which(request)))

    def _begin(self, fault: PageFault) -> Undo:
        self._held.insert(0, fault)

        def undo() -> int:
            self._held.remove(fault)
            return fault.end()

        return undo


def _which(request: Mapping[str, Any]) -> dict[str, Any]:
    path = request.get("path") or ""
    if not isinstance(path, str) or len(path) > MAX_PATH_CHARS or (path and path[0] not in "/*"):
        raise UsageError(f"path: /a, /a*, * or none is needed, at most {MAX_PATH_CHARS} characters, not {path!r:.80}")
    return {"path": path, "share_percent": number_in(request, "share", least=0.1, most=100, default=100)}
