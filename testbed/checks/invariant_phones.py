"""Phones under any faults: each registered at exactly one call control when the bed is steady, and none out of service longer than what
broke it allows.

A phone is in service while it is registered where no fault keeps it from its call control. It may be out of service as long as no
call control is whole for it, and then as long as the class of failure takes to notice and the way to another one takes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from testbed.checks.budget import AT_ONCE_S, failover_budget_s, notice_of, return_budget_s, slack_s
from testbed.checks.concerned import takes_away
from testbed.checks.facts import (
    FOREVER,
    FaultWindow,
    Seen,
    call_controls,
    first,
    judged_span,
    registrations_at,
    seen,
)
from testbed.checks.invariant import Outcome, Way, Ways, lasting
from testbed.faults.reach import SCCP_PORT, end_of_phone
from testbed.profile import KEEPALIVE_MISSES, Profile
from testbed.recording import Run
from testbed.verdict import Evidence


def registered_once(run: Run) -> Outcome:
    """In the steady states before and after the steps, by the phones' word and by the call controls'."""
    if absent := _absent(run):
        return Outcome(absent=absent)
    steady = [event.time_s for event in seen(run, "SteadyStateReached")]
    if not steady:
        return Outcome(unknown="no steady state was seen")
    if not seen(run, "Registered"):
        return Outcome(unknown="no phone registered anywhere in this run")
    if not seen(run, "PhoneRegistered"):
        return Outcome(unknown="no call control says who is registered with it")
    wrong = [proof for at_s in steady for proof in _not_once(run, at_s)]
    phones = len(run.topology.phones)
    figures = {"phones": float(phones), "steady_states": float(len(steady)), "registered_wrongly": float(len(wrong))}
    said = (
        f"{len(wrong)} times a phone was not registered at exactly one call control: {wrong[0].text}" if wrong else ""
    )
    good = f"{phones} phones registered once each in {len(steady)} steady states"
    return Outcome(good=good, broken=first(wrong), said=said, figures=figures)


def _absent(run: Run) -> str:
    if not run.topology.phones:
        return "the bed has no phones"
    return "" if call_controls(run) else "the bed has no call control"


def _not_once(run: Run, at_s: float) -> list[Evidence]:
    own, held = registrations_at(run, at_s), _held_by_controls(run, at_s)
    wrong = []
    for phone in run.topology.phones:
        if phone not in own:
            wrong.append(Evidence(text=f"{phone} says that it is registered nowhere"))
            continue
        holders = held.get(phone, {})
        home = str(own[phone]["at"])
        if home not in holders:
            wrong.append(
                own[phone].proves(f"{phone} says that it is registered at {home}, and {home} does not know it")
            )
        for control, event in holders.items():
            if control != home and not _cannot_know_yet(run, phone, control, own[phone].time_s, at_s):
                wrong.append(event.proves(f"{phone} is registered at {home}, and still at {control}"))
    return wrong


def _held_by_controls(run: Run, at_s: float) -> dict[str, dict[str, Seen]]:
    """Phone -> call control -> its word that the phone is registered there; one that ends forgets everybody."""
    held: dict[str, dict[str, Seen]] = defaultdict(dict)
    for event in seen(run, "PhoneRegistered", "PhoneUnregistered", "RoleStarted", until_s=at_s):
        control = event.event.host
        if event.event.name == "PhoneRegistered":
            held[str(event["phone"])][control] = event
        elif event.event.name == "PhoneUnregistered":
            held[str(event["phone"])].pop(control, None)
        else:
            for controls in held.values():
                controls.pop(control, None)
    return held


def _cannot_know_yet(run: Run, phone: str, control: str, left_s: float, at_s: float) -> bool:
    """Whether the phone could not tell it: it finds out by missing KeepAlives, once it can be reached itself."""
    on_the_way = lasting(Ways(run).on(_way(run, phone, control)), left_s - slack_s(run.profile), at_s)
    if not on_the_way:
        return False
    known_s = max(left_s, *(window.healed_s for window in on_the_way))
    return at_s < known_s + KEEPALIVE_MISSES * run.profile.keepalive_s + slack_s(run.profile)


# -- in service


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stay:
    """A registration, by the phone's word."""

    at: str
    since_s: float
    until_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Gap:
    """A phone out of service; until ``left_s`` it believed itself registered at ``at``, which was lost."""

    phone: str
    at: str
    since_s: float
    until_s: float
    left_s: float


def in_service(run: Run) -> Outcome:
    """For every phone, from the first step until the bed was steady after the last."""
    if absent := _absent(run):
        return Outcome(absent=absent)
    if not seen(run, "Registered"):
        return Outcome(unknown="no phone registered anywhere in this run")
    since_s, until_s = judged_span(run)
    until_s = min(until_s, run.history.events[-1].time_s)
    ways = Ways(run)
    gaps = [gap for phone in run.topology.phones for gap in _gaps(run, ways, phone, since_s, until_s)]
    wrong = [proof for gap in gaps if (proof := _too_long(run, ways, gap))]
    longest_s = max((gap.until_s - gap.since_s for gap in gaps), default=0.0)
    figures = {"gaps": float(len(gaps)), "out_too_long": float(len(wrong)), "out_longest_s": round(longest_s, 6)}
    said = f"{len(wrong)} times a phone was out of service too long: {wrong[0].text}" if wrong else ""
    good = f"out of service {len(gaps)} times, at most {longest_s:.3f} s, each within what broke it allows"
    return Outcome(good=good if gaps else "no phone out of service", broken=first(wrong), said=said, figures=figures)


