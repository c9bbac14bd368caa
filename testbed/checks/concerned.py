"""Whom a fault concerns: the phones that it keeps from a call control, derived from the target on record.

A fault of a call control concerns all phones, one of a phones host its own phones, one between two what its words say:
``1/3 of phones<->ccm-1`` concerns a third of them, ``slb<->ccm-1`` none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from testbed.checks.facts import FOREVER, FaultWindow, Seen, call_controls, fault_windows, registrations_at, seen
from testbed.errors import UsageError
from testbed.faults import KINDS
from testbed.faults.reach import End, end_of, kept_apart, phones_kept_from
from testbed.faults.target import places
from testbed.recording import Run
from testbed.topology import Host
from testbed.verdict import Evidence


@dataclass(frozen=True, kw_only=True, slots=True)
class Concern:
    """A fault (its ``target`` is the call control that is lost by it) and the phones that lose it; ``others`` do not."""

    window: FaultWindow
    phones: tuple[str, ...]
    others: tuple[str, ...]


def concerned(run: Run, window: FaultWindow, control: str) -> tuple[str, ...]:
    """Phones that this fault keeps from this call control. Runs of old have no target on record but the host: then all of them."""
    words = window.parameters.get("at")
    if isinstance(words, str):
        try:
            return phones_kept_from(run.topology, words, run.topology.host(control))
        except UsageError:
            # A damaged record, or a kind of somebody else's with words of its own.
            pass
    return run.topology.phones if control in (window.target, *window.hosts) else ()


def takes_away(window: FaultWindow) -> bool:
    """Whether anybody is kept from anything by a fault of this kind: changed marks and late packets leave everybody where they are."""
    kind = KINDS.get(window.kind)
    return kind is None or kind.family not in ("marking", "impairment")


def takes(run: Run, window: FaultWindow, one: End, other: Host, port: int) -> bool:
    """Whether this fault keeps one end from another host's port; marks that change and packets that are late keep nobody."""
    return takes_away(window) and lies_between(run, window, one, other, port)


def lies_between(run: Run, window: FaultWindow, one: End, other: Host, port: int) -> bool:
    """Whether packets between one end and another host's port pass the place of this fault, whatever it does to them."""
    words = window.parameters.get("at")
    if isinstance(words, str):
        try:
            return kept_apart(places(run.topology, words), one, end_of(other), port)
        except UsageError:
            # As above.
            pass
    return other.name == window.target


def concerns(run: Run, controls: Iterable[str]) -> list[Concern]:
    """Every confirmed fault that keeps phones from one of these call controls, in order of time."""
    controls, every = list(controls), fault_windows(run)
    found = []
    for window in [window for window in every if takes_away(window)] or every:
        for control in controls:
            if phones := concerned(run, window, control):
                others = tuple(phone for phone in run.topology.phones if phone not in set(phones))
                found.append(Concern(window=replace(window, target=control), phones=phones, others=others))
    return found


def losses(run: Run, controls: Iterable[str]) -> list[Concern]:
    """Those of them that took a call control from phones which were registered there; where none did, all of them."""
    every = concerns(run, controls)
    return [fault for fault in every if _were_there(run, fault)] or every


@dataclass(frozen=True, kw_only=True, slots=True)
class Company:
    """The other faults that keep phones from call controls while one does: whose loss a phone's is, where it can go, how long it stays."""

    fault: Concern
    others: tuple[Concern, ...]

    def same(self, phone: str) -> list[FaultWindow]:
        """Those that keep this phone from the same call control."""
        return self._of(phone, self.fault.window.target)

    def lost_before(self, phone: str) -> bool:
        """Whether another fault kept this phone from the call control already when this one began."""
        began_s = self.fault.window.began_s
        return any(other.began_s <= began_s <= other.healed_s for other in self.same(phone))

    def lost_still(self, phone: str) -> bool:
        """Whether another one goes on keeping it from there when this one is healed."""
        healing_s = self.fault.window.healing_s
        return any(other.began_s <= healing_s < other.healing_s for other in self.same(phone))

    def has_nowhere_to_go(self, phone: str, controls: Iterable[str]) -> bool:
        """Whether all the others of these call controls were gone for the phone as long as this fault lasted."""
        window = self.fault.window
        elsewhere = [control for control in controls if control != window.target]
        return bool(elsewhere) and all(
            any(w.began_s <= window.began_s and w.healing_s >= window.healing_s for w in self._of(phone, control))
            for control in elsewhere
        )

    def stays_until_s(self, phone: str, control: str, since_s: float) -> float:
        """When, since then, the next fault takes that call control from the phone; FOREVER where none does."""
        later = [window.began_s for window in self._of(phone, control) if window.began_s >= since_s]
        return min(later, default=FOREVER)

    def _of(self, phone: str, control: str) -> list[FaultWindow]:
        return [other.window for other in self.others if other.window.target == control and phone in other.phones]


def company(run: Run, fault: Concern) -> Company:
    """All others, of every call control."""
    own = fault.window
    every = concerns(run, call_controls(run))
    others = [o for o in every if (o.window.confirmed.index, o.window.target) != (own.confirmed.index, own.target)]
    return Company(fault=fault, others=tuple(others))


def _were_there(run: Run, fault: Concern) -> bool:
    held = registrations_at(run, fault.window.began_s)
    return any(phone in held and held[phone]["at"] == fault.window.target for phone in fault.phones)


def strays(run: Run, phones: Collection[str], since_s: float, until_s: float) -> tuple[Evidence, ...]:
    """Phones among these that did not stay registered where they were, unless another fault concerned them meanwhile."""
    before = registrations_at(run, since_s)
    moved: dict[str, Evidence] = {
        phone: Evidence(text=f"{phone} was registered nowhere when the fault began")
        for phone in phones
        if phone not in before
    }
    for event in seen(run, "CallControlLost", "Unregistered", "Registered", since_s=since_s, until_s=until_s):
        phone = str(event["phone"])
        if phone in phones and phone not in moved and _leaves(event, before[phone]):
            text = f"{phone}, whom the fault does not concern, left {before[phone]['at']}"
            moved[phone] = event.proves(f"{text}: {event.event.name} {event['at']} {event['cause'] or ''}".rstrip())
    excused = _concerned_meanwhile(run, before, since_s, until_s) if moved else set()
    return tuple(proof for phone, proof in moved.items() if phone not in excused)


def _leaves(event: Seen, held: Seen) -> bool:
    if event.event.name == "Registered":
        return bool(event["at"] != held["at"])
    return bool(event["at"] == held["at"] and event["state"] != "standby")


def _concerned_meanwhile(run: Run, held: dict[str, Seen], since_s: float, until_s: float) -> set[str]:
    windows = [w for w in fault_windows(run) if w.began_s <= until_s and w.healed_s >= since_s]
    places = {str(event["at"]) for event in held.values()} & {host.name for host in run.topology.hosts}
    return {
        phone
        for window in windows
        for place in places
        for phone in concerned(run, window, place)
        if phone in held and held[phone]["at"] == place
    }
