"""What every invariant is made of: its outcome, and which faults lie between two ends of a run, whatever they do there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from testbed.checks.budget import HOST_START_S
from testbed.checks.concerned import lies_between
from testbed.checks.facts import FaultWindow, fault_windows
from testbed.errors import UsageError
from testbed.faults import KINDS, Fault, fault_of
from testbed.faults.reach import End
from testbed.recording import Run
from testbed.topology import Host
from testbed.verdict import Evidence


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """Of one invariant. ``broken``: what proves that it was, ``unknown``: why nothing is shown, ``good``: what was seen, in words.

    One that does not go with the bed (``absent`` says why) is neither.
    """

    good: str = ""
    broken: tuple[Evidence, ...] = ()
    said: str = ""
    """How it was broken, in words."""
    unknown: str = ""
    absent: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)


def hinders(window: FaultWindow, traffic: str) -> bool:
    """Whether this class of traffic suffers from a fault of this kind; of an unknown kind it may."""
    kind = KINDS.get(window.kind)
    return kind is None or traffic in kind.hinders


def is_partial(window: FaultWindow) -> bool:
    """Whether what the fault is at goes on working, badly."""
    kind = KINDS.get(window.kind)
    return kind is not None and kind.partial


def _as_it_lasted(window: FaultWindow) -> FaultWindow:
    """One of a kind that is over once it is done is so, however long the scenario held it: but for what its host takes to start."""
    kind = KINDS.get(window.kind)
    if kind is None or not kind.momentary:
        return window
    over_s = min(window.healed_s, window.certain_s + HOST_START_S)
    return replace(window, healing_s=min(window.healing_s, over_s), healed_s=over_s)


def fault_in(window: FaultWindow) -> Fault | None:
    """The fault as it was written; None where the record does not hold one that is known here."""
    words = window.parameters.get("at")
    if not isinstance(words, str):
        return None
    parameters = {str(word): value for word, value in window.parameters.items() if word not in ("at", "kind", "target")}
    try:
        return fault_of(window.kind, words, **parameters)
    except UsageError:
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """From one end to another host's port."""

    one: End
    other: Host
    port: int
    traffic: str


class Ways:
    """Which faults lie on a way; asked often, looked up once each."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._windows = [_as_it_lasted(window) for window in fault_windows(run)]
        self._known: dict[tuple[str, tuple[str, ...], str, int, str], tuple[FaultWindow, ...]] = {}

    def on(self, way: Way) -> tuple[FaultWindow, ...]:
        """Every fault that hinders its traffic there, in order of time."""
        key = (way.one.host, way.one.addresses, way.other.name, way.port, way.traffic)
        if key not in self._known:
            self._known[key] = tuple(
                window
                for window in self._windows
                if hinders(window, way.traffic) and lies_between(self._run, window, way.one, way.other, way.port)
            )
        return self._known[key]


def lasting(windows: Iterable[FaultWindow], since_s: float, until_s: float) -> list[FaultWindow]:
    """Those that lasted at some time within [since_s, until_s], their beginning and healing included."""
    return [window for window in windows if window.began_s <= until_s and window.healed_s >= since_s]
