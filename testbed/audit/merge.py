"""Several files of one point as one: a rotated set, or files that overlap, whose packets come in order of time however they are named.

A file is opened when its first packet is due, and closed at its end, so that of a rotated set one is open at a time. Where files overlap,
a block of each is held: all packets that no later block can come before are put in order and handed on together.
"""

from __future__ import annotations

import re
import resource
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from testbed.audit.source import Reading
from testbed.packets import Packets
from testbed.packets.fetch import SLACK_BYTES
from testbed.packets.file import BLOCK_BYTES, CaptureFile, open_capture

LEAST_BLOCK_BYTES = 1 << 16
_WHOLE_BLOCKS = 2
"""So many files that overlap have blocks of the usual size; the next ones share with those before them, and a thousand have 100 MB
together."""
_HELD_BYTES = 1 << 21
"""What is put in order at once, if files take turns often: to count few packets costs as much as to count some thousands."""

_OTHER_FILES = 64
"""Open beside captures: streams, modules that are being loaded, what whoever started us left open."""

Taken = tuple[Packets, npt.NDArray[np.float64]]
"""Packets of one file, and when each is due."""
Rank = tuple[float, tuple[tuple[str, int], ...]]
"""The order of files: by the time of the first packet, and of equal ones by name, whose numbers count as numbers."""


def rank(path: Path) -> Rank:
    """Of a file that can be read once only (standard input, a pipe) the first time is not known before its turn: it comes first."""
    words = re.findall(r"(\D*)(\d*)", str(path))
    return _first_s(path) if path.is_file() else float("-inf"), tuple(
        (word, int(number or -1)) for word, number in words
    )


def _first_s(path: Path) -> float:
    """Of its first packet; infinity where it has none."""
    capture = open_capture(path, block_bytes=LEAST_BLOCK_BYTES)
    times = (float(packets.time_s[0]) for packets in capture.blocks())
    found = next(times, float("inf"))
    capture.close()
    return found


@dataclass(eq=False, kw_only=True, slots=True)
class _Part:
    """A file that is open: its present block, when each of its packets is due, and how many of them are handed on. A packet whose time goes
    backwards within its file is due with the one before it: a file keeps its own order."""

    number: int
    capture: CaptureFile
    reading: Reading
    blocks: Iterator[Packets]
    packets: Packets | None = None
    due_s: npt.NDArray[np.float64]
    taken: int = 0

    def go_on(self) -> bool:
        """Its next block; False where there is none."""
        self.packets = next(self.blocks, None)
        if self.packets is None:
            self.capture.close()
            return False
        self.reading.add(self.packets)
        number = np.full(len(self.packets), self.number, np.uint32)
        self.packets = replace(self.packets, source=number)
        since_s = self.due_s[-1:]
        self.due_s = np.maximum.accumulate(np.concatenate([since_s, self.packets.time_s]))[len(since_s) :]
        self.taken = 0
        return True

    @property
    def ends(self) -> tuple[float, int]:
        """When its block is over; of two at once the earlier file comes first."""
        return float(self.due_s[-1]), self.number

    def take(self, until: tuple[float, int]) -> Taken | None:
        """What is due until then, and when."""
        assert self.packets is not None
        begin, self.taken = self.taken, self._place(until)
        if begin == self.taken:
            return None
        columns = {name: column[begin : self.taken] for name, column in _columns(self.packets).items()}
        return replace(self.packets, **columns), self.due_s[begin : self.taken]

    def _place(self, until: tuple[float, int]) -> int:
        until_s, number = until
        return int(np.searchsorted(self.due_s, until_s, side="right" if self.number <= number else "left"))


class Merge:
    """Reads once. ``opened`` is told of each file before its first packet comes, in the order of the numbers that ``source`` of packets
    has for it."""

    def __init__(self, paths: Sequence[Path], opened: Callable[[Reading], None] = lambda _: None) -> None:
        ranked = sorted((rank(path), path) for path in paths) if len(paths) > 1 else [((0.0, ()), paths[0])]
        self._waiting = [(number, first_s, path) for number, ((first_s, _), path) in enumerate(ranked)][::-1]
        self._open: list[_Part] = []
        self._opened = opened

    def blocks(self) -> Iterator[Packets]:
        """All packets in order of time. A block is gone when the next one is asked for."""
        held: list[Taken] = []
        for taken in self._turns():
            if len(self._open) == 1 and not held:
                yield taken[0][0]
                continue
            held += [(_kept(packets), due_s) for packets, due_s in taken]
            if sum(len(packets.data) for packets, _ in held) >= _HELD_BYTES:
                yield _in_order(held)
                held = []
        if held:
            yield _in_order(held)

    def _turns(self) -> Iterator[list[Taken]]:
        """What is due until the first of the present blocks is over; the next turn overwrites it."""
        while self._parts_due():
            until = min(part.ends for part in self._open)
            yield [found for part in self._open if (found := part.take(until))]
            self._open = [part for part in self._open if part.ends > until or part.go_on()]

    def _parts_due(self) -> bool:
        """Open every file that begins before what is open has been handed on; whether there is any."""
        while self._waiting and (not self._open or self._waiting[-1][1] < min(part.ends for part in self._open)[0]):
            number, _, path = self._waiting.pop()
            _allow_open(len(self._open) + 1)
            size = max(LEAST_BLOCK_BYTES, min(BLOCK_BYTES, _WHOLE_BLOCKS * BLOCK_BYTES // (len(self._open) + 1)))
            capture = open_capture(path, block_bytes=size)
            part = _Part(
                number=number,
                capture=capture,
                reading=Reading(capture),
                blocks=capture.blocks(),
                due_s=np.zeros(0),
            )
            self._opened(part.reading)
            if part.go_on():
                self._open.append(part)
        return bool(self._open)


def _allow_open(captures: int) -> None:
    """Raise the soft limit of open files where it would not do, as far as the hard one allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = captures + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or needed <= soft or soft == hard:
        return
    wanted = max(needed, 2 * soft)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def _kept(packets: Packets) -> Packets:
    """The same with bytes of their own, and only those that they need."""
    first = int(min(packets.ip_at.min(), packets.payload_at.min()))
    last = int((packets.payload_at + packets.payload_len).max())
    with memoryview(packets.data) as view:
        data = bytes(view[first : last + SLACK_BYTES])
    return replace(packets, data=data, ip_at=packets.ip_at - first, payload_at=packets.payload_at - first)


def _in_order(held: list[Taken]) -> Packets:
    """Packets of several files as one block, by the time when they are due, of one time by the order of files."""
    parts = [packets for packets, _ in held]
    lengths = [len(packets.data) for packets in parts]
    moved = np.repeat(np.cumsum([0, *lengths[:-1]]), [len(packets) for packets in parts])
    columns = {name: np.concatenate([getattr(packets, name) for packets in parts]) for name in _columns(parts[0])}
    columns["ip_at"], columns["payload_at"] = columns["ip_at"] + moved, columns["payload_at"] + moved
    order = np.lexsort((columns["source"], np.concatenate([due_s for _, due_s in held])))
    in_order: dict[str, Any] = {name: column[order] for name, column in columns.items()}
    return replace(parts[0], data=b"".join(packets.data for packets in parts), **in_order)


def _columns(packets: Packets) -> dict[str, Any]:
    values = ((field.name, getattr(packets, field.name)) for field in fields(packets))
    return {name: value for name, value in values if isinstance(value, np.ndarray)}
