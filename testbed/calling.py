"""`testbed phone call`: a call of one phone of a standing bed, by hand."""

from __future__ import annotations

from collections.abc import Sequence

from testbed import show, status
from testbed.bed import Bed
from testbed.duration import parse_duration
from testbed.errors import EXIT_CHECK_FAILED, EXIT_OK, NotReady, UsageError
from testbed.waiting import wait_until

OUTCOME_S = 5.0
"""A call is answered after a second, or refused at once."""


def call(bed: Bed, device: str, number: str, talk: str | None) -> int:
    """Dial, and say what comes of it; exit status 1 where it is refused."""
    talk_s = None if talk is None else _seconds(bed, talk)
    host = status.host_of(bed, device)
    request = {"op": "call", "calls": [{"phone": device, "number": number}], "talk_s": talk_s}
    (result,) = bed.ask(host, request)["results"]
    if not result["ok"]:
        raise UsageError(
            f"{device} cannot call now: it is in a call, or registered nowhere", hint=f"`testbed phone show {device}`"
        )
    try:
        phase = wait_until(
            lambda: _phase(bed, device, ("talking", "refused")),
            awaited=f"an answer from {number}",
            timeout_s=OUTCOME_S,
            last_seen=lambda: _phase(bed, device) or "no call",
            poll_s=0.2,
        )
    except NotReady:
        phase = _phase(bed, device) or "over"
    show.say(f"{device}: {phase} ({number})")
    return EXIT_CHECK_FAILED if phase == "refused" else EXIT_OK


def _phase(bed: Bed, device: str, among: Sequence[str] = ()) -> str:
    calls = status.phone(bed, device).get("calls") or []
    phases = [str(one["phase"]) for one in calls]
    return next((phase for phase in phases if not among or phase in among), "")


def _seconds(bed: Bed, text: str) -> float:
    try:
        return parse_duration(text).seconds(bed.topology.timers)
    except ValueError as error:
        raise UsageError(f"--for {text}: {error}", hint="for example 20s") from None