def _way(run: Run, phone: str, control: str) -> Way:
    one, other = end_of_phone(run.topology, phone), run.topology.host(control)
    return Way(one=one, other=other, port=SCCP_PORT, traffic="sccp")


def _longest_notice_s(profile: Profile) -> float:
    return max(failover_budget_s(notice, profile)[1] for notice in ("close", "packet", "keepalive", "tcp"))


def _stays(run: Run, phone: str) -> list[_Stay]:
    stays: list[_Stay] = []
    at, since_s = "", 0.0
    for event in seen(run, "Registered", "CallControlLost", "Unregistered", phone=phone):
        registered = event.event.name == "Registered"
        if not registered and (event["at"] != at or event["state"] == "standby"):
            continue
        if at:
            stays.append(_Stay(at=at, since_s=since_s, until_s=event.time_s))
        at, since_s = (str(event["at"]), event.time_s) if registered else ("", 0.0)
    return [*stays, _Stay(at=at, since_s=since_s, until_s=FOREVER)] if at else stays


def _takes_service(window: FaultWindow) -> bool:
    """Whether who is registered is kept from its call control. One that only refuses registrations leaves who has one."""
    return takes_away(window) and notice_of(window.kind, window.parameters) is not None


def _gaps(run: Run, ways: Ways, phone: str, since_s: float, until_s: float) -> list[_Gap]:
    """The times between its times in service, within the judged span."""
    stays = _stays(run, phone)
    known = {host.name for host in run.topology.hosts}
    taking = {
        stay.at: [window for window in ways.on(_way(run, phone, stay.at)) if _takes_service(window)]
        for stay in stays
        if stay.at in known
    }
    edges = {since_s, until_s}
    edges |= {edge for stay in stays for edge in (stay.since_s, stay.until_s)}
    edges |= {edge for windows in taking.values() for w in windows for edge in (w.effect_s, w.healed_s)}
    gaps: list[_Gap] = []
    for begin_s, end_s in pairwise(sorted(edge for edge in edges if since_s <= edge <= until_s)):
        middle_s = (begin_s + end_s) / 2
        stay = next((s for s in stays if s.since_s <= middle_s < s.until_s), None)
        if stay and not any(w.effect_s <= middle_s < w.healed_s for w in taking.get(stay.at, ())):
            continue
        left_s = min(stay.until_s, until_s) if stay else begin_s
        at = stay.at if stay else next((s.at for s in reversed(stays) if s.until_s <= middle_s), "")
        if gaps and gaps[-1].until_s == begin_s:
            earlier = gaps.pop()
            gaps.append(_joined(earlier, end_s, left_s if stay else earlier.left_s))
        else:
            gaps.append(_Gap(phone=phone, at=at, since_s=begin_s, until_s=end_s, left_s=left_s))
    return gaps


def _joined(gap: _Gap, until_s: float, left_s: float) -> _Gap:
    return _Gap(phone=gap.phone, at=gap.at, since_s=gap.since_s, until_s=until_s, left_s=left_s)


def _too_long(run: Run, ways: Ways, gap: _Gap) -> Evidence | None:
    """A call control was whole for the phone all of its budget long, and the phone did not get there."""
    before_s = gap.since_s - _longest_notice_s(run.profile)
    for control in call_controls(run):
        for begin_s, end_s in _whole(ways.on(_way(run, gap.phone, control)), gap.since_s, gap.until_s):
            budget_s = _budget_s(run, ways, gap, before_s, begin_s)
            if end_s - begin_s > budget_s:
                text = (
                    f"{gap.phone}, which lost {gap.at or 'everything'}, was out of service for {gap.until_s - gap.since_s:.3f} s, for "
                    f"{end_s - begin_s:.3f} s of them {control} could be reached ({budget_s:.2f} s allowed)"
                )
                events = seen(run, "CallControlLost", "Unregistered", "Registered", phone=gap.phone)
                last = [event for event in events if event.time_s <= gap.until_s]
                return last[-1].proves(text) if last else Evidence(text=text)
    return None


def _whole(windows: Sequence[FaultWindow], since_s: float, until_s: float) -> list[tuple[float, float]]:
    """The parts of that time in which none of these faults lasted."""
    parts, free_s = [], since_s
    for window in sorted(lasting(windows, since_s, until_s), key=lambda window: window.began_s):
        if window.began_s > free_s:
            parts.append((free_s, window.began_s))
        free_s = max(free_s, window.healed_s)
    return [*parts, (free_s, until_s)] if free_s < until_s else parts


def _budget_s(run: Run, ways: Ways, gap: _Gap, before_s: float, begin_s: float) -> float:
    """From ``begin_s``, when a call control became whole for it: what it takes to notice the loss, unless it has by then, and where
    more than that one loss was in the way shortly before or since, the way back through the list."""
    recent = {
        control: lasting(ways.on(_way(run, gap.phone, control)), before_s, gap.until_s)
        for control in call_controls(run)
    }
    notices = [notice_of(window.kind, window.parameters) for window in recent.get(gap.at, ()) if takes_away(window)]
    noticed_s = max(
        (failover_budget_s(notice, run.profile)[1] for notice in notices if notice is not None), default=AT_ONCE_S
    )
    distinct = {window.confirmed.index for windows in recent.values() for window in windows}
    if len(distinct) <= 1 and not _other_lost(recent, gap):
        return noticed_s
    still_s = noticed_s if gap.left_s > begin_s else 0.0
    return still_s + return_budget_s(run.profile, len(recent))


def _other_lost(recent: dict[str, list[FaultWindow]], gap: _Gap) -> bool:
    return any(windows for control, windows in recent.items() if control != gap.at)
