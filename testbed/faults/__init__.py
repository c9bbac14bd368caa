"""Kinds of faults, by the word a scenario uses."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from testbed.document import known_words
from testbed.errors import UsageError
from testbed.faults.application import HttpError, HttpSlow, Mute, RegisterReject
from testbed.faults.base import Fault, Plan
from testbed.faults.host import HostFreeze, HostKill, HostPowerOff, HostRestart, HostStop
from testbed.faults.impair import IMPAIRMENTS
from testbed.faults.link import LinkCut, LinkCutIn, LinkCutOut, LinkDown, LinkFlap, LinkReject
from testbed.faults.marking import Bleach, Remark

KINDS: dict[str, type[Fault]] = {
    kind.kind: kind
    for kind in (
        HostStop,
        HostKill,
        HostFreeze,
        HostRestart,
        HostPowerOff,
        LinkCut,
        LinkCutIn,
        LinkCutOut,
        LinkDown,
        LinkReject,
        LinkFlap,
        Bleach,
        Remark,
        HttpError,
        HttpSlow,
        RegisterReject,
        Mute,
        *IMPAIRMENTS,
    )
}

__all__ = ["KINDS", "Fault", "Plan", "fault_of"]


def fault_of(kind: str, target: str, **parameters: Any) -> Fault:
    """The fault of this kind at this target, parameters as a scenario writes them; UsageError lists what is known."""
    if kind not in KINDS:
        raise UsageError(f"unknown kind of fault {kind!r}", hint=known_words(kind, KINDS))
    try:
        return KINDS[kind].model_validate({"at": target, **parameters})
    except ValidationError as error:
        raise UsageError(_said(error, kind), hint=f"for instance {KINDS[kind].example}") from None


def _said(error: ValidationError, kind: str) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{kind}: " + (f"{where}: " if where else "") + first["msg"].removeprefix("Value error, ")
