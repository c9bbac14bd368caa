"""Rules by nft's library: what is handed to it, what comes back; with the library itself where this machine has it."""

from __future__ import annotations

import ctypes
import shutil
import types
from pathlib import Path

import pytest

from testbed.roles import nft as module
from testbed.roles.holder import Holder
from testbed.roles.namespace import run
from testbed.roles.nft import Nft, is_rules


def library(*, failing: str = "", said: str = "") -> types.SimpleNamespace:
    """Stands in for libnftables: notes the rules it gets; reading a buffer empties it."""
    there = types.SimpleNamespace(rules=[], output=b"", error=b"")

    def perform(context: int, rules: bytes) -> int:
        there.rules.append(rules.decode())
        there.output, there.error = said.encode(), failing.encode()
        return -1 if failing else 0

    def taken(name: str) -> bytes:
        content: bytes = getattr(there, name)
        setattr(there, name, b"")
        return content

    there.nft_ctx_new = lambda flags: 1
    there.nft_ctx_buffer_output = there.nft_ctx_buffer_error = lambda context: 0
    there.nft_ctx_get_output_buffer = lambda context: taken("output")
    there.nft_ctx_get_error_buffer = lambda context: taken("error")
    there.nft_run_cmd_from_buffer = perform
    return there


def test_rules_from_the_input_and_rules_in_words_go_to_the_library_as_they_are():
    there = library(said="table ip x\n")
    nft = Nft(there)
    assert nft.run(["nft", "-f", "-"], "table ip x {\n}\n") == "table ip x\n"
    nft.run(["nft", "delete", "table", "ip", "x"], None)
    assert there.rules == ["table ip x {\n}\n", "delete table ip x"]


def test_what_the_library_complains_of_is_the_error_and_is_gone_before_the_next_command():
    there = library(failing="Error: No such file or directory\n")
    nft = Nft(there)
    with pytest.raises(RuntimeError, match=r"^nft delete table ip x: Error: No such file or directory$"):
        nft.run(["nft", "delete", "table", "ip", "x"], None)
    assert (there.output, there.error) == (b"", b"")


@pytest.mark.parametrize(
    ("argv", "text", "expected"),
    [
        (["nft", "-f", "-"], "table ip x {}", True),
        (["nft", "delete", "table", "ip", "x"], None, True),
        (["nft", "-j", "list", "ruleset"], None, False),
        (["nft", "-f", "file"], None, False),
        (["nft", "-c", "-f", "-"], "table ip x {}", False),
        (["tc", "-b", "-"], "qdisc add", False),
        (["ip", "link", "set", "eth0", "down"], None, False),
    ],
)
def test_only_rules_without_options_go_to_the_library(argv, text, expected):
    assert is_rules(argv, text) is expected


def test_a_holder_does_rules_by_the_library_and_the_rest_by_commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    ran: list[str] = []
    monkeypatch.setattr("testbed.roles.holder.run", lambda argv, text=None: ran.append(" ".join(argv)) or "")
    monkeypatch.setattr("testbed.roles.holder.interfaces", list)
    monkeypatch.setattr("testbed.roles.holder.snapshot", frozenset)
    monkeypatch.setattr("testbed.roles.holder.marked_with", lambda fault_id: [])
    there = library(said="as listed")
    holder = Holder(tmp_path, Nft(there))
    do = [{"argv": ["nft", "-f", "-"], "input": "table ip x {}"}, {"argv": ["tc", "add"], "input": None}]
    undo = [{"argv": ["nft", "delete", "table", "ip", "x"], "input": None}]
    confirm = [{"argv": ["nft", "list", "table", "ip", "x"], "input": None}]
    reply = holder.handle({"op": "apply", "id": "f", "addresses": [], "do": do, "undo": undo, "confirm": confirm})
    holder.handle({"op": "undo", "id": "f"})
    assert reply["seen"] == ["as listed"]
    assert there.rules == ["table ip x {}", "list table ip x", "delete table ip x"]
    assert ran == ["tc add"]


@pytest.mark.parametrize("error", [OSError("not found"), AttributeError("no such call")])
def test_where_the_library_is_not_there_nft_is_started(monkeypatch: pytest.MonkeyPatch, error: Exception):
    def missing(name: str) -> None:
        raise error

    monkeypatch.setattr(module.ctypes, "CDLL", missing)
    assert Nft.loaded() is None


def _has_library() -> bool:
    try:
        return bool(ctypes.CDLL(module.LIBRARY))
    except OSError:
        return False


@pytest.mark.skipif(not (_has_library() and shutil.which("nft")), reason="libnftables or nft is not installed")
@pytest.mark.parametrize("rules", ["table ip {", "add rule ip x y nonsense", "delete table"])
def test_the_library_complains_as_the_command_does(rules):
    nft = Nft.loaded()
    assert nft is not None
    complaints = []
    for perform in (nft.run, run):
        with pytest.raises(RuntimeError) as caught:
            perform(["nft", "-f", "-"], rules)
        complaints.append(str(caught.value).replace("/dev/stdin", "<cmdline>"))
    assert "syntax error" in complaints[0]
    assert complaints[0].splitlines()[-1] == complaints[1].splitlines()[-1]
