"""End-to-end tests drive the command line, as a user does, on real containers. No engine is an error here, never a skip."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import Outcome, Testbed, is_miscounted, ours

SCENARIO_TIMEOUT_S = 240


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("e2e")


@pytest.fixture(scope="session")
def testbed() -> Testbed:
    def call(*argv: str | Path, env: dict[str, str] | None = None, timeout_s: float = SCENARIO_TIMEOUT_S) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "testbed", *map(str, argv)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env={**os.environ, **(env or {})},
        )
        return Outcome(status=done.returncode, out=done.stdout, err=done.stderr)

    return call


@pytest.fixture
def clean(testbed: Testbed) -> Iterator[None]:
    """Nothing of ours before the test is there after it."""
    before = ours()
    yield
    assert {one for one in ours() ^ before if not is_miscounted(one)} == set()
