"""`testbed history`: runs over time, the trend of a figure, two sets of runs compared, old runs removed."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from testbed import show
from testbed.errors import (
    EXIT_CHECK_FAILED,
    EXIT_CLEANUP_INCOMPLETE,
    EXIT_INCONCLUSIVE,
    EXIT_OK,
    BedError,
    UsageError,
)
from testbed.trends.compare import FEWEST, Comparison, compare
from testbed.trends.run_folder import began_s, check_label
from testbed.trends.store import FILE, RunRow, Store

SPARKS = "▁▂▃▄▅▆▇█"


def opened(runs: Path) -> Store:
    """The history beside these runs; says so where it had to be made again. UsageError where there is none."""
    if not (runs / FILE).is_file():
        raise UsageError(
            f"there is no history in {runs}",
            hint="--runs names the folder that runs are kept in; `testbed history add RUN...` notes those that are there",
        )
    return _opened(runs)


def _opened(runs: Path) -> Store:
    store = Store(runs)
    if store.mended:
        show.warning(store.mended)
    return store


def add(folders: Sequence[Path], label: str) -> None:
    """Judged runs, each to the history beside it. Files are passed over and folders that are no judged run are named: ``runs/*`` has both;
    UsageError where nothing is left."""
    if label:
        check_label(label)
    added, last = 0, None
    for folder in (one.resolve() for one in folders):
        if folder.is_file():
            continue
        if not folder.is_dir():
            raise UsageError(f"there is no run folder {folder}", hint="name folders that `testbed run` made: runs/*")
        if not (folder / "verdicts.json").is_file():
            show.warning(f"left out: {folder.name} is no judged run: `testbed judge {folder}` makes it one")
            continue
        store = _opened(folder.parent)
        try:
            store.add(folder, label)
            added += 1
        except UsageError as error:
            last = error
            show.warning(f"left out: {error.message}")
        finally:
            store.close()
    if not added:
        raise UsageError("there is no judged run among them", hint=last.hint if last else "name run folders: runs/*")


def note(runs: Path, folder: Path, label: str) -> None:
    """Add a run that was just judged; what is wrong with the history costs no verdict."""
    try:
        store = _opened(runs)
        try:
            store.add(folder, label)
        finally:
            store.close()
    except (BedError, sqlite3.Error, OSError) as error:
        show.warning(f"{folder.name} is not in the history: {error}")


def ls(store: Store, scenario: str, label: str, output: str) -> int:
    """One row a run, oldest first."""
    show.rows([_row(run) for run in store.runs(scenario, label)], output)
    return EXIT_OK


def trend(store: Store, scenario: str, figure: str, label: str, output: str) -> int:
    """A figure of every run of a scenario, by expectation; UsageError lists the figures there are."""
    runs = store.runs(scenario, label)
    found = store.figures(run.folder for run in runs)
    if not runs:
        known = ", ".join(sorted({run.scenario for run in store.runs(label=label)}))
        raise UsageError(
            f"there is no run of {scenario!r}" + (f" with the label {label!r}" if label else ""),
            hint=f"there are runs of: {known}" if known else "`testbed history ls` shows the runs",
        )
    if not any(one.name == figure for one in found):
        known = ", ".join(sorted({one.name for one in found}))
        raise UsageError(f"no run of {scenario!r} has a figure {figure!r}", hint=f"known: {known}")
    began = {run.folder: run.began_s for run in runs}
    rows = [
        {"began": _moment(began[one.folder]), "run": one.folder, "verdict": one.verdict, figure: one.value}
        for one in found
        if one.name == figure
    ]
    show.rows(rows, output)
    if output == "table":
        for verdict in dict.fromkeys(one.verdict for one in found if one.name == figure):
            values = [one.value for one in found if one.name == figure and one.verdict == verdict]
            show.note(f"{verdict}: {sparkline(values)}  {min(values):g} to {max(values):g} in {len(values)} runs")
    return EXIT_OK


def compare_labels(store: Store, before: str, after: str, output: str) -> int:
    """1 where a figure got worse or a verdict that passed does not, 3 where there is too little to tell, else 0."""
    old, new = store.runs(label=before), store.runs(label=after)
    for label, runs in ((before, old), (after, new)):
        if not runs:
            raise UsageError(f"no run has the label {label!r}", hint="`testbed history ls` shows the labels")
    compared = compare(store.figures(run.folder for run in old), store.figures(run.folder for run in new))
    failing = _failing(old, new)
    shown = compared if output != "table" else [one for one in compared if one.worse]
    show.rows([_figures(one) for one in shown], output)
    if output == "table":
        for words in failing:
            show.note(words)
        show.note(_summary(compared, failing, before, after))
    if failing or any(one.worse for one in compared):
        return EXIT_CHECK_FAILED
    return EXIT_OK if compared else EXIT_INCONCLUSIVE


def prune(store: Store, runs: Path, older_than_s: float, *, really: bool) -> int:
    """Run folders that began longer ago, with their rows; without ``really`` they are only named. What cannot be removed, or is no run
    folder of its age beside the history, is named and keeps its row; 6 where something could not be removed."""
    border_s = time.time() - older_than_s
    old = [run.folder for run in store.runs() if run.began_s < border_s]
    done, failed = 0, 0
    for name in old:
        if doubt := _doubt(runs, name, border_s):
            show.warning(f"left alone: {name}: {doubt}")
        elif not really:
            show.say(f"would remove {runs / name}")
            done += 1
        else:
            show.say(f"removing {runs / name}")
            try:
                _remove(runs, name)
            except OSError as error:
                show.warning(f"{runs / name} could not be removed: {error.strerror or error}")
                failed += 1
                continue
            store.forget([name])
            done += 1
    show.say(f"{done} runs removed" if really else f"{done} runs; --yes removes them")
    return EXIT_CLEANUP_INCOMPLETE if failed else EXIT_OK


def _doubt(runs: Path, name: str, border_s: float) -> str:
    """Why this is not to be removed as an old run; the history's word alone is not enough."""
    folder = runs / name
    if not name or Path(name).name != name:
        return "it is not beside the history"
    if folder.is_symlink():
        return "it is a symbolic link; remove the folder it leads to, and then the link"
    if not folder.exists():
        return ""
    try:
        began = began_s(folder)
    except (OSError, ValueError, LookupError, TypeError):
        return "it is no run folder"
    if not (folder / "verdicts.json").is_file():
        return "it holds no verdicts"
    return "" if began < border_s else "by its own events it is not so old"


def _remove(runs: Path, name: str) -> None:
    """Out of sight first: no half of a run stays under its name."""
    if not (runs / name).exists():
        return
    going = runs / f".removed-{name}"
    (runs / name).rename(going)
    shutil.rmtree(going)


def sparkline(values: Sequence[float]) -> str:
    """One block a value, lowest to highest."""
    low, high = min(values), max(values)
    span = high - low or 1.0
    return "".join(SPARKS[min(len(SPARKS) - 1, int((value - low) / span * len(SPARKS)))] for value in values)


def _failing(old: Sequence[RunRow], new: Sequence[RunRow]) -> list[str]:
    """Scenarios all of whose runs passed before and some of whose runs do not now."""
    found = []
    for scenario, profile in dict.fromkeys((run.scenario, run.profile) for run in new):
        before = [run.status for run in old if (run.scenario, run.profile) == (scenario, profile)]
        after = [run.status for run in new if (run.scenario, run.profile) == (scenario, profile)]
        failed = len(after) - after.count("PASS")
        if before and set(before) == {"PASS"} and failed:
            found.append(
                f"{scenario} ({profile}): passed {len(before)} of {len(before)}, now {len(after) - failed} of {len(after)}"
            )
    return found


def _summary(compared: Sequence[Comparison], failing: Sequence[str], before: str, after: str) -> str:
    if not compared:
        return f"nothing to compare: a figure needs {FEWEST} runs of its scenario in {before} and in {after}"
    worse = sum(one.worse for one in compared)
    return (
        f"{worse} of {len(compared)} figures worse in {after} than in {before}, beyond chance and noise; "
        f"{len(failing)} scenarios that passed do not"
    )


def _figures(one: Comparison) -> dict[str, object]:
    return {
        "scenario": one.scenario,
        "profile": one.profile,
        "verdict": one.verdict,
        "figure": one.figure,
        "before": round(one.median_before, 6),
        "after": round(one.median_after, 6),
        "noise": round(one.noise, 6),
        "chance": round(one.chance, 6),
        "runs": f"{one.before} and {one.after}",
        "worse": one.worse,
    }


def _row(run: RunRow) -> dict[str, object]:
    return {
        "began": _moment(run.began_s),
        "status": run.status,
        "scenario": run.scenario,
        "profile": run.profile,
        "label": run.label,
        "testbed": run.testbed,
        "engine": run.engine,
        "run": run.folder,
    }


def _moment(time_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_s))
