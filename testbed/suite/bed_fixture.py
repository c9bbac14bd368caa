"""The fixture ``bed``: phones, faults, captures, history and checks of a bed, for tests that are plain Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any, get_args

from testbed.address_block import AddressBlock
from testbed.bed import Bed
from testbed.call_plan import pairs
from testbed.document import known_words
from testbed.errors import UsageError
from testbed.faults import KINDS as FAULTS
from testbed.faults import Fault, fault_of
from testbed.faults.probing import plan_probes
from testbed.history import Event, History
from testbed.live import fact_timeout_s
from testbed.rendering import filled_in
from testbed.sccp.service import line_number
from testbed.scenario_model import Fact
from testbed.suite.episode import Episode
from testbed.topology import Role
from testbed.verdict import Verdict
from testbed.waiting import wait_until

FACTS: tuple[str, ...] = get_args(Fact)
_NUMBERS = count(1)
"""A fault has one for good: a bed that is shared by tests tells their faults apart by it."""


class BedFixture:
    """What a test gets as ``bed``. ``phones``, ``fault``, ``capture`` and ``history`` are its parts; ``check`` judges."""

    def __init__(self, bed: Bed, episode: Episode) -> None:
        self._bed, self._episode = bed, episode
        self.phones = Phones(bed)
        self.fault = Faults(bed, episode)
        self.capture = Captured(episode)
        self.history = Events(episode)
        self.verdicts: list[Verdict] = []
        """Of all checks so far."""

    @property
    def name(self) -> str:
        """Of the bed: `testbed status --name` shows it."""
        return self._bed.topology.bed

    @property
    def folder(self) -> Any:
        """Where this test is recorded (Path)."""
        return self._episode.folder

    def check(self, kind: str, **parameters: Any) -> Verdict:
        """Judge the recording so far; it ends here, and every fault is healed first. Parameters are those of docs/scenarios.md; a name
        that Python keeps for itself has a ``_`` behind it: ``from_="ccm-1"``, ``seen_at="phones-1"``."""
        self.fault.heal_all()
        verdict = self._episode.check(kind, {_word(name): value for name, value in parameters.items()})
        self.verdicts.append(verdict)
        return verdict


class Phones:
    """All phones of the bed."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed

    @property
    def names(self) -> tuple[str, ...]:
        """Device names, in order."""
        return self._bed.topology.phones

    def registered(self) -> dict[str, str]:
        """Phone -> the call control it is registered at, now."""
        return dict(self._bed.recorder.registered)

    def wait_registered(self, timeout_s: float | None = None) -> None:
        """Until every phone is registered somewhere; NotReady says what was seen instead."""
        self._wait("registered", "", timeout_s)

    def wait_rehomed(self, to: str = "", timeout_s: float | None = None) -> None:
        """Until every phone that the faults which last keep from its call control is registered elsewhere (``to``: there). How soon is
        soon enough is a check's business, ``rehomed``; this waits as long as the slowest honest way takes."""
        self._wait("rehomed", to, timeout_s)

    def wait_returned(self, timeout_s: float | None = None) -> None:
        """Until every phone is back at its primary."""
        self._wait("returned", "", timeout_s)

    def press(self, *keys: str, phones: Sequence[str] | str = "all") -> list[dict[str, Any]]:
        """Phones fetch what is behind a key (``services``, …, ``all-urls``); one result for each phone and URL."""
        return self._ask("press", phones, keys=list(keys))

    def browse(self, url: str, *, interval_s: float, for_s: float, phones: Sequence[str] | str = "all") -> None:
        """Every phone requests this page again and again, in the background. ``${BED_PREFIX}`` in it is filled in."""
        block = AddressBlock(self._bed.topology.prefix.removesuffix(".0.0/16"))
        self._ask(
            "browse", phones, url=filled_in(url, block.values), interval_s=interval_s, duration_s=for_s, method="GET"
        )

    def call(self, pairs_of_phones: int, *, talk_s: float) -> None:
        """So many pairs call each other, in the background, and hang up after so long."""
        requests: dict[str, dict[str, Any]] = {}
        for caller, called in pairs(self._bed.topology, pairs_of_phones):
            host = self._bed.topology.host_of(self._bed.topology.phone_address(caller))
            calls = requests.setdefault(host, {"op": "call", "talk_s": talk_s, "calls": []})
            calls["calls"].append({"phone": caller, "number": line_number(called)})
        self._bed.facts.mark_calling([name for pair in pairs(self._bed.topology, pairs_of_phones) for name in pair])
        self._bed.ask_all(requests)

    def wait(self, fact: str, timeout_s: float | None = None) -> None:
        """Until any fact of docs/scenarios.md holds: ``talking``, ``hung-up``, ``redirected``, ``restored`` …"""
        self._wait(fact, "", timeout_s)

    def _wait(self, fact: str, to: str, timeout_s: float | None) -> None:
        if fact not in FACTS:
            raise UsageError(f"no fact {fact!r}", hint=known_words(fact, FACTS))
        if to:
            self._bed.topology.host(to)
        facts, registered = self._bed.facts, self._bed.recorder.registered

        def holds() -> bool:
            return facts.holds(fact) and (not to or all(registered.get(phone) == to for phone in self.names))

        wait_until(
            holds,
            awaited=f"{fact}{f' at {to}' if to else ''}",
            timeout_s=fact_timeout_s(self._bed.topology.timers) if timeout_s is None else timeout_s,
            last_seen=facts.seen,
            log_tail=self._log_tail,
        )

    def _log_tail(self) -> str:
        fleets = self._bed.topology.with_role(Role.PHONE)
        return "\n".join(line for host in fleets for line in list(self._bed.recorder.tails.get(host.name, ()))[-4:])

    def _ask(self, op: str, phones: Sequence[str] | str, **particulars: object) -> list[dict[str, Any]]:
        requests = {}
        for host in self._bed.topology.with_role(Role.PHONE):
            own = self.names[host.first_phone - 1 : host.first_phone - 1 + host.phones]
            chosen = list(own) if phones == "all" else [phone for phone in phones if phone in own]
            if chosen:
                requests[host.name] = {"op": op, "phones": chosen, **particulars}
        strangers = [] if phones == "all" else [phone for phone in phones if phone not in self.names]
        if strangers:
            raise UsageError(f"no phone {strangers[0]!r} in this bed", hint="bed.phones.names are its phones")
        replies = self._bed.ask_all(requests)
        return [result for reply in replies.values() for result in reply.get("results", ())]


