"""Shrinking finds the faults that are needed, as short as they may be, in few trials; and a run of a shrunk schedule is a scenario's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed import shrink_runs
from testbed.errors import EXIT_NOTHING_RAN, EXIT_OK, CleanupIncomplete, EngineError, UsageError
from testbed.recording import Run
from testbed.run import Performed, RunOptions
from testbed.scenario import LoadedScenario, load_scenario
from testbed.shrink_runs import ShrinkOptions, in_words, parts_of, with_parts
from testbed.shrinking import HALVINGS, Part, Parts, shrink
from testbed.verdict import Status, Verdict


def schedule(*lengths: float | None) -> Parts:
    return tuple(Part(step=step, lasts=lasts) for step, lasts in enumerate(lengths))


def having(*steps: int, at_least: float = 0.0) -> Callable[[Parts], bool]:
    """Fails where all of these are there, each at least so long."""

    def fails(parts: Parts) -> bool:
        there = {part.step: part.lasts or at_least for part in parts}
        return all(step in there and there[step] >= at_least for step in steps)

    return fails


@pytest.mark.parametrize(
    ("lengths", "needed", "at_least", "left"),
    [
        ((4.0,), (0,), 4.0, {0: 4.0}),
        ((4.0,), (0,), 2.0, {0: 2.0}),
        ((4.0,), (0,), 0.0, {0: 0.5}),
        ((4.0, 4.0), (1,), 3.0, {1: 4.0}),
        ((4.0, 6.0, 4.0, 2.0), (0, 3), 1.0, {0: 1.0, 3: 1.0}),
        ((4.0, 4.0, 4.0, 4.0), (0, 1, 2, 3), 4.0, {0: 4.0, 1: 4.0, 2: 4.0, 3: 4.0}),
        ((None, 4.0), (0,), 0.0, {0: None}),
        ((8.0,) * 8, (2, 5), 8.0, {2: 8.0, 5: 8.0}),
    ],
)
def test_what_is_left_is_needed_and_no_longer_than_it_must_be(
    lengths: tuple[float | None, ...], needed: tuple[int, ...], at_least: float, left: dict[int, float | None]
) -> None:
    shrunk = shrink(schedule(*lengths), having(*needed, at_least=at_least), trials=200)
    assert {part.step: part.lasts for part in shrunk.parts} == left
    assert shrunk.complete


@given(size=st.integers(1, 8), data=st.data())
def test_any_set_of_needed_faults_is_found_and_nothing_is_tried_twice(size: int, data: st.DataObject) -> None:
    needed = data.draw(st.sets(st.integers(0, size - 1), min_size=1))
    asked: list[Parts] = []

    def fails(parts: Parts) -> bool:
        asked.append(parts)
        return having(*needed)(parts)

    shrunk = shrink(schedule(*[4.0] * size), fails, trials=500)
    assert {part.step for part in shrunk.parts} == needed
    assert all(part.lasts == 4.0 / 2**HALVINGS for part in shrunk.parts)
    assert len(asked) == len(set(asked)) == shrunk.trials
    assert () not in asked


@given(trials=st.integers(0, 12))
def test_trials_are_bounded_and_what_is_left_then_still_fails(trials: int) -> None:
    fails = having(1, 4, at_least=1.0)
    shrunk = shrink(schedule(*[4.0] * 6), fails, trials=trials)
    assert shrunk.trials <= trials
    assert fails(shrunk.parts)
    assert not shrunk.complete


# -- real runs, but for the runs


FILE = """\
scenario: many
bed: [bed.yaml]
phones: 4
steps:
  - browse: {service: text, interval: 600ms, for: 12s}
  - at: 2s
    inject: {kill: ccm-1}
    for: 4s
  - at: 3s
    inject: {cut: web-1}
    for: 4 keepalives
  - at: 9s
    inject: {freeze: web-2}
    for: 800ms
  - after: returned
expect:
  - recovered:
