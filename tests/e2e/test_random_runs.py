"""Random runs on real containers: a sound bed holds, a broken one is caught, and what broke it is shrunk to what is needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from driving import Testbed, describe

pytestmark = pytest.mark.usefixtures("clean")

FOOLED = ("-f", "bed.yaml", "-f", "slb-tcp-check.yaml", "--phones", "4")
"""A health check that a frozen server passes."""


def test_a_random_run_of_a_sound_bed_passes_and_is_judged_the_same_again(testbed: Testbed, tmp_path: Path):
    """Run 1 of seed 1956: ccm-1 and web-2 restarted, web-1 frozen."""
    outcome = testbed("run", "--random", "1", "--seed", "1956", "--phones", "4", "--runs", tmp_path, "--output", "json")
    assert outcome.status == 0, describe(outcome)
    figures = outcome.verdicts["invariants"][0]["figures"]
    assert figures["requests"] > 50
    assert figures["gaps"] >= 4
    first = json.loads((outcome.run / "verdicts.json").read_text())
    again = testbed("judge", outcome.run, "--output", "json")
    assert again.status == 0, describe(again)
    assert json.loads((outcome.run / "verdicts.json").read_text()) == first
    assert not list(tmp_path.glob("*.scenario.yaml"))


@pytest.mark.nightly
def test_a_fooled_health_check_is_caught_and_its_schedule_saved(testbed: Testbed, tmp_path: Path):
    """Run 1 of seed 97: web-1 frozen for longer than a phone waits."""
    outcome = testbed("run", "--random", "1", "--seed", "97", *FOOLED, "--runs", tmp_path, "--output", "json")
    assert outcome.status == 1, describe(outcome)
    verdict = outcome.verdicts["invariants"][0]
    assert verdict["status"] == "FAIL"
    assert "web-2 could have answered" in verdict["summary"]
    saved = tmp_path / "random-97-1.scenario.yaml"
    assert f"`testbed run {saved}` repeats it" in outcome.err
    assert testbed("validate", saved).status == 0


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_a_failing_schedule_is_shrunk_to_the_fault_that_is_needed(testbed: Testbed, tmp_path: Path):
    """Run 1 of seed 585: web-1 frozen, ccm-bk frozen, ccm-1 restarted; only the first has to do with pages of web-1."""
    outcome = testbed("run", "--random", "1", "--seed", "585", *FOOLED, "--runs", tmp_path, timeout_s=120)
    assert outcome.status == 1, describe(outcome)
    saved = tmp_path / "random-585-1.scenario.yaml"
    shrunk = testbed("shrink", saved, "--trials", "12", "--runs", tmp_path, timeout_s=600)
    assert shrunk.status == 0, describe(shrunk)
    assert "3 faults, 1 of them needed: freeze web-1" in shrunk.err
    again = testbed("run", tmp_path / "random-585-1-shrunk.scenario.yaml", "--runs", tmp_path)
    assert again.status == 1, describe(again)
