"""Several scenarios one after another, each on a fresh bed, with one table of verdicts and one exit status."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed import errors, show
from testbed.engine.images import build_all
from testbed.errors import BedError, UsageError
from testbed.judge import exit_code
from testbed.random_runs import RandomOptions, drawn, new_seed, save
from testbed.report.keep import keep
from testbed.run import RunOptions, run_scenario
from testbed.scenario import LoadedScenario, builtin_scenarios, load_scenario
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
class Campaign:
    """Options of `testbed run`; ``label`` names these runs in the history, ``repeat`` is how often each scenario is
    performed, ``summary`` a file that gets Markdown of what came of them, behind what it has."""

    profile: str | None
    phones: int | None
    keep: bool
    bed: str
    runs: Path
    output: str
    label: str = ""
    repeat: int = 1
    summary: Path | None = None

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
        if self.keep and len(loaded) > 1:
            raise UsageError("--keep leaves one bed up: name one scenario")
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"cannot make the folder {self.runs}: {error.strerror}", hint="--runs names another"
            ) from None
        say = show.progress()
        options = RunOptions(images=build_all(say), runs=self.runs, keep=self.keep, bed=self.bed)
        codes: list[int] = []
        rows: list[dict[str, Any]] = []
        overview: list[dict[str, Any]] = []
        for one in loaded:
            name = one.scenario.scenario
            try:
                performed = run_scenario(one, options, say)
            except BedError as error:
                show.problem(error, name)
                codes.append(error.exit_code)
                rows.append(
                    {"scenario": name, "status": "ERROR", "check": "", "summary": error.message.splitlines()[0]}
                )
                overview.append({"scenario": name, "status": "ERROR", "run": error.message.splitlines()[0]})
                if saving:
                    _save(one)
                continue
            run, verdicts = performed.run, performed.verdicts
            for problem in keep(run, verdicts):
                show.warning(problem)
            codes.append(exit_code(verdicts))
            if performed.left_behind:
                show.problem(performed.left_behind, name)
                codes.append(performed.left_behind.exit_code)
            rows += [{**row, "run": str(run.path)} for row in verdict_rows(name, verdicts)]
            status = worst(verdict.status for verdict in verdicts)
            overview.append({"scenario": name, "status": status.name, "run": str(run.path)})
            note(self.runs, run.path, self.label)
            if self.output == "table":
                show_verdicts(f"{name} ({one.scenario.profile}): {run.path}", name, verdicts)
            if saving and status is not Status.PASS:
                _save(one)
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
        return combined(codes)

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


def _append(file: Path, text: str) -> None:
    try:
        with file.open("a", encoding="utf-8") as summary:
            summary.write(text)
    except OSError as error:
        show.warning(f"no summary in {file}: {error.strerror}")


def show_verdicts(title: str, name: str, verdicts: list[Verdict]) -> None:
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


def verdict_rows(name: str, verdicts: list[Verdict]) -> list[dict[str, Any]]:
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
