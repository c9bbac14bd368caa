"""What phones say of their calls: each from the answer to its end, whether all came about that were asked for, and their figures."""

from __future__ import annotations

from dataclasses import dataclass

from testbed.checks.facts import FOREVER, Seen, seen
from testbed.recording import Run
from testbed.verdict import Evidence


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneCall:
    """One phone's side of a call, from CallConnected to CallEnded (None: not within the run); ``lost``: its call control, meanwhile."""

    phone: str
    began: Seen
    ended: Seen | None
    lost: Seen | None

    @property
    def ended_s(self) -> float:
        return self.ended.time_s if self.ended else FOREVER


def phone_calls(run: Run) -> list[PhoneCall]:
    """Every call that was answered, by phone and in order."""
    ends = seen(run, "CallEnded")
    losses = seen(run, "CallControlLost", state="active")
    found: list[PhoneCall] = []
    for began in seen(run, "CallConnected"):
        phone, reference = str(began["phone"]), began["reference"]
        if phone not in run.topology.phones:
            continue
        if any(
            (one.phone, one.began["reference"]) == (phone, reference) and one.ended_s > began.time_s for one in found
        ):
            continue  # connected again after hold
        ended = next(
            (e for e in ends if e["phone"] == phone and e["reference"] == reference and e.index > began.index), None
        )
        until_s = ended.time_s if ended else FOREVER
        lost = next((e for e in losses if e["phone"] == phone and began.time_s <= e.time_s <= until_s), None)
        found.append(PhoneCall(phone=phone, began=began, ended=ended, lost=lost))
    return found


def not_connected(run: Run) -> list[Evidence]:
    """Phones that the scenario's steps have call, or be called, and that were in no answered call; by number, since a step names none."""
    steps = run.scenario.get("steps")
    calls = (
        [step["call"] for step in steps if isinstance(step, dict) and isinstance(step.get("call"), dict)]
        if isinstance(steps, list)
        else []
    )
    asked = max((call["pairs"] for call in calls if isinstance(call.get("pairs"), int)), default=0) * 2
    connected = {call.phone for call in phone_calls(run)}
    if len(connected) >= asked:
        return []
    refused = seen(run, "CallRefused", "MediaFailed")
    text = f"{len(connected)} of {asked} phones got into their call"
    return [
        refused[0].proves(f"{text}: {refused[0]['phone']} was refused {refused[0]['number'] or ''}")
        if refused
        else Evidence(text=text)
    ]
