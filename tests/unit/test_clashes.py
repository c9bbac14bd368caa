from __future__ import annotations

from pathlib import Path

import pytest
from recordings import bed
from test_schedule import steps_of

from testbed.clashes import clashes
from testbed.errors import ScenarioError
from testbed.profile import PROFILES
from testbed.scenario import check_against, load_scenario

FREEZE, KILL, CUT, OTHER = (
    f"inject: {{{kind}: {host}}}"
    for kind, host in (("freeze", "ccm-1"), ("kill", "ccm-1"), ("cut", "ccm-1"), ("kill", "web-1"))
)


def found(text: str) -> list[tuple[int, int]]:
    steps = steps_of(text)
    claims = [step.inject.fault.claims(bed()) if step.inject else frozenset() for step in steps]
    return [(clash.first.step, clash.second.step) for clash in clashes(steps, PROFILES["quick"], claims)]


@pytest.mark.parametrize(
    "text",
    [
        f"- {{at: 1s, {FREEZE}, for: 4s}}\n- {{at: 3s, {KILL}, for: 1s}}\n",
        f"- {{at: 1s, {FREEZE}, for: 2s}}\n- {{at: 3s, {KILL}}}\n",
        f"- {{at: 1s, {FREEZE}}}\n- {{after: rehomed, {KILL}}}\n",
        f"- {{at: 1s, {FREEZE}, until: 9s}}\n- {{at: 8s, {KILL}}}\n",
        f"- {{{FREEZE}, for: 4s}}\n- {KILL}\n",
        f"- {{after: rehomed, {FREEZE}, for: 4s}}\n- {KILL}\n",
        f"- {{at: 1s, {FREEZE}, for: 1s, every: 3s, times: 4}}\n- {{at: 7500ms, {KILL}}}\n",
        f"- {{at: 1s, {FREEZE}, for: 1s, every: 3s, until: 20s}}\n- {{at: 4500ms, {KILL}, for: 1s}}\n",
    ],
)
def test_faults_that_exclude_each_other_and_meet_for_certain_are_found(text: str) -> None:
    assert found(text)[0] == (0, 1)


@pytest.mark.parametrize(
    "text",
    [
        f"- {{at: 1s, {FREEZE}, for: 1s}}\n- {{at: 3s, {KILL}}}\n",
        f"- {{at: 1s, {FREEZE}, until: rehomed}}\n- {KILL}\n",
        f"- {{at: 1s, {FREEZE}, until: 2s}}\n- {{at: 3s, {KILL}}}\n",
        f"- {{at: 1s, {FREEZE}, for: 4s}}\n- {{at: 3s, {CUT}}}\n",
        f"- {{at: 1s, {FREEZE}, for: 4s}}\n- {{at: 3s, {OTHER}}}\n",
        f"- {{at: 1s, {FREEZE}, for: 4s}}\n- {{after: returned, {KILL}}}\n",
        f"- {{after: rehomed, {FREEZE}, for: 4s}}\n- {{at: 20s, {KILL}}}\n",
        f"- {{at: 1s, {FREEZE}, for: 1s, every: 3s, times: 4}}\n- {{at: 2500ms, {KILL}, for: 1s}}\n",
        "- {at: 1s, inject: {restart: ccm-1}}\n- {at: 3s, inject: {kill: ccm-1}}\n",
    ],
)
def test_faults_that_do_not_meet_or_get_on_are_let_through(text: str) -> None:
    assert found(text) == []


def test_a_clash_is_refused_with_line_and_place_before_anything_is_touched(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(f"scenario: x\nsteps:\n- {{at: 1s, {FREEZE}, for: 4s}}\n- {{at: 3s, {KILL}}}\n", encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        check_against(load_scenario(file), bed())
    assert (caught.value.line, caught.value.path) == (4, "steps.1.inject.kill")
    assert "kill ccm-1 begins, at 3 s, while freeze ccm-1 (steps.0) lasts until 5 s" in caught.value.message
    assert "workload:ccm-1" in caught.value.message
