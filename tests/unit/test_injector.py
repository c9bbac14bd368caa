"""The order of an injection: recorded, performed, confirmed, healed; the engine is stood in for."""

from __future__ import annotations

from typing import Any

import pytest
from test_topology import topology

from testbed import injector as module
from testbed.errors import EngineError, Unsupported, UsageError
from testbed.faults import fault_of
from testbed.faults.base import Command, Either, Fault, InNic, Plan
from testbed.injector import Injector
from testbed.ledger import Ledger


class InMemory(Ledger):
    """A ledger without a file: which faults are open, and what the engine's log had when each was written down."""

    def __init__(self, log: list[str]) -> None:
        super().__init__("b")
        self.open: dict[str, list[str]] = {}
        self.full = False
        self._log = log

    def intend(self, fault_id: str, fault: Fault, plan: Plan) -> None:
        if self.full:
            raise EngineError("the journal cannot be written")
        self.open[fault_id] = list(self._log)

    def healed(self, fault_id: str) -> None:
        self.open.pop(fault_id, None)


class Engine:
    """One container, its state, and when things were done to it."""

    def __init__(self) -> None:
        self.state = "running"
        self.log: list[str] = []
        self.obeys = True
        self.moment: float | None = None
        self.role_answers = True
        self.ledger = InMemory(self.log)

    def signal_host(self, container_id: str, action: str) -> None:
        self.log.append(action)
        if self.obeys:
            self.state = {
                "kill": "exited",
                "stop": "exited",
                "start": "running",
                "pause": "paused",
                "unpause": "running",
                "restart": "running",
            }[action]

    def state_of(self, container_id: str) -> str:
        return self.state

    def moment_of(self, container_id: str, action: str, since_s: float) -> float | None:
        return self.moment


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    for name in ("signal_host", "state_of", "moment_of"):
        monkeypatch.setattr(module.containers, name, getattr(engine, name))
    return engine


def injector_of(engine: Engine) -> Injector:
    def record(name: str, **data: Any) -> None:
        engine.log.append(name)

    def ask(host: str, request: dict[str, Any]) -> dict[str, Any]:
        if not engine.role_answers:
            raise EngineError(f"{host} does not answer")
        engine.log.append(f"{host} {request['op']}")
        return {"effect_s": 5.0 if request["op"] == "fault" else 9.0}

    return Injector(
        topology, workload=lambda host: host, nic=lambda host: host, ask=ask, record=record, ledger=engine.ledger
    )


@pytest.mark.parametrize(
    ("kind", "do", "undo"), [("kill", "kill", "start"), ("stop", "stop", "start"), ("freeze", "pause", "unpause")]
)
def test_a_host_fault_is_recorded_before_it_is_done_and_healed_at_the_end_of_its_block(
    kind: str, do: str, undo: str, engine: Engine
):
    with injector_of(engine).fault(fault_of(kind, "ccm-1")):
        assert engine.log == ["FaultIntended", do, "FaultConfirmed"]
    assert engine.log[3:] == [undo, "FaultHealed"]


def test_the_engines_event_log_dates_the_effect_and_the_request_does_where_it_has_none(engine: Engine):
    engine.moment = 4_000_000_000.0
    assert injector_of(engine).inject(fault_of("kill", "ccm-1")).effect_s == 4_000_000_000.0
    engine.state, engine.moment = "running", None
    injected = injector_of(engine).inject(fault_of("kill", "ccm-1"))
    assert injected.effect_s == injected.began_s


def test_a_fault_that_did_not_take_effect_is_an_error_and_never_confirmed(engine: Engine):
    engine.obeys = False
    with pytest.raises(EngineError, match="was not confirmed"):
        injector_of(engine).inject(fault_of("kill", "ccm-1"))
    assert engine.log == ["FaultIntended", "kill", "FaultFailed", "FaultHealed"]


