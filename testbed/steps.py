"""Performs the steps of a scenario on a bed: does what the schedule says when it says so, and tells it what was done.

Every act has a thread of its own, since a stop takes seconds and a press as long as its slowest page: what comes later keeps its time.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from testbed.address_block import AddressBlock
from testbed.bed import Bed
from testbed.call_plan import pairs
from testbed.dscp import code_point, tos_of
from testbed.errors import EngineError, Unsupported
from testbed.injector import Injected
from testbed.live import fact_timeout_s
from testbed.rendering import filled_in
from testbed.sccp.service import line_number
from testbed.scenario_model import Browse, Call, Keys, Push, Reset, Scenario, Stream
from testbed.schedule import Act, Heal, Note, Order, Schedule
from testbed.topology import Role

LOOK_S = 0.02
"""How often an awaited fact is looked for."""
LONGEST_WAIT_S = 1.0
"""For one of the threads to be done, or for a moment that is farther away; then the schedule is asked again."""


class Steps:
    """One performance of a scenario's steps. ``perform`` returns when all of them, and what they started, are over."""

    def __init__(self, bed: Bed, scenario: Scenario, block: AddressBlock) -> None:
        self._bed, self._steps, self._block = bed, scenario.steps, block
        self._timers = scenario.timers
        self._faults = [step.inject.fault if step.inject else None for step in scenario.steps]
        self._fact_timeout_s = fact_timeout_s(scenario.timers)
        self._schedule = Schedule(
            scenario.steps,
            scenario.timers,
            fact_timeout_s=self._fact_timeout_s,
            claims=[fault.claims(bed.topology) if fault else frozenset() for fault in self._faults],
        )
        self._injected: dict[tuple[int, int], Injected] = {}
        self._finished: SimpleQueue[tuple[Act | Heal, Future[float]]] = SimpleQueue()
        self._began = self._began_s = 0.0

    def perform(self) -> None:
        """What the schedule says until it is over. What goes wrong in a thread ends it, once the other threads are done."""
        self._bed.injector.prepare([fault for fault in self._faults if fault])
        self._bed.open_to(self._asked())
        self._began, self._began_s = time.monotonic(), time.time()
        self._bed.record("StepsStarted")
        with ThreadPoolExecutor(max_workers=2 * len(self._steps) + 1, thread_name_prefix="act") as pool:
            while True:
                for order in self._schedule.tick(self._now_s(), self._bed.facts.holds):
                    self._carry_out(order, pool)
                if self._schedule.over:
                    break
                self._listen()
        self._bed.record("StepsEnded")

    def _asked(self) -> set[str]:
        """Hosts whose roles some step asks for something."""
        asked = {act.from_ for step in self._steps for act in (step.push, step.stream, step.reset) if act}
        if any(step.press or step.browse or step.call or step.keys for step in self._steps):
            asked |= {host.name for host in self._bed.topology.with_role(Role.PHONE) if host.phones}
        return asked

    def _now_s(self) -> float:
        return time.monotonic() - self._began

    def _listen(self) -> None:
        """Wait for a thread to be done, but no longer than until the schedule has something to do."""
        left_s = self._schedule.next_moment() - self._now_s()
        longest_s = LOOK_S if self._schedule.awaiting else LONGEST_WAIT_S
        try:
            order, outcome = self._finished.get(timeout=max(0.0, min(left_s, longest_s)))
        except Empty:
            return
        try:
            at_s, in_vain = outcome.result() - self._began_s, False
        except Unsupported:
            # On record; the scenario is inconclusive.
            at_s, in_vain = self._now_s(), True
        if isinstance(order, Heal) or in_vain:
            self._bed.facts.mark_healed(order.step)
        self._schedule.done(order, at_s, in_vain=in_vain)

    def _carry_out(self, order: Order, pool: ThreadPoolExecutor) -> None:
        if isinstance(order, Note):
            seen = {} if order.seen else {"last_seen": self._bed.facts.seen(), "timeout_s": self._fact_timeout_s}
            self._bed.record("FactSeen" if order.seen else "FactMissed", fact=order.fact, **seen)
            return
        if isinstance(order, Act):
            step = self._steps[order.step]
            self._bed.record("StepStarted", step=order.step, action=step.action, **self._timing(order))
            if step.action == "wait":
                return
            if fault := self._faults[order.step]:
                self._bed.facts.mark_injected(order.step, fault)
        task = partial(self._heal, order) if isinstance(order, Heal) else partial(self._act, order)
        future = pool.submit(task)
        future.add_done_callback(lambda done: self._finished.put((order, done)))

    def _timing(self, act: Act) -> dict[str, float]:
        """When it was due (realtime seconds), where its time alone said so."""
        return {} if act.scheduled_s is None else {"scheduled_s": round(self._began_s + act.scheduled_s, 6)}

    # -- in threads of their own; they return when it took effect (realtime seconds)

    def _act(self, act: Act) -> float:
        step, fault, began_s = self._steps[act.step], self._faults[act.step], time.time()
        if fault is not None:
            injected = self._bed.injector.inject(fault, **self._timing(act))
            self._injected[act.step, act.number] = injected
            return injected.effect_s
        if step.press is not None:
            self._ask_phones("press", step.phones or "all", keys=list(step.press))
        elif step.browse is not None:
            self._browse(step.browse)
        elif step.call is not None:
            self._call(step.call)
        elif step.push is not None:
            self._push(step.push)
        elif step.stream is not None:
            self._stream(step.stream)
        elif step.reset is not None:
            self._reset(step.reset)
        elif step.keys is not None:
            self._keys(step.keys)
        return began_s

    def _heal(self, heal: Heal) -> float:
        self._bed.injector.heal(self._injected.pop((heal.step, heal.number)))
        return time.time()

    # -- what phones are asked to do

    def _browse(self, browse: Browse) -> None:
        self._ask_phones(
            "browse",
            browse.phones,
            url=filled_in(browse.address, self._block.values),
            interval_s=browse.interval.seconds(self._timers),
            duration_s=browse.for_.seconds(self._timers),
            method=browse.method,
        )

    def _call(self, call: Call) -> None:
        chosen = pairs(self._bed.topology, call.pairs)
        self._bed.facts.mark_calling([phone for pair in chosen for phone in pair])
        requests: dict[str, dict[str, Any]] = {}
        for caller, called in chosen:
            host = self._bed.topology.host_of(self._bed.topology.phone_address(caller))
            calls = requests.setdefault(host, {"op": "call", "talk_s": call.for_.seconds(self._timers), "calls": []})
            calls["calls"].append({"phone": caller, "number": line_number(called)})
        self._ask(requests)

    def _push(self, push: Push) -> None:
        urls = [filled_in(url, self._block.values) for url in push.urls]
        self._ask_web_host(push, op="push", urls=urls, priority=push.priority)

    def _stream(self, stream: Stream) -> None:
        duration_s, tos = stream.for_.seconds(self._timers), tos_of(code_point(stream.mark))
        self._ask_web_host(stream, op="stream", scheme=stream.scheme, duration_s=duration_s, tos=tos)

    def _reset(self, reset: Reset) -> None:
        phones = reset.phones if reset.phones == "all" else list(reset.phones)
        self._ask({reset.from_: {"op": "reset", "phones": phones}})

    def _keys(self, keys: Keys) -> None:
        """A key that does nothing is no press: what was meant did not happen."""
        host = self._bed.topology.host_of(self._bed.topology.phone_address(keys.phone))
        try:
            reply = self._bed.ask(host, {"op": "keys", "phone": keys.phone, "keys": list(keys.press)})
        except EngineError as error:
            self._bed.record("PressFailed", op="keys", error=error.message.splitlines()[0])
            return
        idle = [result["key"] for result in reply["results"] if not result["ok"]]
        if idle:
            self._bed.record("PressFailed", op="keys", error=f"{keys.phone}: {', '.join(idle)} did nothing")

    def _ask_web_host(self, act: Push | Stream, **request: object) -> None:
        """With the addresses of the phones it is for."""
        topology = self._bed.topology
        phones = topology.phones if act.phones == "all" else act.phones
        to = {phone: topology.phone_address(phone) for phone in phones}
        try:
            self._bed.ask(act.from_, {**request, "to": to})
        except EngineError as error:
            self._bed.record("PressFailed", op=request["op"], error=error.message.splitlines()[0])

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
        self._ask(requests)

    def _ask(self, requests: dict[str, dict[str, Any]]) -> None:
        try:
            self._bed.ask_all(requests)
        except EngineError as error:
            # A host that is broken on purpose answers nothing; what was not done is for the checks to judge.
            op = next(iter(requests.values()))["op"]
            self._bed.record("PressFailed", op=op, error=error.message.splitlines()[0])
