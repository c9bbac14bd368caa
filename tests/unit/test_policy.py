from __future__ import annotations

from pathlib import Path

import pytest

from testbed.errors import ScenarioError, UsageError
from testbed.policy import known_policies, policy


def test_table_11_4_allows_af31_and_ef_for_call_control_and_voice_and_no_mark_for_http() -> None:
    table = policy("srnd-table-11-4")
    assert {name: set(marks) for name, marks in table.classes.items()} == {
        "sccp": {26, 46},
        "rtp": {26, 46},
        "http": {0},
    }


@pytest.mark.parametrize(("name", "sccp"), [("srnd-strict", 26), ("cs3", 24), ("rfc4594", 40)])
def test_the_stricter_policies_tell_call_control_from_voice(name: str, sccp: int) -> None:
    assert policy(name).classes["sccp"] == (sccp,)
    assert policy(name).classes["rtp"] == (46,)


def test_every_built_in_policy_loads_under_its_own_name() -> None:
    assert known_policies() == ["cs3", "rfc4594", "srnd-strict", "srnd-table-11-4"]
    assert [policy(name).name for name in known_policies()] == known_policies()


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        policy("srnd")
    assert "srnd-table-11-4" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ("policy: x\nclasses: {sccp: [AF99]}\n", "own.yaml:2: classes.sccp.0: unknown word 'AF99'", "AF31"),
        ("policy: x\nclasses:\n  sip: [EF]\n", "own.yaml:3: classes.sip", "sccp"),
        ("policy: x\nclass: {}\nclasses: {sccp: [EF]}\n", "own.yaml:2: class: unknown word 'class'", "classes"),
        ("policy: x\nclasses: {sccp: []}\n", "classes.sccp", ""),
        ("policy: x\npolicy: y\nclasses: {sccp: [EF]}\n", "own.yaml:2: policy: the key 'policy' is there twice", ""),
        ("- EF\n", "must hold a mapping", ""),
    ],
)
def test_a_policy_file_is_read_strictly(content: str, message: str, hint: str, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        policy(str(file))
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_policy_file_of_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(ScenarioError, match="no such policy file"):
        policy("x" * 300 + ".yaml")


def test_a_policy_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(ScenarioError, match="no such policy file"):
        policy("nowhere/own.yaml")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{rule: v, class: rtp, allowed: [EF], port: 5}", "own.yaml:3: rules.0.port: unknown word 'port'"),
        ("{rule: v, class: rtp, allowed: [EF], ports: [5-4]}", "rules.0.ports.0: must be ports of 0-65535"),
        ("{rule: v, class: rtp, allowed: [EF], ports: [x]}", "rules.0.ports.0: must be a port or a range"),
        (
            "{rule: v, class: rtp, allowed: [EF], prefixes: [10.0.0.0/40]}",
            "rules.0.prefixes.0: must be an address or a prefix",
        ),
        ("{rule: v, class: rtp, allowed: [EF], expected: AF31}", "rules.0: expected must be one of allowed"),
        ("{rule: v, allowed: [EF]}", "rules.0: must say which packets"),
        ("{rule: v, class: rtp, allowed: [EF], cause: magic}", "rules.0.cause"),
    ],
)
def test_a_rule_is_read_strictly(rule: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(f"policy: x\nrules:\n- {rule}\n", encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        policy(str(file))
    assert message in caught.value.message


@pytest.mark.parametrize(
    "text", ["policy: x\n", "policy: x\nclasses: {rtp: [EF]}\nrules: [{rule: rtp, class: rtp, allowed: [0]}]\n"]
)
def test_a_policy_needs_rules_of_different_names(text: str, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError):
        policy(str(file))


@pytest.mark.parametrize(
    "text",
    ["classes: {sccp: [CS9]}", "classes: {http: [CS1]}\nrules:\n- {rule: a, class: sccp, allowed: [CS9]}"],
)
def test_a_mark_that_is_not_known_is_said_once(text: str, tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text(f"policy: ours\n{text}\n", encoding="utf-8")
    with pytest.raises(ScenarioError, match="unknown word 'CS9'") as raised:
        policy(str(file))
    assert "also" not in str(raised.value)


def test_no_mark_at_all_is_said(tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text("policy: ours\nclasses: {sccp: []}\n", encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"classes\.sccp: .*at least 1 item"):
        policy(str(file))
