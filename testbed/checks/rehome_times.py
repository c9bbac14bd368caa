"""How each phone that a fault concerns re-homed around it: when, where to, by what it noticed, and which part took how long.

A phone cannot notice a fault before it is there, nor a return. So where the first phone noticed between the command and its
confirmation (``began_s`` and ``effect_s``), that is taken as the instant of the effect: the engine confirms late.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from testbed.checks.budget import AT_ONCE_S
from testbed.checks.concerned import Company
from testbed.checks.facts import FOREVER, FaultWindow, Seen, call_controls, registrations_at, seen, steps_ended_s
from testbed.recording import Run
from testbed.verdict import Evidence

_NAMES = ("Registered", "CallControlLost", "CallControlConnected", "TokenGranted", "TokenRefused", "RegisterRejected")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rehome:
    """One phone's way to another call control, in seconds from the effect (``effect_s``, realtime).

    ``parts`` are in order and sum up to ``total_s``: detection, connection, registration of a failover; contact, token,
    registration of a fallback. Empty where the phone reported no more than its registration.
    """

    phone: str
    at: str
    effect_s: float
    registered: Seen
    parts: Mapping[str, float] = field(default_factory=dict)
    token_wait_s: float = 0.0
    noticed: str = ""
    """What told the phone: closed, reset, refused, timeout, unreachable or keepalive; of a failover that it reported."""
    last_answered_s: float | None = None
    """When the last KeepAlive that was answered there had been sent, as far as it says (realtime)."""

    @property
    def total_s(self) -> float:
        return self.registered.time_s - self.effect_s


@dataclass(frozen=True, kw_only=True, slots=True)
class Rehomes:
    """Those of the phones concerned around one fault; ``missing`` says for each of them that has none why."""

    done: tuple[Rehome, ...]
    missing: tuple[Evidence, ...]


def failover_end_s(run: Run, window: FaultWindow) -> float:
    """Until when a failover may be seen: healing, or the end of the steps. A restart is over when the host runs again; phones
    that noticed it register elsewhere all the same, and stay there until they have asked for a token."""
    if window.kind == "restart":
        return window.healing_s + AT_ONCE_S
    return window.healing_s if window.healed else steps_ended_s(run)


def failovers(run: Run, company: Company, to: str | None) -> Rehomes:
    """From the fault's effect on a call control to the registration at ``to`` (or any other), before it is healed.

    A phone that another fault had taken it from before is none of this one's, nor is one with nowhere to go.
    """
    window, controls = company.fault.window, call_controls(run)
    phones = [
        phone
        for phone in company.fault.phones
        if not company.lost_before(phone) and not company.has_nowhere_to_go(phone, controls)
    ]
    end_s = failover_end_s(run, window)
    events = _by_phone(run, phones, window.began_s, end_s if window.healed else FOREVER)
    losses = [loss for own in events.values() for loss in own if _is_loss(loss, window.target)]
    effect_s = min([window.effect_s, *(loss.time_s for loss in losses)])
    before = registrations_at(run, window.began_s)
    held_at = cache(lambda time_s: registrations_at(run, time_s))
    done, missing = [], []
    for phone in phones:
        own = events.get(phone, [])
        registered = _first(own, "Registered", at={to} if to else None, not_at=window.target)
        if phone not in before or before[phone]["at"] != window.target:
            missing.append(_missing(own, phone, f"was not registered at {window.target} when the fault began"))
        elif registered is None:
            missing.append(_missing(own, phone, f"did not register at {to or 'another call control'}"))
        elif not _stayed(phone, registered, end_s, company, held_at):
            missing.append(_missing(own, phone, f"did not stay at {registered['at']}"))
        else:
            parts = _failover_parts(own, window.target, registered, effect_s)
            lost = _loss(own, window.target, registered)
            done.append(
                Rehome(
                    phone=phone,
                    at=registered["at"],
                    effect_s=effect_s,
                    registered=registered,
                    parts=parts,
                    noticed=str(lost["cause"] or "") if lost else "",
                    last_answered_s=lost["last_answered_s"] if lost else None,
                )
            )
    return Rehomes(done=tuple(done), missing=tuple(missing))


def _stayed(
    phone: str, registered: Seen, end_s: float, company: Company, held_at: Callable[[float], dict[str, Seen]]
) -> bool:
    """Until then, or until another fault took that call control as well."""
    end_s = min(end_s, company.stays_until_s(phone, str(registered["at"]), registered.time_s))
    held = held_at(end_s).get(phone)
    return registered.time_s > end_s or (held is not None and bool(held["at"] == registered["at"]))


def fallbacks(run: Run, company: Company, from_: str | None) -> Rehomes:
    """From the healing of a call control to the registration there, before the next fault of it begins.

    A phone that another fault still keeps from there is none of this healing's.
    """
    window = company.fault.window
    target = window.target
    phones = [phone for phone in company.fault.phones if not company.lost_still(phone)]
    until_s = min((company.stays_until_s(phone, target, window.healed_s) for phone in phones), default=FOREVER)
    events = _by_phone(run, phones, window.healing_s, until_s)
    contacts = [_first(own, "CallControlConnected", "Registered", at={target}) for own in events.values()]
    effect_s = min([window.healed_s, *(contact.time_s for contact in contacts if contact)])
    # Where phones were when healing began; after a restart, which is over before they have registered elsewhere, a little later.
    before = registrations_at(run, failover_end_s(run, window) if window.kind == "restart" else window.healing_s)
    done, missing = [], []
    for phone in phones:
        own = events.get(phone, [])
        registered = _first(own, "Registered", at={target})
        if phone in before and before[phone]["at"] == target:
            missing.append(_missing([before[phone]], phone, f"had never left {target}"))
        elif from_ and (phone not in before or before[phone]["at"] != from_):
            missing.append(_missing(own, phone, f"was not registered at {from_} when healing began"))
        elif registered is None:
            missing.append(_missing(own, phone, f"did not register at {target}"))
        else:
            waits = [event["wait_s"] for event in own if event.event.name == "TokenRefused" and event["at"] == target]
            done.append(
                Rehome(
                    phone=phone,
                    at=target,
                    effect_s=effect_s,
                    registered=registered,
                    parts=_fallback_parts(own, target, registered, effect_s),
                    token_wait_s=float(sum(wait or 0 for wait in waits)),
                )
            )
    return Rehomes(done=tuple(done), missing=tuple(missing))


def _by_phone(run: Run, phones: Sequence[str], since_s: float, until_s: float) -> dict[str, list[Seen]]:
    events: dict[str, list[Seen]] = {phone: [] for phone in phones}
    for event in seen(run, *_NAMES, since_s=since_s, until_s=until_s):
        if event["phone"] in events:
            events[event["phone"]].append(event)
    return events


def _is_loss(event: Seen, of: str) -> bool:
    return event.event.name == "CallControlLost" and event["at"] == of and event["state"] != "standby"


def _loss(own: Sequence[Seen], of: str, registered: Seen) -> Seen | None:
    return next((event for event in own if _is_loss(event, of) and event.index < registered.index), None)


def _place(event: Seen) -> object:
    return event["to"] if event.event.name == "CallControlConnected" else event["at"]


def _first(events: Sequence[Seen], *names: str, at: set[str] | None, not_at: str | None = None) -> Seen | None:
    return next(
        (
            event
            for event in events
            if event.event.name in names and (at is None or _place(event) in at) and _place(event) != not_at
        ),
        None,
    )


def _missing(own: Sequence[Seen], phone: str, reason: str) -> Evidence:
    text = f"{phone} {reason}"
    if not own:
        return Evidence(text=f"{text}; it reported nothing")
    return own[-1].proves(f"{text}; last seen: {own[-1].event.name} {_place(own[-1])}")


def _failover_parts(own: Sequence[Seen], target: str, registered: Seen, effect_s: float) -> dict[str, float]:
    """A standby connection that was open already costs nothing: connection is 0."""
    lost = _loss(own, target, registered)
    if lost is None:
        return {}
    made = [
        event.time_s
        for event in own
        if event.event.name == "CallControlConnected"
        and event["to"] == registered["at"]
        and lost.index < event.index < registered.index
    ]
    connected_s = made[-1] if made else lost.time_s
    return _between(effect_s, detection=lost.time_s, connection=connected_s, registration=registered.time_s)


def _fallback_parts(own: Sequence[Seen], target: str, registered: Seen, effect_s: float) -> dict[str, float]:
    contact = _first(own, "CallControlConnected", at={target})
    if contact is None or contact.index > registered.index:
        return {}
    tokens = [
        event.time_s
        for event in own
        if event.event.name == "TokenGranted" and event["at"] == target and event.index < registered.index
    ]
    granted_s = max(tokens[-1], contact.time_s) if tokens else contact.time_s
    return _between(effect_s, contact=contact.time_s, token=granted_s, registration=registered.time_s)


def _between(begin_s: float, **ends_s: float) -> dict[str, float]:
    """Length of each part, given where each ends."""
    parts = {}
    for name, end_s in ends_s.items():
        parts[name] = end_s - begin_s
        begin_s = end_s
    return parts
