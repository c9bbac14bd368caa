"""`testbed history`: runs over time, the trend of a figure, two sets of runs compared, old runs removed."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from testbed import show
from testbed.errors import EXIT_CHECK_FAILED, EXIT_INCONCLUSIVE, EXIT_OK, BedError, UsageError
from testbed.trends.compare import FEWEST, Comparison, compare
from testbed.trends.store import RunRow, Store

SPARKS = "▁▂▃▄▅▆▇█"


def opened(runs: Path) -> Store:
    """The history beside these runs; says so where it had to be made again. UsageError where there are none."""
    if not runs.is_dir():
        raise UsageError(f"there is no folder {runs}", hint="--runs names the folder that runs are kept in")
    store = Store(runs)
    if store.mended:
        show.warning(store.mended)
    return store


def note(runs: Path, folder: Path, label: str) -> None:
    """Add a run that was just judged; what is wrong with the history costs no verdict."""
    try:
        store = opened(runs)
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
    if not any(one.name == figure for one in found):
        known = ", ".join(sorted({one.name for one in found}))
        raise UsageError(
            f"no run of {scenario!r} has a figure {figure!r}",
            hint=f"known: {known}" if known else "`testbed history ls` shows the runs",
        )
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
    """Run folders that began longer ago, with their rows; without ``really`` they are only named."""
    border_s = time.time() - older_than_s
    old = [run.folder for run in store.runs() if run.began_s < border_s]
    for folder in old:
        show.say(f"{'removing' if really else 'would remove'} {runs / folder}")
        if really and (runs / folder / "verdicts.json").is_file():
            shutil.rmtree(runs / folder)
    if really:
        store.forget(old)
    else:
        show.say(f"{len(old)} runs; --yes removes them")
    return EXIT_OK


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
