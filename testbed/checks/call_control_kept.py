"""Call control preserved: whatever happens elsewhere, no SCCP session drops and every KeepAlive is answered, by events and packets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from testbed.checks.base import CheckKind, Params
from testbed.checks.capture import captures
from testbed.checks.facts import FOREVER, FaultWindow, fault_windows, first, judged_span, registrations_at, seen, some
from testbed.checks.silent_sessions import silences
from testbed.packets import FIN, RST, Packets, address_text
from testbed.packets.sccp import SCCP_PORT, Keepalive, keepalives, sccp_mask, sccp_messages
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict

_DROPS = ("CallControlLost", "KeepaliveMissed", "PhoneUnregistered", "Unregistered", "RegisterRejected", "Rehomed")


class CallControlKeptParams(Params):
    """No parameters."""


def judge_call_control_kept(run: Run, params: CallControlKeptParams) -> Verdict:
    """From the first step until the bed was steady after the last: a session may be lost by the healing as well.

    It is the clock that ``redirected`` goes by. A phone whose host is captured sends its KeepAlives all the time, and some
    KeepAlive must have been answered while a fault lasted.
    """
    check = "call-control-kept"
    windows = fault_windows(run)
    since_s, until_s = judged_span(run)
    if reason := _nothing_to_judge(run, windows, since_s):
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary=reason)
    # A session is what a registered phone has; a standby connection is none, and may well drop with the call control it leads to.
    held = registrations_at(run, since_s)
    active = {str(event["at"]) for event in held.values()}
    drops = _event_drops(run, active, since_s, until_s)
    doubts: list[Evidence] = []
    answered: list[Keepalive] = []
    for host, packets in captures(run).items():
        drops += _closings(run, packets, host, active, since_s, until_s)
        messages = sccp_messages(packets)
        for silence in silences(run, host, packets, messages, held, since_s, until_s):
            (drops if silence.is_certain else doubts).append(silence.evidence)
        for pair in keepalives(messages):
            if not since_s <= pair.sent.time_s <= until_s or _server(run, packets, pair.sent.frame) not in active:
                continue
            late = _is_late(run, packets, pair)
            drops += [_unanswered(packets, host, pair)] if late else []
            answered += [pair] if pair.answer and not late else []
    figures = {"keepalives_answered": float(len(answered)), "drops": float(len(drops))}
    if drops:
        summary = f"{len(drops)} signs of a session lost: {drops[0].text}"
        return Verdict(check=check, status=Status.FAIL, summary=summary, evidence=first(drops), figures=figures)
    if doubts:
        summary = (
            f"{doubts[0].text}: nor did its host send anything for other phones, so the machine may have held it up"
        )
        return Verdict(
            check=check, status=Status.INCONCLUSIVE, summary=summary, evidence=first(doubts), figures=figures
        )
    if not any(window.began_s <= pair.sent.time_s <= window.healed_s for window in windows for pair in answered):
        summary = "no KeepAlive was captured while the fault lasted"
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary=summary, figures=figures)
    summary = f"{len(run.topology.phones)} phones stayed registered, {len(answered)} KeepAlives captured, all answered"
    proof = tuple(window.confirmed.proves(f"{window} in effect") for window in windows)
    return Verdict(check=check, status=Status.PASS, summary=summary, evidence=proof, figures=figures)


def _nothing_to_judge(run: Run, windows: list[FaultWindow], since_s: float) -> str:
    if not run.topology.phones:
        return "the bed has no phones"
    if not windows:
        return "no fault was confirmed"
    held = registrations_at(run, since_s)
    absent = [phone for phone in run.topology.phones if phone not in held]
    return f"not registered when the steps began: {some(absent)}" if absent else ""


def _event_drops(run: Run, active: set[str], since_s: float, until_s: float) -> list[Evidence]:
    return [
        event.proves(f"{event['phone']}: {event.event.name} {event['cause'] or event['at'] or ''}".rstrip())
        for event in seen(run, *_DROPS, since_s=since_s, until_s=until_s)
        if (event["at"] or event["from"] or event.event.host) in active and event["state"] != "standby"
    ]


def _server(run: Run, packets: Packets, frame: int) -> str:
    """Host of the server's side of the connection this frame belongs to."""
    index = int(np.searchsorted(packets.frame, frame))
    address = packets.dst[index] if packets.dport[index] == SCCP_PORT else packets.src[index]
    return run.topology.host_of(address_text(int(address)))


def _closings(
    run: Run, packets: Packets, host: str, active: set[str], since_s: float, until_s: float
) -> Iterator[Evidence]:
    inside = (packets.time_s >= since_s) & (packets.time_s <= until_s)
    for index in np.flatnonzero(sccp_mask(packets) & (packets.tcp_flags & (FIN | RST) > 0) & inside).tolist():
        if _server(run, packets, int(packets.frame[index])) not in active:
            continue
        yield Evidence(text=f"FIN or RST on port 2000 at {host}", capture=packets.file, frame=int(packets.frame[index]))


def _is_late(run: Run, packets: Packets, pair: Keepalive) -> bool:
    """Not answered before the next one is due; one sent so late that the capture ends before that is left open."""
    limit_s = pair.sent.time_s + run.profile.keepalive_s
    if pair.answer is not None:
        return pair.answer.time_s > limit_s
    last_s = float(packets.time_s[-1]) if len(packets) else FOREVER
    return last_s >= limit_s


def _unanswered(packets: Packets, host: str, pair: Keepalive) -> Evidence:
    text = f"KeepAlive at {host} {'answered late' if pair.answer else 'not answered'}"
    return Evidence(text=text, capture=packets.file, frame=pair.sent.frame)


CALL_CONTROL_KEPT = CheckKind(
    name="call-control-kept",
    params=CallControlKeptParams,
    judge=judge_call_control_kept,
    help=(
        "no SCCP session dropped and no KeepAlive went unanswered or was left out, from the first step until the bed was "
        "steady after the last"
    ),
)
