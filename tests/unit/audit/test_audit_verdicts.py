from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from audit_reading import packets_by_group, surveyed
from click.testing import CliRunner, Result
from recordings import AF31_TOS, Connection, Wire, sccp

from testbed.audit.judge import judge, nearest
from testbed.audit.known import known_marks
from testbed.cli import cli
from testbed.policy import Policy, known_policies, policy
from testbed.verdict import Status

PHONE, CCM, WEB = ("10.0.0.1", 50_000), ("10.0.1.1", 2000), ("10.0.1.2", 80)
EF_TOS = 184


def network(*, sccp_up: int = AF31_TOS, sccp_down: int = AF31_TOS, rtp: int = EF_TOS, rtp_port: int = 20_480) -> Wire:
    """Signalling, voice, a page and a configuration file, all as the stricter policies want them."""
    wire = Wire()
    signalling = Connection(wires=[wire], client=PHONE, server=CCM, client_tos=sccp_up, server_tos=sccp_down)
    signalling.open(0.1)
    signalling.send(0.2, sccp(0), up=True)
    signalling.send(0.3, sccp(0x100), up=False)
    Connection(wires=[wire], client=("10.0.0.1", 50_001), server=WEB).open(0.4)
    for place in range(5):
        wire.udp(0.5 + place / 50, ("10.0.0.1", 20_000), ("10.0.0.2", rtp_port), b"\x80" + bytes(171), tos=rtp)
    wire.udp(0.9, ("10.0.0.1", 40_000), ("10.0.1.3", 69), b"\x00\x01SEP\x00octet\x00")
    return wire


def verdicts(wire: Wire, chosen: Policy | str) -> dict[str, Status]:
    return {verdict.check: verdict.status for verdict in judge(surveyed(wire.pcap(), chosen))}


def test_all_classes_pass_where_every_mark_is_right() -> None:
    assert verdicts(network(), "srnd-strict") == {
        f"marks {name}": Status.PASS for name in ("sccp", "rtp", "http", "tftp")
    }


@pytest.mark.parametrize(
    ("wrong", "policy_name", "failed"),
    [
        ({"sccp_up": 0}, "srnd-strict", "marks sccp"),
        ({"sccp_down": EF_TOS}, "srnd-strict", "marks sccp"),
        ({"rtp": AF31_TOS}, "srnd-strict", "marks rtp"),
        ({"rtp": 0}, "srnd-table-11-4", "marks rtp"),
        ({"sccp_up": 96}, "srnd-table-11-4", "marks sccp"),
        ({}, "cs3", "marks sccp"),
        ({}, "rfc4594", "marks sccp"),
    ],
)
def test_one_wrong_mark_fails_its_class_and_no_other(wrong: dict[str, int], policy_name: str, failed: str) -> None:
    found = verdicts(network(**wrong), policy_name)
    assert [check for check, status in found.items() if status is Status.FAIL] == [failed]


def test_table_11_4_allows_what_the_strict_reading_does_not() -> None:
    assert verdicts(network(sccp_down=EF_TOS, rtp=AF31_TOS), "srnd-table-11-4")["marks sccp"] is Status.PASS


def test_a_few_packets_of_rtp_below_the_tables_ports_are_no_rtp_of_table_11_4_but_are_of_cs3() -> None:
    wire = network(rtp_port=16_384)
    assert verdicts(wire, "srnd-table-11-4")["marks rtp"] is Status.INCONCLUSIVE
    assert verdicts(wire, "cs3")["marks rtp"] is Status.PASS


def test_a_fail_names_the_first_wrong_frame_and_counts_them() -> None:
    (verdict,) = [
        one for one in judge(surveyed(network(rtp=AF31_TOS).pcap(), "srnd-strict")) if one.check == "marks rtp"
    ]
    assert (verdict.figures["wrong"], verdict.figures["packets_AF31"]) == (5, 5)
    assert verdict.evidence[0].frame == 9
    assert "10.0.0.1:20000 to 10.0.0.2:20480 is marked AF31" in verdict.evidence[0].text


