"""The history of runs: every verdict and figure of each, in SQLite beside the run folders.

The folders are the truth: a file that cannot be read is moved aside and made again from them.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testbed.errors import UsageError

FILE = "history.sqlite"
SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 10.0
"""Another nightly writes for milliseconds at a time."""

_SCHEMA = """
CREATE TABLE runs (
    folder TEXT PRIMARY KEY, scenario TEXT NOT NULL, profile TEXT NOT NULL, began_s REAL NOT NULL, status TEXT NOT NULL,
    label TEXT NOT NULL, testbed TEXT NOT NULL, engine TEXT NOT NULL, kernel TEXT NOT NULL
);
CREATE TABLE verdicts (
    folder TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, place INTEGER NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
    claim TEXT NOT NULL, summary TEXT NOT NULL, PRIMARY KEY (folder, place)
);
CREATE TABLE figures (
    folder TEXT NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (folder, place, name),
    FOREIGN KEY (folder, place) REFERENCES verdicts ON DELETE CASCADE
);
CREATE INDEX runs_by_scenario ON runs (scenario, profile, began_s);
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRow:
    """One run; ``folder`` is its name beside the history."""

    folder: str
    scenario: str
    profile: str
    began_s: float
    status: str
    label: str
    testbed: str
    engine: str
    kernel: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One number of one verdict of one run."""

    folder: str
    scenario: str
    profile: str
    verdict: str
    name: str
    value: float


class Store:
    """``runs`` is the folder of run folders. What could not be read and was made again is in ``mended``, in words."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self.mended = ""
        try:
            self._database = self._opened()
        except sqlite3.DatabaseError as error:
            self._make_again(str(error))

    def close(self) -> None:
        self._database.close()

    def add(self, folder: Path, label: str = "") -> None:
        """A judged run, or one that was judged anew; UsageError where its folder is not whole. An older label stays."""
        run, verdicts = _read(folder)
        with self._writing() as database:
            known = database.execute("SELECT label FROM runs WHERE folder = ?", (folder.name,)).fetchone()
            database.execute("DELETE FROM runs WHERE folder = ?", (folder.name,))
            values = {**run, "label": label or (known[0] if known else "")}
            database.execute(
                "INSERT INTO runs VALUES (:folder, :scenario, :profile, :began_s, :status, :label, :testbed, :engine, :kernel)",
                values,
            )
            for place, verdict in enumerate(verdicts):
                row = (folder.name, place, *(str(verdict[key]) for key in ("check", "status", "claim", "summary")))
                database.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?)", row)
                figures = [(folder.name, place, name, float(value)) for name, value in verdict["figures"].items()]
                database.executemany("INSERT INTO figures VALUES (?, ?, ?, ?)", figures)

    def runs(self, scenario: str = "", label: str = "") -> list[RunRow]:
        """Oldest first; of one scenario, of one label, or all."""
        rows = self._database.execute(
            "SELECT folder, scenario, profile, began_s, status, label, testbed, engine, kernel FROM runs"
            " WHERE (:scenario = '' OR scenario = :scenario) AND (:label = '' OR label = :label) ORDER BY began_s, folder",
            {"scenario": scenario, "label": label},
        )
        return [RunRow(**row) for row in map(dict, rows)]

    def figures(self, folders: Iterable[str]) -> list[Figure]:
        """Of these runs, in their order."""
        found = []
        for folder in folders:
            rows = self._database.execute(
                "SELECT figures.folder, scenario, profile, verdicts.name AS verdict, figures.name, value FROM figures"
                " JOIN verdicts USING (folder, place) JOIN runs USING (folder) WHERE figures.folder = ? ORDER BY place, figures.name",
                (folder,),
            )
            found += [Figure(**row) for row in map(dict, rows)]
        return found

    def forget(self, folders: Iterable[str]) -> None:
        """Their rows; the folders are the caller's."""
        with self._writing() as database:
            database.executemany("DELETE FROM runs WHERE folder = ?", [(folder,) for folder in folders])

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            yield self._database

    def _opened(self) -> sqlite3.Connection:
        self._runs.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._runs / FILE, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            database.row_factory = sqlite3.Row
            database.execute("PRAGMA foreign_keys = ON")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("BEGIN IMMEDIATE")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            database.execute("COMMIT")
            if version not in (0, SCHEMA_VERSION):
                raise UsageError(
                    f"{self._runs / FILE} was written by another version of the test-bed (schema {version})",
                    hint="use that one, or move the file away: it is made again from the run folders",
                )
            damage = database.execute("PRAGMA quick_check").fetchone()[0]
            if damage != "ok":
                raise sqlite3.DatabaseError(str(damage))
        except BaseException:
            database.close()
            raise
        return database

    def _make_again(self, reason: str) -> None:
        file = self._runs / FILE
        aside = file.with_name(f"{FILE}.broken-{time.time_ns()}")
        file.rename(aside)
        for rest in ("-wal", "-shm"):
            file.with_name(FILE + rest).unlink(missing_ok=True)
        self._database = self._opened()
        count = 0
        for folder in sorted(self._runs.iterdir()):
            if (folder / "verdicts.json").is_file():
                try:
                    self.add(folder)
                except UsageError:
                    continue
                count += 1
        self.mended = (
            f"{file} could not be read ({reason}): moved to {aside.name}, and made again from {count} run folders"
        )


def _read(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the run folder says; UsageError names what is missing."""
    try:
        judged = json.loads((folder / "verdicts.json").read_text(encoding="utf-8"))
        scenario = yaml.safe_load((folder / "scenario.yaml").read_text(encoding="utf-8"))
        versions = _versions(folder)
        run = {
            "folder": folder.name,
            "scenario": str(scenario["scenario"]),
            "profile": str(scenario["profile"]),
            "began_s": _began_s(folder),
            "status": str(judged["status"]),
            **versions,
        }
        verdicts = [{"figures": {}, **verdict} for verdict in judged["verdicts"]]
        for verdict in verdicts:
            _ = [float(value) for value in verdict["figures"].values()], verdict["check"], verdict["summary"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise UsageError(
            f"{folder} is no judged run: {error}", hint="`testbed judge` writes the verdicts of a run"
        ) from None
    return run, verdicts


def _began_s(folder: Path) -> float:
    """When its first event was."""
    with (folder / "history.jsonl").open(encoding="utf-8", errors="replace") as lines:
        return float(json.loads(next(iter(lines), ""))["time_s"])


def _versions(folder: Path) -> dict[str, str]:
    """Nothing where an old run has no such file."""
    try:
        said = json.loads((folder / "versions.json").read_text(encoding="utf-8"))
        return {
            "testbed": str(said["testbed"]),
            "engine": str(said["engine"]["version"]),
            "kernel": str(said["kernel"]),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {"testbed": "", "engine": "", "kernel": ""}
