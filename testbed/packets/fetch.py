"""Big-endian fields out of a capture's bytes, for many packets at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Offsets = npt.NDArray[np.int64]

Words = npt.NDArray[np.uint64]

SLACK_BYTES = 64
"""Zeros that must follow the last byte: the widest row read at once."""


class Rows:
    """The same few bytes of every packet: one row each, read by the place in it."""

    def __init__(self, table: npt.NDArray[np.uint8]) -> None:
        self._table = table

    def _column(self, dtype: str, place: int) -> npt.NDArray[Any]:
        column: npt.NDArray[Any] = self._table[:, place : place + int(dtype[-1])].view(dtype)[:, 0]
        return column

    def u8(self, place: int) -> npt.NDArray[np.uint8]:
        """One byte of each."""
        return self._table[:, place].copy()

    def u16(self, place: int, order: str = ">") -> npt.NDArray[np.uint16]:
        """Two bytes of each."""
        return self._column(order + "u2", place).astype(np.uint16)

    def u32(self, place: int, order: str = ">") -> npt.NDArray[np.uint32]:
        """Four bytes of each."""
        return self._column(order + "u4", place).astype(np.uint32)

    def u64(self, place: int, order: str = ">") -> npt.NDArray[np.uint64]:
        """Eight bytes of each."""
        return self._column(order + "u8", place).astype(np.uint64)


class Fetch:
    """Reads at per-packet offsets. ``data`` ends with SLACK_BYTES of padding; what is read outside of it is anything (the caller masks
    such packets)."""

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = data
        self._end = len(data) - SLACK_BYTES
        self._bytes = np.frombuffer(data, np.uint8)

    def rows(self, at: Offsets, width: int) -> Rows:
        """``width`` (at most SLACK_BYTES) bytes from each of these offsets on."""
        every = np.ndarray(self._end + 1, f"V{width}", self._data, strides=(1,))
        return Rows(every[np.clip(at, 0, self._end)].view(np.uint8).reshape(-1, width))

    def u8(self, at: Offsets) -> npt.NDArray[np.uint8]:
        """One byte at each of these offsets."""
        taken: npt.NDArray[np.uint8] = self._bytes.take(at, mode="clip")
        return taken

    def u16(self, at: Offsets) -> npt.NDArray[np.uint16]:
        """Two bytes at each of these offsets."""
        return self.rows(at, 2).u16(0)


def mixed(one: Words, two: Words) -> Words:
    """One number for each two, another the other way round: odd multipliers (of splitmix64) keep all bits of both."""
    number: Words = one * np.uint64(0xBF58476D1CE4E5B9) ^ two * np.uint64(0x94D049BB133111EB)
    return number


def distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Each value once, in order. ``np.unique`` alone looks for masked arrays, and loads all of ``numpy.ma`` for it; with
    counts it does not (NumPy 2.4)."""
    return np.unique(values, return_counts=True)[0]
