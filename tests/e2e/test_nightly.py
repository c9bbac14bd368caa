"""What is too long for every push: every built-in scenario, in profile quick and at real timers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from driving import Outcome, Testbed, describe

from testbed.scenario import builtin_scenarios, load_scenario

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(2400), pytest.mark.usefixtures("clean")]

PROFILES = {name: load_scenario(name).scenario.profiles for name in builtin_scenarios()}
QUICK = [name for name, profiles in PROFILES.items() if "quick" in profiles]
SRND = [name for name, profiles in PROFILES.items() if "srnd" in profiles]
AT_ONCE = {"quick": 2, "srnd": 5}
"""Beds. At real timers a run takes minutes, nearly all of them waiting."""

Outcomes = Callable[[str, str], Outcome]


@pytest.fixture(scope="module")
def outcome_of(testbed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """(profile, name) -> what came of it; the first of a profile performs them all, several beds at once."""
    performed: dict[str, dict[str, Outcome]] = {}

    def perform(profile: str) -> dict[str, Outcome]:
        runs = tmp_path_factory.mktemp(profile)
        names = QUICK if profile == "quick" else SRND

        def run(name: str) -> Outcome:
            return testbed("run", name, "--profile", profile, "--runs", runs, "--output", "json", timeout_s=840)

        with ThreadPoolExecutor(AT_ONCE[profile]) as pool:
            return dict(zip(names, pool.map(run, names), strict=True))

    def outcome(profile: str, name: str) -> Outcome:
        if profile not in performed:
            performed[profile] = perform(profile)
        return performed[profile][name]

    return outcome


@pytest.mark.parametrize("name", QUICK)
def test_every_built_in_scenario_passes(name: str, outcome_of: Outcomes):
    outcome = outcome_of("quick", name)
    assert outcome.status == 0, describe(outcome)


@pytest.mark.parametrize("name", SRND)
def test_every_built_in_scenario_passes_at_real_timers(name: str, outcome_of: Outcomes):
    outcome = outcome_of("srnd", name)
    assert outcome.status == 0, describe(outcome)
