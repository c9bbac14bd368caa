"""What a check says: PASS, INCONCLUSIVE or FAIL, in one line, with what proves it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Status(IntEnum):
    """Ordered: the worst of several is the greatest. Unknown is not pass."""

    PASS = 0
    INCONCLUSIVE = 1
    FAIL = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What proves a verdict: an event (index in history.jsonl) or a packet (capture file and frame number, from 1)."""

    text: str
    event: int | None = None
    capture: str | None = None
    frame: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Without the parts that are not there."""
        parts = {"text": self.text, "event": self.event, "capture": self.capture, "frame": self.frame}
        return {key: value for key, value in parts.items() if value is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The outcome of one check; ``figures`` are numbers worth keeping over many runs (unit in the name)."""

    check: str
    status: Status
    summary: str
    claim: str = "requirement"
    evidence: tuple[Evidence, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Shown to be as it should; INCONCLUSIVE is not."""
        return self.status is Status.PASS

    def __str__(self) -> str:
        """In words, with what proves it."""
        proof = [
            f"\n  {item.text}" + (f" [{item.capture} frame {item.frame}]" if item.capture else "")
            for item in self.evidence
        ]
        return f"{self.status.name} {self.check}: {self.summary}{''.join(proof)}"

    def to_json(self) -> dict[str, Any]:
        """JSON values only; equal verdicts give equal objects, which is how a re-judged run is compared."""
        return {
            "check": self.check,
            "status": self.status.name,
            "summary": self.summary,
            "claim": self.claim,
            "evidence": [item.to_json() for item in self.evidence],
            "figures": dict(self.figures),
        }


def worst(statuses: Iterable[Status]) -> Status:
    """The worst of them; of none: INCONCLUSIVE, since nothing was shown."""
    return max(statuses, default=Status.INCONCLUSIVE)
