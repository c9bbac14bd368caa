from __future__ import annotations

import ipaddress
import random
import struct
from urllib.parse import quote_plus

import pytest
from audit_reading import packets_by_group, surveyed, surveyor_of
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import SYN, Connection, Wire, sccp
from shared_data import shared_capture

from testbed.audit.media import endpoint_of, pushed_endpoints, pushed_sources
from testbed.audit.survey import survey
from testbed.packets.file import open_capture

PHONE, PEER, CCM = ("10.0.0.1", 50_000), "10.0.0.2", ("10.0.1.1", 2000)


def start(address: str = PEER, port: int = 20_480) -> bytes:
    raw = bytes(map(int, address.split(".")))
    return sccp(0x008A, struct.pack("<II4sI", 1, 2, raw, port) + bytes(100))


def opened(address: str = PHONE[0], port: int = 20_482, status: int = 0) -> bytes:
    raw = bytes(map(int, address.split(".")))
    return sccp(0x0022, struct.pack("<I4sII", status, raw, port, 2))


def wide(message_id: int, head: int, address: bytes, port: int, family: int = 0) -> bytes:
    body = bytes(head) + struct.pack("<I16sI", family, address, port) + bytes(100)
    return struct.pack("<III", 4 + len(body), 0x14, message_id) + body


def voice(wire: Wire, source: str, destination: tuple[str, int], *, at_s: float = 1.0, count: int = 3) -> None:
    for place in range(count):
        wire.udp(at_s + place / 50, (source, 20_490), destination, b"\x80\x00" + bytes(170), tos=184)


def call(wire: Wire) -> Connection:
    connection = Connection(wires=[wire], client=PHONE, server=CCM)
    connection.open(0.1)
    return connection


def causes(wire: Wire, *, block_bytes: int = 1 << 20) -> dict[str, int]:
    found = packets_by_group(surveyed(wire, block_bytes=block_bytes))
    return {name.partition(" ")[2]: count for name, count in found.items() if name.startswith("rtp")}


def test_call_control_names_both_directions_of_a_call() -> None:
    wire = Wire()
    connection = call(wire)
    connection.send(0.3, opened(), up=True)
    connection.send(0.4, sccp(0x0082, bytes(16)) + start(), up=False)
    voice(wire, PHONE[0], (PEER, 20_480))
    voice(wire, PEER, (PHONE[0], 20_482))
    voice(wire, PEER, ("10.0.0.7", 20_482))
    assert causes(wire) == {"call-control": 6, "unexplained": 3}


@pytest.mark.parametrize(
    "message", [opened(status=1), start(port=0), start("0.0.0.0"), sccp(0x008A, bytes(36)), sccp(0x0105, bytes(92))]
)
def test_what_names_no_endpoint_explains_nothing(message: bytes) -> None:
    wire = Wire()
    call(wire).send(0.3, message, up=True)
    voice(wire, PEER, (PHONE[0], 20_482))
    assert causes(wire) == {"unexplained": 3}


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 90), st.integers(0, 2**32 - 1), st.sampled_from([256, 700, 1 << 20]))
def test_messages_are_found_however_they_are_cut_into_segments(size: int, seq: int, block_bytes: int) -> None:
    wire = Wire()
    connection = Connection(wires=[wire], client=PHONE, server=CCM, server_seq=seq)
    connection.open(0.1)
    whole = sccp(0x0111, bytes(24)) + start() + sccp(0x0100) + start(port=20_500)
    for place in range(0, len(whole), size):
        connection.send(0.2 + place * 1e-4, whole[place : place + size], up=False)
    voice(wire, PHONE[0], (PEER, 20_480))
    voice(wire, PHONE[0], (PEER, 20_500))
    assert causes(wire, block_bytes=block_bytes) == {"call-control": 6}


def test_segments_out_of_order_repeated_and_overlapping_are_put_together() -> None:
    wire, whole = Wire(), sccp(0x0111, bytes(24)) + start()
    connection = call(wire)
    begin = connection.server_seq
    for at_s, (first, last) in enumerate(((0, 50), (100, len(whole)), (0, 50), (40, 100)), start=1):
        connection.server_seq = (begin + first) % 2**32
        connection.send(at_s / 10 + 0.2, whole[first:last], up=False)
    voice(wire, PHONE[0], (PEER, 20_480))
    assert causes(wire) == {"call-control": 3}


