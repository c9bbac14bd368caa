"""What the phones fetched, and which fetches belong to which part of a run: before, during or after its faults.

A fetch belongs to a part if it began and ended in it. *Before* ends where the first fault begins. *During* begins with the fault's
confirmation, or where phones re-home because of it with the last phone's registration (the page speaks of re-homed phones), and ends
where healing begins. *After* begins with the last press or browse step that follows healing, or with healing where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from testbed.checks.facts import FOREVER, FaultWindow, Seen, fault_windows, seen, steps_ended_s
from testbed.recording import Run

When = Literal["before", "during", "after"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetch:
    """One request of a phone for a page and what came of it; times are realtime seconds."""

    phone: str
    name: str
    url: str
    method: str
    answered: bool
    served_by: str | None
    elapsed_s: float
    ended_s: float
    seen: Seen

    @property
    def began_s(self) -> float:
        return self.ended_s - self.elapsed_s

    @property
    def outcome(self) -> str:
        """``answered by web-1`` or ``failed: HTTP 503``."""
        if self.answered:
            return f"answered by {self.served_by}" if self.served_by else "answered"
        return f"failed: {self.seen['error']}"


def fetches(run: Run) -> list[Fetch]:
    """All of them, in the order in which they ended."""
    return [
        Fetch(
            phone=str(event["phone"]),
            name=str(event["url_name"]),
            url=str(event["url"]),
            method=str(event["method"] or "GET"),
            answered=event.event.name == "UrlAnswered",
            served_by=None if event["served_by"] is None else str(event["served_by"]),
            elapsed_s=event["elapsed_s"] or 0.0,
            ended_s=event.time_s,
            seen=event,
        )
        for event in seen(run, "UrlAnswered", "UrlFailed")
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A part of a run; ``window`` is its fault, None before and after."""

    since_s: float
    until_s: float
    window: FaultWindow | None = None

    def of(self, every: Iterable[Fetch]) -> list[Fetch]:
        """The fetches that lie wholly in it."""
        return [fetch for fetch in every if self.since_s <= fetch.began_s and fetch.ended_s <= self.until_s]


def parts(run: Run, when: When) -> list[Part]:
    """One for each confirmed fault during; at most one before and after; none where no fault makes one."""
    windows = fault_windows(run)
    if when == "before":
        until_s = min((window.began_s for window in windows), default=steps_ended_s(run))
        return [Part(since_s=-FOREVER, until_s=until_s)]
    if when == "during":
        return [_during(run, window) for window in windows]
    if not windows or any(window.healed is None for window in windows):
        return []
    healed_s = max(window.healed_s for window in windows)
    acts = [
        event for event in seen(run, "StepStarted", since_s=healed_s) if event["action"] in ("press", "browse", "push")
    ]
    return [Part(since_s=acts[-1].time_s if acts else healed_s, until_s=FOREVER)]


def _during(run: Run, window: FaultWindow) -> Part:
    until_s = window.healing_s if window.healed else steps_ended_s(run)
    rehomed = seen(run, "Rehomed", since_s=window.began_s, until_s=until_s, direction="failover")
    since_s = max([window.certain_s, *(event.time_s for event in rehomed)])
    return Part(since_s=since_s, until_s=until_s, window=window)
