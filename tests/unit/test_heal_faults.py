"""What is healed in a standing bed whose faults nobody answers for any more; the engine is stood in for."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from testbed import claims, journal, leftovers
from testbed.errors import EngineError, NotReady
from testbed.journal import Entry

BED = "b"


class Engine:
    """The bed's containers by host: their states, and what was asked of them."""

    def __init__(self) -> None:
        self.workloads = {"ccm-1": "running", "ccm-bk": "running", "web-1": "running"}
        self.nics = {"ccm-1": "running", "ccm-bk": "running", "web-1": "running"}
        self.log: list[str] = []
        self.nic_says: dict[str, list[str]] = {"healed": [], "held": [], "left": []}
        self.role_has: list[str] = []

    def containers(self, bed: str) -> list[Any]:
        assert bed == BED
        return [
            SimpleNamespace(id=f"{host}{suffix}", host=host, is_nic=bool(suffix), state=state)
            for suffix, states in (("", self.workloads), ("-nic", self.nics))
            for host, state in states.items()
        ]

    def state_of(self, container: str) -> str:
        return self.workloads.get(container, "gone")

    def signal_host(self, container: str, action: str) -> None:
        self.log.append(f"{action} {container}")
        self.workloads[container] = "running"

    def exec_once(self, container: str, argv: list[str], *, timeout_s: float) -> str:
        if argv == list(leftovers.NIC_HEAL):
            self.log.append(f"heal {container}")
            return json.dumps(self.nic_says)
        request = json.loads(argv[-1])
        if request["op"] == "faults":
            return json.dumps({"faults": [{"id": fault_id} for fault_id in self.role_has]})
        self.log.append(f"{request['op']} {request['id']} at {container}")
        return "{}"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    monkeypatch.setenv("TESTBED_HOME", str(tmp_path))
    journal.file_of(BED).parent.mkdir(parents=True)
    claims.folder().mkdir()
    engine = Engine()
    for name in ("containers", "state_of", "signal_host"):
        monkeypatch.setattr(leftovers.containers, name, getattr(engine, name))
    monkeypatch.setattr(leftovers.streams, "exec_once", engine.exec_once)
    return engine


def entry(fault_id: str, claim: str = "mine", **more: Any) -> Entry:
    value = Entry(id=fault_id, claim=claim, kind=fault_id.partition("-")[0], target="x", parameters={}, **more)
    journal.append(BED, journal.intended(value))
    return value


def heal(claim: str = "mine") -> None:
    leftovers.heal_faults(BED, claim, lambda line: None)


def test_by_the_journal_the_last_fault_is_undone_first_and_each_is_noted(engine: Engine):
    engine.workloads |= {"ccm-1": "paused", "ccm-bk": "exited"}
    entry("freeze-1", workloads=(("ccm-1", "unpause"),))
    entry("kill-2", workloads=(("ccm-bk", "start"),))
    entry("cut-3", nics=("web-1",))
    entry("mute-4", roles=(("ccm-1", {"op": "heal", "id": "mute-4"}),))
    heal()
    assert engine.log == ["start ccm-bk", "unpause ccm-1", "heal mute-4 at ccm-1", "heal web-1-nic"]
    assert journal.read(BED) == journal.Journal()


def test_what_is_not_as_the_fault_left_it_is_left_alone_and_a_target_that_is_gone_counts_as_healed(engine: Engine):
    del engine.workloads["ccm-1"], engine.nics["web-1"]
    engine.nics["ccm-bk"] = "exited"
    entry("freeze-1", workloads=(("ccm-1", "unpause"),))
    entry("freeze-2", workloads=(("web-1", "unpause"),))
    entry("cut-3", nics=("web-1", "ccm-bk"))
    entry("mute-4", roles=(("ccm-1", {"op": "heal", "id": "mute-4"}),))
    heal()
    assert engine.log == []
    assert journal.read(BED).open == {}


def test_faults_of_a_claim_that_somebody_has_are_spared(engine: Engine):
    (claims.folder() / f"{BED}.theirs.faults").touch()
    engine.workloads |= {"ccm-1": "paused", "ccm-bk": "paused"}
    entry("freeze-1", claim="theirs", workloads=(("ccm-1", "unpause"),))
    entry("freeze-2", workloads=(("ccm-bk", "unpause"),))
    entry("freeze-3", claim="nobody", workloads=(("web-1", "unpause"),))
    heal()
    assert engine.log == ["unpause ccm-bk"]
    assert list(journal.read(BED).open) == ["freeze-1"]


