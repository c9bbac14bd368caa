"""tshark judges what we emit: an independent decoder that nobody here wrote."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from sccp_samples import BASIC_ROWS, sample
from sccp_wire import Pair

from testbed.sccp.message import Direction, Message
from testbed.sccp.messages import encode
from testbed.sccp.registration_messages import Register, RegisterAck, RegisterTokenReject

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
_PHONE, _CONTROL = bytes([172, 26, 16, 1]), bytes([172, 26, 1, 100])


def write_capture(path: Path, payloads: list[tuple[bool, bytes]]) -> None:
    """(up, bytes) of one connection as a pcap of raw IP packets marked AF31."""
    sequence = {True: 1, False: 1}
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for place, (up, payload) in enumerate(payloads):
            ports = (40000, 2000) if up else (2000, 40000)
            tcp = struct.pack("!HHIIBBHHH", *ports, sequence[up], sequence[not up], 0x50, 0x18, 65535, 0, 0)
            sequence[up] += len(payload)
            addresses = _PHONE + _CONTROL if up else _CONTROL + _PHONE
            total = 40 + len(payload)
            packet = struct.pack("!BBHHHBBH", 0x45, 0x68, total, place, 0, 64, 6, 0) + addresses + tcp + payload
            file.write(struct.pack("<IIII", 1_000_000 + place, 0, total, total) + packet)


def tshark(path: Path, *fields: str, only: str = "skinny") -> list[list[str]]:
    """Rows of these fields."""
    command = ["tshark", "-r", str(path), "-Y", only, "-T", "fields"]
    for field in fields:
        command += ["-e", field]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split("\t") for line in lines]


def test_tshark_decodes_every_message_and_finds_none_malformed(tmp_path):
    path = tmp_path / "all.pcap"
    write_capture(path, [(row.direction is Direction.UP, encode(sample(row))) for row in BASIC_ROWS])
    rows = tshark(path, "skinny.messageId", "skinny.hdr_version", "skinny.data_length")
    assert [int(row[0]) for row in rows] == [row.message_id for row in BASIC_ROWS]
    assert {row[1] for row in rows} == {"0x00000000"}
    assert [int(row[2]) for row in rows] == [4 + len(sample(row).encode()) for row in BASIC_ROWS]
    assert tshark(path, "frame.number", "skinny.messageId", only="_ws.malformed") == []


def test_tshark_reads_the_values_we_wrote(tmp_path):
    path = tmp_path / "values.pcap"
    messages: list[tuple[bool, Message]] = [
        (True, Register(device_name="SEP020000000007", device_type=7, protocol_version=5)),
        (False, RegisterAck(keepalive_interval_s=30, secondary_keepalive_interval_s=60, max_protocol_version=5)),
        (False, RegisterTokenReject(wait_s=60)),
    ]
    write_capture(path, [(up, encode(message)) for up, message in messages])
    fields = ("DeviceName", "deviceType", "protocolVer", "keepAliveInterval", "secondaryKeepAliveInterval")
    rows = tshark(path, *(f"skinny.{name}" for name in (*fields, "maxProtocolVer", "waitTimeBeforeNextReq")))
    assert rows[0][:3] == ["SEP020000000007", "0x00000007", "5"]
    assert rows[1][3:6] == ["30", "60", "5"]
    assert rows[2][6] == "60"


def test_a_registration_of_our_machines_is_clean_and_its_questions_are_paired_with_answers(tmp_path):
    pair = Pair()
    pair.boot()
    pair.run_until(lambda: pair.registered_at() == 0)
    pair.run_for(100)
    path = tmp_path / "registration.pcap"
    write_capture(path, [(way == "up", data) for _, way, _, rank, data in pair.sent if rank == 0])
    assert tshark(path, "frame.number", only="_ws.malformed") == []
    ids = [int(i) for row in tshark(path, "skinny.messageId") for i in row[0].split(",")]
    for needed in (0x20, 0x01, 0x02, 0x81, 0x9B, 0x10, 0x0E, 0x97, 0x28, 0x108, 0x25, 0x109, 0x0C, 0x93, 0x0B, 0x92):
        assert needed in ids
    assert ids.index(0x2D) < ids.index(0x0D) < ids.index(0x94) < ids.index(0x00) < ids.index(0x100)
    assert tshark(path, "skinny.response_time", only="skinny.response_to")