def test_a_capture_that_begins_in_mid_connection_and_mid_message_is_read() -> None:
    wire = Wire()
    connection = Connection(wires=[wire], client=PHONE, server=CCM)
    connection.send(0.1, bytes(range(7, 57)), up=False)
    connection.send(0.2, start(), up=False)
    voice(wire, PHONE[0], (PEER, 20_480))
    assert causes(wire) == {"call-control": 3}


def test_reading_goes_on_behind_a_segment_that_was_not_captured() -> None:
    wire, half = Wire(), start()
    connection = call(wire)
    connection.send(0.2, half[:60], up=False)
    connection.server_seq = (connection.server_seq + 60) % 2**32
    for place in range(70):
        message = start(port=21_000 + 2 * place)
        connection.send(0.3 + place / 100, message[:50], up=False)
        connection.send(0.305 + place / 100, message[50:], up=False)
    voice(wire, PHONE[0], (PEER, 21_000), at_s=2)
    assert causes(wire) == {"call-control": 3}


def test_a_new_connection_of_the_same_ports_begins_anew() -> None:
    wire = Wire()
    connection = call(wire)
    connection.send(0.2, start()[:60], up=False)
    connection.server_seq = 5
    connection.packet(0.3, up=False, flags=SYN)
    connection.send(0.4, start(port=20_600)[:50], up=False)
    connection.send(0.5, start(port=20_600)[50:], up=False)
    voice(wire, PHONE[0], (PEER, 20_600))
    assert causes(wire) == {"call-control": 3}


@pytest.mark.parametrize("seed", range(5))
def test_garbage_on_port_2000_hurts_nobody_and_is_not_kept(seed: int) -> None:
    chance, wire = random.Random(seed), Wire()
    connection = Connection(wires=[wire], client=PHONE, server=CCM)
    for place in range(300):
        connection.client_seq = chance.randrange(2**32)
        connection.packet(place / 100, up=True, payload=chance.randbytes(chance.randrange(1, 200)))
    connection.send(9.0, start(), up=False)
    voice(wire, PHONE[0], (PEER, 20_480))
    surveyor = surveyor_of(wire)
    assert packets_by_group(surveyor.survey())["rtp call-control"] == 3
    assert len(surveyor._signalling._streams) <= 1


def test_addresses_of_newer_versions_have_sixteen_bytes_and_a_family() -> None:
    four = bytes([10, 0, 0, 2]) + bytes(12)
    six = bytes.fromhex("20010db8") + bytes(11) + b"\1"
    for message, version, expected in (
        (wide(0x008A, 8, four, 20_480), 20, ("10.0.0.2", 20_480)),
        (wide(0x0022, 4, four, 20_480), 17, ("10.0.0.2", 20_480)),
        (wide(0x008A, 8, six, 20_480, family=1), 22, ("2001:db8::1", 20_480)),
    ):
        message_id = int.from_bytes(message[8:12], "little")
        assert endpoint_of(message_id, version, message[12:]) == expected


@given(st.sampled_from([0x0022, 0x008A]), st.integers(0, 30), st.binary(max_size=130))
def test_any_body_names_an_endpoint_or_none(message_id: int, version: int, body: bytes) -> None:
    named = endpoint_of(message_id, version, body)
    assert named is None or 0 < named[1] < 65536


EXECUTE = '<CiscoIPPhoneExecute><ExecuteItem URL="{}"/><ExecuteItem URL="RTPTx:10.0.9.9:21000"/></CiscoIPPhoneExecute>'


def push(uri: str) -> bytes:
    body = b"XML=" + quote_plus(EXECUTE.format(uri)).encode()
    return b"POST /CGI/Execute HTTP/1.1\r\nHost: p\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("RTPRx:10.0.9.9:20500:60", (PHONE[0], 20_500)),
        ("RTPTx:10.0.9.8:20500", ("10.0.9.8", 20_500)),
        ("RTPMRx:239.1.1.1:20500:60", ("239.1.1.1", 20_500)),
        ("RTPMTx:239.1.1.1:20500", ("239.1.1.1", 20_500)),
    ],
)
def test_a_pushed_uri_says_where_rtp_goes(uri: str, expected: tuple[str, int]) -> None:
    assert list(pushed_endpoints(push(uri), PHONE[0])) == [expected, ("10.0.9.9", 21_000)]


