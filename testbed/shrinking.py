"""Shrinking: from a schedule that fails to a shorter one that still does. Delta debugging; pure: a trial is a function that is given.

First faults are left out, many at a time and then one by one, until none can be (Zeller and Hildebrandt, "Simplifying and isolating
failure-inducing input", 2002). Then each of those that are left is made to last half as long, as long as that fails too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

HALVINGS = 3
"""An eighth of its length: shorter, a fault is over before anybody notices."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One fault of a schedule: which of its steps, and how long it lasts in whatever unit (None: it does not say)."""

    step: int
    lasts: float | None = None


Parts = tuple[Part, ...]
Fails = Callable[[Parts], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shrunk:
    """The shortest that was found, after so many trials; ``complete`` unless they ran out before nothing was left to try."""

    parts: Parts
    trials: int
    complete: bool


class _NoMoreTrials(Exception):
    pass


@dataclass(kw_only=True, slots=True)
class _Shrinking:
    fails: Fails
    most: int
    best: Parts
    known: dict[Parts, bool] = field(default_factory=dict)

    def is_failing(self, parts: Parts) -> bool:
        """Nothing is tried twice."""
        if parts not in self.known:
            if len(self.known) >= self.most:
                raise _NoMoreTrials
            self.known[parts] = self.fails(parts)
            if self.known[parts]:
                self.best = parts
        return self.known[parts]

    def leave_out(self) -> None:
        """Chunks of half the faults, of a quarter, …, of one: without some of them, or with one of them alone."""
        chunks = 2
        while len(self.best) > 1:
            if any(self.is_failing(parts) for parts in _candidates(self.best, chunks)):
                chunks = 2
            elif chunks >= len(self.best):
                return
            else:
                chunks = min(2 * chunks, len(self.best))

    def shorten(self) -> None:
        """One after the other, the longest first."""
        for step in [part.step for part in sorted(self.best, key=lambda part: -(part.lasts or 0.0))]:
            for _ in range(HALVINGS):
                shorter = tuple(_halved(part) if part.step == step else part for part in self.best)
                if shorter == self.best or not self.is_failing(shorter):
                    break


def shrink(parts: Sequence[Part], fails: Fails, *, trials: int) -> Shrunk:
    """``parts`` are known to fail. ``fails`` is asked at most ``trials`` times, never twice for the same."""
    state = _Shrinking(fails=fails, most=trials, best=tuple(parts))
    try:
        state.leave_out()
        state.shorten()
    except _NoMoreTrials:
        return Shrunk(parts=state.best, trials=len(state.known), complete=False)
    return Shrunk(parts=state.best, trials=len(state.known), complete=True)


def _candidates(parts: Parts, chunks: int) -> Iterator[Parts]:
    """Each chunk alone, then everything without one chunk; never nothing, and never all."""
    bounds = [len(parts) * number // chunks for number in range(chunks + 1)]
    pieces = [parts[begin:end] for begin, end in pairwise(bounds) if begin < end]
    yield from pieces
    if len(pieces) > 2:
        yield from (tuple(part for part in parts if part not in piece) for piece in pieces)


def _halved(part: Part) -> Part:
    return part if part.lasts is None else replace(part, lasts=round(part.lasts / 2, 3))
