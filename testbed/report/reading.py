"""A run folder as a report reads it: as much as there is, and in words what is missing or broken. Nothing here raises for bad content."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.checks.facts import FaultWindow, fault_windows, seen
from testbed.document import is_file
from testbed.errors import BedError, UsageError
from testbed.packets import CaptureError
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict

FILES = ("scenario.yaml", "topology.json", "history.jsonl", "verdicts.json", "versions.json")
_DEVICE = re.compile(r"SEP[0-9A-F]{12}")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Told:
    """What the parts of a report are made from. ``where``: the folder, as its reader names it; ``missing``: what is not there, a line each.

    ``zero_s`` (since the epoch) is what times are counted from: the beginning of the steps; ``begin_s`` and ``end_s`` are the first and
    last event after it.
    """

    run: Run
    where: str
    verdicts: tuple[Verdict, ...]
    scenario: Mapping[str, Any]
    versions: Mapping[str, Any]
    missing: tuple[str, ...]
    zero_s: float
    begin_s: float
    end_s: float

    @property
    def name(self) -> str:
        """Of the scenario, or else of the folder."""
        return str(self.scenario.get("scenario") or self.run.path.name)

    @property
    def windows(self) -> list[FaultWindow]:
        """The faults, in order of time."""
        return fault_windows(self.run)

    def named_phones(self) -> list[str]:
        """Phones that the verdicts which are no PASS speak of, those of failures first."""
        unsettled = sorted((one for one in self.verdicts if one.status is not Status.PASS), key=lambda one: -one.status)
        texts = [text for one in unsettled for text in (one.summary, *(item.text for item in one.evidence))]
        known = set(self.run.topology.phones)
        return [phone for phone in dict.fromkeys(_DEVICE.findall(" ".join(texts))) if phone in known]

    def evidence_events(self) -> set[int]:
        """Events that prove a verdict, by index."""
        return {item.event for one in self.verdicts for item in one.evidence if item.event is not None}


def read(path: Path, *, run: Run | None = None, verdicts: list[Verdict] | None = None) -> Told:
    """The folder; UsageError only where it is none at all. ``run`` and ``verdicts``: what was read and judged already."""
    if not path.is_dir() or not any((path / name).is_file() for name in FILES):
        raise UsageError(f"{path} is no run folder", hint="runs are kept under runs/; `ls runs` shows them")
    run = run or Run(path)
    missing = [
        f"{name} is not there" for name in FILES if not (path / name).is_file() and (name != FILES[3] or not verdicts)
    ]
    for name, part in (("topology.json", "topology"), ("history.jsonl", "history"), ("scenario.yaml", "scenario")):
        if (path / name).is_file():
            missing += _broken(run, name, part)
    judged = tuple(verdicts) if verdicts is not None else verdicts_in(path, missing)
    missing += _unsound(run)
    zero_s, begin_s, end_s = _times(run)
    return Told(
        run=run,
        where=str(path),
        verdicts=judged,
        scenario=_scenario(run),
        versions=_versions(path, missing),
        missing=tuple(missing),
        zero_s=zero_s,
        begin_s=begin_s,
        end_s=end_s,
    )


def _broken(run: Run, name: str, part: str) -> list[str]:
    try:
        value = getattr(run, part)
    except (BedError, OSError) as error:
        return [f"{name} cannot be read: {str(error).splitlines()[0]}"]
    if part == "history" and not len(value):
        return [f"{name} holds no event"]
    unread = value.unread if part == "history" else 0
    return [f"{unread} lines of {name} hold no event"] if unread else []


def _scenario(run: Run) -> Mapping[str, Any]:
    try:
        return run.scenario if isinstance(run.scenario, Mapping) else {}
    except (BedError, OSError):
        return {}


def _unsound(run: Run) -> list[str]:
    """Captures that were started and are not there, and those that cannot be read to their end."""
    try:
        started = [str(event["capture"]) for event in seen(run, "CaptureStarted")]
    except UsageError:
        started = []
    lying = sorted(path.stem for path in (run.path / "captures").glob("*.pcap"))
    lines = []
    for name in dict.fromkeys([*started, *lying]):
        try:
            packets = run.packets(name)
            if packets is None:
                lines.append(f"captures/{name}.pcap is not there, though its capture was started")
            elif packets.truncated:
                lines.append(f"captures/{name}.pcap ends inside a record")
        except (CaptureError, OSError) as error:
            lines.append(f"captures/{name}.pcap cannot be read: {str(error).splitlines()[0]}")
    return lines


def _times(run: Run) -> tuple[float, float, float]:
    """(zero, begin, end); the end of the run is no event to draw: it says only that the recording is over."""
    try:
        events = [event for event in run.history.events if event.name != "RunEnded"]
    except UsageError:
        events = []
    if not events:
        return 0.0, 0.0, 1.0
    steps = [event.time_s for event in events if event.name == "StepsStarted"]
    begin_s, end_s = events[0].time_s, events[-1].time_s
    return (steps or [begin_s])[0], begin_s, max(end_s, begin_s + 0.001)


def _versions(path: Path, missing: list[str]) -> Mapping[str, Any]:
    record = _json(path / "versions.json", missing)
    if record is not None and not isinstance(record, dict):
        missing.append("versions.json holds no versions")
    return record if isinstance(record, dict) else {}


def _json(file: Path, missing: list[str]) -> Any:
    if not is_file(file):
        return None
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        missing.append(f"{file.name} cannot be read: {str(error).splitlines()[0]}")
        return None


def verdicts_in(path: Path, missing: list[str]) -> tuple[Verdict, ...]:
    """Those in the run folder ``path``; ``missing`` gets what of them cannot be read, a line each."""
    record = _json(path / "verdicts.json", missing)
    rows = record.get("verdicts") if isinstance(record, dict) else None
    if record is not None and not isinstance(rows, list):
        missing.append("verdicts.json holds no verdicts")
    found = [verdict_of(row) for row in rows or ()] if isinstance(rows, list) else []
    if None in found:
        missing.append(f"{found.count(None)} verdicts of verdicts.json cannot be read")
    return tuple(one for one in found if one is not None)


def verdict_of(row: object) -> Verdict | None:
    """The inverse of Verdict.to_json; None where that is no verdict."""
    if not isinstance(row, dict) or str(row.get("status")) not in Status.__members__:
        return None
    figures = row.get("figures")
    evidence = row.get("evidence")
    return Verdict(
        check=str(row.get("check", "")),
        status=Status[str(row["status"])],
        summary=str(row.get("summary", "")),
        claim=str(row.get("claim", "")),
        evidence=tuple(_evidence(item) for item in evidence if isinstance(item, dict))
        if isinstance(evidence, list)
        else (),
        figures={str(key): float(value) for key, value in figures.items() if _is_figure(value)}
        if isinstance(figures, dict)
        else {},
    )


def _is_figure(value: object) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and -1e300 < value < 1e300
        and math.isfinite(value)
    )


def _evidence(item: Mapping[str, Any]) -> Evidence:
    event, frame, capture = item.get("event"), item.get("frame"), item.get("capture")
    return Evidence(
        text=str(item.get("text", "")),
        event=event if isinstance(event, int) else None,
        capture=capture if isinstance(capture, str) else None,
        frame=frame if isinstance(frame, int) else None,
    )
