"""The built-in policies, without the strict reader of policy files: they are ours and tests hold them to it, and to load it takes longer
than to read a capture of a hundred thousand packets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

from testbed.dscp import code_point

FOLDER = Path(__file__).parents[1] / "policies"

Marks = Mapping[str, tuple[int, ...]]
"""Allowed code points by class."""


@cache
def known_marks() -> Mapping[str, Marks]:
    """Of every built-in policy, by name."""
    read = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}
    return {
        name: {traffic: tuple(map(code_point, words)) for traffic, words in content["classes"].items()}
        for name, content in read.items()
    }
