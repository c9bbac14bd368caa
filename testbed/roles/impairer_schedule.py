"""When which packet leaves an impaired link: pure, with the time passed in. The same meanings as netem's.

A packet is lost, or waits until the link is free (rate), then for the delay (with jitter: anywhere in delay ± jitter, so packets may
overtake). One that is reordered leaves at once, before those that wait. A copy is a packet of its own with a wait of its own.
"""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass
from typing import Any, NamedTuple

FRAME_HEADER_BYTES = 14
"""Ethernet's: a rate counts frames, as netem and tbf do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """Those of ``testbed.faults.impairment.Impairment``; zero is none. ``limit_packets``: as many wait at most, further ones are lost."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss_percent: float = 0.0
    rate_bit_s: float = 0.0
    duplicate_percent: float = 0.0
    reorder_percent: float = 0.0
    corrupt_percent: float = 0.0
    limit_packets: int = 1000
    seed: int = 0

    @property
    def needs_content(self) -> bool:
        """Whether a packet's content is looked at after it has been queued."""
        return self.duplicate_percent > 0 or self.corrupt_percent > 0


class Release(NamedTuple):
    """A packet that leaves. ``corrupt_at``: which of its bits is flipped, as a share of its length, or None."""

    at_s: float
    number: int
    item: Any
    is_copy: bool
    corrupt_at: float | None


class Schedule:
    """Packets that wait. Times are seconds of one clock that never goes back."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._random = random.Random(parameters.seed)
        self._waiting: list[Release] = []
        self._number = 0
        self._free_s = -math.inf

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def next_release_s(self) -> float:
        """When the next packet leaves; infinity where none waits."""
        return self._waiting[0].at_s if self._waiting else math.inf

    def admit(self, item: Any, length_bytes: int, now: float) -> bool:
        """A packet came; False where it is lost."""
        copies = 1 + self._happens(self._parameters.duplicate_percent) - self._happens(self._parameters.loss_percent)
        admitted = False
        for is_copy in (False, True)[:copies]:
            if len(self._waiting) >= self._parameters.limit_packets:
                break
            corrupt_at = self._random.random() if self._happens(self._parameters.corrupt_percent) else None
            self._number += 1
            leaving = Release(self._leaves_s(length_bytes, now), self._number, item, is_copy, corrupt_at)
            heapq.heappush(self._waiting, leaving)
            admitted = True
        return admitted

    def due(self, now: float) -> list[Release]:
        """Packets that leave now, in order; each is handed out once."""
        leaving = []
        while self._waiting and self._waiting[0].at_s <= now:
            leaving.append(heapq.heappop(self._waiting))
        return leaving

    def _leaves_s(self, length_bytes: int, now: float) -> float:
        wanted = self._parameters
        if self._happens(wanted.reorder_percent):
            return now
        if wanted.rate_bit_s:
            self._free_s = max(self._free_s, now) + (length_bytes + FRAME_HEADER_BYTES) * 8 / wanted.rate_bit_s
            now = self._free_s
        jitter_s = self._random.uniform(-wanted.jitter_s, wanted.jitter_s) if wanted.jitter_s else 0.0
        return now + wanted.delay_s + jitter_s

    def _happens(self, percent: float) -> bool:
        return percent > 0 and self._random.random() * 100 < percent
