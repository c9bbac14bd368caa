"""What is too long for every push: every built-in scenario, in profile quick and at real timers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from driving import Outcome, SideBySide, Testbed, asked_for, describe

from testbed.scenario import builtin_scenarios, load_scenario

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(2400), pytest.mark.usefixtures("clean")]

PROFILES = {name: load_scenario(name).scenario.profiles for name in builtin_scenarios()}
QUICK = [name for name, profiles in PROFILES.items() if "quick" in profiles]
SRND = [name for name, profiles in PROFILES.items() if "srnd" in profiles]
AT_ONCE = max(1, (os.cpu_count() or 1) // 2)
"""Beds. One keeps two processors busy: two beds on them, and presses come seconds late and stalls look like delays."""
REAL_TIMERS_AT_ONCE = 5
"""Beds. At real timers a run takes minutes, nearly all of them waiting."""


def performed(testbed: Testbed, profile: str, runs: Path, names: list[str], *, at_once: int) -> SideBySide:
    def run(name: str) -> Outcome:
        return testbed("run", name, "--profile", profile, "--runs", runs, "--output", "json", timeout_s=840)

    return SideBySide(run, names, at_once=at_once)


@pytest.fixture(scope="module")
def quick(request: pytest.FixtureRequest, testbed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> SideBySide:
    names = asked_for(request, "test_every_built_in_scenario_passes", "name")
    return performed(testbed, "quick", tmp_path_factory.mktemp("quick"), names, at_once=AT_ONCE)


@pytest.fixture(scope="module")
def srnd(request: pytest.FixtureRequest, testbed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> SideBySide:
    names = asked_for(request, "test_every_built_in_scenario_passes_at_real_timers", "name")
    return performed(testbed, "srnd", tmp_path_factory.mktemp("srnd"), names, at_once=REAL_TIMERS_AT_ONCE)


@pytest.mark.parametrize("name", QUICK)
def test_every_built_in_scenario_passes(name: str, quick: SideBySide):
    assert quick[name].status == 0, describe(quick[name])


@pytest.mark.parametrize("name", SRND)
def test_every_built_in_scenario_passes_at_real_timers(name: str, srnd: SideBySide):
    assert srnd[name].status == 0, describe(srnd[name])
