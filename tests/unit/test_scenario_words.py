"""docs/scenarios.md against what is registered: its tables are made from the code, and every other word of a scenario is told of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, get_args

import pytest
from pydantic import BaseModel, Field

from testbed.checks import KINDS as CHECKS
from testbed.duration import PositiveDuration, parse_duration
from testbed.faults import KINDS as FAULTS
from testbed.scenario import builtin_scenarios
from testbed.scenario_model import ACTS, Fact, Scenario, Steady, Step
from testbed.scenario_words import parameters, tables, written

DOCUMENT = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text(encoding="utf-8")
FACTS: tuple[str, ...] = get_args(Fact)


def section(title: str) -> str:
    return DOCUMENT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> dict[str, str]:
    """First word of each row of its tables -> the row."""
    return {found[1]: found[0] for found in re.finditer(r"^\| `([a-z-]+)\b.*$", text, re.M)}


def words_of(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


class Sample(BaseModel):
    needed: str
    when: Literal["before", "after"] = "before"
    lasts: PositiveDuration = parse_duration("3s")
    share: float = 100.0
    from_: str | None = Field(default=None, alias="from")
    phones: Literal["all"] | tuple[str, ...] = "all"
    many: tuple[str, ...] = ()
    is_kept: bool = False


def test_the_tables_in_the_docs_are_those_made_now() -> None:
    assert written(DOCUMENT) == DOCUMENT, "make docs"


def test_a_table_that_has_drifted_is_made_anew() -> None:
    assert written(DOCUMENT.replace("| `kill` |", "| `kil` |")) == DOCUMENT
    assert written(re.sub(r"^\| `(carried|power-off)` .*\n", "", DOCUMENT, flags=re.M)) == DOCUMENT


def test_a_document_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="kinds of faults"):
        written(DOCUMENT.replace("<!-- end of kinds of faults -->", ""))


def test_every_kind_and_every_built_in_scenario_has_its_row() -> None:
    made = tables()
    assert list(rows(made["kinds of faults"])) == [word for word in FAULTS if FAULTS.origin(word) == "testbed"]
    assert list(rows(made["kinds of expectations"])) == [word for word in CHECKS if CHECKS.origin(word) == "testbed"]
    assert re.findall(r"^\| \[([a-z0-9-]+)\]", made["built-in scenarios"], re.M) == builtin_scenarios()


def test_a_parameter_is_told_with_its_choices_its_default_and_whether_it_is_needed() -> None:
    assert parameters(Sample, known=["many"]) == (
        "**`needed`**, `when: before/after` (before), `lasts` (3s), `share` (100), `from`, `phones` (all), `is_kept` (false)"
    )


def test_every_act_and_every_fact_of_a_step_is_told_with_its_words() -> None:
    found = rows(section("Steps"))
    assert list(found) == [*sorted(ACTS, key=list(found).index), *FACTS]
    for act in set(ACTS) - {"inject", "press"}:
        (model,) = [part for part in get_args(Step.model_fields[act].annotation) if part is not type(None)]
        assert [word for word in words_of(model) if f"{word}:" not in found[act]] == [], act


def test_every_key_of_a_scenario_and_of_a_step_is_told() -> None:
    keys = {*words_of(Scenario), *words_of(Step), *words_of(Steady)}
    assert [key for key in sorted(keys) if not re.search(rf"\b{key}:|`{key}`", DOCUMENT)] == []