def test_no_packets_of_a_class_prove_nothing() -> None:
    wire = Wire()
    wire.udp(0.5, ("10.0.0.1", 20_000), ("10.0.0.2", 20_480), b"\x80" + bytes(171), tos=EF_TOS)
    found = verdicts(wire, "srnd-table-11-4")
    assert found == {"marks sccp": Status.INCONCLUSIVE, "marks rtp": Status.PASS, "marks http": Status.INCONCLUSIVE}


@pytest.mark.parametrize("spoil", [lambda data: data[:-3], lambda data: data + b"\xff" * 99])
def test_packets_that_could_not_be_read_leave_it_open(spoil: Any) -> None:
    found = judge(surveyed(spoil(network().pcap()), "srnd-strict"))
    assert (found[0].check, found[0].status) == ("captures", Status.INCONCLUSIVE)


def own(**rule: Any) -> Policy:
    return Policy.model_validate({"policy": "own", "rules": [{"rule": "voice", "class": "rtp", **rule}]})


def test_a_rule_that_only_warns_does_not_fail() -> None:
    assert verdicts(network(rtp=0), own(allowed=["EF"])) == {"marks voice": Status.FAIL}
    assert verdicts(network(rtp=0), own(allowed=["EF"], severity="warn")) == {"marks voice": Status.PASS}


def test_what_is_allowed_but_not_expected_is_told() -> None:
    (verdict,) = judge(surveyed(network(rtp=AF31_TOS).pcap(), own(allowed=["EF", "AF31"], expected="EF")))
    assert (verdict.status, verdict.figures["not_expected"]) == (Status.PASS, 5)
    assert "5 are not EF" in verdict.summary


@pytest.mark.parametrize(
    ("marks", "name"),
    [
        ({}, "srnd-strict"),
        ({"sccp_up": 96, "sccp_down": 96}, "cs3"),
        ({"sccp_up": 160, "sccp_down": 160}, "rfc4594"),
        ({"sccp_down": EF_TOS, "rtp": AF31_TOS}, "srnd-table-11-4"),
    ],
)
def test_the_nearest_policy_is_the_narrowest_that_all_keep_to(marks: dict[str, int], name: str) -> None:
    likeness = nearest(surveyed(network(**marks).pcap()))
    assert likeness is not None
    assert (likeness.policy, likeness.departing) == (name, 0)


def test_of_policies_that_all_keep_to_the_narrower_is_nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {
        "a-wide": {"sccp": (26, 46)},
        "b-narrow": {"sccp": (26,)},
        "c-narrow": {"sccp": (26,)},
        "d-other": {"sccp": (0,)},
    }
    monkeypatch.setattr("testbed.audit.judge.known_marks", lambda: known)
    likeness = nearest(surveyed(network().pcap()))
    assert likeness is not None
    assert (likeness.policy, likeness.alike) == ("b-narrow", ("c-narrow",))


def test_the_built_in_policies_are_read_as_the_strict_reader_reads_them() -> None:
    assert {name: dict(marks) for name, marks in known_marks().items()} == {
        name: dict(policy(name).classes) for name in known_policies()
    }


def test_what_departs_from_the_nearest_policy_is_named_by_class_and_way() -> None:
    likeness = nearest(surveyed(network(sccp_down=0).pcap()))
    assert likeness is not None
    assert [(one.traffic, one.way, one.dscp, one.count.packets) for one in likeness.departures] == [
        ("sccp", "down", 0, 2)
    ]


def invoke(*words: str) -> Result:
    return CliRunner().invoke(cli, ["audit", *words], standalone_mode=False)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "net.pcap"
    path.write_bytes(network().pcap())
    return str(path)


def test_without_a_policy_it_describes(file: str) -> None:
    result = invoke(file)
    assert result.return_value == 0
    assert "AF31 3" in result.output
    assert "nearest known policy: srnd-strict; all" in result.output


@pytest.mark.parametrize(("name", "status"), [("srnd-strict", 0), ("cs3", 1)])
def test_with_a_policy_the_exit_status_is_the_verdicts(file: str, name: str, status: int) -> None:
    assert invoke(file, "--policy", name).return_value == status


