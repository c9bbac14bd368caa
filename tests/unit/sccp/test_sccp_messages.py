from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sccp_samples import BASIC_ROWS, layouts, sample, shared_data

from testbed.errors import LocalProtocolError, PeerProtocolError
from testbed.sccp.call_messages import CallInfo, DialedNumberVersion18, OffHook
from testbed.sccp.configuration_messages import (
    Button,
    ButtonTemplateRes,
    CapabilitiesRes,
    LineStatRes,
    SoftKeySetRes,
    SoftKeyTemplateRes,
)
from testbed.sccp.framing import FrameReader
from testbed.sccp.media_messages import OpenReceiveChannel, StartMediaTransmission, StartMediaTransmissionVersion17
from testbed.sccp.messages import TABLE, Row, Unknown, decode, encode, name_of
from testbed.sccp.registration_messages import Register, RegisterAck, RegisterReject
from testbed.sccp.user_data_messages import DeviceToUserData

SIZES = {
    Register: 52,
    RegisterAck: 20,
    LineStatRes: 112,
    OpenReceiveChannel: 108,
    StartMediaTransmission: 116,
    CapabilitiesRes: 292,
    ButtonTemplateRes: 96,
    SoftKeyTemplateRes: 652,
    SoftKeySetRes: 780,
    CallInfo: 384,
}


@pytest.mark.parametrize(("layout", "size"), SIZES.items(), ids=lambda value: getattr(value, "__name__", str(value)))
def test_bodies_have_the_sizes_that_tshark_decodes_and_phones_take(layout, size):
    assert len(layout().encode()) == size


def test_every_id_has_one_layout_for_each_header_version_it_changes_in():
    assert len({(row.message_id, row.since) for row in TABLE}) == len(TABLE)


@given(st.sampled_from(TABLE).flatmap(lambda row: st.tuples(st.just(row), layouts(row.layout))))
def test_every_message_survives_a_round_trip(pair):
    row, message = pair
    assert decode(row.message_id, message.encode(), row.since) == message


@given(st.sampled_from([row.message_id for row in TABLE]) | st.integers(0, 2**32 - 1), st.binary(max_size=900))
def test_no_body_raises_anything_but_a_peer_protocol_error(message_id, body):
    try:
        message = decode(message_id, body)
    except PeerProtocolError:
        return
    assert isinstance(message, Unknown) or message.message_id == message_id


def test_unknown_id_is_kept_and_is_no_error():
    assert decode(0x7777, b"abc") == Unknown(message_id=0x7777, body=b"abc")
    assert name_of(0x7777) == "0x7777"


def test_register_on_the_wire_is_what_a_gateway_of_2009_sends():
    data = encode(Register(device_name="SEP020000000001", address="172.26.16.1", device_type=7, protocol_version=5))
    assert len(data) == 64
    assert struct.unpack_from("<III", data) == (56, 0, 1)
    assert data[12:28] == b"SEP020000000001\0"
    assert data[36:40] == bytes([172, 26, 16, 1])
    assert data[40:44] == b"\x07\0\0\0"
    assert data[52] == 5


def test_short_old_forms_are_filled_with_zeros():
    ack = decode(0x81, struct.pack("<I6s2x", 30, b"M/D/Y"))
    assert ack == RegisterAck(keepalive_interval_s=30, date_template="M/D/Y")
    line = decode(0x92, struct.pack("<I24s", 1, b"1001"))
    assert line == LineStatRes(line=1, number="1001")
    assert decode(0x06, b"") == OffHook()


def test_long_forms_are_cut():
    body = Register(device_name="SEP020000000001").encode() + b"new fields" * 7
    assert decode(0x01, body) == Register(device_name="SEP020000000001")


def test_texts_end_at_the_nul_whatever_the_stack_left_behind_it():
    assert decode(0x9D, b"Error: DB Config\0garbage\xff\xfe".ljust(32, b"x")) == RegisterReject(text="Error: DB Config")


def test_label_codes_pass_through():
    assert decode(0x9D, RegisterReject(text="\x80\x13").encode()) == RegisterReject(text="\x80\x13")


