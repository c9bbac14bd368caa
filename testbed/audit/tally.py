"""Packets and bytes per code point, and the first frame of each, for whatever is counted together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CODE_POINTS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class First:
    """The packet that something was first seen in."""

    file: str
    frame: int
    time_s: float
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """Packets, and bytes on the wire, of one mark."""

    packets: int
    bytes: int
    first: First


class Tally:
    """Counts of ``groups`` groups of packets, by code point."""

    def __init__(self, groups: int) -> None:
        self._packets = np.zeros(groups * CODE_POINTS, np.int64)
        self._bytes = np.zeros(groups * CODE_POINTS, np.int64)
        self._first: dict[int, First] = {}

    def add(
        self, group: npt.NDArray[np.int64], tos: npt.NDArray[np.uint8], wire_len: npt.NDArray[np.int64]
    ) -> list[tuple[int, int]]:
        """Count packets of a block: ``group`` is each one's group. The return value is, for each (group, mark) that was never seen before,
        its key for ``remember`` and the index of the first packet."""
        code = group * CODE_POINTS + (tos >> 2)
        size = len(self._packets)
        self._packets += np.bincount(code, minlength=size)
        self._bytes += np.bincount(code, weights=wire_len, minlength=size).astype(np.int64)
        found = np.flatnonzero(self._packets)
        if len(found) == len(self._first):
            return []
        return [(key, int(np.argmax(code == key))) for key in found.tolist() if key not in self._first]

    def remember(self, key: int, first: First) -> None:
        """The first packet of this group and mark."""
        self._first[key] = first

    def counts(self, group: int) -> dict[int, Count]:
        """By code point, those that were seen."""
        return dict(self._of(group))

    def _of(self, group: int) -> Iterator[tuple[int, Count]]:
        begin = group * CODE_POINTS
        for dscp in range(CODE_POINTS):
            if self._packets[begin + dscp]:
                yield (
                    dscp,
                    Count(
                        packets=int(self._packets[begin + dscp]),
                        bytes=int(self._bytes[begin + dscp]),
                        first=self._first[begin + dscp],
                    ),
                )
