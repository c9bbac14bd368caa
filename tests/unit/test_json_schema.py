"""The schema that editors get, held against scenario files by another reader of schemas."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from recordings import bed

from testbed.checks import KINDS as CHECKS
from testbed.faults import KINDS as FAULTS
from testbed.json_schema import scenario_schema
from testbed.new_scenario import TEMPLATE
from testbed.random_schedule import random_scenario
from testbed.scenario import dump_scenario

ROOT = Path(__file__).parents[2]
FILES = [
    *(ROOT / "testbed" / "scenarios").glob("*.yaml"),
    *(ROOT / "tests" / "e2e" / "mutants").glob("*.scenario.yaml"),
]
SCHEMA = scenario_schema()


def wrong(scenario: Any) -> list[str]:
    return [error.message for error in Draft7Validator(SCHEMA).iter_errors(scenario)]


def test_it_is_a_schema_of_draft_7_and_valid_itself() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert "$defs" not in json.dumps(SCHEMA)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_scenario_that_ships_fits_it(file: Path) -> None:
    assert wrong(yaml.safe_load(file.read_text(encoding="utf-8"))) == []


def test_the_scenarios_of_the_documentation_fit_it() -> None:
    texts = re.findall(
        r"```yaml\n(scenario:.*?)```", (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8"), re.S
    )
    assert texts
    for text in [*texts, TEMPLATE.format(name="x", file="x")]:
        assert wrong(yaml.safe_load(text)) == []


@pytest.mark.parametrize("kind", list(FAULTS))
def test_every_fault_is_known_by_its_example(kind: str) -> None:
    assert wrong({"scenario": "x", "steps": [{"inject": yaml.safe_load(FAULTS[kind].example)}]}) == []


@pytest.mark.parametrize("kind", list(CHECKS))
def test_every_expectation_is_known(kind: str) -> None:
    parameters = SCHEMA["definitions"]["Expectation"]["properties"]
    assert kind in parameters


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_what_we_write_ourselves_fits_it(seed: int) -> None:
    assert wrong(yaml.safe_load(dump_scenario(random_scenario(bed(), seed, 1, bed=["bed.yaml"])))) == []


@pytest.mark.parametrize(
    "mistake",
    [
        {"scenari": "x"},
        {"scenario": "X y"},
        {"scenario": "x", "phones": -1},
        {"scenario": "x", "profile": "fast"},
        {"scenario": "x", "steps": [{"inject": {"kil": "ccm-1"}}]},
        {"scenario": "x", "steps": [{"inject": {"kill": "a", "stop": "a"}}]},
        {"scenario": "x", "steps": [{"inject": {}}]},
        {"scenario": "x", "steps": [{"inject": {"remark": "ccm-1"}}]},
        {"scenario": "x", "steps": [{"at": "4 hours"}]},
        {"scenario": "x", "steps": [{"press": "servces"}]},
        {"scenario": "x", "expect": [{"rehomed": {"form": "ccm-1"}}]},
        {"scenario": "x", "expect": [{"packets": {}}]},
    ],
)
def test_a_mistake_does_not_fit_it(mistake: dict[str, Any]) -> None:
    assert wrong(mistake)
