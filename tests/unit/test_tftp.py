"""The read transfer on a fake wire: a server that follows RFC 1350, and everything that does not."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.errors import LocalProtocolError
from testbed.tftp import ReadTransfer

SERVER = ("172.26.1.10", 69)
PEER = ("172.26.1.10", 40001)
STRANGER = ("172.26.1.99", 40001)


def data(block: int, payload: bytes) -> bytes:
    return struct.pack("!HH", 3, block & 0xFFFF) + payload


def ack(block: int) -> bytes:
    return struct.pack("!HH", 4, block & 0xFFFF)


def error(code: int, text: bytes = b"") -> bytes:
    return struct.pack("!HH", 5, code) + text + b"\0"


def transfer(now: float = 0.0, **settings: float) -> ReadTransfer:
    made = ReadTransfer("SEP020000000001.cnf.xml", server=SERVER, now=now, **settings)  # type: ignore[arg-type]
    made.to_send()
    return made


def read(content: bytes, *, block_bytes: int = 512, max_bytes: int = 1 << 26) -> ReadTransfer:
    """A whole transfer from a server without faults."""
    reading = transfer(max_bytes=max_bytes)
    for number, start in enumerate(range(0, len(content) + 1, block_bytes), start=1):
        reading.receive(data(number, content[start : start + block_bytes]), PEER, 0.0)
        assert reading.to_send() == [(ack(number), PEER)]
    return reading


def test_the_request_is_plain_rfc_1350_and_goes_to_port_69() -> None:
    reading = ReadTransfer("a.xml", server=SERVER, now=0.0)
    assert reading.to_send() == [(b"\0\x01a.xml\0octet\0", SERVER)]
    assert reading.to_send() == []


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1024, 70_000])
def test_a_file_of_any_size_is_read_whole(size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    reading = read(content)
    assert reading.done
    assert reading.error is None
    assert reading.content == content
    assert reading.next_timer() is None


def test_block_numbers_wrap_after_65535() -> None:
    content = bytes(65_540 * 512)
    assert read(content).content == content


def test_a_lost_request_is_sent_again_until_tries_run_out() -> None:
    reading = transfer(timeout_s=1.0, max_tries=3)
    for now in (1.0, 2.0):
        reading.tick(now - 0.01)
        assert reading.to_send() == []
        reading.tick(now)
        assert reading.to_send() == [(b"\0\x01SEP020000000001.cnf.xml\0octet\0", SERVER)]
    reading.tick(3.0)
    assert reading.to_send() == []
    assert reading.error is not None
    assert "no answer to 3 tries" in reading.error.message


def test_a_lost_ack_is_sent_again_to_the_transfers_own_port() -> None:
    reading = transfer(timeout_s=1.0)
    reading.receive(data(1, bytes(512)), PEER, 0.2)
    assert reading.to_send() == [(ack(1), PEER)]
    reading.tick(1.2)
    assert reading.to_send() == [(ack(1), PEER)]


def test_an_answer_starts_the_tries_afresh() -> None:
    reading = transfer(timeout_s=1.0, max_tries=2)
    reading.tick(1.0)
    reading.receive(data(1, bytes(512)), PEER, 1.5)
    reading.tick(2.5)
    assert not reading.done


def test_a_copy_of_a_block_is_not_acknowledged_twice() -> None:
    """The sorcerer's apprentice: else every later packet would travel twice."""
    reading = transfer(timeout_s=1.0)
    reading.receive(data(1, bytes(512)), PEER, 0.0)
    reading.to_send()
    reading.receive(data(1, bytes(512)), PEER, 0.01)
    assert reading.to_send() == []


def test_a_retransmitted_block_is_acknowledged_again() -> None:
    reading = transfer(timeout_s=1.0)
    reading.receive(data(1, bytes(512)), PEER, 0.0)
    reading.to_send()
    reading.receive(data(1, bytes(512)), PEER, 0.9)
    assert reading.to_send() == [(ack(1), PEER)]


def test_the_last_block_is_acknowledged_again_after_the_end() -> None:
    reading = transfer(timeout_s=1.0)
    reading.receive(data(1, b"all"), PEER, 0.0)
    reading.to_send()
    reading.receive(data(1, b"all"), PEER, 1.0)
    assert reading.to_send() == [(ack(1), PEER)]
    assert reading.content == b"all"


def test_late_and_early_blocks_change_nothing() -> None:
    reading = transfer()
    for number in (1, 2):
        reading.receive(data(number, bytes(512)), PEER, 0.0)
    reading.to_send()
    for number in (0, 1, 4, 65535):
        reading.receive(data(number, b"wrong"), PEER, 0.0)
    assert reading.to_send() == []
    reading.receive(data(3, b"end"), PEER, 0.0)
    assert reading.content == bytes(1024) + b"end"


def test_a_stranger_gets_error_5_and_does_not_disturb() -> None:
    reading = transfer()
    reading.receive(data(1, b"from elsewhere"), STRANGER, 0.0)
    reading.receive(data(1, bytes(512)), PEER, 0.0)
    reading.receive(data(2, b"second answer"), (PEER[0], 40002), 0.0)
    stranger, _, second = reading.to_send()
    assert stranger == (error(5, b"unknown transfer ID"), STRANGER)
    assert second == (error(5, b"unknown transfer ID"), (PEER[0], 40002))
    reading.receive(data(2, b"end"), PEER, 0.0)
    assert reading.content == bytes(512) + b"end"


