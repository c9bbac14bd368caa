from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import fake_runs
import pytest
from recordings import bed

from testbed import cli
from testbed.campaign import Campaign, combined, outcome_of, repeated
from testbed.errors import (
    EXIT_CHECK_FAILED,
    EXIT_CLEANUP_INCOMPLETE,
    EXIT_ENVIRONMENT,
    EXIT_USAGE,
    CleanupIncomplete,
    EngineError,
)
from testbed.judge import write_verdicts
from testbed.random_runs import RandomOptions, as_loaded
from testbed.random_schedule import random_scenario
from testbed.recording import Run
from testbed.run import Performed
from testbed.scenario import LoadedScenario, shipped_beds
from testbed.side_by_side import Ended
from testbed.trends.store import Store
from testbed.verdict import Evidence, Status, Verdict


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


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs that are made up may be asked for."""
    monkeypatch.setenv("TESTBED_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BED_PREFIX", raising=False)
    monkeypatch.chdir(tmp_path)
    fake_runs.faked(monkeypatch.setattr)
    return tmp_path


def campaign(folder: str, at_once: int, **more: Any) -> Campaign:
    options: dict[str, Any] = {"profile": None, "phones": None, "keep": False, "bed": "", "output": "json", **more}
    return Campaign(runs=Path(folder), at_once=at_once, summary=Path(f"{folder}.md"), label="night", **options)


def told(folder: str, said: str) -> dict[str, Any]:
    """All that a campaign leaves, without what names its folder and its runs."""
    runs = sorted(Path(folder).glob("*-*"))
    store = Store(Path(folder))
    history = sorted((run.scenario, run.status, run.label, run.profile) for run in store.runs())
    figures = len(store.figures(run.folder for run in store.runs()))
    store.close()
    files = [sorted(path.name for path in run.iterdir()) for run in runs]
    junit = [(run / "junit.xml").read_text().replace(run.name, "") for run in runs]
    records = json.loads(re.sub(folder + "/([a-z]+)-[0-9a-f]+", r"\1", said))
    summary = Path(f"{folder}.md").read_text()
    return {
        "records": records,
        "summary": summary,
        "history": history,
        "figures": figures,
        "files": files,
        "junit": junit,
    }


def test_side_by_side_leaves_what_one_after_another_leaves(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bed that breaks ends no other run; records come in the order asked, each bed has a name of its own, one label is in the history."""
    endings = {"good": "PASS", "bad": "FAIL", "broken": "BROKEN", "left": "LEFT"}
    words = tuple(fake_runs.write(fake, **endings))
    assert campaign("one", 1, profile="srnd").perform(words, run_all=False) == EXIT_CLEANUP_INCOMPLETE
    one = capsys.readouterr()
    assert campaign("many", 3, profile="srnd", bed="lab").perform(words, run_all=False) == EXIT_CLEANUP_INCOMPLETE
    many = capsys.readouterr()
    assert told("many", many.out) == told("one", one.out)
    assert [row["scenario"] for row in json.loads(many.out)] == list(endings)
    assert "a network of lab-4 stays" in many.err
    assert "error: broken: it fell over\nonce more\n  next: get it up\n" in many.err


TINY = """
import json, os, pathlib, sys
text = pathlib.Path(sys.argv[1]).read_text()
if "KILL" in text:
    os.kill(os.getpid(), 9)
if "REFUSED" in text:
    print("error: edited meanwhile", file=sys.stderr)
    raise SystemExit(2)
if "BROKEN" in text:
    print(json.dumps([{"scenario": "it", "status": "ERROR", "check": "", "summary": "it fell over" * (300 if "LONG" in text else 1)}]))
    raise SystemExit(4)
status = "FAIL" if "FAIL" in text else "PASS"
print(json.dumps([{"scenario": "it", "status": status, "check": "it", "summary": "so", "run": "recorded"}]))
raise SystemExit("FAIL" in text)
"""


@pytest.fixture
def tiny(fake: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny script stands for the command of a run: it says what its scenario file tells it to."""

    def command(_: Campaign, file: Path, name: str) -> tuple[str, ...]:
        return (sys.executable, "-I", "-S", "-c", TINY, str(file))

    monkeypatch.setattr(Campaign, "_command", command)
    return fake


def test_each_runs_table_shows_its_proofs_and_repeated_scenarios_are_counted(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tiny / "recorded").mkdir()
    proof = Evidence(text="seen so", event=0)
    write_verdicts(Run(tiny / "recorded"), [Verdict(check="it", status=Status.FAIL, summary="so", evidence=(proof,))])
    [word] = fake_runs.write(tiny, bad="FAIL")
    assert campaign("runs", 2, output="table", repeat=2).perform((word,), run_all=False) == EXIT_CHECK_FAILED
    said = capsys.readouterr()
    assert said.out.count("it: seen so [event 0]") == 2
    assert "0 of 2" in said.out
    assert len(set(re.findall(r"bed (run-[0-9a-f]{6}-\d): begun", said.err))) == 2


def test_a_bed_that_breaks_with_many_words_ends_no_other_run(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its record has no run: what it has to say may be longer than any name of a file."""
    words = tuple(fake_runs.write(tiny, long="BROKEN LONG", good="PASS"))
    assert campaign("runs", 2, output="table").perform(words, run_all=False) == EXIT_ENVIRONMENT
    shown = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert ["ERROR", "long"] in shown
    assert ["PASS", "good"] in shown


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        ("{", "verdicts.json cannot be read: Expecting"),
        ("[]", "verdicts.json holds no verdicts"),
        ('{"verdicts": 3}', "verdicts.json holds no verdicts"),
        ('{"verdicts": [7, {"status": "FINE"}]}', "2 verdicts of verdicts.json cannot be read"),
    ],
)
def test_recorded_verdicts_that_cannot_be_read_are_said_and_end_nobody(
    recorded: str, said: str, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tiny / "recorded").mkdir()
    (tiny / "recorded" / "verdicts.json").write_text(recorded)
    words = tuple(fake_runs.write(tiny, bad="FAIL", good="PASS"))
    assert campaign("runs", 2, output="table").perform(words, run_all=False) == EXIT_CHECK_FAILED
    shown = capsys.readouterr()
    assert f"warning: bad: recorded: {said}" in shown.err
    assert ["PASS", "good", "recorded"] in [line.split() for line in shown.out.splitlines()]


