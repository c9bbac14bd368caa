"""What is too long for every push: every built-in scenario, in profile quick and at real timers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from driving import Outcome, Testbed, describe

from testbed.scenario import builtin_scenarios, load_scenario

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(2400), pytest.mark.usefixtures("clean")]

PROFILES = {name: load_scenario(name).scenario.profiles for name in builtin_scenarios()}
QUICK = [name for name, profiles in PROFILES.items() if "quick" in profiles]
SRND = [name for name, profiles in PROFILES.items() if "srnd" in profiles]
AT_ONCE = 5
"""Beds. At real timers a run takes minutes, nearly all of them waiting."""


def performed(testbed: Testbed, name: str, profile: str, runs: Path) -> Outcome:
    return testbed("run", name, "--profile", profile, "--runs", runs, "--output", "json", timeout_s=840)


@pytest.mark.parametrize("name", QUICK)
def test_every_built_in_scenario_passes(name: str, testbed: Testbed, tmp_path: Path):
    outcome = performed(testbed, name, "quick", tmp_path)
    assert outcome.status == 0, describe(outcome)


@pytest.fixture(scope="module")
def at_real_timers(testbed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Several beds at once."""
    runs = tmp_path_factory.mktemp("srnd")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(SRND, pool.map(lambda name: performed(testbed, name, "srnd", runs), SRND), strict=True))


@pytest.mark.parametrize("name", SRND)
def test_every_built_in_scenario_passes_at_real_timers(name: str, at_real_timers: dict[str, Outcome]):
    assert at_real_timers[name].status == 0, describe(at_real_timers[name])
