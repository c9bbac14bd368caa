"""Kinds of faults, by the word a scenario uses."""

from __future__ import annotations

import difflib

from testbed.errors import UsageError
from testbed.faults.base import Fault, FaultKind, Plan
from testbed.faults.host import HostFreeze, HostKill, HostStop
from testbed.faults.link import LinkCut

KINDS: dict[str, FaultKind] = {kind.kind: kind for kind in (HostStop, HostKill, HostFreeze, LinkCut)}

__all__ = ["KINDS", "Fault", "FaultKind", "Plan", "fault_of"]


def fault_of(kind: str, target: str) -> Fault:
    """The fault of this kind at this host; UsageError lists the known kinds."""
    if kind not in KINDS:
        close = difflib.get_close_matches(kind, KINDS, n=1)
        raise UsageError(
            f"unknown kind of fault {kind!r}" + (f" (did you mean {close[0]!r}?)" if close else ""),
            hint="known kinds: " + ", ".join(KINDS),
        )
    return KINDS[kind](target)
