from __future__ import annotations

from pathlib import Path

import pytest
from audit_reading import surveyed
from capture_maker import Made
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import Connection, Wire, ethernet, sccp
from shared_data import shared_capture

from testbed.audit.judge import judge
from testbed.audit.learn import JUDGED, learned
from testbed.audit.survey import survey
from testbed.cli import cli
from testbed.document import parse_document, validated
from testbed.errors import UsageError
from testbed.packets.file import open_capture
from testbed.policy import CLASSES, Policy
from testbed.verdict import Status

FOREIGN = 63
"""A mark that no flow of the stories has."""

Flow = tuple[str, int, int, int]
"""(class, TOS octet up, TOS octet down, packets)."""
FLOWS = st.lists(
    st.tuples(st.sampled_from(JUDGED), *[st.sampled_from([0, 26, 46, 13]).map(lambda dscp: dscp << 2)] * 2, st.integers(1, 4)),
    min_size=1,
    max_size=6,
)  # fmt: skip


def network(flows: list[Flow]) -> Wire:
    wire = Wire()
    for place, (traffic, up, down, packets) in enumerate(flows):
        client = f"10.0.0.{place + 1}"
        if traffic == "rtp":
            for number in range(packets):
                head = bytes([0x80, 0, 0, number]) + bytes(8)
                wire.udp(place + number / 50, (client, 20_000), ("10.0.9.9", 20_480), head + bytes(160), tos=up)
        elif traffic == "tftp":
            wire.udp(place, (client, 40_000), ("10.0.1.3", 69), b"\0\1SEP\0octet\0", tos=up)
            wire.udp(place + 0.1, ("10.0.1.3", 33_000), (client, 40_000), b"\0\3\0\1", tos=down)
        else:
            server = ("10.0.1.1", 2000 if traffic == "sccp" else 80)
            connection = Connection(
                wires=[wire], client=(client, 50_000), server=server, client_tos=up, server_tos=down
            )
            connection.open(place)
            for number in range(packets):
                connection.send(place + 0.1 + number / 100, sccp(0), up=number % 2 == 0)
    return wire


def policy_of(text: str | None) -> Policy:
    assert text is not None
    return validated(parse_document(text.encode("utf-8"), file="learned.yaml"), Policy)


def statuses(data: bytes, chosen: Policy) -> set[Status]:
    return {verdict.status for verdict in judge(surveyed(data, chosen))}


@settings(deadline=None)
@given(FLOWS, st.data())
def test_a_capture_passes_its_learned_policy_and_fails_with_one_mark_changed(
    flows: list[Flow], data: st.DataObject
) -> None:
    wire = network(flows)
    chosen = policy_of(learned(surveyed(wire)))
    assert statuses(wire.pcap(), chosen) == {Status.PASS}
    place = data.draw(st.integers(0, len(wire.frames) - 1))
    at_s, frame = wire.frames[place]
    wire.frames[place] = (at_s, frame[:15] + bytes([FOREIGN << 2]) + frame[16:])
    assert Status.FAIL in statuses(wire.pcap(), chosen)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000))
def test_captures_of_any_kind_pass_what_was_learned_of_them(seed: int) -> None:
    made = Made(seed)
    found = surveyed(made.data)
    text = learned(found)
    if text is None:
        assert not {group.traffic for group in found.groups if group.summary.packets} & set(JUDGED)
    else:
        assert statuses(made.data, policy_of(text)) == {Status.PASS}


def test_a_class_with_one_mark_is_written_short_and_others_by_way_and_cause() -> None:
    text = learned(surveyed(network([("sccp", 104, 0, 4), ("http", 0, 0, 2), ("rtp", 184, 0, 3), ("rtp", 104, 0, 1)])))
    chosen = policy_of(text)
    assert {name: list(marks) for name, marks in chosen.classes.items()} == {"http": [0]}
    assert {rule.name: (rule.direction, rule.cause, rule.allowed, rule.expected) for rule in chosen.rules} == {
        "sccp up": ("up", None, (26,), None),
        "sccp down": ("down", None, (0,), None),
        "rtp unexplained": ("both", "unexplained", (46, 26), 46),
    }
    assert "- AF31  # 1 packet, first 10.0.0.4:20000 to 10.0.9.9:20480, frame " in str(text)


def test_what_can_be_learned_is_what_policies_can_name() -> None:
    assert sorted(JUDGED) == sorted(CLASSES)


def test_of_a_capture_without_such_classes_nothing_is_learned() -> None:
    wire = Wire()
    wire.add(0.1, ethernet(0x0806, bytes(46)))
    wire.udp(0.2, ("10.0.0.1", 5060), ("10.0.0.2", 5060), b"INVITE", tos=96)
    assert learned(surveyed(wire)) is None


def invoke(*words: str) -> Result:
    return CliRunner().invoke(cli, ["audit", *words], standalone_mode=False)


@pytest.mark.parametrize("name", ["x.pcap", 'a "quoted": [name]\x1b\x7f\n# x.pcap', "\udce9.pcap"])
def test_the_command_writes_what_the_command_reads(tmp_path: Path, name: str) -> None:
    file, written = tmp_path / name, tmp_path / "ours.yaml"
    file.write_bytes(network([("sccp", 104, 96, 4)]).pcap())
    assert invoke(str(file), "--learn", str(written)).return_value == 0
    assert invoke(str(file), "--policy", str(written)).return_value == 0
    file.write_bytes(network([("sccp", 104, 104, 4)]).pcap())
    assert invoke(str(file), "--policy", str(written)).return_value == 1


def test_a_policy_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    file, ours = tmp_path / "x.pcap", tmp_path / "ours.yaml"
    file.write_bytes(network([("sccp", 104, 104, 1)]).pcap())
    ours.write_text("mine", encoding="utf-8")
    wrong = (
        [str(ours)],
        [str(tmp_path / "ours.txt")],
        [str(tmp_path / "b.yaml"), "--policy", "cs3"],
        [str(tmp_path / "b.yaml"), "--hops", str(file)],
    )
    for words in wrong:
        assert isinstance(invoke(str(file), "--learn", *words).exception, UsageError)
    assert ours.read_text(encoding="utf-8") == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours.yaml", "x.pcap"]


def test_where_nothing_is_learned_nothing_is_written(tmp_path: Path) -> None:
    file = tmp_path / "x.pcap"
    file.write_bytes(Wire().pcap())
    result = invoke(str(file), "--learn", str(tmp_path / "b.yaml"))
    assert (result.return_value, (tmp_path / "b.yaml").exists()) == (5, False)
    assert "nothing is learned" in result.output


@pytest.mark.parametrize("name", ["ndpi-skinny.pcap", "ndpi-sccp_hw_conf_register.pcapng", "tcpdump-tftp.pcap"])
def test_real_captures_pass_what_was_learned_of_them(name: str) -> None:
    file = shared_capture(name)
    chosen = policy_of(learned(survey([open_capture(file)])))
    assert statuses(file.read_bytes(), chosen) == {Status.PASS}