class Held:
    """A fault that lasts, until ``heal``."""

    def __init__(self, fault: Fault, heal: Callable[[], None]) -> None:
        self.fault, self._heal = fault, heal
        self.healed = False

    def heal(self) -> None:
        """Undo it; again does nothing."""
        if not self.healed:
            self.healed = True
            self._heal()


class Faults:
    """Every kind of fault by its name: ``with bed.fault.freeze("ccm-1"): …``; dashes are underscores: ``link_down``."""

    def __init__(self, bed: Bed, episode: Episode) -> None:
        self._bed, self._episode = bed, episode
        self._held: list[Held] = []
        self._lanes = 0
        self._probed: Held | None = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        kind = name.replace("_", "-")
        if kind.startswith("-") or kind not in FAULTS:
            raise AttributeError(f"no kind of fault {kind!r}: {known_words(kind, FAULTS)}")
        return lambda target, **parameters: self._lasting(kind, target, parameters)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(kind.replace("-", "_") for kind in FAULTS)]

    def inject(self, kind: str, target: str, **parameters: Any) -> Held:
        """The same without a ``with``: it lasts until its ``heal``, or the test's end."""
        if self._episode.over:
            raise UsageError("a check has ended this test's recording: break things before you judge")
        fault = fault_of(kind, target, **{_word(name): value for name, value in parameters.items()})
        number = next(_NUMBERS)
        probing = self._probes(fault)
        try:
            if probing is not None:
                probing.__enter__()
            self._bed.facts.mark_injected(number, fault)
            injected = self._bed.injector.inject(fault)
        except BaseException:
            if probing is not None:
                probing.__exit__()
            raise

        def heal() -> None:
            try:
                self._bed.injector.heal(injected)
            finally:
                self._bed.facts.mark_healed(number)
                if probing is not None:
                    self._probed = None
                    probing.__exit__()

        held = Held(fault, heal)
        self._held.append(held)
        if probing is not None:
            self._probed = held
        return held

    def heal_all(self) -> None:
        """Whatever lasts, last first."""
        for held in reversed(self._held):
            held.heal()

    @contextmanager
    def _lasting(self, kind: str, target: str, parameters: dict[str, Any]) -> Iterator[Held]:
        held = self.inject(kind, target, **parameters)
        try:
            yield held
        finally:
            held.heal()

    def _probes(self, fault: Fault) -> Any:
        """Probes that show when it begins and ends, where it is one that happens to packets."""
        plan = plan_probes(self._bed.topology, [fault], tuple(self._episode.captured))
        if not plan.hosts:
            return None
        if self._probed is not None:
            raise UsageError(
                f"{fault} while {self._probed.fault} lasts: two faults of links at once have one set of probes",
                hint="write a scenario file for them, and mark the test with bed_scenario",
            )
        lanes = tuple(replace(lane, number=lane.number + self._lanes) for lane in plan.lanes)
        self._lanes += len(lanes)
        return self._bed.probing(replace(plan, lanes=lanes), self._episode.folder / "probes")


class Captured:
    """The captures of this test."""

    def __init__(self, episode: Episode) -> None:
        self._episode = episode

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where packets are captured."""
        return self._episode.captured

    def path(self, host: str) -> Any:
        """The file (Path); it is whole once a check was made."""
        if host not in self.hosts:
            raise UsageError(f"nothing is captured at {host!r}", hint="captured are: " + ", ".join(self.hosts))
        return self._episode.folder / "captures" / f"{host}.pcap"


class Events:
    """What happened, so far."""

    def __init__(self, episode: Episode) -> None:
        self._episode = episode

    @property
    def events(self) -> tuple[Event, ...]:
        """All of them, in order."""
        return tuple(History.read(self._episode.folder / "history.jsonl").events)

    def seen(self, name: str, **particulars: Any) -> list[Event]:
        """Those of one name whose data has all these values."""
        return [
            event
            for event in self.events
            if event.name == name and all(event.get(key) == value for key, value in particulars.items())
        ]


def _word(name: str) -> str:
    return name.removesuffix("_").replace("_", "-")
