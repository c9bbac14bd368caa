from __future__ import annotations

from pathlib import Path

import pytest
from recordings import bed

from testbed.campaign import Campaign, combined, repeated
from testbed.errors import EXIT_CLEANUP_INCOMPLETE, EXIT_ENVIRONMENT, CleanupIncomplete, EngineError
from testbed.random_runs import RandomOptions, as_loaded
from testbed.random_schedule import random_scenario
from testbed.recording import Run
from testbed.run import Performed
from testbed.scenario import LoadedScenario, shipped_beds
from testbed.verdict import Status, Verdict


@pytest.mark.parametrize(
    ("codes", "status"),
    [([], 0), ([0, 0], 0), ([0, 3], 3), ([3, 1], 1), ([1, 4], 4), ([4, 6], 6), ([5, 3], 3), ([0, 5], 5), ([2, 1], 2)],
)
def test_several_exit_statuses_give_the_first_of_clean_up_environment_failure_inconclusive_nothing(
    codes: list[int], status: int
):
    assert combined(codes) == status


def verdicts(status: Status) -> list[Verdict]:
    return [Verdict(check="invariants", status=status, summary="as told")]


def test_of_random_runs_those_that_do_not_pass_or_break_the_bed_are_saved_with_the_command_that_repeats_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = {1: Status.PASS, 2: Status.FAIL, 3: Status.INCONCLUSIVE}

    def run_scenario(loaded: LoadedScenario, *_: object) -> Performed:
        number = int(loaded.scenario.scenario.rpartition("-")[2])
        if number not in outcomes:
            raise EngineError("it fell over")
        return Performed(run=Run(tmp_path), verdicts=verdicts(outcomes[number]))

    def drawn(options: RandomOptions, seed: int, runs: Path) -> list[LoadedScenario]:
        return [as_loaded(random_scenario(bed(), seed, n, bed=["bed.yaml"]), runs) for n in range(1, options.count + 1)]

    monkeypatch.setattr("testbed.campaign.run_scenario", run_scenario)
    monkeypatch.setattr("testbed.campaign.build_all", lambda say: {})
    monkeypatch.setattr("testbed.campaign.drawn", drawn)
    monkeypatch.setattr("testbed.campaign.note", lambda *_: None)
    campaign = Campaign(profile=None, phones=None, keep=False, bed="", runs=tmp_path, output="table")
    options = RandomOptions(count=4, seed=None, files=(shipped_beds() / "bed.yaml",), phones=2, profile="quick")
    assert campaign.perform_random(options) == EXIT_ENVIRONMENT
    seed = next(tmp_path.glob("*.yaml")).name.split("-")[1]
    assert {path.name for path in tmp_path.iterdir()} == {f"random-{seed}-{n}.scenario.yaml" for n in (2, 3, 4)}
    said = capsys.readouterr()
    assert f"`testbed run --random 4 --seed {seed} --phones 2 --profile quick -f bed.yaml`" in said.err
    assert f"`testbed run {tmp_path}/random-{seed}-2.scenario.yaml` repeats it" in said.err
    assert f"random-{seed}-3" in said.out


def test_what_a_bed_left_behind_takes_no_verdict_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = CleanupIncomplete("a network stays")
    performed = Performed(run=Run(tmp_path), verdicts=verdicts(Status.PASS), left_behind=left)
    monkeypatch.setattr("testbed.campaign.run_scenario", lambda *_: performed)
    monkeypatch.setattr("testbed.campaign.note", lambda *_: None)
    monkeypatch.setattr("testbed.campaign.build_all", lambda say: {})
    campaign = Campaign(profile=None, phones=None, keep=False, bed="", runs=tmp_path, output="table")
    assert campaign.perform(("rehome-stop",), run_all=False) == EXIT_CLEANUP_INCOMPLETE
    said = capsys.readouterr()
    assert "PASS" in said.out
    assert "a network stays" in said.err


def test_a_scenario_that_passes_at_times_only_is_flaky_and_no_pass() -> None:
    statuses = {"good": ["PASS", "PASS"], "at-times": ["FAIL", "PASS", "PASS"], "bad": ["FAIL", "ERROR", "FAIL"]}
    rows = [{"scenario": name, "status": status} for name, found in statuses.items() for status in found]
    assert [(row["scenario"], row["status"], row["passed"]) for row in repeated(rows)] == [
        ("good", "PASS", "2 of 2"),
        ("at-times", "FLAKY", "2 of 3"),
        ("bad", "ERROR", "0 of 3"),
    ]