def test_a_class_without_packets_is_exit_status_3(tmp_path: Path) -> None:
    path = tmp_path / "empty.pcap"
    path.write_bytes(Wire().pcap())
    assert invoke(str(path), "--policy", "cs3").return_value == 3
    assert invoke(str(path)).return_value == 5


def test_json_has_files_classes_and_the_nearest_policy(file: str) -> None:
    records = json.loads(invoke(file, "--output", "json").output)
    kinds = {record["kind"] for record in records}
    assert kinds == {"file", "class", "nearest"}
    (up,) = [one for one in records if (one.get("class"), one.get("way")) == ("sccp", "up")]
    assert up["marks"]["AF31"]["packets"] == up["packets"] == 3
    assert up["marks"]["AF31"]["first"]["frame"] == 1


def test_jsonl_has_verdicts(file: str) -> None:
    lines = [json.loads(line) for line in invoke(file, "--policy", "cs3", "--output", "jsonl").output.splitlines()]
    assert {line["check"]: line["status"] for line in lines if line["kind"] == "verdict"}["marks sccp"] == "FAIL"


def test_several_files_are_counted_together(file: str) -> None:
    lines = [json.loads(line) for line in invoke(file, file, "--output", "jsonl").output.splitlines()]
    assert [line["packets"] for line in lines if line.get("class") == "rtp"] == [10]


def test_a_rotated_set_is_read_in_order_of_time_whatever_the_order_of_its_names(tmp_path: Path) -> None:
    """A message that spans the two files names the stream."""
    whole, wires = (
        struct.pack("<IIIII4sI", 4 + 116, 0, 0x8A, 1, 2, bytes([10, 0, 0, 2]), 20_480) + bytes(100),
        (Wire(), Wire()),
    )
    connection = Connection(wires=[wires[0]], client=PHONE, server=CCM)
    connection.send(0.1, whole[:60], up=False)
    connection.wires = [wires[1]]
    connection.send(0.2, whole[60:], up=False)
    wires[1].udp(0.3, ("10.0.0.1", 20_000), ("10.0.0.2", 20_480), b"\x80" + bytes(171))
    names = [str(tmp_path / name) for name in ("z.pcap", "a.pcap")]
    for name, wire in zip(names, wires, strict=True):
        Path(name).write_bytes(wire.pcap())
    lines = [json.loads(line) for line in invoke(names[1], names[0], "--output", "jsonl").output.splitlines()]
    assert [line["file"] for line in lines if line["kind"] == "file"] == names
    assert [line["cause"] for line in lines if line.get("class") == "rtp"] == ["call-control"]


def test_packets_inside_vxlan_are_judged_by_their_own_marks(tmp_path: Path) -> None:
    outer = Wire()
    for at_s, frame in network().frames:
        outer.udp(at_s, ("192.0.2.1", 55_000), ("192.0.2.2", 4789), b"\x08" + bytes(7) + frame, tos=0)
    found = surveyed(outer.pcap(), "srnd-strict")
    assert {verdict.status for verdict in judge(found)} == {Status.PASS}
    assert packets_by_group(found)["vxlan"] == len(outer.frames)
    (rtp,) = [group for group in found.groups if group.traffic == "rtp"]
    assert rtp.summary.counts[46].first.frame == 9
    bad = Wire()
    bad.udp(0.1, ("192.0.2.1", 55_000), ("192.0.2.2", 4789), bytes(8) + outer.frames[0][1])
    assert packets_by_group(surveyed(bad)) == {"vxlan": 1}


def test_every_flow_can_be_listed_with_its_cause_and_marks(file: str) -> None:
    lines = [json.loads(line) for line in invoke(file, "--flows", "--output", "jsonl").output.splitlines()]
    flows = [line for line in lines if line["kind"] == "flow"]
    assert [(flow["class"], flow["packets"], flow["marks"]) for flow in flows] == [
        ("sccp", 3, "AF31 3"),
        ("sccp", 2, "AF31 2"),
        ("http", 2, "default 2"),
        ("http", 1, "default 1"),
        ("rtp", 5, "EF 5"),
        ("tftp", 1, "default 1"),
    ]
    assert flows[4]["flow"] == "10.0.0.1:20000 to 10.0.0.2:20480"
    assert "20480" in invoke(file, "--flows").output