@pytest.mark.parametrize("damage", ["missing", "garbage", "torn"])
def test_with_a_damaged_journal_every_workload_runs_again_and_every_nic_is_healed(engine: Engine, damage: str):
    engine.workloads |= {"ccm-1": "paused", "ccm-bk": "exited"}
    engine.role_has = ["mute-4"]
    whole = entry("freeze-1", workloads=(("ccm-1", "unpause"),))
    file = journal.file_of(BED)
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(b"\x00\xff garbage" if damage == "garbage" else journal.intended(whole)[:50].encode())
    heal()
    assert engine.log[:2] == ["unpause ccm-1", "start ccm-bk"]
    assert {"heal ccm-1-nic", "heal ccm-bk-nic", "heal web-1-nic", "heal mute-4 at web-1"} <= set(engine.log)
    assert journal.read(BED) == journal.Journal()


def test_labels_never_undo_what_a_readable_line_says_somebody_holds(engine: Engine):
    (claims.folder() / f"{BED}.theirs.faults").touch()
    engine.workloads |= {"ccm-1": "paused", "ccm-bk": "exited"}
    engine.role_has = ["mute-9"]
    entry("freeze-1", claim="theirs", workloads=(("ccm-1", "unpause"),))
    entry("mute-9", claim="theirs", roles=(("web-1", {"op": "heal", "id": "mute-9"}),))
    journal.append(BED, "garbage")
    heal()
    assert engine.workloads["ccm-1"] == "paused"
    assert engine.workloads["ccm-bk"] == "running"
    assert "heal mute-9 at web-1" not in engine.log
    assert list(journal.read(BED).open) == ["freeze-1", "mute-9"]
    assert journal.read(BED).damaged == 0


@pytest.mark.parametrize(
    ("says", "said"),
    [({"left": ["left: table ip testbed_x"]}, "table ip testbed_x"), ({"held": ["cut-3.1"]}, "cut-3.1 is still held")],
)
def test_what_is_left_in_a_nic_is_an_error_and_stays_open(engine: Engine, says: dict[str, list[str]], said: str):
    entry("cut-3", nics=("ccm-1",))
    engine.nic_says |= says
    with pytest.raises(EngineError, match=said):
        heal()
    assert list(journal.read(BED).open) == ["cut-3"]


def test_healing_is_tried_again_until_it_succeeds_and_only_then_is_the_claim_dropped(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(leftovers, "POLL_S", 0.01)
    mark = claims.Mark(bed=BED, id="mine", what="faults")
    mark.file.touch()
    entry("cut-3", nics=("ccm-1",))
    engine.nic_says["held"] = ["cut-3"]
    with pytest.raises(NotReady, match="cut-3 is still held"):
        leftovers.undo(mark, timeout_s=0.05, say=lambda line: None)
    assert mark.file.exists()
    engine.nic_says["held"] = []
    leftovers.undo(mark, timeout_s=5, say=lambda line: None)
    assert not mark.file.exists()


def test_a_bed_is_gone_once_nothing_new_has_appeared_for_a_while(engine: Engine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leftovers, "POLL_S", 0.01)
    monkeypatch.setattr(leftovers, "QUIET_S", 0.2)
    found = [["3 containers"], [], [], ["1 networks"], []]
    monkeypatch.setattr(leftovers.containers, "remove_bed", lambda bed, warn: found.pop(0) if found else [])
    mark = claims.Mark(bed=BED, id="mine", what="bed")
    mark.file.touch()
    said: list[str] = []
    leftovers.undo(mark, timeout_s=5, say=said.append)
    assert [line.partition("removed ")[2] for line in said] == ["3 containers", "1 networks"]
    assert not journal.file_of(BED).parent.exists()
    assert not mark.file.exists()


def test_with_a_folder_in_place_of_the_journal_the_labels_heal_and_the_journal_is_a_file_again(engine: Engine):
    journal.file_of(BED).mkdir()
    (journal.file_of(BED) / "x").touch()
    engine.workloads["ccm-1"] = "paused"
    heal()
    assert engine.workloads["ccm-1"] == "running"
    assert {"heal ccm-1-nic", "heal ccm-bk-nic", "heal web-1-nic"} <= set(engine.log)
    assert journal.file_of(BED).is_file()
    assert journal.read(BED) == journal.Journal()
