"""Several scenarios, one after another or side by side, each on a fresh bed, with one table of verdicts and one exit status."""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed import errors, show, state
from testbed.bed import Progress
from testbed.engine.images import build_all
from testbed.errors import BedError, CleanupIncomplete, UsageError
from testbed.judge import exit_code
from testbed.random_runs import RandomOptions, drawn, new_seed, save
from testbed.report.keep import keep
from testbed.report.reading import verdicts_in
from testbed.run import RunOptions, run_scenario
from testbed.scenario import LoadedScenario, builtin_scenarios, dump_scenario, load_scenario
from testbed.side_by_side import Asked, Ended, SideBySide
from testbed.summary import markdown
from testbed.trends.command import note
from testbed.verdict import Status, Verdict, worst

SEVERITY = (
    errors.EXIT_CLEANUP_INCOMPLETE,
    errors.EXIT_ENVIRONMENT,
    errors.EXIT_USAGE,
    errors.EXIT_CHECK_FAILED,
    errors.EXIT_INCONCLUSIVE,
    errors.EXIT_NOTHING_RAN,
)
"""Several at once: the first of these."""

EVIDENCE_SHOWN = 3
COLUMNS = ("status", "check", "claim", "summary")
"""Of a verdict, in a table; JSON has the figures too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of one run: exit statuses, a record a verdict, and one of the whole."""

    codes: tuple[int, ...]
    rows: list[dict[str, Any]]
    overview: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Campaign:
    """Options of `testbed run`; ``label`` names these runs in the history, ``repeat`` is how often each scenario is
    performed, ``summary`` a file that gets Markdown of what came of them, behind what it has; ``at_once``: so many side by side."""

    profile: str | None
    phones: int | None
    keep: bool
    bed: str
    runs: Path
    output: str
    label: str = ""
    repeat: int = 1
    summary: Path | None = None
    at_once: int = 1

    def perform(self, words: tuple[str, ...], run_all: bool) -> int:
        """The scenarios of these names or files, or all that are built in."""
        return self._run([one for one in self._load(words, run_all) for _ in range(self.repeat)])

    def perform_random(self, options: RandomOptions) -> int:
        """Random schedules; one that does not pass, or breaks its bed, is saved as a scenario file that repeats it."""
        seed = new_seed() if options.seed is None else options.seed
        loaded = drawn(options, seed, self.runs)
        show.say(f"seed {seed}: `{options.command(seed)}` draws the same schedules again")
        return self._run(loaded, saving=True)

    def _run(self, loaded: list[LoadedScenario], *, saving: bool = False) -> int:
        """Run them; a scenario whose bed breaks does not keep the others from running."""
        self._check(loaded)
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"cannot make the folder {self.runs}: {error.strerror}", hint="--runs names another"
            ) from None
        say = show.progress()
        options = RunOptions(images=build_all(say), runs=self.runs, keep=self.keep, bed=self.bed)
        left: CleanupIncomplete | None = None
        if self.at_once > 1 and len(loaded) > 1:
            outcomes, left = self._side_by_side(loaded, say, saving)
        else:
            outcomes = [self._performed(one, options, say, saving) for one in loaded]
        rows = [row for one in outcomes for row in one.rows]
        overview = [one.overview for one in outcomes]
        if self.summary is not None:
            _append(self.summary, markdown(self.label, repeated(overview), rows))
        if self.output != "table":
            show.rows(rows, self.output)
        elif len(loaded) > 1:
            if saving:
                faults = {one.scenario.scenario: ", ".join(map(str, one.scenario.faults)) for one in loaded}
                overview = [{**row, "faults": faults[row["scenario"]]} for row in overview]
            columns = ["status", "scenario", *(["faults"] if saving else []), "run"]
            if self.repeat > 1:
                overview, columns = repeated(overview), ["status", "scenario", "passed"]
            show.table(overview, "\nall scenarios", columns)
        return combined([*(code for one in outcomes for code in one.codes), *([left.exit_code] if left else [])])

    def _check(self, loaded: list[LoadedScenario]) -> None:
        """UsageError where several runs are asked for what only one can have."""
        if self.keep and self.at_once > 1:
            raise UsageError("--keep leaves one bed up, --jobs is for several: leave one of them out")
        if self.keep and len(loaded) > 1:
            raise UsageError("--keep leaves one bed up: name one scenario")
        if self.at_once > 1 and self.bed:
            state.bed_folder(f"{self.bed}-{len(loaded)}")
        if self.at_once > 1 and (prefix := os.environ.get("BED_PREFIX")):
            raise UsageError(
                f"BED_PREFIX={prefix} is a block of addresses for one bed, --jobs is for several",
                hint="unset BED_PREFIX: each bed finds a block that is free",
            )

    def _performed(self, one: LoadedScenario, options: RunOptions, say: Progress, saving: bool) -> Outcome:
        """Run it in this process."""
        name = one.scenario.scenario
        try:
            performed = run_scenario(one, options, say)
        except BedError as error:
            show.problem(error, name)
            if saving:
                _save(one)
            return broken(name, error.message.splitlines()[0], error.exit_code)
        run, verdicts = performed.run, performed.verdicts
        for problem in keep(run, verdicts):
            show.warning(problem)
        codes = [exit_code(verdicts)]
        if performed.left_behind:
            show.problem(performed.left_behind, name)
            codes.append(performed.left_behind.exit_code)
        status = worst(verdict.status for verdict in verdicts)
        note(self.runs, run.path, self.label)
        if self.output == "table":
            show_verdicts(f"{name} ({one.scenario.profile}): {run.path}", name, verdicts)
        if saving and status is not Status.PASS:
            _save(one)
        return Outcome(
            codes=tuple(codes),
            rows=[{**row, "run": str(run.path)} for row in verdict_rows(name, verdicts)],
            overview={"scenario": name, "status": status.name, "run": str(run.path)},
        )

    def _side_by_side(
        self, loaded: list[LoadedScenario], say: Progress, saving: bool
    ) -> tuple[list[Outcome], CleanupIncomplete | None]:
        """Run each by a command of its own, on a bed of its own name; in the order of ``loaded``, and what stays of their beds."""
        stem = self.bed or f"run-{uuid.uuid4().hex[:6]}"
        if min(self.at_once, len(loaded)) > (cores := len(os.sched_getaffinity(0))):
            show.warning(f"more beds at once than the {cores} cores here: where the machine is late, nothing is proved")

        def reported(place: int, ended: Ended) -> None:
            one, outcome = loaded[place], outcome_of(loaded[place].scenario.scenario, ended)
            say(f"{asked[place].name}: {ended.why or 'ended'}")
            if ended.said.strip():
                show.say(ended.said.rstrip())
            if self.output == "table" and ended.records:
                _show_recorded(one, outcome)
            if saving and outcome.overview["status"] != "PASS" and (ended.records or not ended.was_told):
                _save(one)

        with tempfile.TemporaryDirectory(prefix="testbed-") as folder:
            asked = []
            for number, one in enumerate(loaded, 1):
                file, bed = one.file, f"{stem}-{number}"
                if saving:  # drawn, and in no file yet
                    file = Path(folder) / file.name
                    file.write_text(dump_scenario(one.scenario), encoding="utf-8")
                asked.append(
                    Asked(name=f"{one.scenario.scenario}, bed {bed}", bed=bed, command=self._command(file, bed))
                )
            runs = SideBySide(
                asked,
                self.at_once,
                Path(folder),
                begun=lambda one: say(f"{one.name}: begun"),
                reported=reported,
            )
            ended = runs.perform()
        outcomes = [outcome_of(one.scenario.scenario, what) for one, what in zip(loaded, ended, strict=True)]
        return outcomes, runs.left_behind

    def _command(self, file: Path, bed: str) -> tuple[str, ...]:
        """The command that runs this scenario alone, as we would; our own folder is not looked into for modules."""
        words = [sys.executable, "-P", "-m", "testbed", "run", "--name", bed, f"--runs={self.runs}", "--output", "json"]
        words += [f"--profile={self.profile}"] if self.profile else []
        words += [f"--phones={self.phones}"] if self.phones is not None else []
        words += [f"--label={self.label}"] if self.label else []
        return (*words, "--", str(file))

    def _load(self, words: tuple[str, ...], run_all: bool) -> list[LoadedScenario]:
        """All files are read before anything is started."""
        if run_all and words:
            raise UsageError("--all runs the built-in scenarios: name none, or leave --all out")
        if run_all:
            every = [load_scenario(name).scenario for name in builtin_scenarios()]
            words = tuple(one.scenario for one in every if self.profile is None or self.profile in one.profiles)
        if not words:
            raise UsageError(
                "no scenario named", hint="`testbed scenarios` lists the built-in ones; --all runs them all"
            )
        return [load_scenario(word, profile=self.profile, phones=self.phones) for word in words]