def test_unused_button_is_00_ff():
    body = ButtonTemplateRes(count=1, total=1, buttons=(Button(instance=1, kind=9),)).encode()
    assert body[12:16] == b"\x01\x09\x00\xff"
    assert body[-2:] == b"\x00\xff"


def test_addresses_of_version_17_and_later_have_a_family():
    body = StartMediaTransmissionVersion17(remote_address="10.0.0.1", remote_port=16384, precedence=184).encode()
    assert len(body) == 132
    assert decode(0x8A, body, 0x14).remote_address == "10.0.0.1"
    assert decode(0x8A, body, 0x14).precedence == 184


@pytest.mark.parametrize(
    "message",
    [
        RegisterReject(text="x" * 33),
        RegisterReject(text="€"),
        RegisterReject(text="a\0b"),
        Register(address="nowhere"),
        Register(device_type=2**32),
        Register(device_type=-1),
        ButtonTemplateRes(buttons=(Button(),) * 43),
        DeviceToUserData(length=3, data=b"four"),
        DeviceToUserData(length=2001, data=b"x" * 2001),
    ],
    ids=repr,
)
def test_what_does_not_fit_is_our_own_fault(message):
    with pytest.raises(LocalProtocolError):
        encode(message)


def test_announced_data_that_is_not_there_is_the_peers_fault():
    with pytest.raises(PeerProtocolError, match="announces 2000 bytes"):
        decode(0x2E, struct.pack("<5I", 0, 0, 0, 0, 2000) + b"short")


@pytest.mark.parametrize("row", BASIC_ROWS, ids=lambda row: row.layout.__name__)
def test_every_message_says_where_its_layout_comes_from(row: Row):
    assert row.source.split()[0] == "ws"
    assert decode(row.message_id, sample(row).encode()) == sample(row)


def _tshark(path: Path, only: str, *fields: str) -> list[str]:
    command = ["tshark", "-r", str(path), "-Y", only, "-T", "fields"]
    for field in fields:
        command += ["-e", field]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize(("file", "count"), [("ndpi-skinny.pcap", 62), ("ndpi-sccp_hw_conf_register.pcapng", 8)])
def test_real_captures_decode(file, count):
    path = shared_data(file)
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed: it takes the TCP payloads out of the capture")
    lines = _tshark(path, "skinny", "tcp.stream", "ip.src", "tcp.payload")
    readers: dict[tuple[str, str], FrameReader] = {}
    messages = []
    for line in lines:
        stream, source, payload = line.split("\t")
        reader = readers.setdefault((stream, source), FrameReader())
        messages += [decode(i, body, version) for version, i, body in reader.feed(bytes.fromhex(payload))]
    assert len(messages) == count
    known = [message for message in messages if not isinstance(message, Unknown)]
    # Version 18 and later bring messages of their own (0x144, 0x145, 0x14A, 0x49, 0x2C), which the table does not have.
    assert {m.message_id for m in messages if isinstance(m, Unknown)} <= {0x144, 0x145, 0x14A, 0x49, 0x2C}
    if file == "ndpi-skinny.pcap":
        media = [m for m in known if isinstance(m, StartMediaTransmissionVersion17)]
        assert {m.precedence for m in media} == {184}
        told = _tshark(path, "skinny.messageId == 138", "skinny.remoteIpAddr.ipv4")
        assert [m.remote_address for m in media] == told
        dialed = [m for m in known if isinstance(m, DialedNumberVersion18)]
        told = _tshark(path, "skinny.messageId == 285", "skinny.dialedNumber", "skinny.callReference")
        assert dialed
        assert {(m.number, m.line, m.call_reference) for m in dialed} == {("307", 1, 19805770)}
        assert all(
            f"{m.number}\t" in line and str(m.call_reference) in line for m, line in zip(dialed, told, strict=True)
        )
    else:
        acks = [m for m in known if isinstance(m, RegisterAck)]
        assert [(m.keepalive_interval_s, m.secondary_keepalive_interval_s, m.date_template) for m in acks] == [
            (30, 60, "Unused")
        ]
        assert acks[0].max_protocol_version == 18