def test_a_target_that_is_gone_counts_as_healed(engine: Engine):
    faults = injector_of(engine)
    injected = faults.inject(fault_of("freeze", "ccm-1"))
    engine.state = "gone"
    faults.heal(injected)
    assert engine.log[-1] == "FaultHealed"
    assert "unpause" not in engine.log


def test_closing_heals_what_is_left_last_first(engine: Engine):
    faults = injector_of(engine)
    faults.inject(fault_of("freeze", "ccm-1"))
    assert faults.close() == []
    assert engine.log[-2:] == ["unpause", "FaultHealed"]
    assert faults.close() == []
    assert engine.log.count("unpause") == 1


def test_faults_that_need_the_same_for_themselves_cannot_overlap_and_nothing_is_touched(engine: Engine):
    faults = injector_of(engine)
    injected = faults.inject(fault_of("freeze", "ccm-1"))
    engine.log.clear()
    with pytest.raises(UsageError, match="kill ccm-1 cannot overlap freeze ccm-1"):
        faults.inject(fault_of("kill", "ccm-1"))
    assert engine.log == []
    faults.heal(injected)
    faults.inject(fault_of("kill", "ccm-1"))


def test_a_restart_is_over_when_the_host_runs_again(engine: Engine):
    injector_of(engine).inject(fault_of("restart", "ccm-1"))
    assert engine.log == ["FaultIntended", "restart", "FaultConfirmed", "FaultHealed"]


class Holders:
    """Stands in for the holder in a NIC."""

    def __init__(self, engine: Engine, faults: Injector, monkeypatch: pytest.MonkeyPatch, **replies: Any) -> None:
        self.replies = {"apply": {"effect_s": 2.0}, "undo": {"effect_s": 3.0, "residue": [], "turns": []}, **replies}
        self.asked: list[dict[str, Any]] = []
        self.engine = engine
        monkeypatch.setattr(module.streams, "ExecStream", lambda nic, argv: self)

    def receive(self) -> None:
        """Ready."""

    def close(self) -> None:
        """End."""

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self.engine.log.append(request["op"])
        self.asked.append(request)
        return self.replies[request["op"]]


