"""How long phones take to re-home, by failure class and timer profile, over recorded runs: pure, but for reading their folders."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from testbed.checks.budget import failover_budget_s, notice_of
from testbed.checks.concerned import Concern, company, losses
from testbed.checks.facts import FaultWindow, call_controls, quantiles
from testbed.checks.rehome_times import failovers
from testbed.faults import KINDS
from testbed.profile import PROFILES
from testbed.recording import Run

PARTS = ("detection", "connection", "registration", "total")
"""From the effect to the loss, to a connection with the next call control, to the end of registration there; and all of it."""
_QUANTILES = ("p50", "p95", "max")
_NUMBERED = re.compile(r"\d+(\.\d+)*")

_HEAD = """# Re-home times

How long phones take from the instant a fault of their call control takes effect to the end of their registration at the next one, in
seconds: p50 / p95 / max over all phones of all runs. *Detection* ends when the phone gives its call control up, *connection* when it is
connected to the next one (a standby connection that is open already costs nothing), *registration* when it is registered there. Made by
`testbed times RUN... --output md` from recorded runs; do not edit.
"""


@dataclass(slots=True)
class Class:
    """Re-homes of one failure class under one profile; ``seconds`` has a value a phone for each part it reported."""

    failure: str
    profile: str
    allowed_s: tuple[float, float]
    runs: set[str] = field(default_factory=set)
    rehomed: int = 0
    missing: int = 0
    noticed: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=lambda: {part: [] for part in PARTS})

    def to_json(self) -> dict[str, Any]:
        """One flat record; a part that no phone reported has no figures."""
        record: dict[str, Any] = {
            "failure": self.failure,
            "profile": self.profile,
            "runs": len(self.runs),
            "rehomed": self.rehomed,
            "not_rehomed": self.missing,
            "noticed_by": dict(sorted(self.noticed.items())),
            "allowed_s": [round(max(0.0, bound), 3) for bound in self.allowed_s],
        }
        for part in PARTS:
            record |= quantiles(part, self.seconds[part])
        return record

    def to_row(self) -> dict[str, str]:
        """The same for people: the three quantiles of a part in one cell, with milliseconds."""
        record = self.to_json()

        def cell(part: str) -> str:
            values = [record.get(f"{part}_{word}_s") for word in _QUANTILES]
            return " / ".join("—" if value is None else f"{value:.3f}" for value in values)

        low_s, high_s = record["allowed_s"]
        return {
            "failure": self.failure,
            "profile": self.profile,
            "runs": str(len(self.runs)),
            "re-homed": f"{self.rehomed} of {self.rehomed + self.missing}",
            "noticed by": ", ".join(record["noticed_by"]) or "—",
            **{part: cell(part) for part in PARTS},
            "allowed": f"{low_s:.2f} to {high_s:.2f}",
        }


def times(runs: Iterable[Run]) -> list[Class]:
    """One for each failure class and profile that the runs have; in the order of the kinds of faults, quick timers first."""
    classes: dict[tuple[str, str], Class] = {}
    for run in runs:
        for fault in _alone(losses(run, call_controls(run))):
            window, notice = fault.window, notice_of(fault.window.kind, fault.window.parameters)
            if notice is None:
                continue
            failure = failure_class(window)
            own = classes.setdefault(
                (failure, run.profile.name),
                Class(failure=failure, profile=run.profile.name, allowed_s=failover_budget_s(notice, run.profile)),
            )
            _add(own, run, fault)
    order, profiles = list(KINDS), sorted(PROFILES, key=lambda name: PROFILES[name].keepalive_s)

    def place(own: Class) -> tuple[int, str, int]:
        kind = own.failure.partition(",")[0]
        return order.index(kind) if kind in order else len(order), own.failure, profiles.index(own.profile)

    return sorted(classes.values(), key=place)


def failure_class(window: FaultWindow) -> str:
    """The kind of the fault, and what of its parameters makes phones notice it otherwise: ``reject, by icmp``."""
    by = window.parameters.get("by")
    return f"{window.kind}, by {by}" if isinstance(by, str) else window.kind


def _alone(faults: Sequence[Concern]) -> list[Concern]:
    """Those during which no other takes a call control from phones: where two are gone a time belongs to neither."""
    return [
        fault
        for fault in faults
        if not any(
            other.window.confirmed.index != fault.window.confirmed.index
            and other.window.began_s <= fault.window.healed_s
            and other.window.healed_s >= fault.window.began_s
            for other in faults
        )
    ]


def _add(own: Class, run: Run, fault: Concern) -> None:
    rehomes = failovers(run, company(run, fault), None)
    own.runs.add(str(run.path))
    own.rehomed += len(rehomes.done)
    own.missing += len(rehomes.missing)
    for rehome in rehomes.done:
        own.seconds["total"].append(rehome.total_s)
        for part, length_s in rehome.parts.items():
            own.seconds[part].append(length_s)
        if rehome.noticed:
            own.noticed[rehome.noticed] = own.noticed.get(rehome.noticed, 0) + 1


def markdown(found: Sequence[Class], runs: Sequence[Run]) -> str:
    """``docs/rehome-times.md``: what the figures mean, the table, and where they were measured."""
    rows = [own.to_row() for own in found]
    columns = list(rows[0]) if rows else []
    lines = [_HEAD, "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(row.values()) + " |" for row in rows]
    measured = sum(len(own.runs) for own in found)
    lines += ["", f"From {measured} runs. Measured with: {'; '.join(_places(runs)) or 'nothing on record'}.", ""]
    return "\n".join(lines)


def _places(runs: Iterable[Run]) -> list[str]:
    """Kernel and engine of the runs, each once."""
    places = set()
    for run in runs:
        try:
            record = json.loads((run.path / "versions.json").read_text(encoding="utf-8"))
            # What a machine's owner adds to the version says nothing about times.
            versions = (str(record["kernel"]), str(record["engine"]["version"]))
            kernel, engine = (found[0] if (found := _NUMBERED.match(text)) else text for text in versions)
            places.add(f"kernel {kernel}, Docker Engine {engine}")
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(places)
