"""Events: timestamped facts, one JSON object a line; a history is all of a run.

Roles print events to stdout, Bed collects them into ``history.jsonl``; checks, reports and the live view read the same lines.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

_OWN_KEYS = ("time_s", "host", "name")


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """A fact: when (seconds since the epoch, realtime clock), on which host, which, and its particulars.

    ``name`` is a past participle in CamelCase (``Registered``); ``data`` holds JSON values only.
    """

    time_s: float
    host: str
    name: str
    data: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def to_json(self) -> str:
        """One line, without the newline."""
        return json.dumps({"time_s": round(self.time_s, 6), "host": self.host, "name": self.name, **self.data})

    def __getitem__(self, key: str) -> Any:
        return self.data[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self.data.get(key, default)


def parse_event(line: str) -> Event | None:
    """The event a line holds, or None where the line is something else (another program's log)."""
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
        time_s = float(record["time_s"])
        if not math.isfinite(time_s):
            return None
        return Event(
            time_s=time_s,
            host=str(record["host"]),
            name=str(record["name"]),
            data={key: value for key, value in record.items() if key not in _OWN_KEYS},
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


class History:
    """All events of a run in order of time; an event's index in it is how evidence names it."""

    def __init__(self, events: Iterable[Event], unread: int = 0) -> None:
        self.events = sorted(events, key=lambda event: event.time_s)
        self.unread = unread
        """Lines of the file that hold no event: something happened that nobody knows of."""

    @classmethod
    def read(cls, path: Path) -> History:
        """Read ``history.jsonl``; lines that are no events (a file cut short by a full disk) are counted."""
        lines = [line for line in path.read_text(encoding="utf-8", errors="replace").split("\n") if line.strip()]
        events = [event for event in map(parse_event, lines) if event is not None]
        return cls(events, unread=len(lines) - len(events))

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)

    def of(
        self, *names: str, since_s: float = float("-inf"), until_s: float = float("inf"), **particulars: Any
    ) -> list[Event]:
        """Events with one of these names, within [since_s, until_s], whose data has all these values."""
        return [
            event
            for event in self.events
            if event.name in names
            and since_s <= event.time_s <= until_s
            and all(event.get(key) == value for key, value in particulars.items())
        ]
