"""Faults that a role has when asked to, by id: until they are healed, until their lease ends, or until the role itself ends.

Requests over the control socket, each with the fault's ``id``: ``fault`` (with ``kind``, its parameters and, optionally, ``lease_s``),
``renew`` (``lease_s``), ``heal``; ``faults`` lists them. A fault that is not held counts as healed: the role was started again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from testbed.errors import UsageError
from testbed.roles.control import Handler, number_in

MAX_HELD = 16
MAX_LEASE_S = 3600.0
MAX_ID_CHARS = 80

Undo = Callable[[], int]
"""Ends a fault; how many requests or messages it changed."""
Begin = Callable[[str, Mapping[str, Any]], Undo]
"""Makes a role have a fault of this id with these parameters; raises UsageError where they are wrong."""


class Report(Protocol):
    """Reports an event of this host."""

    def __call__(self, name: str, /, **data: object) -> None: ...


@dataclass(slots=True)
class _Held:
    kind: str
    undo: Undo
    lease: asyncio.TimerHandle | None = None


class HeldFaults:
    """What one role holds. ``kinds``: word -> what makes the role have such a fault."""

    def __init__(self, kinds: Mapping[str, Begin], report: Report) -> None:
        self._kinds, self._report = kinds, report
        self._held: dict[str, _Held] = {}

    @property
    def handlers(self) -> dict[str, Handler]:
        """For the role's control socket."""
        return {"fault": self.hold, "renew": self.renew, "heal": self.heal, "faults": self.ls}

    async def hold(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Have a fault from now on; when it began and took effect, realtime seconds."""
        fault_id, kind = _id_of(request), str(request.get("kind"))
        lease_s = _lease_of(request) if request.get("lease_s") is not None else None
        if kind not in self._kinds:
            raise UsageError(f"no kind of fault {kind!r} here", hint="known: " + ", ".join(self._kinds))
        if fault_id in self._held or len(self._held) >= MAX_HELD:
            raise UsageError(f"{fault_id} is held already" if fault_id in self._held else f"{MAX_HELD} faults are held")
        began_s = time.time()
        held = self._held[fault_id] = _Held(kind, self._kinds[kind](fault_id, request))
        effect_s = time.time()
        self._set_lease(fault_id, held, lease_s)
        self._report("RoleFaultBegan", fault_id=fault_id, kind=kind, lease_s=lease_s)
        return {"id": fault_id, "held": True, "began_s": began_s, "effect_s": effect_s}

    async def renew(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A new lease, from now."""
        fault_id, lease_s = _id_of(request), _lease_of(request)
        held = self._held.get(fault_id)
        if held is not None:
            self._set_lease(fault_id, held, lease_s)
        return {"id": fault_id, "held": held is not None}

    async def heal(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Be well again; ``effects``: how many requests or messages the fault changed."""
        fault_id, began_s = _id_of(request), time.time()
        held, effects = fault_id in self._held, self._end(fault_id, "healed")
        return {"id": fault_id, "held": held, "effects": effects, "began_s": began_s, "effect_s": time.time()}

    async def ls(self, _request: Mapping[str, Any]) -> dict[str, Any]:
        """What is held."""
        return {"faults": [{"id": fault_id, "kind": held.kind} for fault_id, held in self._held.items()]}

    def close(self) -> None:
        """The role ends: so do its faults."""
        for fault_id in list(self._held):
            self._end(fault_id, "role ended")

    def _set_lease(self, fault_id: str, held: _Held, lease_s: float | None) -> None:
        if held.lease is not None:
            held.lease.cancel()
        loop = asyncio.get_running_loop()
        held.lease = None if lease_s is None else loop.call_later(lease_s, self._end, fault_id, "lease ended")

    def _end(self, fault_id: str, cause: str) -> int:
        held = self._held.pop(fault_id, None)
        if held is None:
            return 0
        if held.lease is not None:
            held.lease.cancel()
        effects = held.undo()
        self._report("RoleFaultEnded", fault_id=fault_id, kind=held.kind, cause=cause, effects=effects)
        return effects


def _id_of(request: Mapping[str, Any]) -> str:
    fault_id = request.get("id")
    if not isinstance(fault_id, str) or not 0 < len(fault_id) <= MAX_ID_CHARS:
        raise UsageError(f"id: a text of at most {MAX_ID_CHARS} characters is needed")
    return fault_id


def _lease_of(request: Mapping[str, Any]) -> float:
    return number_in(request, "lease_s", least=0.01, most=MAX_LEASE_S)
