"""The page's failure matrix, ``docs/page-matrix.md``: a row for every claim of the page and every way to fail.

Made from what scenarios say they show (``shows``), and from the tests that say which claim's loss they catch. ``python -m
testbed.page_matrix`` prints it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from testbed.page import CLAIMS, Claim
from testbed.scenario import SUFFIX, builtin_scenarios, load_scenario
from testbed.scenario_model import Scenario, Step

MARKER = "catches"
"""``@pytest.mark.catches("phones-rehome")``: a test in which that claim is made false, and a check must say so."""

_ROOT = Path(__file__).parent.parent

_HEAD = """# The page's failure matrix

What page 11-6 of Cisco's IP Telephony SRND claims, in the order of the page, and every way to fail under which a scenario of the
test-bed looks at it. Made by `make docs` from the scenarios' own `shows` and from the tests; do not edit.

A claim is a prediction: that something *goes on*, or that something *breaks*. **Holds in** names the scenarios in which the prediction
comes true, **does not hold in** those in which it does not, because a remedy is missing, fooled or gone as well; where no scenario shows
that for this way to fail, the ones for another follow in brackets. **Caught by** names tests in which a recording or a bed was spoiled so
that the claim is false, and a check must say so.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A claim under one way to fail; names of scenarios, and of tests (path from the root, with its name behind ``::``)."""

    claim: Claim
    failure: str
    holds: tuple[str, ...]
    broken: tuple[str, ...]
    elsewhere: tuple[str, ...]
    caught: tuple[str, ...]


def failure_of(scenario: Scenario) -> str:
    """The way to fail: its faults, in the words of the scenario; ``no fault``."""
    return ", ".join(dict.fromkeys(_words(step) for step in scenario.steps if step.inject)) or "no fault"


def _words(step: Step) -> str:
    assert step.inject is not None
    fault = step.inject.fault
    more = fault.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    particulars = " ".join(f"{name} {value}" for name, value in more.items() if name != "at")
    return str(fault) + (f", {particulars}" if particulars else "")


def rows(scenarios: Sequence[Scenario], mutants: Mapping[str, Sequence[str]]) -> list[Row]:
    """One for each claim and way to fail that some scenario shows; one without a way for a claim that none does."""
    found = []
    for claim in CLAIMS:
        holding = [one for one in scenarios if claim.name in one.shows.holds]
        breaking = [one for one in scenarios if claim.name in one.shows.broken]
        failures = dict.fromkeys(failure_of(one) for one in (*holding, *breaking))
        for failure in failures or ("no scenario yet",):
            here = _named(breaking, failure)
            found.append(
                Row(
                    claim=claim,
                    failure=failure,
                    holds=_named(holding, failure),
                    broken=here,
                    elsewhere=() if here else tuple(one.scenario for one in breaking),
                    caught=tuple(mutants.get(claim.name, ())),
                )
            )
    return found


def _named(scenarios: Iterable[Scenario], failure: str) -> tuple[str, ...]:
    return tuple(one.scenario for one in scenarios if failure_of(one) == failure)


def mutants(root: Path = _ROOT) -> dict[str, list[str]]:
    """Claim -> tests that catch its loss: those with the marker, and beds that are broken on purpose."""
    found: dict[str, list[str]] = {}
    for file in sorted((root / "tests").rglob("test_*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for test in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
            for name in _caught(test):
                found.setdefault(name, []).append(f"{file.relative_to(root)}::{test.name}")
    for file in sorted((root / "tests" / "e2e" / "mutants").glob(f"*{SUFFIX}")):
        for name in load_scenario(file).scenario.shows.broken:
            found.setdefault(name, []).append(str(file.relative_to(root)))
    return found


def _caught(test: ast.FunctionDef) -> list[str]:
    calls = [node for node in test.decorator_list if isinstance(node, ast.Call)]
    words = [
        arg for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == MARKER for arg in call.args
    ]
    return [word.value for word in words if isinstance(word, ast.Constant) and isinstance(word.value, str)]


def markdown(found: Sequence[Row]) -> str:
    """The document."""
    parts = [_HEAD]
    for section in dict.fromkeys(claim.section for claim in CLAIMS):
        own = [row for row in found if row.claim.section == section]
        parts.append(f"## {section}\n")
        for claim in dict.fromkeys(row.claim for row in own):
            parts.append(f"- **{claim.name}** ({claim.predicts}): {claim.says}")
        parts.append("\n| claim | predicts that it | failure | holds in | does not hold in | caught by |")
        parts.append("|---|---|---|---|---|---|")
        parts += [_line(row) for row in own]
        parts.append("")
    targets = {
        _label(name): _target(name) for row in found for name in (*row.holds, *row.broken, *row.elsewhere, *row.caught)
    }
    return "\n".join([*parts, *(f"[{label}]: {target}" for label, target in sorted(targets.items())), ""])


def _line(row: Row) -> str:
    broken = _links(row.broken) or (f"({_links(row.elsewhere)})" if row.elsewhere else "")
    cells = (
        row.claim.name,
        row.claim.predicts,
        row.failure.replace("|", "\\|"),
        _links(row.holds),
        broken,
        _links(row.caught),
    )
    return "| " + " | ".join(cell or "—" for cell in cells) + " |"


def _links(names: Iterable[str]) -> str:
    return ", ".join(f"[{_label(name)}]" for name in names)


def _label(name: str) -> str:
    """A scenario's name, or a test's as a sentence."""
    file, _, test = name.partition("::")
    return test.removeprefix("test_").replace("_", " ") or Path(file).name.removesuffix(SUFFIX)


def _target(name: str) -> str:
    file = name.partition("::")[0]
    return f"../{file}" if "/" in file else f"../testbed/scenarios/{name}{SUFFIX}"


def document(root: Path = _ROOT) -> str:
    """What ``docs/page-matrix.md`` holds."""
    scenarios = [load_scenario(name).scenario for name in builtin_scenarios()]
    return markdown(rows(scenarios, mutants(root)))


if __name__ == "__main__":
    click.echo(document(), nl=False)
