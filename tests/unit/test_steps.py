"""The performer on a bed that is stood in for: acts of one scenario do not wait for each other where their times say so."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from test_schedule import steps_of
from test_topology import topology

from testbed.address_block import AddressBlock
from testbed.bed import Bed
from testbed.errors import EngineError, Unsupported
from testbed.faults.base import Fault
from testbed.live import Facts, Recorder
from testbed.scenario_model import Scenario
from testbed.steps import Steps


class StandIn:
    """A bed whose faults take as long as ``took_s`` says for their kind, and may fail."""

    def __init__(self, took_s: dict[str, float] | None = None, error: Exception | None = None) -> None:
        self.topology = topology(2)
        self.facts = Facts(self.topology, Recorder())
        self.injector = self
        self.log: list[tuple[float, str, dict[str, Any]]] = []
        self.open: set[str] = set()
        self._took_s, self._error = took_s or {}, error

    def prepare(self, faults: list[Fault]) -> None:
        pass

    def open_to(self, hosts: set[str]) -> None:
        assert not self.log or self.log[-1][1] == "StepsEnded", "what is opened when steps have begun comes late"
        self.open = hosts

    def record(self, name: str, **data: Any) -> None:
        self.log.append((time.time(), name, data))

    def inject(self, fault: Fault, **more: Any) -> SimpleNamespace:
        effect_s = time.time()
        threading.Event().wait(self._took_s.get(fault.kind, 0.0))
        if self._error:
            raise self._error
        self.record(f"{fault.kind} injected", **more)
        return SimpleNamespace(fault=fault, effect_s=effect_s)

    def heal(self, injected: SimpleNamespace) -> None:
        self.record(f"{injected.fault.kind} healed")

    def perform(self, text: str) -> list[str]:
        scenario = Scenario.model_construct(steps=steps_of(text), profile="quick")
        Steps(cast(Bed, self), scenario, AddressBlock("172.26")).perform()
        return [name for _, name, _ in self.log if name != "StepStarted"]


STOP_AND_CUT = "- {at: 20ms, inject: {stop: ccm-1}, for: 10ms}\n- {at: 60ms, inject: {cut: slb}, for: 80ms}\n"


def test_a_stop_that_takes_long_keeps_nothing_else_from_its_time() -> None:
    bed = StandIn({"stop": 0.1})
    names = bed.perform(STOP_AND_CUT)
    assert names == ["StepsStarted", "cut injected", "stop injected", "stop healed", "cut healed", "StepsEnded"]
    began_s = bed.log[0][0]
    [(cut_s, _, timing)] = [entry for entry in bed.log if entry[1] == "cut injected"]
    assert timing["scheduled_s"] == pytest.approx(began_s + 0.06, abs=0.005)
    assert 0 <= cut_s - timing["scheduled_s"] < 0.05


@pytest.mark.parametrize(
    ("steps", "hosts"),
    [
        ("- press: [services]\n", {"phones-1", "phones-2"}),
        ("- browse: {service: text, interval: 1s, for: 20ms}\n", {"phones-1", "phones-2"}),
        (
            "- {at: 1s, press: [idle], phones: [SEP020000000001]}\n- reset: {from: ccm-1, phones: all}\n",
            {"phones-1", "phones-2", "ccm-1"},
        ),
        ("- push: {from: web-1, urls: 'Play:a'}\n", {"web-1"}),
        ("- inject: {cut: slb}\n  for: 10ms\n", set()),
    ],
)
def test_whoever_is_to_be_asked_is_opened_to_before_the_steps_begin(steps: str, hosts: set[str]) -> None:
    bed = StandIn()
    bed.ask = lambda host, request: {"results": []}  # type: ignore[attr-defined]
    bed.ask_all = lambda requests: {}  # type: ignore[attr-defined]
    bed.perform(steps)
    assert bed.open == hosts


def test_what_goes_wrong_in_an_act_ends_the_steps() -> None:
    bed = StandIn(error=EngineError("the engine is gone"))
    with pytest.raises(EngineError, match="the engine is gone"):
        bed.perform(STOP_AND_CUT)
    assert [name for _, name, _ in bed.log][-1] != "StepsEnded"


def test_what_this_machine_cannot_do_is_left_out_and_the_steps_go_on() -> None:
    bed = StandIn(error=Unsupported("no netem"))
    assert bed.perform(STOP_AND_CUT) == ["StepsStarted", "StepsEnded"]


def test_a_fact_that_does_not_come_is_on_record_with_what_was_seen_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("testbed.steps.fact_timeout_s", lambda timers: 0.05)
    bed = StandIn()
    assert bed.perform("- {inject: {cut: ccm-1}, until: rehomed}\n") == [
        "StepsStarted",
        "cut injected",
        "FactMissed",
        "cut healed",
        "StepsEnded",
    ]
    [missed] = [data for _, name, data in bed.log if name == "FactMissed"]
    assert missed == {"fact": "rehomed", "last_seen": "2 phones registered at nowhere", "timeout_s": 0.05}


def test_a_push_asks_the_web_host_with_the_addresses_of_the_phones_and_the_beds_own_block() -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    bed = StandIn()
    bed.ask = lambda host, request: asked.append((host, request))  # type: ignore[attr-defined]
    bed.perform("- push: {from: web-1, urls: ['http://${BED_PREFIX}.1.2/text', 'Play:a'], priority: 1}\n")
    (host, request) = asked[0]
    phones = bed.topology.phones
    assert (host, request["op"], request["priority"]) == ("web-1", "push", 1)
    assert request["urls"] == ["http://172.26.1.2/text", "Play:a"]
    assert request["to"] == {phone: bed.topology.phone_address(phone) for phone in phones}


def test_a_web_host_that_is_gone_is_on_record_and_the_steps_go_on() -> None:
    bed = StandIn()

    def gone(host: str, request: dict[str, Any]) -> None:
        raise EngineError(f"{host} does not run")

    bed.ask = gone  # type: ignore[attr-defined]
    names = bed.perform("- push: {from: web-1, urls: 'Play:a'}\n")
    assert names == ["StepsStarted", "PressFailed", "StepsEnded"]


def test_keys_that_did_nothing_are_on_record() -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    bed = StandIn()
    phone = bed.topology.phones[1]

    def ask(host: str, request: dict[str, Any]) -> dict[str, Any]:
        asked.append((host, request))
        return {"results": [{"key": key, "ok": key == "Hold"} for key in request["keys"]]}

    bed.ask = ask  # type: ignore[attr-defined]
    assert bed.perform(f"- keys: {{phone: {phone}, press: Hold}}\n") == ["StepsStarted", "StepsEnded"]
    assert asked == [
        (bed.topology.host_of(bed.topology.phone_address(phone)), {"op": "keys", "phone": phone, "keys": ["Hold"]})
    ]
    names = bed.perform(f"- keys: {{phone: {phone}, press: [Hold, Answer]}}\n")
    assert names[2:] == ["StepsStarted", "PressFailed", "StepsEnded"]
    (failed,) = [data for _, name, data in bed.log if name == "PressFailed"]
    assert failed["error"] == f"{phone}: Answer did nothing"


def test_a_reset_asks_the_call_control_for_all_its_phones_or_some() -> None:
    asked: list[dict[str, Any]] = []
    bed = StandIn()
    bed.ask_all = lambda requests: asked.append(requests) or {}  # type: ignore[attr-defined, func-returns-value]
    bed.perform("- reset: {from: ccm-1}\n- reset: {from: ccm-bk, phones: [SEP020000000002]}\n")
    assert asked == [
        {"ccm-1": {"op": "reset", "phones": "all"}},
        {"ccm-bk": {"op": "reset", "phones": ["SEP020000000002"]}},
    ]
