"""`testbed phone call`: a call of one phone of a standing bed, by hand."""

from __future__ import annotations

from testbed import show, status
from testbed.bed import Bed
from testbed.duration import parse_duration
from testbed.errors import EXIT_CHECK_FAILED, EXIT_OK, NotReady, UsageError
from testbed.sccp.phone_call_state import Phase
from testbed.waiting import wait_until

TALKING, REFUSED = Phase.TALKING.value, Phase.REFUSED.value
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
        said = wait_until(
            lambda: _outcome(bed, device),
            awaited=f"an answer from {number}",
            timeout_s=OUTCOME_S,
            last_seen=lambda: ", ".join(_calls(bed, device)) or "no call",
            poll_s=0.2,
        )
    except NotReady:
        said = ", ".join(_calls(bed, device)) or "no call"
    show.say(f"{device}: {said}")
    return EXIT_CHECK_FAILED if said.startswith(REFUSED) else EXIT_OK


def _outcome(bed: Bed, device: str) -> str:
    return next((call for call in _calls(bed, device) if call.startswith((TALKING, REFUSED))), "")


def _calls(bed: Bed, device: str) -> list[str]:
    """As the phone lists them, for instance ``talking 1003``."""
    return [str(call) for call in status.phone(bed, device)["calls"]]


def _seconds(bed: Bed, text: str) -> float:
    try:
        length_s = parse_duration(text).seconds(bed.topology.timers)
    except ValueError as error:
        raise UsageError(f"--for {text}: {error}", hint="for example 20s") from None
    if length_s <= 0:
        raise UsageError(f"--for {text}: must be longer than nothing", hint="for example 20s")
    return length_s
