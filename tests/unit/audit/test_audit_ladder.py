from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from audit_reading import capture
from click.testing import CliRunner, Result
from recordings import Connection, Wire, sccp
from shared_data import shared_capture
from tshark_judge import skinny_ids

from testbed.audit.ladder import MAX_BYTES, Ladder, ladders, ladders_of, lines, of_device
from testbed.cli import cli
from testbed.errors import UsageError
from testbed.packets.file import open_capture

CCM = ("10.0.1.1", 2000)


def register(device: str) -> bytes:
    return sccp(
        1, device.encode().ljust(16, b"\0") + bytes(4) + struct.pack("<I4sI", 1, bytes([10, 0, 0, 1]), 7) + bytes(20)
    )


def network() -> Wire:
    wire = Wire()
    for number, device in enumerate(("SEP020000000001", "SEP020000000002")):
        connection = Connection(wires=[wire], client=(f"10.0.0.{number + 1}", 50_000), server=CCM)
        at_s = number * 10.0
        connection.open(at_s)
        message = register(device)
        connection.send(at_s + 0.5, message[:30], up=True)
        connection.send(at_s + 0.6, message[30:] + sccp(0), up=True)
        connection.send(at_s + 0.7, sccp(0x0081, struct.pack("<I", 30) + bytes(16)) + sccp(0x0100), up=False)
        connection.send(at_s + 0.8, sccp(0x0777, bytes(5)), up=False)
        connection.close(at_s + 1.0, up=True)
    return wire


def read(wire: Wire) -> tuple[Ladder, ...]:
    return ladders(capture(wire.pcap(), block_bytes=300)).every


def test_a_ladder_has_every_message_in_order_with_its_frame_and_way() -> None:
    first, second = read(network())
    assert (first.device, second.device) == ("SEP020000000001", "SEP020000000002")
    assert [(rung.name, rung.up, rung.frame) for rung in first.rungs] == [
        ("SYN", True, 1),
        ("SYN, ACK", False, 2),
        ("Register", True, 5),
        ("KeepAlive", True, 5),
        ("RegisterAck", False, 6),
        ("KeepAliveAck", False, 6),
        ("0x0777", False, 7),
        ("FIN", True, 8),
    ]
    assert "device_name SEP020000000001" in first.rungs[2].details
    assert "keepalive_interval_s 30" in first.rungs[4].details
    assert first.rungs[6].details == "5 bytes"


def test_keepalives_are_hidden_unless_asked_for() -> None:
    ladder = read(network())[0]
    assert [rung.name for rung in ladder.shown(keepalives=False)].count("KeepAlive") == 0
    shown = list(lines(ladder, keepalives=False))
    assert shown[-1].strip() == "and 2 keepalives and answers"
    assert len(list(lines(ladder, keepalives=True))) == 9


def test_arrows_go_up_to_call_control_and_down_to_the_phone() -> None:
    shown = list(lines(read(network())[0], keepalives=False))
    assert ["◀" in line for line in shown[1:4]] == [False, True, False]
    assert {line.index("▶") for line in shown if "▶" in line} == {66}


def test_a_phone_is_chosen_by_its_name_and_an_unknown_one_lists_the_known() -> None:
    found = read(network())
    assert [one.phone for one in of_device(found, "sep020000000002")] == ["10.0.0.2:50000"]
    with pytest.raises(UsageError) as caught:
        of_device(found, "SEP9")
    assert "SEP020000000001, SEP020000000002" in caught.value.hint


def test_texts_of_newer_versions_whose_layout_is_not_known_are_not_guessed() -> None:
    wire = Wire()
    connection = Connection(wires=[wire], client=("10.0.0.1", 50_000), server=CCM)
    body = b"no".ljust(32, b"\0")
    for version in (0, 20):
        connection.send(version / 100, struct.pack("<III", 4 + len(body), version, 0x009D) + body, up=False)
    old, new = read(wire)[0].rungs
    assert "text no" in old.details
    assert new.details == "32 bytes"


def test_control_characters_in_a_message_do_not_reach_the_terminal() -> None:
    wire = Wire()
    Connection(wires=[wire], client=("10.0.0.1", 50_000), server=CCM).send(
        0.1, sccp(0x009D, b"\x1b[2Jhello".ljust(32, b"\0")), up=False
    )
    assert all("\x1b" not in line for line in lines(read(wire)[0], keepalives=True))


def invoke(*words: str) -> Result:
    return CliRunner().invoke(cli, ["ladder", *words], standalone_mode=False)


def test_the_command_prints_one_ladder_a_connection(tmp_path: Path) -> None:
    file = tmp_path / "x.pcap"
    file.write_bytes(network().pcap())
    assert invoke(str(file)).output.count("seconds") == 2
    assert invoke(str(file), "--device", "SEP020000000001").output.count("seconds") == 1
    rows = json.loads(invoke(str(file), "--output", "json", "--keepalives").output)
    assert [row["message"] for row in rows if row["device"] == "SEP020000000002" and row["way"] == "down"] == [
        *("SYN, ACK", "RegisterAck", "KeepAliveAck", "0x0777"),
    ]


def test_a_capture_without_sccp_is_exit_status_5(tmp_path: Path) -> None:
    file = tmp_path / "x.pcap"
    file.write_bytes(Wire().pcap())
    assert invoke(str(file)).return_value == 5


@pytest.mark.parametrize("name", ["ndpi-skinny.pcap", "ndpi-sccp_hw_conf_register.pcapng"])
def test_the_messages_of_a_real_capture_are_tsharks(name: str) -> None:
    file = shared_capture(name)
    rungs = [
        rung
        for ladder in ladders(open_capture(file)).every
        for rung in ladder.rungs
        if rung.name not in ("SYN", "SYN, ACK", "FIN", "RST")
    ]
    assert len(rungs) == len(skinny_ids(file)) > 7


def test_a_bound_is_on_what_is_kept_and_said_to_be_reached() -> None:
    """Acknowledgements alone are not kept, so they do not count."""
    wire = Wire()
    connection = Connection(wires=[wire], client=("10.0.0.1", 50_000), server=CCM)
    connection.open(0.0)
    for place in range(20):
        connection.packet(0.1 + place / 100, up=True)
    connection.send(1.0, sccp(0), up=True)
    assert [ladders(capture(wire.pcap()), most=most).cut for most in (2, 3)] == [True, False]


def test_a_bound_is_on_bytes_too() -> None:
    wire = Wire()
    connection = Connection(wires=[wire], client=("10.0.0.1", 50_000), server=CCM)
    for place in range(30):
        connection.send(place, bytes(60_000), up=True)
    (block,) = list(capture(wire.pcap(), block_bytes=4 << 20).blocks())
    every = MAX_BYTES // (30 * 60_000)
    assert [ladders_of([block] * count).cut for count in (every, every + 1)] == [False, True]
