"""What the end-to-end tests share: the command line as a user calls it, and what of ours is on the machine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from testbed.scenario import load_scenario


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command of the test-bed did."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def verdicts(self) -> dict[str, list[dict[str, Any]]]:
        """Kind of check -> its verdicts, of `run --output json`."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.json:
            found.setdefault(row["check"].split(" ")[0], []).append(row)
        return found

    @property
    def run(self) -> Path:
        return Path(self.json[0]["run"])


Testbed = Callable[..., Outcome]


class SideBySide:
    """What comes of scenarios that tests of a module ask for by name: the first that is asked for has them all performed, two beds at
    once unless told otherwise. Those with media come afterwards and have the machine to themselves: pauses of 40 ms are judged in them.
    """

    def __init__(
        self, perform: Callable[[str | Path], Outcome], names: Iterable[str | Path], *, at_once: int = 2
    ) -> None:
        self._perform, self._at_once = perform, at_once
        self._names = sorted(names, key=has_media)
        self._done: dict[str | Path, Future[Outcome]] = {}

    def __getitem__(self, name: str | Path) -> Outcome:
        if not self._done:
            for alone, names in groupby(self._names, key=has_media):
                with ThreadPoolExecutor(1 if alone else self._at_once) as pool:
                    self._done |= {one: pool.submit(self._perform, one) for one in names}
        return self._done[name].result()


def has_media(scenario: str | Path) -> bool:
    """Whether a step of this scenario starts RTP streams."""
    return any(step.call or step.push or step.stream for step in load_scenario(scenario).scenario.steps)


def asked_for(request: pytest.FixtureRequest, test: str, parameter: str) -> list[str]:
    """This parameter's values in those tests of this name in the module that are going to run."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    return [
        item.callspec.params[parameter] for item in items if item.module is request.module and item.originalname == test
    ]


def ours() -> set[str]:
    """Containers and networks that carry a bed's label or project."""
    found: set[str] = set()
    for what in ("ps", "-a"), ("network", "ls"):
        done = subprocess.run(
            ["docker", *what, "--format", "{{.ID}} {{.Names}}" if what[0] == "ps" else "{{.ID}} {{.Name}}"],
            capture_output=True,
            text=True,
            check=True,
        )
        found |= {line for line in done.stdout.splitlines() if "testbed-" in line}
    return found


def is_miscounted(named: str) -> bool:
    """Whether this is a network that the engine keeps for an endpoint it does not know (moby#42119), as nobody but the engine can."""
    network = named.split()[0]
    asked = subprocess.run(
        ["docker", "network", "inspect", "--format", "{{len .Containers}}", network],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.stdout.strip() != "0":
        return False
    refused = subprocess.run(["docker", "network", "rm", network], capture_output=True, text=True, check=False)
    return "has active endpoints" in refused.stderr


def describe(outcome: Outcome) -> str:
    """For the message of a failed assertion."""
    return f"exit status {outcome.status}\n{outcome.out[-3000:]}\n{outcome.err[-3000:]}"
