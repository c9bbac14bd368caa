from __future__ import annotations

import json
from pathlib import Path

import pytest
import stories
from click.testing import CliRunner
from recordings import PHONES, Recording
from stories import BEGAN_S, HEALING_S

from testbed.cli import cli
from testbed.recording import Run
from testbed.times import markdown, times


def written(recording: Recording, path: Path, kind: str = "", **parameters: object) -> Run:
    """``kind`` and ``parameters`` replace those of the story's one fault."""
    for name in ("FaultIntended", "FaultConfirmed", "FaultHealed") if kind else ():
        recording.change(name, kind=kind, hosts=["ccm-1"], fault={"at": "ccm-1", **parameters})
    return recording.write(path)


def test_times_are_pooled_over_runs_and_told_apart_by_class(tmp_path: Path):
    runs = [
        stories.rehome("freeze").write(tmp_path / "1"),
        stories.rehome("freeze").write(tmp_path / "2"),
        stories.rehome("kill").write(tmp_path / "3"),
    ]
    kill, freeze = [own.to_json() for own in times(runs)]
    assert (kill["failure"], kill["runs"], kill["rehomed"]) == ("kill", 1, 2)
    assert (freeze["failure"], freeze["profile"], freeze["runs"], freeze["rehomed"]) == ("freeze", "quick", 2, 4)
    assert freeze["noticed_by"] == {"keepalive": 4}
    assert freeze["detection_max_s"] == pytest.approx(2.56, abs=1e-4)
    assert freeze["detection_p50_s"] == pytest.approx(2.55, abs=1e-4)
    assert freeze["registration_p50_s"] == pytest.approx(0.2, abs=1e-4)
    assert freeze["total_max_s"] == pytest.approx(2.76, abs=1e-4)
    assert freeze["allowed_s"] == [1.9, 4.0]


def test_a_refusal_by_icmp_is_a_class_of_its_own(tmp_path: Path):
    runs = [
        written(stories.rehome("kill"), tmp_path / "1", "reject", by="rst"),
        written(stories.rehome("cut"), tmp_path / "2", "reject", by="icmp"),
    ]
    assert [own.failure for own in times(runs)] == ["reject, by icmp", "reject, by rst"]


def test_phones_that_did_not_rehome_are_counted_and_have_no_time(tmp_path: Path):
    recording = stories.rehome("kill")
    recording.drop("Registered", phone=PHONES[1], at="ccm-bk")
    [own] = times([recording.write(tmp_path)])
    assert (own.rehomed, own.missing, len(own.seconds["total"])) == (1, 1, 1)
    assert own.to_row()["re-homed"] == "1 of 2"


def test_only_phones_that_a_fault_concerns_have_a_time(tmp_path: Path):
    recording = stories.booted()
    recording.fault("cut", f"{PHONES[0]}<->ccm-1", BEGAN_S, HEALING_S, hosts=("ccm-1",))
    stories.failed_over(recording, 0, "cut")
    [own] = times([recording.write(tmp_path)])
    assert (own.rehomed, own.missing) == (1, 0)


def test_a_fault_that_is_not_alone_and_one_that_concerns_no_phone_have_no_times(tmp_path: Path):
    both = stories.rehome("kill")
    both.fault("kill", "ccm-bk", BEGAN_S + 2, HEALING_S, hosts=("ccm-bk",))
    marks = written(stories.rehome("kill"), tmp_path / "3", "bleach")
    assert not times([both.write(tmp_path / "1"), stories.standby().write(tmp_path / "2"), marks])


def test_a_phone_that_reported_its_registration_only_has_a_total_and_no_parts(tmp_path: Path):
    recording = stories.rehome("kill")
    recording.drop("CallControlLost")
    [own] = times([recording.write(tmp_path)])
    row = own.to_row()
    assert (row["detection"], row["noticed by"]) == ("— / — / —", "—")
    assert row["total"] != "— / — / —"


def test_the_document_has_a_line_a_class_and_says_where_it_was_measured(tmp_path: Path):
    run = stories.rehome("kill").write(tmp_path)
    (tmp_path / "versions.json").write_text(json.dumps({"kernel": "6.1", "engine": {"version": "26.1"}}))
    text = markdown(times([run]), [run])
    assert (
        "| failure | profile | runs | re-homed | noticed by | detection | connection | registration | total |" in text
    )
    assert "| kill | quick | 1 | 2 of 2 | reset |" in text
    assert text.endswith("From 1 runs. Measured with: kernel 6.1, Docker Engine 26.1.\n")
    (tmp_path / "versions.json").write_text("[]")
    assert "nothing on record" in markdown(times([run]), [run])


@pytest.mark.parametrize("output", ["table", "json", "jsonl", "md"])
def test_the_command_prints_every_form_and_ends_well(output: str, tmp_path: Path):
    stories.rehome("kill").write(tmp_path / "run")
    result = CliRunner().invoke(cli, ["times", str(tmp_path / "run"), "--output", output], standalone_mode=False)
    assert result.return_value == 0
    assert "kill" in result.output
    if output == "json":
        assert json.loads(result.output)[0]["rehomed"] == 2


@pytest.mark.parametrize("output", ["table", "json", "md"])
def test_runs_without_a_rehome_end_with_the_status_of_nothing_ran(output: str, tmp_path: Path):
    stories.standby().write(tmp_path / "run")
    result = CliRunner().invoke(cli, ["times", str(tmp_path / "run"), "--output", output], standalone_mode=False)
    assert result.return_value == 5
    assert "no re-home in these runs" in result.output
