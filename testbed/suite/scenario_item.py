"""Scenarios as tests: performed on a bed of their own, failed by a verdict that is no PASS."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from testbed.engine.images import build_all
from testbed.errors import BedError
from testbed.run import RunOptions, run_scenario
from testbed.suite.marker import named_scenario
from testbed.verdict import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class ScenarioRun:
    """What came of a scenario; ``folder`` is its run folder."""

    folder: Path
    verdicts: list[Verdict]

    @property
    def passed(self) -> bool:
        """Every verdict is a PASS; INCONCLUSIVE is not."""
        return all(verdict.passed for verdict in self.verdicts)

    def __repr__(self) -> str:
        """For the message of a failed assertion."""
        return "\n".join(str(verdict) for verdict in self.verdicts if not verdict.passed) or "every verdict is a PASS"


class VerdictsNotPassed(Exception):
    """A scenario of which some verdict is no PASS; the text has them."""


def perform(
    word: str, *, runs: Path, beside: Path, profile: str | None = None, phones: int | None = None
) -> ScenarioRun:
    """On a bed of its own: the scenario of this name, or of this file ``beside`` the test."""
    loaded = named_scenario(word, beside=beside, profile=profile, phones=phones)
    runs.mkdir(parents=True, exist_ok=True)
    performed = run_scenario(loaded, RunOptions(images=build_all(lambda _: None), runs=runs), lambda _: None)
    if performed.left_behind:
        raise performed.left_behind
    return ScenarioRun(folder=performed.run.path, verdicts=performed.verdicts)


class ScenarioFile(pytest.File):
    """One test a file."""

    def collect(self) -> Iterable[pytest.Item]:
        name = self.path.name.removesuffix(".scenario.yaml")
        yield ScenarioItem.from_parent(self, name=name)


class ScenarioItem(pytest.Item):
    """The scenario of a file."""

    def runtest(self) -> None:
        from testbed.suite import plugin

        if self.config.getoption("no_bed"):
            pytest.skip("no bed is wanted (--no-bed)")
        run = perform(str(self.path), runs=plugin._runs(self.config), beside=self.path.parent)
        plugin._note(self, run.folder, run.verdicts)
        if not run.passed:
            raise VerdictsNotPassed(repr(run))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Verdicts and errors of ours in words; of anything else the traceback."""
        if isinstance(excinfo.value, VerdictsNotPassed | BedError):
            return "\n".join([str(excinfo.value), *getattr(excinfo.value, "__notes__", ())])
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it is, and what it is called."""
        return self.path, None, f"scenario {self.name}"
