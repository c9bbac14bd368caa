"""What is too long for every push: every built-in scenario in profile quick, and the re-homes at real timers."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import Testbed, describe

from testbed.scenario import builtin_scenarios, load_scenario

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(900), pytest.mark.usefixtures("clean")]

CASES = [(name, profile) for name in builtin_scenarios() for profile in load_scenario(name).scenario.profiles]


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_every_built_in_scenario_passes_in_every_profile_it_has(
    name: str, profile: str, testbed: Testbed, tmp_path: Path
):
    outcome = testbed("run", name, "--profile", profile, "--runs", tmp_path, "--output", "json", timeout_s=840)
    assert outcome.status == 0, describe(outcome)
