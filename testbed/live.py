"""What the events say is true now: who is registered where, which web host answers. Facts that steps wait for are read from it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from testbed.errors import UsageError
from testbed.faults.base import Fault
from testbed.faults.reach import phones_kept_from
from testbed.history import Event
from testbed.profile import Profile
from testbed.topology import Role, Topology

LOG_TAIL = 12
STANDING = ("NicConfigured", "RoleStarted", "ConfigRead", "Registered", "LogUnreadable")
"""Events that a history needs though they came before it began."""
FOREVER = float("inf")


class Recorder:
    """Takes events from any thread, keeps the state they add up to, writes them to ``history.jsonl`` where a file is given."""

    def __init__(self, file: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._file = file.open("a", encoding="utf-8", buffering=1) if file else None
        self._unwritten: OSError | None = None
        """Why an event is not in the file: nothing more is written then, and whoever adds one is told."""
        self.registered: dict[str, str] = {}
        """Phone (device name) -> call control it is registered at."""
        self.last_served: dict[str, float] = {}
        """Host -> when (time_s) a phone last got a page from it."""
        self.talking: set[str] = set()
        """Phones in a call that was answered."""
        self.hung_up: dict[str, float] = {}
        """Phone -> when (time_s) its latest call ended."""
        self.started: dict[str, int] = {}
        """Host -> how many times its role has started."""
        self.unreadable: dict[str, str] = {}
        """Host -> why the engine cannot read its log: events of it are missing."""
        self.tails: dict[str, deque[str]] = {}
        self._standing: dict[tuple[str, str], Event] = {}
        """The latest event of each sort that says how things stand, of each phone or host."""

    def add(self, event: Event) -> None:
        """Take one event. Raises OSError where it, or one before it, cannot be written (one that follows a log cannot tell)."""
        with self._lock:
            self._apply(event)
            if self._unwritten is not None:
                raise self._unwritten
            if self._file:
                try:
                    self._file.write(event.to_json() + "\n")
                except OSError as error:
                    self._unwritten = error
                    raise

    def add_line(self, host: str, line: str) -> None:
        """Keep the tail of what a host printed, for error messages."""
        self.tails.setdefault(host, deque(maxlen=LOG_TAIL)).append(line)

    def write_to(self, file: Path) -> None:
        """From now on events go into this file, behind those that say how things stand: who started, what each phone read, and where
        it is registered."""
        self.close()
        with self._lock:
            self._file, self._unwritten = file.open("a", encoding="utf-8", buffering=1), None
            for event in sorted(self._standing.values(), key=lambda event: event.time_s):
                self._file.write(event.to_json() + "\n")

    def close(self) -> None:
        """No event is written after this."""
        with self._lock:
            if self._file:
                self._file.close()
                self._file = None

    def _apply(self, event: Event) -> None:
        phone, at = _word(event, "phone"), _word(event, "at")
        if event.name in STANDING:
            self._standing[event.name, phone or event.host] = event
        if event.name == "Registered" and phone and at:
            self.registered[phone] = at
        elif event.name in ("CallControlLost", "Unregistered") and phone:
            if self.registered.get(phone) == at:
                del self.registered[phone]
                self._standing.pop(("Registered", phone), None)
        elif event.name == "CallConnected" and phone:
            self.talking.add(phone)
        elif event.name == "CallEnded" and phone:
            self.talking.discard(phone)
            self.hung_up[phone] = event.time_s
        elif event.name == "UrlAnswered" and (served_by := _word(event, "served_by")):
            self.last_served[served_by] = event.time_s
        elif event.name == "RoleStarted":
            self.started[event.host] = self.started.get(event.host, 0) + 1
        elif event.name == "LogUnreadable":
            self.unreadable[event.host] = _word(event, "error")


def _word(event: Event, key: str) -> str:
    """A particular that is a word; any program in a bed may print an event of any name with anything in it."""
    value = event.get(key)
    return value if isinstance(value, str) else ""


@dataclass(slots=True)
class _Mark:
    """A fault as facts see it; a row of repetitions is one, and lasts while one of them does. Times are realtime seconds."""

    began_s: float
    places: dict[str, str]
    """Where each phone was registered when it began."""
    taken: frozenset[str]
    """Phones that it keeps from the call control they were registered at."""
    keeps_from_primary: bool
    takes_web_host: bool
    """The one of the lowest rank, which the SLB asks first."""
    healed_s: float = FOREVER

    @property
    def lasts(self) -> bool:
        return self.healed_s == FOREVER


class Facts:
    """The facts a step may wait for, read from what the recorder knows; faults may overlap.

    ``registered``  every phone is registered somewhere.
    ``rehomed``     every phone that a fault took from its call control is registered at another one. With ``until`` the fault is
                    the step's own; with ``after`` all that last and took any, or once they are healed the latest one.
    ``returned``    every phone is at its primary, and no fault that lasts keeps any from it: it may just not be noticed yet.
    ``redirected``  a phone got a page from a standby web host since the fault began: the step's own, or else the latest one of the
                    first web host.
    ``talking``     every phone that a step has call, or be called, is in a call that was answered.
    ``hung-up``     each of them has ended its call.
    ``restored``    no fault of the first web host lasts, and since the latest of them was healed a phone got a page from it.

    Where no fault is of that sort, the latest of any sort counts, and one that takes no phone's call control concerns all phones.
    """

    def __init__(self, topology: Topology, recorder: Recorder) -> None:
        self._topology, self._recorder = topology, recorder
        self._primary = [host.name for host in topology.with_role(Role.CALL_CONTROL)][:1]
        self._web_hosts = [host.name for host in topology.with_role(Role.WEB_HOST)]
        self._marks: dict[int, _Mark] = {}
        self._callers: dict[str, float] = {}
        """Phones that steps have call or be called, and since when (time_s)."""

    def mark_calling(self, phones: Iterable[str]) -> None:
        """These are about to call, or to be called."""
        self._callers |= dict.fromkeys(phones, time.time())

    def mark_injected(self, step: int, fault: Fault) -> None:
        """A step's fault is about to be injected: what holds from now on is compared with what is so now."""
        if step in self._marks:
            self._marks[step].healed_s = FOREVER
            return
        places = dict(self._recorder.registered)
        kept = self._kept(fault)
        self._marks[step] = _Mark(
            began_s=time.time(),
            places=places,
            taken=frozenset(
                phone for control, phones in kept.items() for phone in phones if places.get(phone) == control
            ),
            keeps_from_primary=any(kept.get(control) for control in self._primary),
            takes_web_host=_takes(fault) and bool({*self._web_hosts[:1]} & {*fault.hosts(self._topology)}),
        )

    def mark_healed(self, step: int) -> None:
        """It was healed just now, or could not be injected."""
        self._marks[step].healed_s = time.time()

    def holds(self, fact: str, about: int | None = None) -> bool:
        """Whether it is true now, of the fault of step ``about``, or of what there is."""
        if fact == "registered":
            return all(phone in self._recorder.registered for phone in self._topology.phones)
        if fact == "rehomed":
            return all(map(self._has_rehomed, self._takers(about)))
        if fact == "returned":
            away = any(self._recorder.registered.get(phone) not in self._primary for phone in self._topology.phones)
            return not away and not any(mark.lasts and mark.keeps_from_primary for mark in self._marks.values())
        if fact == "redirected":
            since_s = max((mark.began_s for mark in self._of_web_host(about)), default=0.0)
            return any(self._recorder.last_served.get(host, 0) > since_s for host in self._web_hosts[1:])
        if fact == "restored":
            since_s = max((mark.healed_s for mark in self._of_web_host(None)), default=0.0)
            return any(self._recorder.last_served.get(host, 0) > since_s for host in self._web_hosts[:1])
        if fact == "talking":
            return bool(self._callers) and self._recorder.talking >= self._callers.keys()
        if fact == "hung-up":
            ends = self._recorder.hung_up
            return all(ends.get(phone, 0.0) >= since_s for phone, since_s in self._callers.items())
        raise ValueError(f"no fact {fact!r}")

    def _kept(self, fault: Fault) -> dict[str, tuple[str, ...]]:
        """Call control -> phones that the fault keeps from it."""
        if not _takes(fault):
            return {}
        kept = {}
        for control in self._topology.with_role(Role.CALL_CONTROL):
            with contextlib.suppress(UsageError):  # a kind of somebody else's, with words of its own for a target
                kept[control.name] = phones_kept_from(self._topology, fault.at, control)
        return kept

    def _takers(self, about: int | None) -> list[_Mark]:
        if about is not None:
            return [self._marks[about]]
        marks = list(self._marks.values())
        takers = [mark for mark in marks if mark.taken]
        return [mark for mark in takers if mark.lasts] or (takers or marks)[-1:]

    def _has_rehomed(self, mark: _Mark) -> bool:
        places = {phone: self._recorder.registered.get(phone) for phone in mark.taken or self._topology.phones}
        return all(place is not None and place != mark.places.get(phone) for phone, place in places.items())

    def _of_web_host(self, about: int | None) -> list[_Mark]:
        if about is not None:
            return [self._marks[about]]
        marks = list(self._marks.values())
        return [mark for mark in marks if mark.takes_web_host] or marks[-1:]

    def seen(self) -> str:
        """In words, for an error message."""
        counts: dict[str, int] = {}
        for phone in self._topology.phones:
            place = self._recorder.registered.get(phone, "nowhere")
            counts[place] = counts.get(place, 0) + 1
        calls = f", {len(self._recorder.talking)} of {len(self._callers)} in a call" if self._callers else ""
        places = [f"{count} phones registered at {place}" for place, count in sorted(counts.items())]
        return (", ".join(places) or "no phones") + calls


def _takes(fault: Fault) -> bool:
    """Marks and impairments leave everybody where they are."""
    return fault.family not in ("marking", "impairment")


def fact_timeout_s(profile: Profile) -> float:
    """How long a step waits for a fact: the slowest honest way there (freeze, then fallback by token), and ten seconds.

    It only ends a hopeless wait; whether the fact came in time is for the checks.
    """
    return 10 + 4 * profile.keepalive_s + 2 * profile.secondary_keepalive_s + 2 * profile.token_retry_s
