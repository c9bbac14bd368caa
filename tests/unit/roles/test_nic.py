from __future__ import annotations

import time

import pytest

from testbed.roles import nic
from testbed.roles.nic import Holder, counters


class Commands:
    """Stands in for the kernel: notes what was run; commands named in ``failing`` fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran: list[str] = []
        self.failing: dict[str, str] = {}
        monkeypatch.setattr(nic, "run", self)

    def __call__(self, argv: list[str], text: str | None = None) -> str:
        self.ran.append(" ".join(argv))
        if message := self.failing.get(argv[0]):
            raise RuntimeError(message)
        return ""


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    return Commands(monkeypatch)


def request(fault_id: str = "f", **more: object) -> dict:
    return {"op": "apply", "id": fault_id, "do": [{"argv": ["do"]}], "undo": [{"argv": ["undo", fault_id]}], **more}


def test_a_fault_is_undone_once_and_a_second_undo_counts_as_healed(commands: Commands):
    holder = Holder()
    reply = holder.handle(request())
    assert reply["began_s"] <= reply["effect_s"]
    holder.handle({"op": "undo", "id": "f"})
    holder.handle({"op": "undo", "id": "f"})
    assert commands.ran == ["do", "undo f"]


def test_a_command_that_fails_undoes_what_came_before_it(commands: Commands):
    commands.failing["do"] = "kernel says no"
    holder = Holder()
    with pytest.raises(RuntimeError, match="kernel says no"):
        holder.handle(request())
    assert commands.ran == ["do", "undo f"]
    assert holder.handle({"op": "ping"}) == {"held": []}


def test_the_end_of_the_stream_undoes_everything_even_if_one_undo_fails(commands: Commands):
    holder = Holder()
    holder.handle(request("a"))
    holder.handle(request("b"))
    commands.failing["undo"] = "busy"
    holder.end()
    assert commands.ran[2:] == ["undo a", "undo b"]


def test_a_lease_that_ends_undoes_its_fault_and_no_other(commands: Commands):
    holder = Holder()
    holder.handle(request("short", lease_s=5))
    holder.handle(request("long", lease_s=500))
    holder.handle(request("for-ever"))
    now = time.monotonic()
    assert now + 4 < (holder.next_lease_end() or 0) <= now + 5
    holder.end_leases(now + 6)
    assert holder.handle({"op": "ping"}) == {"held": ["for-ever", "long"]}


def test_a_rule_that_is_gone_already_counts_as_healed(commands: Commands):
    holder = Holder()
    holder.handle(request())
    commands.failing["undo"] = "Error: No such file or directory"
    assert "effect_s" in holder.handle({"op": "undo", "id": "f"})


def test_an_undo_that_fails_says_so(commands: Commands):
    holder = Holder()
    holder.handle(request())
    commands.failing["undo"] = "Device or resource busy"
    with pytest.raises(RuntimeError, match="busy"):
        holder.handle({"op": "undo", "id": "f"})


def test_unknown_operations_are_refused(commands: Commands):
    with pytest.raises(RuntimeError, match="explode"):
        Holder().handle({"op": "explode"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "12 packets captured\n14 packets received by filter\n2 packets dropped by kernel\n",
            {"captured": 12, "received": 14, "dropped": 2},
        ),
        (
            "1 packet captured\n1 packet received by filter\n0 packets dropped by kernel",
            {"captured": 1, "received": 1, "dropped": 0},
        ),
        ("tcpdump: pcap_loop: The interface disappeared\n", {"captured": -1, "received": -1, "dropped": -1}),
    ],
)
def test_counters_are_what_tcpdump_said_or_unknown(text: str, expected: dict[str, int]):
    assert counters(text) == expected
