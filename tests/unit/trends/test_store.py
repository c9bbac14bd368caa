from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from testbed.errors import EXIT_CHECK_FAILED, EXIT_INCONCLUSIVE, EXIT_OK, BedError, UsageError
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


def test_a_history_that_is_only_in_use_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading goes on beside a writer; a second writer gives up, and nothing is moved aside."""
    filled(tmp_path, "a", [1.0])
    monkeypatch.setattr("testbed.trends.store.BUSY_TIMEOUT_S", 0.1)
    holder = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    holder.execute("UPDATE runs SET label = 'later'")
    assert [run.label for run in Store(tmp_path).runs()] == ["a"]
    command.note(tmp_path, run_folder(tmp_path, "b-0"), "")
    holder.execute("COMMIT")
    holder.close()
    assert [run.label for run in Store(tmp_path).runs()] == ["later"]
    assert not list(tmp_path.glob("*.broken-*"))


def test_a_history_that_cannot_be_opened_is_an_error_that_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(BedError, match="unable to open") as caught:
        Store(tmp_path)
    assert "try again" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("damage", ["garbage", "no tables"])
def test_labels_outlive_a_history_and_odd_folders_are_left_out_by_name(damage: str, tmp_path: Path) -> None:
    filled(tmp_path, "a", [1.0, 2.0])
    odd = run_folder(tmp_path, "odd")
    (odd / "verdicts.json").write_text("[" * 100_000)
    if damage == "garbage":
        (tmp_path / FILE).write_bytes(b"SQLite format 3\0" + b"garbage" * 1000)
    else:
        with sqlite3.connect(tmp_path / FILE) as database:
            database.execute("DROP TABLE figures")
    store = Store(tmp_path)
    assert "left out, since they are not whole: odd" in store.mended
    assert [(run.folder, run.label) for run in store.runs()] == [("a-0", "a"), ("a-1", "a")]
    assert not list(tmp_path.glob("*.new-*"))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("verdicts.json", '{"status": "PASS", "verdicts": [{"check": "x", "status": "PASS"}]}'),
        ("verdicts.json", '{"status": "GOOD", "verdicts": []}'),
        ("verdicts.json", '{"status": {"a": 1}, "verdicts": []}'),
        (
            "verdicts.json",
            '{"status": "PASS", "verdicts": [{"check": "x", "status": "PASS", "summary": "", "figures": {"a": NaN}}]}',
        ),
        (
            "verdicts.json",
            '{"status": "PASS", "verdicts": [{"check": "x", "status": "PASS", "summary": "", "figures": {"a": 1'
            + "0" * 400
            + "}}]}",
        ),
        ("history.jsonl", '{"time_s": NaN}'),
        ("history.jsonl", '{"time_s": 1e300}'),
        ("history.jsonl", ""),
        ("scenario.yaml", "[" * 5000),
        ("scenario.yaml", "scenario: [1]\nprofile: quick\n"),
        ("scenario.yaml", "- a\n"),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(file: str, text: str, tmp_path: Path) -> None:
    folder = run_folder(tmp_path, "x")
    (folder / file).write_text(text)
    store = Store(tmp_path)
    with pytest.raises(UsageError, match="x is no judged run: ") as caught:
        store.add(folder)
    assert "\n" not in caught.value.message
    assert store.runs() == []


@pytest.mark.parametrize("label", ["a\nb", "\x1b[31m", "\udcff", " "])
def test_a_label_is_a_word_for_people(label: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no label"):
        command.add([run_folder(tmp_path, "x")], label)
    assert not (tmp_path / "x" / "label.txt").exists()


def test_what_is_no_run_is_passed_over_when_runs_are_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The history itself is among ``runs/*``."""
    run_folder(tmp_path, "x")
    (tmp_path / "unjudged").mkdir()
    command.add(sorted(tmp_path.iterdir()), "a")
    command.add(sorted(tmp_path.iterdir()), "")
    assert "left out: unjudged is no judged run" in capsys.readouterr().err
    assert [(run.folder, run.label) for run in Store(tmp_path).runs()] == [("x", "a")]
    with pytest.raises(UsageError, match="no judged run among them"):
        command.add([tmp_path / "unjudged"], "")


def test_listing_makes_no_history(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no history in"):
        command.opened(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("case", ["outside", "itself", "link", "young", "no verdicts"])
def test_only_old_runs_beside_the_history_are_removed(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the history says: it may be damaged, or somebody else's."""
    runs = tmp_path / "runs"
    filled(runs, "a", [1.0, 2.0])
    victim = run_folder(tmp_path, "victim")
    store = Store(runs)
    if case in ("outside", "itself"):
        with sqlite3.connect(runs / FILE) as database:
            database.execute(
                "UPDATE runs SET folder = ? WHERE folder = 'a-0'", ("../victim" if case == "outside" else ".",)
            )
        (runs / "verdicts.json").write_text("{}")
    elif case == "link":
        (runs / "a-0").rename(tmp_path / "elsewhere")
        (runs / "a-0").symlink_to(tmp_path / "elsewhere")
    elif case == "young":
        (runs / "a-0" / "history.jsonl").write_text(json.dumps({"time_s": 4e9}))
    else:
        (runs / "a-0" / "verdicts.json").unlink()
    assert command.prune(store, runs, 86400.0, really=True) == EXIT_OK
    said = capsys.readouterr().err
    assert "left alone: " in said
    assert "1 runs removed" in said
    assert victim.is_dir()
    assert not (runs / "a-1").exists()
    assert len(store.runs()) == 1


def test_a_trend_of_a_scenario_that_never_ran_names_those_that_did(tmp_path: Path) -> None:
    filled(tmp_path, "a", [1.0])
    with pytest.raises(UsageError, match="no run of 'rehome-cut'") as caught:
        command.trend(Store(tmp_path), "rehome-cut", "rehome_max_s", "", "table")
    assert "rehome-kill" in caught.value.hint
