"""Marking policies: which code points each traffic class may carry. Built-in ones are YAML files in ``policies/``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema

from testbed.document import read_document, unknown_word, validated
from testbed.dscp import NAMES, code_point, name_of
from testbed.errors import ScenarioError, UsageError

TrafficClass = Literal["sccp", "http", "tftp", "rtp"]
CLASSES: tuple[str, ...] = get_args(TrafficClass)

FOLDER = Path(__file__).parent / "policies"


def _code_point(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError("must be a code point, for example AF31 or 26")
    try:
        return code_point(value)
    except UsageError:
        raise unknown_word(str(value), ["0-63", *NAMES.values()]) from None


CodePoint = Annotated[
    int, PlainValidator(_code_point), PlainSerializer(name_of), WithJsonSchema({"type": ["string", "integer"]})
]
"""A field of a model that is written as a name (``AF31``) or a number (26)."""

Marks = Annotated[tuple[CodePoint, ...], Field(min_length=1)]


class Policy(BaseModel):
    """Allowed code points (0-63) per traffic class; a class that is not named has no rule."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: str = Field(alias="policy")
    source: str = ""
    classes: Annotated[Mapping[TrafficClass, Marks], Field(min_length=1)]


def known_policies() -> list[str]:
    """Names of the built-in policies."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def policy(name_or_path: str) -> Policy:
    """The built-in policy of this name, or that of a YAML file; errors say what is known instead."""
    if name_or_path in known_policies():
        return validated(read_document(FOLDER / f"{name_or_path}.yaml"), Policy)
    known = "known policies: " + ", ".join(known_policies())
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        raise UsageError(f"no policy {name_or_path!r}", hint=known + "; or a .yaml file")
    if not path.is_file():
        raise ScenarioError("no such policy file", file=name_or_path, hint=known)
    return validated(read_document(path), Policy)