def _save(loaded: LoadedScenario) -> None:
    show.say(f"saved: {save(loaded)}; `testbed run {loaded.file}` repeats it")


def broken(name: str, why: str, *codes: int) -> Outcome:
    """Of a run without verdicts; ``why`` is one line."""
    return Outcome(
        codes=codes,
        rows=[{"scenario": name, "status": "ERROR", "check": "", "summary": why}],
        overview={"scenario": name, "status": "ERROR", "run": why},
    )


def outcome_of(name: str, ended: Ended | None) -> Outcome:
    """The same of a run in a process of its own; of one that was not begun, or was told to end, since another was lost."""
    if ended is None:
        return broken(name, "not begun: another run was lost")
    if not ended.records:
        return broken(name, f"{ended.why}{', since another run was lost' if ended.was_told else ''}", ended.code)
    rows = list(ended.records)
    status, run = worst_word([row["status"] for row in rows]), rows[0].get("run", rows[0]["summary"])
    return Outcome(codes=(ended.code,), rows=rows, overview={"scenario": name, "status": status, "run": run})


def _append(file: Path, text: str) -> None:
    try:
        with file.open("a", encoding="utf-8") as summary:
            summary.write(text)
    except OSError as error:
        show.warning(f"no summary in {file}: {error.strerror}")


