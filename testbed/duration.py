"""Lengths of time as people write them in files: ``10s``, ``500ms``, ``2 min``, ``4 keepalives``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from testbed.profile import PROFILES, Profile

MAX_S = 3600.0
"""No step of a scenario waits or lasts longer than an hour: a longer one is a slip of the pen."""

_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0}
_KEEPALIVES = "keepalives"
_PATTERN = r"[0-9]{1,7}(\.[0-9]{1,3})? ?(ms|s|min|keepalives?)"
_FORM = re.compile(_PATTERN)
_EXAMPLES = "write 10s, 500ms, 2 min or 4 keepalives"


@dataclass(frozen=True, kw_only=True, slots=True)
class Duration:
    """``amount`` of ``unit`` (ms, s, min, keepalives); a keepalive is as long as the profile says."""

    amount: float
    unit: str

    def seconds(self, profile: Profile) -> float:
        """Its length in seconds under this timer profile."""
        return self.amount * (profile.keepalive_s if self.unit == _KEEPALIVES else _SECONDS[self.unit])

    def __str__(self) -> str:
        space = "" if self.unit in ("ms", "s") else " "
        return f"{self.amount:.10g}{space}{self.unit}"


def parse_duration(value: Any) -> Duration:
    """The duration written here; ValueError says what is wrong and what to write instead."""
    if isinstance(value, Duration):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError(f"the duration {value} has no unit: {_EXAMPLES}")
    if not isinstance(value, str):
        raise ValueError(f"must be a duration: {_EXAMPLES}")
    if value.lstrip().startswith("-"):
        raise ValueError(f"the duration {value!r} is negative")
    if not _FORM.fullmatch(value):
        raise ValueError(f"{value[:40]!r} is no duration: {_EXAMPLES}")
    number = value.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = value[len(number) :].strip()
    duration = Duration(amount=float(number), unit=_KEEPALIVES if unit.startswith("keepalive") else unit)
    if max(duration.seconds(profile) for profile in PROFILES.values()) > MAX_S:
        raise ValueError(f"the duration {value!r} is longer than an hour")
    return duration


def _parse_positive(value: Any) -> Duration:
    duration = parse_duration(value)
    if duration.amount == 0:
        raise ValueError("must be longer than nothing")
    return duration


_WRITTEN = (PlainSerializer(str, return_type=str), WithJsonSchema({"type": "string", "pattern": f"^{_PATTERN}$"}))

DurationField = Annotated[Duration, PlainValidator(parse_duration), *_WRITTEN]
"""A field of a model that is written as a duration."""

PositiveDuration = Annotated[Duration, PlainValidator(_parse_positive), *_WRITTEN]
"""The same, but ``0s`` is refused."""
