"""Keeps the journal of the faults that this process holds in one bed, and a claim behind them, should it die."""

from __future__ import annotations

import threading

from testbed import journal
from testbed.claims import Claim
from testbed.errors import EngineError
from testbed.faults.base import Fault, Plan


class Ledger:
    """``claim``: that of a bed which goes with its owner. In a bed that stands by itself, the first fault takes one of its own."""

    def __init__(self, bed: str, claim: Claim | None = None) -> None:
        self._bed, self._claim = bed, claim
        self._lock = threading.Lock()
        self.ends_s: float | None = None
        """When the faults to come are healed by themselves (realtime seconds)."""

    def intend(self, fault_id: str, fault: Fault, plan: Plan) -> None:
        """To be called before anything is touched; EngineError where the intent cannot be written down."""
        try:
            with self._lock:
                if self._claim is None:
                    self._claim = Claim.take(self._bed, "faults")
                entry = journal.Entry(
                    id=fault_id,
                    claim=self._claim.mark.id,
                    kind=fault.kind,
                    target=fault.at,
                    parameters=fault.model_dump(mode="json", by_alias=True, exclude={"at"}),
                    ends_s=self.ends_s,
                    **journal.undoing(plan.acts),
                )
                journal.append(self._bed, journal.intended(entry))
        except OSError as error:
            raise EngineError(
                f"the journal of bed {self._bed} cannot be written: {error.strerror}; nothing was done",
                hint=f"check {journal.file_of(self._bed)}, and the space on its disk",
            ) from error

    def healed(self, fault_id: str) -> None:
        """Nothing is left of it. A line that cannot be written costs no more than a look, later, at what is not there."""
        try:
            with self._lock:
                journal.append(self._bed, journal.healed(fault_id))
        except OSError:
            return

    def close(self) -> None:
        """All is in order: the bed, if it was ours, stands by itself or is gone, and no fault of ours is left."""
        with self._lock:
            if self._claim is not None:
                self._claim.release()
                self._claim = None