def show_verdicts(title: str, name: str, verdicts: Sequence[Verdict]) -> None:
    """A table, and below it what proves each verdict that is no PASS."""
    show.table(verdict_rows(name, verdicts), "\n" + title, COLUMNS)
    for verdict in verdicts:
        if verdict.status is not Status.PASS:
            for item in verdict.evidence[:EVIDENCE_SHOWN]:
                where = (
                    f"{item.capture} frame {item.frame}"
                    if item.capture
                    else f"event {item.event}"
                    if item.event is not None
                    else ""
                )
                show.note(f"  {verdict.check}: {item.text}" + (f" [{where}]" if where else ""))


def _show_recorded(loaded: LoadedScenario, outcome: Outcome) -> None:
    """The table of a run that another process judged, from its folder: there is what proves each verdict."""
    name, run = loaded.scenario.scenario, outcome.rows[0].get("run")
    if not isinstance(run, str):
        return
    missing: list[str] = []
    verdicts = verdicts_in(Path(run), missing)
    for text in missing:
        show.warning(f"{name}: {run}: {text}")
    if verdicts:
        show_verdicts(f"{name} ({loaded.scenario.profile}): {run}", name, verdicts)


def verdict_rows(name: str, verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """One record a verdict."""
    return [
        {
            "scenario": name,
            "status": verdict.status.name,
            "check": verdict.check,
            "claim": verdict.claim,
            "summary": verdict.summary,
            "figures": dict(verdict.figures),
        }
        for verdict in verdicts
    ]


def repeated(overview: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One record a scenario; FLAKY where it passed at times only, which is no pass."""
    found: dict[str, list[str]] = {}
    for row in overview:
        found.setdefault(row["scenario"], []).append(row["status"])
    return [
        {
            "status": statuses[0]
            if len(set(statuses)) == 1
            else "FLAKY"
            if "PASS" in statuses
            else worst_word(statuses),
            "scenario": scenario,
            "passed": f"{statuses.count('PASS')} of {len(statuses)}",
        }
        for scenario, statuses in found.items()
    ]


def worst_word(statuses: list[str]) -> str:
    """ERROR before FAIL before INCONCLUSIVE."""
    return next(word for word in ("ERROR", "FAIL", "INCONCLUSIVE", "PASS") if word in statuses)


def combined(codes: list[int]) -> int:
    """One exit status for several."""
    return next((code for code in SEVERITY if code in codes), errors.EXIT_OK)