@pytest.mark.parametrize(
    "uri", ["RTPRx:Stop", "RTPRx:10.0.9.9", "RTPTx:10.0.999.1:20500", "RTPTx:10.0.0.1:99999", "Play:ring.raw"]
)
def test_a_uri_without_an_endpoint_names_none(uri: str) -> None:
    assert list(pushed_endpoints(push(uri), PHONE[0])) == [("10.0.9.9", 21_000)]


@pytest.mark.parametrize("size", [10_000, 60, 150])
@pytest.mark.parametrize("block_bytes", [300, 1 << 20])
def test_a_push_names_the_stream_that_a_service_started(size: int, block_bytes: int) -> None:
    wire, request = Wire(), push("RTPMRx:239.1.1.1:20500:60")
    connection = Connection(wires=[wire], client=("10.0.1.2", 40_000), server=(PHONE[0], 80))
    connection.open(0.1)
    for place in range(0, len(request), size):
        connection.send(0.2 + place / 1e4, request[place : place + size], up=True)
    voice(wire, "10.0.1.2", ("239.1.1.1", 20_500))
    voice(wire, PEER, (PHONE[0], 20_482))
    surveyor = surveyor_of(wire, block_bytes=block_bytes)
    found = packets_by_group(surveyor.survey())
    assert (found["rtp service"], found["rtp unexplained"]) == (3, 3)
    assert not surveyor._signalling._streams


@pytest.mark.parametrize("uri", ["RTPRx:10.0.9.8", "RTPRx:10.0.9.8::60", "RTPRx:10.0.9.8:"])
def test_a_port_that_the_phone_chooses_is_the_services_from_where_it_said(uri: str) -> None:
    assert list(pushed_sources(push(uri))) == ["10.0.9.8"]
    wire = Wire()
    connection = Connection(wires=[wire], client=("10.0.1.2", 40_000), server=(PHONE[0], 80))
    connection.send(0.2, push(uri), up=True)
    called = call(wire)
    called.send(0.3, opened(port=20_600), up=True)
    for at_s, source, target in (
        (1.0, "10.0.9.8", (PHONE[0], 22_222)),
        (2.0, "10.0.9.8", (PHONE[0], 20_600)),
        (3.0, "10.0.9.8", ("10.0.0.9", 22_222)),
        (4.0, "10.0.9.7", (PHONE[0], 22_222)),
        (5.0, PHONE[0], ("10.0.9.8", 22_222)),
    ):
        voice(wire, source, target, at_s=at_s)
    assert causes(wire) == {"service": 3, "call-control": 3, "unexplained": 9}


@pytest.mark.parametrize(
    "uri", ["RTPRx:Stop", "RTPRx:10.0.9.8:20500", "RTPRx:10.0.9.8:20500:60", "RTPTx:10.0.9.8", "RTPRx:10.0.9.888"]
)
def test_no_other_uri_lets_the_phone_choose(uri: str) -> None:
    assert list(pushed_sources(push(uri))) == []


@given(st.binary(max_size=200))
def test_any_body_of_a_push_names_addresses_or_nothing(body: bytes) -> None:
    request = b"POST /CGI/Execute HTTP/1.1\r\n\r\n" + body
    assert all(0 < port < 65536 for _, port in pushed_endpoints(request, PHONE[0]))
    assert all(ipaddress.IPv4Address(source) for source in pushed_sources(request))


def test_a_post_to_another_page_is_no_push() -> None:
    wire = Wire()
    connection = Connection(wires=[wire], client=("10.0.1.2", 40_000), server=(PHONE[0], 80))
    connection.send(0.2, push("RTPMRx:239.1.1.1:20500:60").replace(b"/CGI/Execute", b"/CGI/Other12"), up=True)
    voice(wire, "10.0.1.2", ("239.1.1.1", 20_500))
    assert causes(wire) == {"unexplained": 3}


def test_all_rtp_of_a_real_call_is_call_controls() -> None:
    file = shared_capture("ndpi-skinny.pcap")
    found = packets_by_group(survey([open_capture(file)]))
    assert {name: count for name, count in found.items() if name.startswith("rtp")} == {"rtp call-control": 135}
