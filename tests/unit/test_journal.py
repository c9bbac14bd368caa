"""The journal of faults: what it says is there, also when somebody wrote nonsense into it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_topology import topology

from testbed import journal
from testbed.faults import fault_of

CUT = journal.Entry(
    id="cut-1", claim="c1", kind="cut", target="ccm-1", parameters={"x": 1}, nics=("ccm-1",), ends_s=9.5
)
FREEZE = journal.Entry(
    id="freeze-2", claim="c2", kind="freeze", target="web-1", parameters={}, workloads=(("web-1", "unpause"),)
)


def test_what_is_intended_and_not_healed_is_open_in_the_order_in_which_it_was_begun():
    read = journal.parse([journal.intended(CUT), journal.intended(FREEZE)])
    assert list(read.open.values()) == [CUT, FREEZE]
    assert read.damaged == 0
    assert list(journal.parse([journal.intended(CUT), journal.intended(FREEZE), journal.healed("cut-1")]).open) == [
        "freeze-2"
    ]


def test_healed_without_an_intent_is_no_damage():
    assert journal.parse([journal.healed("cut-1")]) == journal.Journal()


@pytest.mark.parametrize(
    "line",
    [
        "garbage",
        "[]",
        "7",
        "null",
        '{"what": "intended"}',
        '{"what": "other", "id": "cut-1"}',
        json.dumps({**json.loads(journal.intended(CUT)), "workloads": ["x"]}),
        journal.intended(CUT)[:-9],
        "[" * 100_000,
    ],
)
def test_a_line_that_does_not_parse_is_counted_and_spoils_no_other(line: str):
    read = journal.parse([journal.intended(CUT), line, journal.intended(FREEZE)])
    assert list(read.open) == ["cut-1", "freeze-2"]
    assert read.damaged == 1


@given(st.lists(st.text()))
def test_nothing_at_all_makes_reading_fail(lines: list[str]):
    read = journal.parse(lines)
    assert read.damaged <= len(lines)


def test_a_writer_that_died_in_a_line_does_not_spoil_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TESTBED_HOME", str(tmp_path))
    file = journal.file_of("b")
    file.parent.mkdir(parents=True)
    file.write_text(journal.intended(CUT)[:40])
    journal.append("b", journal.intended(FREEZE))
    read = journal.read("b")
    assert list(read.open) == ["freeze-2"]
    assert read.damaged == 1


def test_a_journal_of_other_bytes_is_damaged_and_one_that_is_missing_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TESTBED_HOME", str(tmp_path))
    assert journal.read("b") == journal.Journal()
    file = journal.file_of("b")
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(range(256)))
    assert journal.read("b").damaged


@pytest.mark.parametrize(
    ("kind", "workloads", "nics", "roles"),
    [
        ("cut", (), ("ccm-1",), ()),
        ("freeze", (("ccm-1", "unpause"),), (), ()),
        ("power-off", (("ccm-1", "start"),), ("ccm-1",), ()),
        ("delay", (), ("ccm-1",), ()),
        ("mute", (), (), ("ccm-1",)),
    ],
)
def test_an_entry_says_what_undoes_each_act(kind: str, workloads: tuple, nics: tuple, roles: tuple):
    parameters = {"by": "50ms"} if kind == "delay" else {}
    undoing = journal.undoing(fault_of(kind, "ccm-1", **parameters).plan(topology(), "id").acts)
    assert (undoing["workloads"], undoing["nics"]) == (workloads, nics)
    assert tuple(host for host, _ in undoing["roles"]) == roles


def test_a_journal_that_is_there_and_cannot_be_read_is_damaged_not_empty(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("TESTBED_HOME", str(tmp_path))
    assert journal.read("b") == journal.Journal()
    journal.file_of("b").mkdir(parents=True)
    assert journal.read("b") == journal.Journal(damaged=1)
