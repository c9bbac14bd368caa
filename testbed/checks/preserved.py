"""Call preservation: who is in a call when the call control is lost talks on, goes nowhere before the call is over, and then re-homes."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.checks.base import CheckKind, Params
from testbed.checks.call_events import PhoneCall, phone_calls
from testbed.checks.facts import FOREVER, first, seen, some, steps_ended_s
from testbed.checks.heard import Arrived, arrived, figures_of, too_long
from testbed.checks.talk import TAIL_S
from testbed.duration import PositiveDuration, parse_duration
from testbed.packets import address_number
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict


class PreservedParams(Params):
    """Of calls that were up when their call control was lost: no pause longer than ``gap`` from beginning to end, no registration meanwhile,
    and one again ``within`` that time after the end."""

    gap: PositiveDuration = parse_duration("40ms")
    within: PositiveDuration = parse_duration("2s")


def judge_preserved(run: Run, params: PreservedParams) -> Verdict:
    check = "preserved"
    calls = phone_calls(run)
    concerned = [call for call in calls if call.lost]
    every = arrived(run) if concerned else []
    heard = {call.phone: _heard_by(run, call, every) for call in concerned}
    streams = [one for found in heard.values() for one in found]
    figures = {"calls": float(len(calls)), "preserved": float(len(concerned)), **figures_of(streams)}
    if not concerned:
        summary = f"none of {len(calls)} phones in a call lost its call control meanwhile"
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary=summary, figures=figures)
    timers = run.topology.timers
    pauses, excused = too_long(run, streams, params.gap.seconds(timers))
    problems = [
        *_given_up(run, concerned),
        *_moved(run, calls),
        *_unheard(run, concerned, heard),
        *pauses,
        *_away(run, concerned, params.within.seconds(timers)),
    ]
    if problems:
        proof = first(problems)
        return Verdict(check=check, status=Status.FAIL, summary=proof[0].text, evidence=proof, figures=figures)
    if excused:
        proof = first(excused)
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary=proof[0].text, evidence=proof, figures=figures)
    longest = max(streams, key=lambda one: one.largest_gap_s)
    back_s = max(_back_s(run, call) - call.ended_s for call in concerned)
    figures["back_after_s"] = round(back_s, 6)
    summary = (
        f"{len(concerned)} phones talked on without call control, longest pause {longest.largest_gap_s * 1000:.1f} ms, "
        f"registered {back_s:.2f} s after the end at the latest"
    )
    proof = (
        *(call.lost.proves(f"{call.phone} lost its call control in the call") for call in concerned[:3] if call.lost),
        longest.evidence(f"{longest.stream}: the longest pause ends here", longest.longest),
    )
    return Verdict(check=check, status=Status.PASS, summary=summary, evidence=proof, figures=figures)


def _heard_by(run: Run, call: PhoneCall, every: Sequence[Arrived]) -> list[Arrived]:
    """Streams that this phone got while its call was up."""
    own = address_number(run.topology.phone_address(call.phone))
    return [
        one
        for one in every
        if one.stream.dst == own and one.stream.time_s[-1] >= call.began.time_s and one.stream.time_s[0] <= call.ended_s
    ]


def _given_up(run: Run, calls: Sequence[PhoneCall]) -> list[Evidence]:
    kept = {(event["phone"], event["reference"]) for event in seen(run, "CallPreserved")}
    return [
        call.lost.proves(f"{call.phone} gave its call up when it lost its call control")
        for call in calls
        if call.lost and (call.phone, call.began["reference"]) not in kept
    ]


def _moved(run: Run, calls: Sequence[PhoneCall]) -> list[Evidence]:
    """Phones that registered, or left, in the middle of a call."""
    found = []
    for call in calls:
        found += [
            event.proves(f"{call.phone}: {event.event.name} at {event['at']} in the middle of its call")
            for event in seen(
                run,
                "Registered",
                "Unregistered",
                phone=call.phone,
                since_s=call.began.time_s,
                until_s=min(call.ended_s, steps_ended_s(run)),
            )
            if call.ended is None or event.index < call.ended.index
        ]
    return found


def _unheard(run: Run, calls: Sequence[PhoneCall], heard: dict[str, list[Arrived]]) -> list[Evidence]:
    """Whose media did not last until one of the two hung up."""
    ends_s = {address_number(run.topology.phone_address(call.phone)): call.ended_s for call in calls}
    found = []
    for call in calls:
        assert call.lost is not None
        streams = heard[call.phone]
        if not streams:
            found.append(call.lost.proves(f"{call.phone}: nothing it heard in its call was captured"))
            continue
        last = max(streams, key=lambda one: float(one.stream.time_s[-1]))
        over_s = min(call.ended_s, ends_s.get(last.stream.src, FOREVER))
        early_s = over_s - float(last.stream.time_s[-1])
        if early_s > TAIL_S:
            found.append(last.evidence(f"{last.stream} ended {early_s:.2f} s before the call", len(last.stream) - 1))
    return found


def _back_s(run: Run, call: PhoneCall) -> float:
    if call.ended is None:
        return FOREVER
    after = [e for e in seen(run, "Registered", phone=call.phone) if e.index > call.ended.index]
    return after[0].time_s if after else FOREVER


def _away(run: Run, calls: Sequence[PhoneCall], within_s: float) -> list[Evidence]:
    late = [call for call in calls if _back_s(run, call) - call.ended_s > within_s or call.ended is None]
    if not late:
        return []
    names = some([call.phone for call in late])
    event = late[0].ended or late[0].began
    said = "did not register" if _back_s(run, late[0]) == FOREVER else "registered too late"
    return [event.proves(f"{names}: {said} within {within_s:g} s after the call")]


PRESERVED = CheckKind(
    name="preserved",
    params=PreservedParams,
    judge=judge_preserved,
    help=(
        "who was in a call when its call control was lost talked on to the end, with no longer pause, was "
        "registered nowhere meanwhile, and somewhere so soon after it had hung up"
    ),
)