shows: {holds: [phones-rehome]}
"""


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedScenario:
    file = tmp_path / "many.scenario.yaml"
    file.write_text(FILE, encoding="utf-8")
    return load_scenario(file, phones=2)


def test_a_shrunk_scenario_keeps_everything_but_faults_that_are_left_out(loaded: LoadedScenario) -> None:
    assert parts_of(loaded) == (Part(step=1, lasts=4.0), Part(step=2, lasts=4.0), Part(step=3, lasts=800.0))
    scenario = with_parts(loaded, (Part(step=2, lasts=2.0),))
    assert scenario.scenario == "many-shrunk"
    assert [step.action for step in scenario.steps] == ["browse", "inject", "wait"]
    assert str(scenario.steps[1].for_) == "2 keepalives"
    assert scenario.phones == 2
    assert in_words(scenario) == "cut web-1 for 2 keepalives"
    assert not scenario.shows.holds
    assert scenario.expect == loaded.scenario.expect


def test_a_scenario_without_faults_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "quiet.yaml"
    file.write_text("scenario: quiet\nsteps: [{press: services}]\n", encoding="utf-8")
    with pytest.raises(UsageError, match="no fault to leave out"):
        parts_of(load_scenario(file))


def runs_as(monkeypatch: pytest.MonkeyPatch, fails: Callable[[str], bool | Exception]) -> list[str]:
    """Runs that fail where this says so of their faults in words; what was run."""
    performed: list[str] = []

    def run_scenario(loaded: LoadedScenario, *_: object) -> Performed:
        performed.append(in_words(loaded.scenario))
        outcome = fails(performed[-1])
        if isinstance(outcome, Exception) and not isinstance(outcome, CleanupIncomplete):
            raise outcome
        status = Status.FAIL if outcome else Status.PASS
        left = outcome if isinstance(outcome, CleanupIncomplete) else None
        verdicts = [Verdict(check="recovered", status=status, summary="as told")]
        return Performed(run=Run(Path()), verdicts=verdicts, left_behind=left)

    monkeypatch.setattr(shrink_runs, "run_scenario", run_scenario)
    return performed


def options(path: Path, trials: int = 30) -> ShrinkOptions:
    return ShrinkOptions(trials=trials, runs=RunOptions(images={}, runs=path))


def test_the_shortest_schedule_that_fails_is_saved_and_can_be_run(
    loaded: LoadedScenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    performed = runs_as(monkeypatch, lambda words: "cut web-1" in words and "for 1 keepalives" not in words)
    assert shrink_runs.perform(loaded, options(tmp_path)) == EXIT_OK
    file = tmp_path / "many-shrunk.scenario.yaml"
    again = load_scenario(file)
    assert in_words(again.scenario) == "cut web-1 for 2 keepalives"
    assert [path.name for path in again.bed_files()] == ["bed.yaml"]
    assert len(performed) <= 10
    assert "3 faults, 1 of them needed: cut web-1 for 2 keepalives" in capsys.readouterr().err


def test_what_does_not_fail_is_not_shrunk(
    loaded: LoadedScenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    performed = runs_as(monkeypatch, lambda words: False)
    assert shrink_runs.perform(loaded, options(tmp_path)) == EXIT_NOTHING_RAN
    assert len(performed) == 1
    assert not (tmp_path / "many-shrunk.scenario.yaml").exists()


def test_a_bed_that_breaks_in_a_trial_shows_nothing_and_one_that_cannot_be_removed_ends_it(
    loaded: LoadedScenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_as(monkeypatch, lambda words: "kill" in words and (words.count(",") > 0 or EngineError("fell over")))
    assert shrink_runs.perform(loaded, options(tmp_path)) == EXIT_OK
    kept = in_words(load_scenario(tmp_path / "many-shrunk.scenario.yaml").scenario)
    assert kept.count(",") == 1
    runs_as(monkeypatch, lambda words: words.count(",") > 1 or CleanupIncomplete("left behind"))
    with pytest.raises(CleanupIncomplete):
        shrink_runs.perform(loaded, options(tmp_path))


def test_where_trials_run_out_it_says_how_to_go_on(
    loaded: LoadedScenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs_as(monkeypatch, lambda words: "cut web-1" in words)
    shrink_runs.perform(loaded, options(tmp_path, trials=2))
    assert f"`testbed shrink {tmp_path}/many-shrunk.scenario.yaml` goes on from here" in capsys.readouterr().err
