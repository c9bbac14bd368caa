from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from testbed.errors import EXIT_CHECK_FAILED, EXIT_INCONCLUSIVE, EXIT_OK, UsageError
from testbed.trends import command
from testbed.trends.store import FILE, Store


def run_folder(
    runs: Path, name: str, *, scenario: str = "rehome-kill", value: float = 1.0, status: str = "PASS"
) -> Path:
    folder = runs / name
    folder.mkdir(parents=True)
    verdict: dict[str, Any] = {
        "check": "rehomed",
        "status": status,
        "summary": "as told",
        "claim": "page",
        "evidence": [],
        "figures": {"rehome_max_s": value},
    }
    (folder / "verdicts.json").write_text(json.dumps({"status": status, "verdicts": [verdict]}))
    (folder / "scenario.yaml").write_text(f"scenario: {scenario}\nprofile: quick\n")
    (folder / "history.jsonl").write_text(
        json.dumps({"time_s": 1000.0 + value, "host": "testbed", "name": "RunStarted"})
    )
    versions = {"testbed": "0.1.0", "engine": {"version": "20.10"}, "kernel": "6.1"}
    (folder / "versions.json").write_text(json.dumps(versions))
    return folder


def filled(runs: Path, label: str, values: list[float], **more: Any) -> None:
    store = Store(runs)
    for n, value in enumerate(values):
        store.add(run_folder(runs, f"{label}-{n}", value=value, **more), label)
    store.close()


def test_a_run_is_kept_with_its_figures_and_its_versions(tmp_path: Path) -> None:
    filled(tmp_path, "night-1", [1.4, 1.5])
    (first, second) = Store(tmp_path).runs()
    assert (first.folder, first.scenario, first.status, first.label) == ("night-1-0", "rehome-kill", "PASS", "night-1")
    assert (first.testbed, first.engine, first.kernel) == ("0.1.0", "20.10", "6.1")
    figures = Store(tmp_path).figures([second.folder, first.folder])
    assert [(one.folder, one.verdict, one.name, one.value) for one in figures] == [
        ("night-1-1", "rehomed", "rehome_max_s", 1.5),
        ("night-1-0", "rehomed", "rehome_max_s", 1.4),
    ]


def test_a_run_that_is_judged_anew_is_there_once_and_keeps_its_label(tmp_path: Path) -> None:
    filled(tmp_path, "night-1", [1.4])
    store = Store(tmp_path)
    store.add(tmp_path / "night-1-0")
    (row,) = store.runs()
    assert row.label == "night-1"
    assert len(store.figures([row.folder])) == 1


@pytest.mark.parametrize("missing", ["verdicts.json", "scenario.yaml", "history.jsonl"])
def test_a_folder_that_is_not_whole_is_refused_and_adds_nothing(missing: str, tmp_path: Path) -> None:
    folder = run_folder(tmp_path, "x")
    (folder / missing).unlink()
    store = Store(tmp_path)
    with pytest.raises(UsageError, match="is no judged run"):
        store.add(folder)
    assert store.runs() == []


def test_a_history_that_cannot_be_read_is_moved_aside_and_made_again(tmp_path: Path) -> None:
    filled(tmp_path, "night-1", [1.4, 1.5])
    (tmp_path / FILE).write_bytes(b"SQLite format 3\0" + b"garbage" * 1000)
    store = Store(tmp_path)
    assert "made again from 2 run folders" in store.mended
    assert len(store.runs()) == 2
    (aside,) = tmp_path.glob(f"{FILE}.broken-*")
    assert aside.read_bytes().endswith(b"garbage")
    assert Store(tmp_path).mended == ""


def test_a_history_of_another_version_is_left_alone(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(UsageError, match="another version"):
        Store(tmp_path)
    assert not list(tmp_path.glob("*.broken-*"))


def test_two_nightlies_at_once_do_not_harm_each_other(tmp_path: Path) -> None:
    problems: list[BaseException] = []

    def night(label: str) -> None:
        try:
            filled(tmp_path, label, [1.0 + n / 100 for n in range(20)])
        except (sqlite3.Error, UsageError) as error:
            problems.append(error)

    threads = [threading.Thread(target=night, args=(f"night-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(Store(tmp_path).runs()) == 80


def test_what_is_wrong_with_the_history_costs_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.note(tmp_path, tmp_path / "missing", "")
    assert "missing is not in the history" in capsys.readouterr().err


def test_nights_are_compared_by_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(tmp_path, "a", [1.40, 1.42, 1.43, 1.45, 1.41])
    filled(tmp_path, "b", [1.41, 1.42, 1.44, 1.45, 1.40])
    filled(tmp_path, "slow", [1.80, 1.82, 1.83, 1.85, 1.81])
    filled(tmp_path, "few", [9.0])
    store = Store(tmp_path)
    assert command.compare_labels(store, "a", "b", "table") == EXIT_OK
    assert "0 of 1 figures worse" in capsys.readouterr().out
    assert command.compare_labels(store, "a", "slow", "table") == EXIT_CHECK_FAILED
    assert "1 of 1 figures worse in slow than in a" in capsys.readouterr().out
    assert command.compare_labels(store, "a", "few", "table") == EXIT_INCONCLUSIVE
    with pytest.raises(UsageError, match="no run has the label 'c'"):
        command.compare_labels(store, "a", "c", "table")


def test_a_scenario_that_passed_and_does_not_always_is_worse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(tmp_path, "a", [1.0, 1.0])
    filled(tmp_path, "b", [1.0])
    filled(tmp_path, "b2", [1.0], status="INCONCLUSIVE")
    store = Store(tmp_path)
    store.add(tmp_path / "b2-0", "b")
    assert command.compare_labels(store, "a", "b", "table") == EXIT_CHECK_FAILED
    assert "rehome-kill (quick): passed 2 of 2, now 1 of 2" in capsys.readouterr().out


def test_a_trend_is_a_row_a_run_and_a_line_of_blocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(tmp_path, "a", [1.0, 2.0, 3.0])
    assert command.trend(Store(tmp_path), "rehome-kill", "rehome_max_s", "", "table") == EXIT_OK
    said = capsys.readouterr().out
    assert "rehomed: ▁▅█  1 to 3 in 3 runs" in said
    with pytest.raises(UsageError) as caught:
        command.trend(Store(tmp_path), "rehome-kill", "rehome_s", "", "table")
    assert "rehome_max_s" in caught.value.hint


def test_old_runs_are_named_first_and_removed_when_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(tmp_path, "a", [1.0, 2.0])
    store = Store(tmp_path)
    command.prune(store, tmp_path, 86400.0, really=False)
    assert (tmp_path / "a-0").is_dir()
    assert "2 runs; --yes removes them" in capsys.readouterr().err
    command.prune(store, tmp_path, 86400.0, really=True)
    assert not (tmp_path / "a-0").exists()
    assert store.runs() == []
