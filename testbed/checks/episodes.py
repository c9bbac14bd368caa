"""Faults of one host that overlap are one episode: it is gone from the first one's effect until the last one's healing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from testbed.checks.facts import FOREVER, FaultWindow


@dataclass(frozen=True, kw_only=True, slots=True)
class Episode:
    """One or several faults, as one (``FaultWindow`` says what each instant is), and the time around them that is theirs.

    From ``since_s`` all was as without a fault; at ``until_s`` the next episode begins (FOREVER where none does).
    """

    windows: tuple[FaultWindow, ...]
    since_s: float
    until_s: float

    @property
    def began_s(self) -> float:
        return self.windows[0].began_s

    @property
    def certain_s(self) -> float:
        return min(window.certain_s for window in self.windows)

    @property
    def healing_s(self) -> float:
        return max(window.healing_s for window in self.windows)

    def __str__(self) -> str:
        return " and ".join(map(str, self.windows))


def episodes(windows: Iterable[FaultWindow], recovered_s: Callable[[float], float]) -> list[Episode]:
    """In order of time. ``recovered_s``: when, after the last of an episode's faults was healed, all was as before."""
    groups: list[list[FaultWindow]] = []
    for window in sorted(windows, key=lambda window: window.began_s):
        if groups and window.began_s <= max(other.healed_s for other in groups[-1]):
            groups[-1].append(window)
        else:
            groups.append([window])
    ends = [recovered_s(max(window.healed_s for window in group)) for group in groups]
    starts = [-FOREVER, *ends]
    nexts = [later[0].began_s for _, later in pairwise(groups)] + [FOREVER]
    return [
        Episode(windows=tuple(group), since_s=since_s, until_s=until_s)
        for group, since_s, until_s in zip(groups, starts, nexts, strict=False)
    ]
