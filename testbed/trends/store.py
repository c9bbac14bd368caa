"""The history of runs: every verdict and figure of each, in SQLite beside the run folders.

The folders are the truth: a file that is damaged is moved aside and made again from them. One that is only in use, or on a full disk, is
left alone.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.errors import BedError, UsageError
from testbed.trends.run_folder import JudgedRun, read_run, write_label

FILE = "history.sqlite"
SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 10.0
"""Another nightly writes for milliseconds at a time."""

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_TABLES = {"runs", "verdicts", "figures"}

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
    """``runs`` is the folder of run folders. What was damaged and was made again is in ``mended``, in words. BedError where it cannot be
    used now, for instance since another process holds it."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self.mended = ""
        try:
            runs.mkdir(parents=True, exist_ok=True)
            self._database = _opened(runs / FILE)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise BedError(
                    f"{runs / FILE}: {error}", hint="another process may hold it, or its disk be full: try again"
                ) from None
            self._make_again(str(error))

    def close(self) -> None:
        self._database.close()

    def add(self, folder: Path, label: str = "") -> None:
        """A judged run, or one that was judged anew; UsageError where its folder is not whole. An older label stays."""
        read_run(folder)
        if label:
            write_label(folder, label)
        with self._writing() as database:
            _insert(database, read_run(folder))

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

    def _make_again(self, reason: str) -> None:
        """Beside the damaged one, which is moved aside only when the new one is whole."""
        file, new = self._runs / FILE, self._runs / f"{FILE}.new-{os.getpid()}"
        count, left_out = 0, []
        try:
            database = _opened(new)
            database.execute("BEGIN")
            for folder in sorted(self._runs.iterdir()):
                if (folder / "verdicts.json").is_file():
                    try:
                        _insert(database, read_run(folder))
                        count += 1
                    except UsageError:
                        left_out.append(folder.name.encode(errors="replace").decode())
            database.execute("COMMIT")
            database.execute("PRAGMA journal_mode = DELETE")
            database.close()
            aside = f"{FILE}.broken-{time.time_ns()}"
            for rest in ("-wal", "-shm", ""):
                if (old := file.with_name(FILE + rest)).exists():
                    old.rename(file.with_name(aside + rest))
            new.rename(file)
        finally:
            new.unlink(missing_ok=True)
        self._database = _opened(file)
        self.mended = f"{file} is damaged ({reason}): moved to {aside}, and made again from {count} run folders"
        if left_out:
            self.mended += f"; left out, since they are not whole: {', '.join(left_out)}"


def _opened(file: Path) -> sqlite3.Connection:
    database = sqlite3.connect(file, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        database.row_factory = sqlite3.Row
        database.execute("PRAGMA foreign_keys = ON")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            version = _made(database)
        if version != SCHEMA_VERSION:
            raise UsageError(
                f"{file} was written by another version of the test-bed (schema {version})",
                hint="use that one, or move the file away: it is made again from the run folders",
            )
        damage = database.execute("PRAGMA quick_check").fetchone()[0]
        if damage != "ok":
            raise sqlite3.DatabaseError(str(damage))
        tables = {row["name"] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables >= _TABLES:
            raise sqlite3.DatabaseError("tables are missing")
    except BaseException:
        database.close()
        raise
    return database


def _made(database: sqlite3.Connection) -> int:
    """The tables, unless another process makes them at this moment; the version that is there now."""
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("BEGIN IMMEDIATE")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == 0:
        for statement in filter(str.strip, _SCHEMA.split(";")):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        version = SCHEMA_VERSION
    database.execute("COMMIT")
    return int(version)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Our own findings have no code of SQLite's."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF in _DAMAGE


def _insert(database: sqlite3.Connection, run: JudgedRun) -> None:
    folder = run.row["folder"]
    database.execute("DELETE FROM runs WHERE folder = ?", (folder,))
    database.execute(
        "INSERT INTO runs VALUES (:folder, :scenario, :profile, :began_s, :status, :label, :testbed, :engine, :kernel)",
        run.row,
    )
    for place, verdict in enumerate(run.verdicts):
        row = (folder, place, verdict.check, verdict.status, verdict.claim, verdict.summary)
        database.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?)", row)
        figures = [(folder, place, name, value) for name, value in verdict.figures.items()]
        database.executemany("INSERT INTO figures VALUES (?, ?, ?, ?)", figures)