def test_a_power_off_cuts_before_it_kills_and_starts_before_it_heals_the_cut(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    faults = injector_of(engine)
    Holders(engine, faults, monkeypatch)
    with faults.fault(fault_of("power-off", "ccm-1")):
        assert engine.log == ["FaultIntended", "apply", "kill", "FaultConfirmed"]
    assert engine.log[4:] == ["start", "undo", "FaultHealed"]


def test_what_a_fault_leaves_behind_is_on_record_and_an_error(engine: Engine, monkeypatch: pytest.MonkeyPatch):
    faults = injector_of(engine)
    Holders(engine, faults, monkeypatch, undo={"effect_s": 3.0, "residue": ["left: nft rule"], "turns": []})
    faults.inject(fault_of("cut", "ccm-1"))
    assert faults.close() == ["cut ccm-1 left behind: ccm-1: left: nft rule"]
    assert engine.log[-1] == "FaultHealed"


def test_what_no_kernel_feature_gives_is_unsupported_and_nothing_is_done(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    class Slow(Fault):
        kind, help, example, family = "slow", "", "", "impairment"

        def plan(self, topology: Any, fault_id: str) -> Plan:
            ways = [InNic(host="ccm-1", addresses=(), do=(), undo=(), needs=need) for need in ("netem", "nfqueue")]
            return Plan(acts=(Either(options=tuple(ways)),))

    faults = injector_of(engine)
    holders = Holders(engine, faults, monkeypatch, features={"features": ["nfqueue"]})
    faults.inject(Slow(at="ccm-1"))
    assert engine.log == ["FaultIntended", "features", "apply", "FaultConfirmed"]
    holders.replies["features"] = {"features": []}
    faults = injector_of(engine)
    engine.log.clear()
    with pytest.raises(Unsupported, match="netem, nfqueue"):
        faults.inject(Slow(at="ccm-1"))
    assert engine.log == ["FaultIntended", "features", "FaultUnsupported"]


def test_a_nic_without_an_address_is_an_error_and_no_silent_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch):
    class Nowhere(Fault):
        kind, help, example, family = "nowhere", "", "", "link"

        def plan(self, topology: Any, fault_id: str) -> Plan:
            do = (Command(argv=("ip", "link", "set", "{device}", "down")),)
            return Plan(acts=(InNic(host="ccm-1", addresses=(), do=do, undo=()),))

    faults = injector_of(engine)
    Holders(engine, faults, monkeypatch)
    with pytest.raises(EngineError, match="no address"):
        faults.inject(Nowhere(at="ccm-1"))
    assert "FaultConfirmed" not in engine.log


def test_a_role_is_asked_to_be_ill_and_to_be_well_and_says_when(engine: Engine):
    faults = injector_of(engine)
    injected = faults.inject(fault_of("mute", "ccm-1"))
    assert injected.effect_s == 5.0
    faults.heal(injected)
    assert engine.log == ["FaultIntended", "ccm-1 fault", "FaultConfirmed", "ccm-1 heal", "FaultHealed"]


def test_the_stream_to_a_role_is_open_before_the_first_step(engine: Engine):
    injector_of(engine).prepare([fault_of("mute", "ccm-1"), fault_of("register-reject", "ccm-1")])
    assert engine.log == ["ccm-1 faults"]


def test_a_role_that_ended_meanwhile_counts_as_healed_and_one_that_runs_and_is_silent_does_not(engine: Engine):
    faults = injector_of(engine)
    injected = faults.inject(fault_of("mute", "ccm-1"))
    engine.role_answers = False
    with pytest.raises(EngineError, match="does not answer"):
        faults.heal(injected)
    engine.state = "exited"
    faults.heal(injected)
    assert engine.log[-1] == "FaultHealed"


def test_a_fault_is_in_the_ledger_before_anything_is_touched_and_until_it_is_healed(engine: Engine):
    faults = injector_of(engine)
    injected = faults.inject(fault_of("kill", "ccm-1"))
    assert engine.ledger.open == {injected.fault_id: ["FaultIntended"]}
    faults.heal(injected)
    assert engine.ledger.open == {}


def test_a_fault_that_cannot_be_written_down_is_not_done(engine: Engine):
    engine.ledger.full = True
    faults = injector_of(engine)
    with pytest.raises(EngineError, match="cannot be written"):
        faults.inject(fault_of("kill", "ccm-1"))
    assert engine.state == "running"
    engine.ledger.full = False
    faults.inject(fault_of("kill", "ccm-1"))


def test_a_fault_that_left_something_behind_stays_in_the_ledger(engine: Engine, monkeypatch: pytest.MonkeyPatch):
    faults = injector_of(engine)
    Holders(engine, faults, monkeypatch, undo={"effect_s": 3.0, "residue": ["left: a table"], "turns": []})
    injected = faults.inject(fault_of("cut", "ccm-1"))
    with pytest.raises(EngineError, match="left behind"):
        faults.heal(injected)
    assert list(engine.ledger.open) == [injected.fault_id]


@pytest.mark.parametrize(("state", "healed"), [("gone", True), ("exited", True), ("running", False)])
def test_a_nic_that_is_gone_counts_as_healed_and_one_that_does_not_answer_does_not(
    state: str, healed: bool, engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    faults = injector_of(engine)
    holders = Holders(engine, faults, monkeypatch)
    faults.inject(fault_of("cut", "ccm-1"))

    def broken(request: dict[str, Any]) -> dict[str, Any]:
        raise EngineError("the stream ended")

    holders.ask = broken  # type: ignore[method-assign]
    engine.state = state
    assert (faults.close() == []) is healed
    assert (engine.ledger.open == {}) is healed