def test_a_run_that_is_lost_is_an_error_beside_what_the_others_gave(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = tuple(fake_runs.write(tiny, good="PASS", gone="KILL"))
    assert campaign("runs", 2).perform(words, run_all=False) == EXIT_ENVIRONMENT
    good, gone = json.loads(capsys.readouterr().out)
    assert (gone["status"], gone["summary"]) == ("ERROR", "killed by SIGKILL")
    assert good["status"] == "PASS" or good["summary"].endswith(", since another run was lost")


def test_a_run_that_is_refused_at_its_turn_has_that_exit_status_and_ends_no_other(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = tuple(fake_runs.write(tiny, edited="REFUSED", good="PASS"))
    assert campaign("runs", 2).perform(words, run_all=False) == EXIT_USAGE
    said = capsys.readouterr()
    assert [row["status"] for row in json.loads(said.out)] == ["ERROR", "PASS"]
    assert "error: edited meanwhile" in said.err


def test_what_stays_of_a_killed_runs_bed_is_an_exit_status_beside_all_that_is_known(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stays(*_: object) -> None:
        raise CleanupIncomplete("a network stays")

    monkeypatch.setattr("testbed.side_by_side.leftovers.await_all_undone", stays)
    words = tuple(fake_runs.write(tiny, gone="KILL", good="PASS"))
    assert campaign("runs", 2).perform(words, run_all=False) == EXIT_CLEANUP_INCOMPLETE
    said = capsys.readouterr()
    gone, _ = json.loads(said.out)
    assert (gone["scenario"], gone["summary"]) == ("gone", "killed by SIGKILL")
    assert "killed by SIGKILL" in Path("runs.md").read_text()
    assert said.err.count("error: a network stays") == 1


def test_random_runs_side_by_side_are_saved_where_they_do_not_pass(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def drawn(options: RandomOptions, seed: int, runs: Path) -> list[LoadedScenario]:
        every = [random_scenario(bed(), seed, n, bed=["bed.yaml"]) for n in range(1, options.count + 1)]
        endings = ("PASS", "BROKEN", "FAIL", "REFUSED")
        told = [one.model_copy(update={"description": ending}) for one, ending in zip(every, endings, strict=True)]
        return [as_loaded(one, runs) for one in told]

    monkeypatch.setattr("testbed.campaign.drawn", drawn)
    options = RandomOptions(count=4, seed=7, files=(shipped_beds() / "bed.yaml",), phones=2, profile="quick")
    assert campaign("runs", 2, output="table").perform_random(options) == EXIT_ENVIRONMENT
    saved = {path.name for path in (tiny / "runs").glob("*.yaml")}
    assert saved == {"random-7-2.scenario.yaml", "random-7-3.scenario.yaml", "random-7-4.scenario.yaml"}
    said = capsys.readouterr()
    assert "`testbed run runs/random-7-2.scenario.yaml` repeats it" in said.err
    assert [line.split()[:2] for line in said.out.splitlines()[-4:]] == [
        ["PASS", "random-7-1"],
        ["ERROR", "random-7-2"],
        ["FAIL", "random-7-3"],
        ["ERROR", "random-7-4"],
    ]


def test_what_was_told_to_end_or_not_begun_has_no_verdict() -> None:
    rows = [outcome_of("a", None).rows[0], outcome_of("a", Ended(code=4, why="killed", was_told=True)).rows[0]]
    assert {row["status"] for row in rows} == {"ERROR"}
    assert [row["summary"] for row in rows] == ["not begun: another run was lost", "killed, since another run was lost"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--jobs", "0"], "0 is not in the range"),
        (["--jobs", "-3"], "-3 is not in the range"),
        (["--jobs", "1000"], "1000 is not in the range"),
        (["--jobs", "two"], "'two' is not a valid integer"),
        (["--jobs", "2", "--keep"], "--keep leaves one bed up"),
        (["--jobs", "2", "--name", "No Name"], "is no name for a bed"),
        (["--jobs", "2", "--name", "a" * 30], "is no name for a bed"),
        (["--jobs", "2"], "BED_PREFIX=10.77 is a block of addresses for one bed"),
    ],
)
def test_what_cannot_be_done_side_by_side_is_refused_before_anything_begins(
    words: list[str], said: str, fake: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if len(words) == 2 and words[1] == "2":
        monkeypatch.setenv("BED_PREFIX", "10.77")
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "rehome-stop", "rehome-kill", *words])
    assert end.value.code == EXIT_USAGE
    assert said in capsys.readouterr().err
    assert not (fake / "runs").exists()
