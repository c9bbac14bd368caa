"""What every check asks of a history: events with their index, faults as windows in time, where each phone was registered."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.history import Event
from testbed.recording import Run
from testbed.topology import Role
from testbed.verdict import Evidence

MAX_EVIDENCE = 8
"""A verdict names this many events or packets of one sort; the counts in its summary and figures are complete."""

FOREVER = float("inf")


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """An event and its index in the history."""

    index: int
    event: Event

    @property
    def time_s(self) -> float:
        return self.event.time_s

    def __getitem__(self, key: str) -> Any:
        """A particular, or None: a value of another sort than its key has (a damaged file) counts as absent.

        ``…_s`` is a finite number; ``urls`` maps words to words; anything else is one word or number, no list and no mapping.
        """
        value = self.event.data.get(key)
        if key.endswith("_s"):
            return _finite(value)
        if key == "urls":
            return _words(value)
        return value if isinstance(value, (str, int, float)) else None

    def proves(self, text: str) -> Evidence:
        """This event as evidence."""
        return Evidence(text=text, event=self.index)


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _words(value: object) -> dict[str, str] | None:
    if not isinstance(value, dict):
        return None
    return {key: word for key, word in value.items() if isinstance(word, str)}


def seen(run: Run, *names: str, since_s: float = -FOREVER, until_s: float = FOREVER, **particulars: Any) -> list[Seen]:
    """Events with one of these names within [since_s, until_s] whose data has all these values."""
    return [
        Seen(index=index, event=event)
        for index, event in enumerate(run.history.events)
        if event.name in names
        and since_s <= event.time_s <= until_s
        and all(event.get(key) == value for key, value in particulars.items())
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultWindow:
    """A confirmed fault and the time it lasted.

    It began to be applied at ``began_s`` and was confirmed to be in effect at ``effect_s``; its healing began at ``healing_s``
    and was confirmed at ``healed_s`` (both FOREVER where it never was).
    """

    kind: str
    target: str
    """The host it was performed at, where that is one; else the target in the scenario's words."""
    hosts: tuple[str, ...]
    parameters: Mapping[str, Any]
    """The fault as a scenario writes it."""
    began_s: float
    effect_s: float
    healing_s: float
    healed_s: float
    confirmed: Seen
    healed: Seen | None

    @property
    def certain_s(self) -> float:
        """From here on nothing can have come from the target as if there were no fault: the command was still under way until
        its confirmation, which the engine dates by its beginning at times."""
        return max(self.effect_s, self.confirmed.time_s)

    @property
    def residue(self) -> str:
        """What its healing left behind, in words; empty where that is nothing."""
        left = self.healed.event.get("residue") if self.healed else None
        if not left:
            return ""
        return f"its healing left behind: {'; '.join(map(str, left)) if isinstance(left, list) else left}"

    def __str__(self) -> str:
        return f"{self.kind} {self.confirmed['target']}"


def fault_windows(run: Run) -> list[FaultWindow]:
    """Every confirmed fault of the run, in order of time."""
    healed = {event["fault_id"]: event for event in seen(run, "FaultHealed")}
    return [_window(event, healed.get(event["fault_id"])) for event in seen(run, "FaultConfirmed")]


def _window(confirmed: Seen, healed: Seen | None) -> FaultWindow:
    began, effect = _instants(confirmed)
    healing, restored = _instants(healed) if healed else (FOREVER, FOREVER)
    target, hosts, parameters = (confirmed.event.data.get(key) for key in ("target", "hosts", "fault"))
    names = tuple(str(host) for host in hosts) if isinstance(hosts, list) else ()
    return FaultWindow(
        kind=str(confirmed["kind"]),
        target=names[0] if len(names) == 1 else str(target),
        hosts=names or (str(target),),
        parameters=parameters if isinstance(parameters, dict) else {},
        began_s=began,
        effect_s=effect,
        healing_s=healing,
        healed_s=restored,
        confirmed=confirmed,
        healed=healed,
    )


def _instants(event: Seen) -> tuple[float, float]:
    """(just before the command, when it took effect); an event without them stands for both."""
    effect = event["effect_s"]
    effect_s: float = event.time_s if effect is None else effect
    began = event["began_s"]
    return effect_s if began is None else began, effect_s


def steps_ended_s(run: Run) -> float:
    """When the last step had ended; FOREVER where the run was cut short."""
    return max((event.time_s for event in seen(run, "StepsEnded")), default=FOREVER)


def judged_span(run: Run) -> tuple[float, float]:
    """From the first step until the bed was, or still was not, steady after the last: the clock of what must not be disturbed.

    Without the steps' beginning it starts with the first fault, without that end it lasts until captures or run were ended: what
    phones report later is the bed being taken down.
    """
    began = [event.time_s for event in seen(run, "StepsStarted")] or [w.began_s for w in fault_windows(run)]
    ended = [event.time_s for event in seen(run, "SteadyStateReached", "SteadyStateMissed", when="after")]
    over = [event.time_s for event in seen(run, "CaptureStopped", "RunEnded")]
    return min(began, default=-FOREVER), max(ended) if ended else min(over, default=FOREVER)


def registrations_at(run: Run, time_s: float) -> dict[str, Seen]:
    """Phone -> the Registered event that holds at this instant; phones that are registered nowhere are not in it."""
    held: dict[str, Seen] = {}
    for event in seen(run, "Registered", "CallControlLost", "Unregistered", until_s=time_s):
        phone = event["phone"]
        if event.event.name == "Registered":
            held[phone] = event
        elif phone in held and held[phone]["at"] == event["at"] and event["state"] != "standby":
            del held[phone]
    return held


def call_controls(run: Run) -> list[str]:
    """Names of the call controls, by rank."""
    return [host.name for host in run.topology.with_role(Role.CALL_CONTROL)]


def first(items: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """As many of them as a verdict names."""
    return tuple(items)[:MAX_EVIDENCE]


def some(names: Sequence[str], most: int = 3) -> str:
    """``"a, b, c and 9 more"``."""
    text = ", ".join(names[:most])
    return text + (f" and {len(names) - most} more" if len(names) > most else "")


def quantiles(name: str, values: Sequence[float]) -> dict[str, float]:
    """``{name_p50_s, name_p95_s, name_max_s}`` of values in seconds, by nearest rank; of none: nothing."""
    if not values:
        return {}
    ordered = sorted(values)
    rank = {"p50": 0.50, "p95": 0.95, "max": 1.0}
    return {
        f"{name}_{word}_s": round(ordered[max(0, -int(-len(ordered) * share // 1) - 1)], 6)
        for word, share in rank.items()
    }
