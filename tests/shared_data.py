"""Captures of others, which the project does not carry: tests that want one are skipped where it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def shared_capture(name: str) -> Path:
    """The file of this name, if it lies beside the checkout or where TESTBED_SHARED says."""
    shared = Path(os.environ.get("TESTBED_SHARED", Path(__file__).parents[2] / "shared"))
    file = shared / "data" / name
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    return file
