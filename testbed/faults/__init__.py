"""Kinds of faults, by the word a scenario uses: ours, and those of plug-ins (entry points ``testbed.faults``)."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import ValidationError

from testbed.document import known_words
from testbed.errors import UsageError
from testbed.faults.application import HttpError, HttpSlow, Mute, RegisterReject
from testbed.faults.base import Family, Fault, Plan
from testbed.faults.host import HostFreeze, HostKill, HostPowerOff, HostRestart, HostStop
from testbed.faults.impair import IMPAIRMENTS
from testbed.faults.link import LinkCut, LinkCutIn, LinkCutOut, LinkDown, LinkFlap, LinkReject
from testbed.faults.marking import Bleach, Remark
from testbed.plugins import FAULTS, NotAKind, Registry

_OWN: tuple[type[Fault], ...] = (
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


def _accepted(word: str, kind: object, _origin: str) -> type[Fault]:
    """What an entry point must be: a Fault of that word, with all that lists and errors say of it."""
    if not (isinstance(kind, type) and issubclass(kind, Fault)):
        raise NotAKind("is no class derived from testbed.faults.base.Fault")
    absent = [name for name in ("kind", "help", "example", "family") if not isinstance(getattr(kind, name, None), str)]
    if absent:
        raise NotAKind(f"has no {', '.join(absent)}")
    if kind.kind != word:
        raise NotAKind(f"calls itself {kind.kind!r}: entry point and kind must be the same word")
    if kind.family not in get_args(Family):
        raise NotAKind(f"is of no known family: {kind.family!r}; known: {', '.join(get_args(Family))}")
    if kind.plan is Fault.plan:
        raise NotAKind("has no plan")
    return kind


KINDS: Registry[type[Fault]] = Registry(FAULTS, ((kind.kind, kind) for kind in _OWN), _accepted)

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
