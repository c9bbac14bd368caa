"""The marker ``bed_scenario``, held against what there is where tests are collected: no Docker, and no bed, is needed to find a mistake."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from testbed.document import is_file, known_words
from testbed.errors import BedError, UsageError
from testbed.scenario import LoadedScenario, load_scenario
from testbed.suite.plugin import MARKER
from testbed.validate import validate_scenario

WORDS = {"profile": str, "phones": int}
"""What the marker takes beside the scenario, by name."""


def named_scenario(word: str, *, beside: Path, profile: str | None = None, phones: int | None = None) -> LoadedScenario:
    """A built-in scenario by name, or one of a file, relative to the test's own folder; ScenarioError or UsageError otherwise."""
    file = beside / word
    return load_scenario(file if is_file(file) else word, profile=profile, phones=phones)


def problems(items: Iterable[Any]) -> list[str]:
    """What is wrong with the markers of these tests (other things among them are passed over), a text each, with file and line."""
    found: dict[int, str] = {}
    for item in items:
        marker = item.get_closest_marker(MARKER) if isinstance(item, pytest.Item) else None
        # One at a class or a module is the same object for each of its tests.
        if marker is None or id(marker) in found:
            continue
        file, line, test = item.location
        try:
            _check(marker, item.path.parent)
            found[id(marker)] = ""
        except BedError as error:
            where = file if line is None else f"{file}:{line + 1}"
            said = [f"{where}: {test}: @pytest.mark.{MARKER}: {error}", *getattr(error, "__notes__", ())]
            found[id(marker)] = "\n  ".join(said)
    return [said for said in found.values() if said]


def _check(marker: pytest.Mark, beside: Path) -> None:
    if len(marker.args) != 1 or not isinstance(marker.args[0], str):
        raise UsageError("takes one scenario, by its name or its file", hint=f'@pytest.mark.{MARKER}("rehome-kill")')
    for word, value in marker.kwargs.items():
        if word not in WORDS:
            raise UsageError(f"unknown word {word!r}", hint=known_words(word, WORDS))
        if value is not None and type(value) is not WORDS[word]:
            noun = "text" if WORDS[word] is str else "a whole number"
            raise UsageError(f"{word} must be {noun}, not {value!r}")
    validate_scenario(named_scenario(marker.args[0], beside=beside, **marker.kwargs))
