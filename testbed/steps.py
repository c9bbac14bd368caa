"""Performs the steps of a scenario on a bed: one clock, faults that heal when their time is up, presses and browsing by the phones."""

from __future__ import annotations

import time
from dataclasses import dataclass

from testbed.address_block import AddressBlock
from testbed.bed import Bed
from testbed.errors import EngineError, NotReady, Unsupported
from testbed.injector import Injected
from testbed.live import fact_timeout_s
from testbed.rendering import filled_in
from testbed.scenario_model import Browse, Scenario, Step
from testbed.topology import Role
from testbed.waiting import wait_until

BROWSE_SLACK_S = 1.0


@dataclass(slots=True)
class _Due:
    """A fault that heals at a time (monotonic) or upon a fact, whichever it was given."""

    injected: Injected
    at: float = float("inf")


class Steps:
    """One performance of a scenario's steps. ``perform`` returns when all of them, and what they started, are over."""

    def __init__(self, bed: Bed, scenario: Scenario, block: AddressBlock) -> None:
        self._bed, self._scenario, self._block = bed, scenario, block
        self._timers = scenario.timers
        self._due: list[_Due] = []
        self._busy_until = 0.0
        self._began = 0.0

    def perform(self) -> None:
        """All steps in order, then wait for what goes on in the background, then heal what is left."""
        bed = self._bed
        bed.injector.prepare([step.inject.fault for step in self._scenario.steps if step.inject])
        self._began = time.monotonic()
        bed.record("StepsStarted")
        for place, step in enumerate(self._scenario.steps):
            if step.at is not None:
                self._wait_till(self._began + step.at.seconds(self._timers))
            if step.after is not None:
                self._await_fact(step.after)
            bed.record("StepStarted", step=place, action=step.action)
            self._act(step)
        timed = [due.at for due in self._due if due.at < float("inf")]
        self._wait_till(max([self._busy_until, *timed]))
        for due in reversed(list(self._due)):
            self._heal(due)
        bed.record("StepsEnded")

    def _act(self, step: Step) -> None:
        if step.inject is not None:
            self._inject(step)
        elif step.press is not None:
            self._ask_phones("press", step.phones or "all", keys=list(step.press))
        elif step.browse is not None:
            self._browse(step.browse)

    def _inject(self, step: Step) -> None:
        assert step.inject is not None
        self._bed.facts.mark_injected(step.inject.fault.at)
        try:
            injected = self._bed.injector.inject(step.inject.fault)
        except Unsupported:
            # On record; the scenario is inconclusive.
            return
        due = _Due(injected)
        self._due.append(due)
        if step.for_ is not None:
            due.at = time.monotonic() + step.for_.seconds(self._timers)
        elif step.until is not None:
            self._await_fact(step.until)
            self._heal(due)

    def _browse(self, browse: Browse) -> None:
        duration_s = browse.for_.seconds(self._timers)
        self._ask_phones(
            "browse",
            browse.phones,
            url=filled_in(browse.address, self._block.values),
            interval_s=browse.interval.seconds(self._timers),
            duration_s=duration_s,
            method=browse.method,
        )
        self._busy_until = max(
            self._busy_until, time.monotonic() + duration_s + self._timers.http_timeout_s / 2 + BROWSE_SLACK_S
        )

    def _ask_phones(self, op: str, phones: str | tuple[str, ...], **particulars: object) -> None:
        """Ask every phones host at once; each takes its own phones of those named."""
        hosts = [host for host in self._bed.topology.with_role(Role.PHONE) if host.phones]
        names = self._bed.topology.phones
        requests = {}
        for host in hosts:
            own = names[host.first_phone - 1 : host.first_phone - 1 + host.phones]
            chosen = "all" if phones == "all" else [phone for phone in phones if phone in own]
            if chosen:
                requests[host.name] = {"op": op, "phones": chosen, **particulars}
        try:
            self._bed.ask_all(requests)
        except EngineError as error:
            # A phones host that is broken on purpose answers nothing; what was not fetched is for the checks to judge.
            self._bed.record("PressFailed", op=op, error=error.message.splitlines()[0])

    def _await_fact(self, fact: str) -> None:
        """Wait, healing what is due meanwhile; a fact that does not come is for the checks to judge."""
        facts, timeout_s = self._bed.facts, fact_timeout_s(self._timers)

        def holds() -> bool:
            self._heal_due()
            return facts.holds(fact)

        try:
            wait_until(holds, awaited=fact, timeout_s=timeout_s, last_seen=facts.seen)
            self._bed.record("FactSeen", fact=fact)
        except NotReady as error:
            self._bed.record("FactMissed", fact=fact, timeout_s=timeout_s, last_seen=error.last_seen)

    def _wait_till(self, moment: float) -> None:
        def come() -> bool:
            self._heal_due()
            return time.monotonic() >= moment

        left = moment - time.monotonic()
        if left > 0:
            wait_until(come, awaited="the time of a step", timeout_s=left + 5, poll_s=0.01)

    def _heal_due(self) -> None:
        now = time.monotonic()
        for due in [due for due in self._due if due.at <= now]:
            self._heal(due)

    def _heal(self, due: _Due) -> None:
        self._due.remove(due)
        self._bed.injector.heal(due.injected)
        self._bed.facts.mark_healed()
