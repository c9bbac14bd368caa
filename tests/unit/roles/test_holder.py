from __future__ import annotations

import json
import sys
import time
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from testbed.roles import holder as module
from testbed.roles.holder import Holder, filled_in


class Commands:
    """Stands in for the kernel: notes what was run; commands named in ``failing`` fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran: list[str] = []
        self.failing: dict[str, str] = {}
        self.state: frozenset[str] = frozenset({"route a"})
        self.marked: list[str] = []
        monkeypatch.setattr(module, "run", self)
        monkeypatch.setattr(module, "interfaces", lambda: [("eth0", IPv4Interface("172.26.1.100/16"))])
        monkeypatch.setattr(module, "snapshot", lambda: self.state)
        monkeypatch.setattr(module, "marked_with", lambda fault_id: self.marked)

    def __call__(self, argv: list[str], text: str | None = None) -> str:
        self.ran.append(" ".join(argv))
        if message := self.failing.get(argv[0]):
            raise RuntimeError(message)
        return ""


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    return Commands(monkeypatch)


@pytest.fixture
def holder(commands: Commands, tmp_path: Path) -> Holder:
    return Holder(tmp_path / "records")


def request(fault_id: str = "f", **more: object) -> dict:
    steps = {"do": [{"argv": ["do"]}], "undo": [{"argv": ["undo", fault_id]}]}
    return {"op": "apply", "id": fault_id, "addresses": ["172.26.1.100"], **steps, **more}


def test_a_fault_is_undone_once_and_a_second_undo_counts_as_healed(commands: Commands, holder: Holder):
    reply = holder.handle(request())
    assert reply["began_s"] <= reply["effect_s"]
    holder.handle({"op": "undo", "id": "f"})
    holder.handle({"op": "undo", "id": "f"})
    assert commands.ran == ["do", "undo f"]


def test_a_command_that_fails_undoes_what_came_before_it(commands: Commands, holder: Holder):
    commands.failing["do"] = "kernel says no"
    with pytest.raises(RuntimeError, match="kernel says no"):
        holder.handle(request())
    assert commands.ran == ["do", "undo f"]
    assert holder.handle({"op": "ping"}) == {"held": []}


def test_the_end_of_the_stream_undoes_everything_even_if_one_undo_fails(commands: Commands, holder: Holder):
    holder.handle(request("a"))
    holder.handle(request("b"))
    commands.failing["undo"] = "busy"
    holder.end()
    assert commands.ran[2:] == ["undo b", "undo a"]


def test_a_lease_that_ends_undoes_its_fault_and_no_other(commands: Commands, holder: Holder):
    holder.handle(request("short", lease_s=5))
    holder.handle(request("long", lease_s=500))
    holder.handle(request("for-ever"))
    now = time.monotonic()
    assert now + 4 < holder.next_moment() <= now + 5
    holder.tick(now + 6)
    assert holder.handle({"op": "ping"}) == {"held": ["for-ever", "long"]}


def test_a_rule_that_is_gone_already_counts_as_healed(commands: Commands, holder: Holder):
    holder.handle(request())
    commands.failing["undo"] = "Error: No such file or directory"
    assert "effect_s" in holder.handle({"op": "undo", "id": "f"})


def test_an_undo_that_fails_says_so_and_stays_on_record(commands: Commands, holder: Holder, tmp_path: Path):
    holder.handle(request())
    commands.failing["undo"] = "Device or resource busy"
    assert holder.handle({"op": "undo", "id": "f"})["residue"] == ["Device or resource busy"]
    assert (tmp_path / "records" / "f.json").exists()


def test_what_a_fault_leaves_in_the_kernel_is_named(commands: Commands, holder: Holder):
    holder.handle(request())
    commands.state, commands.marked = frozenset({"qdisc b"}), ["left: nft rule"]
    assert holder.handle({"op": "undo", "id": "f"})["residue"] == ["left: nft rule", "left: qdisc b", "lost: route a"]


def test_a_fault_is_on_record_before_its_first_command_and_until_its_last_undo(commands: Commands, tmp_path: Path):
    record = tmp_path / "records" / "f.json"
    holder = Holder(tmp_path / "records")
    commands.failing["do"] = "kernel says no"
    seen: list[bool] = []
    original = commands.__call__
    module.run = lambda argv, text=None: (seen.append(record.exists()), original(argv, text))[1]  # type: ignore[assignment]
    with pytest.raises(RuntimeError):
        holder.handle(request())
    assert seen == [True, True]
    assert not record.exists()


def test_a_record_holds_the_commands_that_undo_it(commands: Commands, holder: Holder, tmp_path: Path):
    holder.handle(request())
    record = json.loads((tmp_path / "records" / "f.json").read_text())
    assert [command["argv"] for command in record["undo"]] == [["undo", "f"]]


def test_a_cycle_takes_turns_by_a_clock_that_does_not_drift(commands: Commands, holder: Holder):
    holder.handle(request(cycle=[2.0, 1.0]))
    first = holder.next_moment()
    for moment in (0.0, 2.0, 3.0):
        holder.tick(first + moment + 0.4)
    assert commands.ran == ["do", "undo f", "do", "undo f"]
    assert holder.next_moment() == pytest.approx(first + 4.0)
    reply = holder.handle({"op": "undo", "id": "f"})
    assert [done for _, _, done in reply["turns"]] == [True, False, True, False]
    assert all(began_s <= ended_s for began_s, ended_s, _ in reply["turns"])
    assert commands.ran[-1] == "undo f"


def test_a_background_process_runs_while_the_fault_is_held(commands: Commands, holder: Holder):
    script = "import signal, sys; print('{\"ready\": true}', flush=True); signal.pause()"
    holder.handle(request(do=[{"argv": [sys.executable, "-c", script], "background": True}, {"argv": ["do"]}]))
    [process] = holder.held["f"].processes
    assert process.poll() is None
    holder.handle({"op": "undo", "id": "f"})
    assert process.poll() is not None


def test_a_background_process_that_does_not_get_ready_is_an_error_with_what_it_said(commands: Commands, holder: Holder):
    script = "import sys; sys.exit('no such queue')"
    with pytest.raises(RuntimeError, match="no such queue"):
        holder.handle(request(do=[{"argv": [sys.executable, "-c", script], "background": True}]))
    assert commands.ran == ["undo f"]


def test_placeholders_are_filled_in_once_for_each_device_or_all_at_once():
    commands = [{"argv": ["ip", "{device}"]}, {"argv": ["nft"], "input": "devices = { {devices} }"}, {"argv": ["once"]}]
    filled = filled_in(commands, ["eth0", "eth1"])
    assert [command["argv"] for command in filled] == [["ip", "eth0"], ["ip", "eth1"], ["nft"], ["once"]]
    assert filled[2]["input"] == 'devices = { "eth0", "eth1" }'


def test_an_address_of_no_interface_is_refused(commands: Commands, holder: Holder):
    with pytest.raises(RuntimeError, match=r"no interface has 10.9.9.9; there are eth0 172.26.1.100"):
        holder.handle(request(addresses=["10.9.9.9"]))
    assert commands.ran == []


def test_unknown_operations_are_refused(commands: Commands, holder: Holder):
    with pytest.raises(RuntimeError, match="explode"):
        holder.handle({"op": "explode"})


def test_a_background_process_that_ended_by_itself_is_reported_when_the_fault_is_undone(
    commands: Commands, holder: Holder
):
    script = "print('{\"ready\": true}', flush=True)"
    holder.handle(request(do=[{"argv": [sys.executable, "-c", script], "background": True}]))
    holder.held["f"].processes[0].wait(5)
    [residue] = holder.handle({"op": "undo", "id": "f"})["residue"]
    assert "ended by itself, with status 0" in residue


def test_a_role_of_ours_is_forked_and_its_error_is_told(commands: Commands, holder: Holder):
    argv = ["python3", "-m", "testbed.roles.impairer", '{"table": "t", "chain": "c", "no_such": 1}']
    with pytest.raises(RuntimeError, match="no_such"):
        holder.handle(request(do=[{"argv": argv, "background": True}]))
    assert commands.ran == ["undo f"]


@pytest.mark.parametrize(("found", "is_loaded"), [(["netem", "nfqueue"], True), (["netem"], False)])
def test_what_impairs_packets_is_loaded_before_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, holder: Holder, found: list[str], is_loaded: bool
):
    """Loading it after the command made the first impairment of a bed late."""
    monkeypatch.delitem(sys.modules, module.IMPAIRER, raising=False)
    monkeypatch.setattr("testbed.roles.features.features", lambda: found)
    assert holder.handle({"op": "features"}) == {"features": found}
    assert (module.IMPAIRER in sys.modules) is is_loaded
