"""What the end-to-end tests share: the command line as a user calls it, and what of ours is on the machine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
