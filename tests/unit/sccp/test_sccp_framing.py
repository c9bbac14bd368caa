from __future__ import annotations

import contextlib
import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sccp_samples import BASIC_ROWS, sample

from testbed.errors import PeerProtocolError
from testbed.sccp.framing import MAX_LENGTH, VERSIONS, FrameReader
from testbed.sccp.messages import encode
from testbed.sccp.registration_messages import KeepAlive

STREAM = b"".join(encode(sample(row)) for row in BASIC_ROWS)
IDS = [row.message_id for row in BASIC_ROWS]


def test_messages_packed_back_to_back_come_apart():
    assert [message_id for _, message_id, _ in FrameReader().feed(STREAM)] == IDS


@given(st.lists(st.integers(0, len(STREAM)), max_size=60))
def test_any_segmentation_gives_the_same_messages(cuts):
    reader, messages, places = FrameReader(), [], sorted({0, *cuts, len(STREAM)})
    for start, end in itertools.pairwise(places):
        messages += reader.feed(STREAM[start:end])
    assert messages == FrameReader().feed(STREAM)


def test_one_byte_at_a_time_gives_the_same_messages():
    reader = FrameReader()
    messages = [message for i in range(len(STREAM)) for message in reader.feed(STREAM[i : i + 1])]
    assert messages == FrameReader().feed(STREAM)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_arbitrary_bytes_raise_nothing_but_a_peer_protocol_error(chunks):
    reader = FrameReader()
    with contextlib.suppress(PeerProtocolError):
        for chunk in chunks:
            for version, _message_id, body in reader.feed(chunk):
                assert version in VERSIONS
                assert len(body) <= MAX_LENGTH - 4


@pytest.mark.parametrize("length", [0, 3, MAX_LENGTH + 1, 2**32 - 1])
def test_impossible_lengths_are_refused(length):
    with pytest.raises(PeerProtocolError, match="length"):
        FrameReader().feed(struct.pack("<III", length, 0, 0))


@pytest.mark.parametrize("version", [1, 9, 0x0C, 0x0E, 0x17, 0xFFFFFFFF])
def test_header_versions_that_do_not_exist_are_refused(version):
    with pytest.raises(PeerProtocolError, match="version"):
        FrameReader().feed(struct.pack("<III", 4, version, 0))


@pytest.mark.parametrize("version", [0, 0x0A, 0x0B, 0x0F, 0x16])
def test_header_versions_that_exist_are_read(version):
    assert FrameReader().feed(struct.pack("<III", 4, version, 0)) == [(version, 0, b"")]


def test_messages_before_the_broken_header_are_lost_with_the_connection():
    with pytest.raises(PeerProtocolError):
        FrameReader().feed(encode(KeepAlive()) + b"GET / HTTP/1.1\r\n")
