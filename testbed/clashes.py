"""Faults of a scenario that need the same thing for themselves at the same time, found from the steps alone. Pure.

Acts count as taking no time. What comes after a fact has been awaited comes at an unknown moment: times are compared within one
stretch between two such waits. Only what must clash is found; what may clash is refused when it happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from testbed.duration import Duration
from testbed.profile import Profile
from testbed.scenario_model import Step

FOREVER = float("inf")
MAX_WINDOWS = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A step's fault as it is planned, once: seconds since the steps began, or since the latest fact in that ``stretch`` came."""

    step: int
    stretch: int
    since_s: float
    until_s: float
    """FOREVER: till the end of the steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clash:
    """The later fault, ``second``, would begin while ``first`` lasts; ``over``: what both need for themselves."""

    first: Window
    second: Window
    over: frozenset[str]


def windows(steps: Sequence[Step], timers: Profile) -> list[Window]:
    """Every fault of the steps, each repetition for itself; one that ends upon a fact is over before the next step."""
    found: list[Window] = []
    stretch, now_s = 0, 0.0
    for place, step in enumerate(steps):
        if step.at is not None and stretch == 0:
            now_s = step.at.seconds(timers)
        elif step.at is not None:
            # A fact was awaited before: the time may be past already.
            stretch, now_s = stretch + 1, 0.0
        if step.after is not None:
            stretch, now_s = stretch + 1, 0.0
        if step.inject is not None:
            found += _windows(step, place, stretch, now_s, timers)
        if isinstance(step.until, str):
            stretch, now_s = stretch + 1, 0.0
    return found


def _windows(step: Step, place: int, stretch: int, now_s: float, timers: Profile) -> Iterator[Window]:
    assert step.inject is not None
    end_s = FOREVER
    if isinstance(step.until, Duration):
        end_s = step.until.seconds(timers) if stretch == 0 else now_s
    elif isinstance(step.until, str) or step.inject.fault.momentary:
        end_s = now_s
    for_s = step.for_.seconds(timers) if step.for_ else None
    if step.every is None or for_s is None:
        yield Window(step=place, stretch=stretch, since_s=now_s, until_s=end_s if for_s is None else now_s + for_s)
        return
    for number in range(step.times or MAX_WINDOWS):
        since_s = now_s + number * step.every.seconds(timers)
        if number and since_s >= end_s:
            return
        yield Window(step=place, stretch=stretch, since_s=since_s, until_s=since_s + for_s)


def clashes(steps: Sequence[Step], timers: Profile, claims: Sequence[frozenset[str]]) -> Iterator[Clash]:
    """``claims``: what each step's fault needs for itself alone, empty for steps without one."""
    planned = windows(steps, timers)
    for place, second in enumerate(planned):
        for first in planned[:place]:
            over = claims[first.step] & claims[second.step]
            if over and first.step != second.step and (early_late := _in_order(first, second)):
                yield Clash(first=early_late[0], second=early_late[1], over=over)


def _in_order(one: Window, other: Window) -> tuple[Window, Window] | None:
    """(the one that lasts, the one that begins meanwhile), where they overlap for certain."""
    if one.until_s == FOREVER and one.step < other.step:
        return one, other
    if one.stretch != other.stretch:
        return None
    first, second = sorted((one, other), key=lambda window: (window.since_s, window.step))
    return (first, second) if second.since_s <= first.until_s else None
