"""One heap of timers and one timer of the event loop for all phones of a process."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable

NEVER = float("inf")
GRAIN_S = 0.001
"""Timers of an event loop have milliseconds; less would only make it turn in vain."""


class Timers:
    """Wakes phones by their place in the fleet; each has one moment, the earliest it asked for."""

    def __init__(self, count: int, wake: Callable[[int], None]) -> None:
        self._wake = wake
        self._moments = [NEVER] * count
        self._heap: list[tuple[float, int]] = []
        self._handle: asyncio.TimerHandle | None = None
        self._armed_for = NEVER

    def at(self, phone: int, moment: float) -> None:
        """Wake it then (monotonic clock), or earlier where it has asked for that before."""
        if moment < self._moments[phone]:
            self._moments[phone] = moment
            heapq.heappush(self._heap, (moment, phone))
            self._arm()

    def close(self) -> None:
        """No phone is woken any more."""
        self._heap.clear()
        if self._handle is not None:
            self._handle.cancel()

    def _arm(self) -> None:
        if self._heap and self._heap[0][0] < self._armed_for:
            if self._handle is not None:
                self._handle.cancel()
            self._armed_for = self._heap[0][0]
            delay_s = max(GRAIN_S, self._armed_for - time.monotonic())
            self._handle = asyncio.get_running_loop().call_later(delay_s, self._fire)

    def _fire(self) -> None:
        self._handle, self._armed_for = None, NEVER
        now = time.monotonic()
        while self._heap and self._heap[0][0] <= now:
            moment, phone = heapq.heappop(self._heap)
            if self._moments[phone] == moment:
                self._moments[phone] = NEVER
                self._wake(phone)
        self._arm()