def test_a_strangers_error_is_not_answered() -> None:
    reading = transfer()
    reading.receive(error(5), STRANGER, 0.0)
    assert reading.to_send() == []
    assert not reading.done


def test_file_not_found_is_told_from_other_failures() -> None:
    reading = transfer()
    reading.receive(error(1, b"File not found"), PEER, 0.0)
    assert reading.error is not None
    assert reading.error.is_file_not_found
    assert reading.error.message == "tftp://172.26.1.10:69/SEP020000000001.cnf.xml: file not found: File not found"
    assert reading.to_send() == []


def test_a_file_beyond_the_limit_is_refused_with_error_3() -> None:
    reading = transfer(max_bytes=1000)
    reading.receive(data(1, bytes(512)), PEER, 0.0)
    reading.to_send()
    reading.receive(data(2, bytes(512)), PEER, 0.0)
    assert reading.to_send() == [(error(3, b"disk full or allocation exceeded"), PEER)]
    assert reading.error is not None
    assert "larger than 1000 bytes" in reading.error.message


def test_a_dripping_server_is_given_up_at_the_deadline() -> None:
    reading = transfer(timeout_s=1.0, deadline_s=5.0)
    for number in range(1, 6):
        reading.receive(data(number, bytes(512)), PEER, number * 0.9)
    assert reading.next_timer() == 5.0
    reading.tick(5.0)
    assert reading.error is not None
    assert "not complete after 5.0 s (2560 bytes came)" in reading.error.message


@pytest.mark.parametrize("packet", [b"", b"\0", b"\0\3", b"\0\3\0", ack(0), b"\0\x09\0\0", b"\0\x02x\0octet\0"])
def test_what_is_no_answer_ends_the_transfer(packet: bytes) -> None:
    reading = transfer()
    reading.receive(packet, PEER, 0.0)
    assert reading.error is not None
    assert reading.to_send() == [(error(4, b"illegal TFTP operation"), PEER)]


def test_an_oversized_block_ends_the_transfer() -> None:
    reading = transfer()
    reading.receive(data(1, bytes(513)), PEER, 0.0)
    assert reading.error is not None


def test_an_agreed_block_size_is_used() -> None:
    reading = ReadTransfer("a", server=SERVER, now=0.0, block_bytes=1428)
    assert reading.to_send() == [(b"\0\x01a\0octet\0blksize\x001428\0", SERVER)]
    reading.receive(b"\0\x06blksize\x001000\0", PEER, 0.0)
    assert reading.to_send() == [(ack(0), PEER)]
    reading.receive(data(1, bytes(1000)), PEER, 0.0)
    reading.receive(data(2, bytes(999)), PEER, 0.0)
    assert reading.content == bytes(1999)


def test_a_server_without_options_sends_blocks_of_512() -> None:
    reading = ReadTransfer("a", server=SERVER, now=0.0, block_bytes=1428)
    reading.receive(data(1, bytes(512)), PEER, 0.0)
    assert not reading.done
    reading.receive(data(2, b""), PEER, 0.0)
    assert reading.content == bytes(512)


@pytest.mark.parametrize(
    "body", [b"blksize\x001429\0", b"blksize\x007\0", b"tsize\x009\0", b"", b"blksize\0x\0", b"blksize"]
)
def test_options_that_were_not_asked_for_are_refused(body: bytes) -> None:
    reading = ReadTransfer("a", server=SERVER, now=0.0, block_bytes=1428)
    reading.to_send()
    reading.receive(b"\0\x06" + body, PEER, 0.0)
    assert reading.error is not None
    assert len(reading.to_send()) == 1


@pytest.mark.parametrize("name", ["", "a\0b", "ä", "x" * 256, "a\nb"])
def test_a_name_that_cannot_be_sent_is_our_own_error(name: str) -> None:
    with pytest.raises(LocalProtocolError):
        ReadTransfer(name, server=SERVER, now=0.0)


ADDRESSES = st.sampled_from([SERVER, PEER, STRANGER])
PACKETS = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda op, value, rest: struct.pack("!HH", op, value) + rest,
        st.integers(0, 7),
        st.integers(0, 3),
        st.binary(max_size=600),
    ),
    st.builds(lambda number: data(number, bytes(512)), st.integers(0, 4)),
)


@given(st.lists(st.tuples(PACKETS, ADDRESSES, st.floats(0, 2)), max_size=30))
def test_no_datagram_makes_it_raise_or_answer_more_than_once(
    arrivals: list[tuple[bytes, tuple[str, int], float]],
) -> None:
    reading = transfer(max_bytes=2048)
    now = 0.0
    for packet, address, later in arrivals:
        now += later
        reading.receive(packet, address, now)
        assert len(reading.to_send()) <= 1
        reading.tick(now)
        assert len(reading.to_send()) <= 1
        assert reading.content is None or reading.error is None
        assert reading.done == (reading.next_timer() is None)
