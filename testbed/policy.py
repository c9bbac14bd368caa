"""Marking policies: which code points each traffic class may carry. Built-in ones are YAML files in ``policies/``.

``classes`` is the short form, one list of code points a class. ``rules`` are for what needs more: one protocol, some ports, some prefixes,
one cause or direction, a mark that is expected among several allowed, or an offence that only warns.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from testbed.document import is_file, read_document, unknown_word, validated
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


Cause = Literal["call-control", "service", "unexplained"]
"""Who started an RTP flow: call control (StartMediaTransmission, OpenReceiveChannelAck), a phone service (a pushed RTP URI), or nobody that
was seen."""
CAUSES: tuple[str, ...] = get_args(Cause)

MAX_PORT = 65535


def _port_range(value: Any) -> tuple[int, int]:
    """``2000`` or ``"16384-32767"``, both ends included."""
    low, dash, high = str(value).partition("-")
    words = (low.strip(), high.strip() if dash else low.strip())
    if isinstance(value, bool) or not all(word.isascii() and word.isdigit() and len(word) < 6 for word in words):
        raise ValueError("must be a port or a range of ports, for example 2000 or 16384-32767")
    first, last = map(int, words)
    if not first <= last <= MAX_PORT:
        raise ValueError(f"must be ports of 0-{MAX_PORT}, the lower one first")
    return first, last


def _prefix(value: Any) -> str:
    try:
        return str(ipaddress.ip_network(value if isinstance(value, str) else "", strict=False))
    except ValueError:
        raise ValueError("must be an address or a prefix, for example 10.1.0.0/16") from None


PortRange = Annotated[
    tuple[int, int],
    PlainValidator(_port_range),
    PlainSerializer(lambda ports: "{}-{}".format(*ports)),
    WithJsonSchema({"type": ["string", "integer"]}),
]
Prefix = Annotated[str, PlainValidator(_prefix), WithJsonSchema({"type": "string"})]


class Rule(BaseModel):
    """Packets that meet every condition given may carry ``allowed``; of these ``expected`` is what the design means, the others are only
    told. ``ports`` and ``prefixes`` match on either side; ``direction``: up is towards the server. ``severity: warn`` never fails."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: str = Field(alias="rule", min_length=1)
    traffic: TrafficClass | None = Field(default=None, alias="class")
    protocol: Literal["tcp", "udp"] | None = None
    ports: tuple[PortRange, ...] = ()
    prefixes: tuple[Prefix, ...] = ()
    cause: Cause | None = None
    direction: Literal["both", "up", "down"] = "both"
    allowed: Marks
    expected: CodePoint | None = None
    severity: Literal["fail", "warn"] = "fail"

    @model_validator(mode="after")
    def _is_consistent(self) -> Rule:
        if not (self.traffic or self.protocol or self.ports or self.prefixes):
            raise ValueError("must say which packets: class, protocol, ports or prefixes")
        if self.expected is not None and self.expected not in self.allowed:
            raise ValueError("expected must be one of allowed")
        return self


class Policy(BaseModel):
    """Allowed code points (0-63) per traffic class; a class that is not named has no rule. ``ports`` says by which ports a class is
    known, where they differ from the usual ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: str = Field(alias="policy")
    source: str = ""
    classes: Mapping[TrafficClass, Marks] = Field(default_factory=dict)
    ports: Mapping[TrafficClass, tuple[PortRange, ...]] = Field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _has_rules(self) -> Policy:
        if not self.classes and not self.rules:
            raise ValueError("must have classes or rules")
        names = [rule.name for rule in self.every_rule]
        if len(set(names)) < len(names):
            raise ValueError("no two rules may have one name, which a class has too")
        return self

    @property
    def every_rule(self) -> tuple[Rule, ...]:
        """The short form as rules that are named after their class, then ``rules``."""
        short = (
            Rule.model_validate({"rule": name, "class": name, "allowed": marks}) for name, marks in self.classes.items()
        )
        return (*short, *self.rules)


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
    if not is_file(path):
        raise ScenarioError("no such policy file", file=name_or_path, hint=known)
    return validated(read_document(path), Policy)
