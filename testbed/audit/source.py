"""A file as it was read: its frames, its times, and what of it was not read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from testbed.packets import Packets
from testbed.packets.file import CaptureFile


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Its frames, when the first and the last were seen (None without any), and what was not read."""

    file: str
    frames: int
    began_s: float | None
    ended_s: float | None
    backwards: int
    truncated: bool
    damage: str
    skipped: Mapping[str, int]

    @property
    def unread(self) -> str:
        """Why packets may be missing from it, "" if none are."""
        if self.damage:
            return f"{self.file} is damaged behind frame {self.frames}: {self.damage}"
        return f"{self.file} ends inside a record behind frame {self.frames}" if self.truncated else ""


class Reading:
    """One file on its way; ``add`` is shown each of its blocks, in its own order."""

    def __init__(self, capture: CaptureFile) -> None:
        self.file = capture.file
        self._capture = capture
        self._times: list[float] = []
        self._backwards = 0

    def add(self, packets: Packets) -> None:
        """A block of it."""
        time_s, times = packets.time_s, self._times
        self._backwards += int(np.sum(np.diff(time_s) < 0))
        self._backwards += bool(times) and bool(time_s[0] < times[-1])
        self._times = [*times[:1], float(time_s[0]), float(time_s[-1])]

    def source(self) -> Source:
        """As far as it was read."""
        capture = self._capture
        ordered = sorted(capture.skipped.items(), key=lambda item: (-item[1], item[0]))
        return Source(
            file=capture.file,
            frames=capture.frames,
            began_s=self._times[0] if self._times else None,
            ended_s=self._times[-1] if self._times else None,
            backwards=self._backwards,
            truncated=capture.truncated,
            damage=capture.damage,
            skipped=dict(ordered),
        )
