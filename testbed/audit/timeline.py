"""Packets by code point over time, in no more pieces than a picture has room for, however long a capture is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from testbed.packets import Packets

MAX_PIECES = 240
"""Of a timeline; when time goes on, two neighbours become one."""
_SHORTEST_S = 2.0**-10
_MAX_PLACE = 2.0**52
"""Beyond, pieces cannot be told apart by a float: only absurd times come there."""
_MARKS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """``packets[code point, piece]``; piece 0 begins at ``began_s`` (seconds since the epoch), each is ``piece_s`` long."""

    began_s: float
    piece_s: float
    packets: npt.NDArray[np.int64]

    @property
    def marks(self) -> list[int]:
        """Code points that occur, the most frequent first."""
        totals = self.packets.sum(axis=1)
        return sorted(np.flatnonzero(totals).tolist(), key=lambda dscp: (-int(totals[dscp]), dscp))

    @property
    def length_s(self) -> float:
        return float(self.packets.shape[1] * self.piece_s)


class Timekeeper:
    """Takes blocks in any order of time. Frames that are no IP packets have no mark, and are not counted."""

    def __init__(self) -> None:
        self._piece_s = _SHORTEST_S
        self._first = 0
        """The place of the first piece: how many of its length lie between it and the epoch."""
        self._packets: npt.NDArray[np.int64] = np.zeros((_MARKS, 0), np.int64)

    def add(self, packets: Packets) -> None:
        """Count these."""
        index = np.flatnonzero(packets.version > 0)
        if not len(index):
            return
        time_s = packets.time_s[index]
        self._make_room(float(time_s.min()), float(time_s.max()))
        place = np.floor(time_s / self._piece_s).astype(np.int64) - self._first
        size = self._packets.shape[1]
        code = (packets.tos[index] >> 2).astype(np.int64) * size + place
        self._packets += np.bincount(code, minlength=_MARKS * size).reshape(_MARKS, size)

    def timeline(self) -> Timeline | None:
        """What was counted; None where there was no packet."""
        if not self._packets.shape[1]:
            return None
        return Timeline(began_s=self._first * self._piece_s, piece_s=self._piece_s, packets=self._packets.copy())

    def _make_room(self, earliest_s: float, latest_s: float) -> None:
        """Pieces from the one to the other, beside those there are."""
        size = self._packets.shape[1]
        if size:
            earliest_s = min(earliest_s, self._first * self._piece_s)
            latest_s = max(latest_s, (self._first + size - 1) * self._piece_s)
        while (
            np.floor(latest_s / self._piece_s) - np.floor(earliest_s / self._piece_s) >= MAX_PIECES
            or max(abs(earliest_s), abs(latest_s)) / self._piece_s > _MAX_PLACE
        ):
            self._merge()
        first, last = (int(np.floor(end_s / self._piece_s)) for end_s in (earliest_s, latest_s))
        wider = np.zeros((_MARKS, last - first + 1), np.int64)
        if size:
            begin = self._first - first
            wider[:, begin : begin + self._packets.shape[1]] = self._packets
        self._first, self._packets = first, wider

    def _merge(self) -> None:
        """Twice as long pieces, half as many."""
        before = self._first % 2
        padded = np.pad(self._packets, ((0, 0), (before, (before + self._packets.shape[1]) % 2)))
        self._first, self._piece_s = self._first // 2, self._piece_s * 2
        self._packets = padded.reshape(_MARKS, -1, 2).sum(axis=2)
