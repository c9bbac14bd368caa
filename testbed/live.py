"""What the events say is true now: who is registered where, which web host answers. Facts that steps wait for are read from it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from pathlib import Path

from testbed.errors import UsageError
from testbed.faults.reach import phones_kept_from
from testbed.history import Event
from testbed.profile import Profile
from testbed.topology import Role, Topology

LOG_TAIL = 12


class Recorder:
    """Takes events from any thread, keeps the state they add up to, writes them to ``history.jsonl`` where a file is given."""

    def __init__(self, file: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._file = file.open("a", encoding="utf-8", buffering=1) if file else None
        self.registered: dict[str, str] = {}
        """Phone (device name) -> call control it is registered at."""
        self.last_served: dict[str, float] = {}
        """Host -> when (time_s) a phone last got a page from it."""
        self.started: dict[str, int] = {}
        """Host -> how many times its role has started."""
        self.tails: dict[str, deque[str]] = {}

    def add(self, event: Event) -> None:
        """Take one event."""
        with self._lock:
            self._apply(event)
            if self._file:
                self._file.write(event.to_json() + "\n")

    def add_line(self, host: str, line: str) -> None:
        """Keep the tail of what a host printed, for error messages."""
        self.tails.setdefault(host, deque(maxlen=LOG_TAIL)).append(line)

    def close(self) -> None:
        """No event is written after this."""
        with self._lock:
            if self._file:
                self._file.close()
                self._file = None

    def _apply(self, event: Event) -> None:
        phone = event.get("phone")
        if event.name == "Registered" and phone:
            self.registered[phone] = event["at"]
        elif event.name in ("CallControlLost", "Unregistered") and phone:
            if self.registered.get(phone) == event.get("at"):
                del self.registered[phone]
        elif event.name == "UrlAnswered" and event.get("served_by"):
            self.last_served[event["served_by"]] = event.time_s
        elif event.name == "RoleStarted":
            self.started[event.host] = self.started.get(event.host, 0) + 1


class Facts:
    """The facts a step may wait for (scenario_model.Fact says what each means), read from what the recorder knows."""

    def __init__(self, topology: Topology, recorder: Recorder) -> None:
        self._topology, self._recorder = topology, recorder
        self._primary = [host.name for host in topology.with_role(Role.CALL_CONTROL)][:1]
        self._web_hosts = [host.name for host in topology.with_role(Role.WEB_HOST)]
        self._places_before: dict[str, str] = {}
        self._concerned = topology.phones
        self._injected_s = self._healed_s = 0.0

    def mark_injected(self, target: str = "") -> None:
        """A fault is about to be injected, at ``target`` in words: what holds from now on is compared with what is so now."""
        self._places_before = dict(self._recorder.registered)
        self._concerned = self._losing(target)
        self._injected_s = time.time()
        self._healed_s = float("inf")

    def _losing(self, target: str) -> tuple[str, ...]:
        """Phones that it keeps from the call control they are at; where it keeps none, a re-home would be one of all phones."""
        losing: set[str] = set()
        with contextlib.suppress(UsageError):
            for control in self._topology.with_role(Role.CALL_CONTROL):
                kept = phones_kept_from(self._topology, target, control)
                losing |= {phone for phone in kept if self._places_before.get(phone) == control.name}
        return tuple(phone for phone in self._topology.phones if phone in losing) or self._topology.phones

    def mark_healed(self) -> None:
        """A fault was healed just now."""
        self._healed_s = time.time()

    def holds(self, fact: str) -> bool:
        """Whether it is true now."""
        places = {phone: self._recorder.registered.get(phone) for phone in self._topology.phones}
        if fact == "registered":
            return None not in places.values()
        if fact == "rehomed":
            moved = {phone: place for phone, place in places.items() if phone in self._concerned}
            return all(place is not None and place != self._places_before.get(phone) for phone, place in moved.items())
        if fact == "returned":
            # Until it is healed a fault may just not have been noticed yet.
            return self._healed_s < float("inf") and all(place in self._primary for place in places.values())
        if fact == "redirected":
            return any(self._recorder.last_served.get(host, 0) > self._injected_s for host in self._web_hosts[1:])
        if fact == "restored":
            return any(self._recorder.last_served.get(host, 0) > self._healed_s for host in self._web_hosts[:1])
        raise ValueError(f"no fact {fact!r}")

    def seen(self) -> str:
        """In words, for an error message."""
        counts: dict[str, int] = {}
        for phone in self._topology.phones:
            place = self._recorder.registered.get(phone, "nowhere")
            counts[place] = counts.get(place, 0) + 1
        return (
            ", ".join(f"{count} phones registered at {place}" for place, count in sorted(counts.items())) or "no phones"
        )


def fact_timeout_s(profile: Profile) -> float:
    """How long a step waits for a fact: the slowest honest way there (freeze, then fallback by token), and ten seconds.

    It only ends a hopeless wait; whether the fact came in time is for the checks.
    """
    return 10 + 4 * profile.keepalive_s + 2 * profile.secondary_keepalive_s + 2 * profile.token_retry_s
