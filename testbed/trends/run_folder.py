"""What a run folder says of a judged run, for the history: checked whole before a row of it is written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from testbed.document import read_document
from testbed.errors import BedError, UsageError
from testbed.verdict import Status

LABEL_FILE = "label.txt"
"""In the run folder, so that a history that is made again has the labels too."""
LAST_S = 253_402_300_800
"""The year 10000: no date has more digits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """One verdict: ``figures`` are finite."""

    check: str
    status: str
    claim: str
    summary: str
    figures: dict[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedRun:
    """One run; ``row`` has the columns of the table of runs."""

    row: dict[str, str | float]
    verdicts: tuple[Judged, ...]


def read_run(folder: Path) -> JudgedRun:
    """UsageError names what is missing or wrong."""
    try:
        folder.name.encode()
        judged = json.loads((folder / "verdicts.json").read_text(encoding="utf-8"))
        scenario = read_document(folder / "scenario.yaml").value
        verdicts = tuple(map(_verdict, judged["verdicts"]))
        row: dict[str, str | float] = {
            "folder": folder.name,
            "scenario": _text(scenario["scenario"]),
            "profile": _text(scenario["profile"]),
            "began_s": began_s(folder),
            "status": Status[_text(judged["status"])].name,
            "label": _label(folder),
            **_versions(folder),
        }
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError, BedError) as error:
        said = " ".join(f"no {error}" if isinstance(error, KeyError) else str(error) for error in (error,))
        raise UsageError(
            f"{folder.name.encode(errors='replace').decode()} is no judged run: {' '.join(said.split())[:300]}",
            hint="`testbed judge` writes the verdicts of a run",
        ) from None
    return JudgedRun(row=row, verdicts=verdicts)


def write_label(folder: Path, label: str) -> None:
    """UsageError where it is no word for people, or cannot be written."""
    check_label(label)
    try:
        (folder / LABEL_FILE).write_text(label + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder}: the label cannot be written: {error.strerror}", hint="check that folder") from None


def check_label(label: str) -> None:
    """UsageError where it is no word for people."""
    if not label.isprintable() or not label.strip():
        raise UsageError(f"{label!r} is no label", hint="one line of printable characters")


def began_s(folder: Path) -> float:
    """When its first event was (s since 1970); ValueError, KeyError, TypeError or OSError where none says."""
    with (folder / "history.jsonl").open(encoding="utf-8", errors="replace") as lines:
        time_s = float(json.loads(next(iter(lines), ""))["time_s"])
    if not 0 <= time_s < LAST_S:
        raise ValueError(f"history.jsonl: {time_s:g} is no time")
    return time_s


def _verdict(said: dict[str, Any]) -> Judged:
    figures = {_text(name): float(value) for name, value in said.get("figures", {}).items()}
    if not all(map(isfinite, figures.values())):
        raise ValueError("a figure is not finite")
    return Judged(
        check=_text(said["check"]),
        status=Status[_text(said["status"])].name,
        claim=_text(said.get("claim", "")),
        summary=_text(said["summary"]),
        figures=figures,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    value.encode()
    return value


def _label(folder: Path) -> str:
    file = folder / LABEL_FILE
    return file.read_text(encoding="utf-8", errors="replace").strip() if file.is_file() else ""


def _versions(folder: Path) -> dict[str, str]:
    """Nothing where an old run has no such file."""
    try:
        said = json.loads((folder / "versions.json").read_text(encoding="utf-8"))
        return {
            "testbed": _text(said["testbed"]),
            "engine": _text(said["engine"]["version"]),
            "kernel": _text(said["kernel"]),
        }
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {"testbed": "", "engine": "", "kernel": ""}
