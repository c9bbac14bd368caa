"""Messages come out of a direction's bytes however these are cut, and out of nothing else."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.packets.http import MAX_HEAD_BYTES, HttpMessage, HttpReader, Moment
from testbed.packets.tcp import Chunk

GET = b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"PUT /c?x=1 HTTP/1.0\nHost: shop\nTransfer-Encoding: gzip, chunked\n\n"
    b"5;ext=1\r\nhello\r\n1A\r\n" + b"x" * 26 + b"\r\n0\r\nTrailer: yes\r\n\r\n"
)
REQUESTS = (GET, POST, CHUNKED, b"\r\n" + GET)
EXPECTED = [("GET", "/a", 0), ("POST", "/b", 5), ("PUT", "/c?x=1", 31), ("GET", "/a", 0)]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Served-By: shop-1\r\n\r\nok"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EMPTY = b"HTTP/1.1 204\r\n\r\n"
CHUNKED_OK = b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.0 200 OK\r\n\r\nas long as it lasts"


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """The stream in pieces."""
    edges = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[begin:end] for begin, end in pairwise(edges)]


def no_body(message: HttpMessage) -> str:
    return "none" if message.status in (100, 204) else "any"


def read(pieces: list[bytes], *, requests: bool) -> HttpReader:
    """Fed one piece a second, the frames counted from 1."""
    reader = HttpReader(requests=requests, rule=no_body)
    for number, piece in enumerate(pieces, start=1):
        reader.feed(Chunk(data=piece, frame=number, time_s=float(number)))
    return reader


def told(reader: HttpReader) -> list[tuple[str, str, int]]:
    return [(message.method, message.target, message.body_bytes) for message in reader.messages]


@given(st.lists(st.integers(0, 400), max_size=40))
def test_requests_come_out_however_the_bytes_are_cut(places: list[int]):
    reader = read(cut(b"".join(REQUESTS), places), requests=True)
    assert told(reader) == EXPECTED
    assert all(message.ended and not message.damaged for message in reader.messages)


@given(st.lists(st.integers(0, 400), max_size=40))
def test_responses_come_out_however_the_bytes_are_cut(places: list[int]):
    reader = read(cut(CONTINUE + OK + EMPTY + CHUNKED_OK + UNTIL_CLOSE, places), requests=False)
    assert [(m.status, m.body_bytes) for m in reader.messages] == [(100, 0), (200, 2), (204, 0), (200, 3), (200, 19)]
    assert reader.messages[1].headers["x-served-by"] == "shop-1"
    assert [message.ended is not None for message in reader.messages] == [True] * 4 + [False]
    reader.close(Moment(time_s=99.0, frame=99))
    assert reader.messages[-1].ended == Moment(time_s=99.0, frame=99)


@given(st.lists(st.integers(0, 400), max_size=40))
def test_a_message_begins_and_ends_with_its_own_bytes(places: list[int]):
    stream, pieces = b"".join(REQUESTS), cut(b"".join(REQUESTS), places)
    ends, total = [], 0
    for piece in pieces:
        total += len(piece)
        ends.append(total)

    def frame_of(byte: int) -> int:
        return next(number for number, end in enumerate(ends, start=1) if byte < end)

    at = 0
    for request, message in zip(REQUESTS, read(pieces, requests=True).messages, strict=True):
        blank = len(request) - len(request.lstrip(b"\r\n"))
        assert message.ended is not None
        assert (message.began.frame, message.ended.frame) == (frame_of(at + blank), frame_of(at + len(request) - 1))
        at += len(request)
    assert at == len(stream)


@given(st.lists(st.tuples(st.binary(max_size=60), st.integers(0, 3)), max_size=20), st.booleans())
def test_no_bytes_make_it_raise(pieces: list[tuple[bytes, int]], requests: bool):
    reader = HttpReader(requests=requests)
    for number, (piece, missing) in enumerate(pieces):
        reader.feed(Chunk(data=piece, frame=number, time_s=0.0, missing=missing))
    reader.close(Moment(time_s=0.0, frame=0))
    assert isinstance(reader.unfinished, bytes)


PARTS = [GET, POST, CHUNKED, OK, CHUNKED_OK, b"5\r\n", b"\r\n", b"GET ", b"HTTP/1.1 ", b": ", b"0\r\n\r\n"]


@given(st.lists(st.sampled_from(PARTS), max_size=12), st.booleans())
def test_no_order_of_parts_makes_it_raise(pieces: list[bytes], requests: bool):
    for message in read(pieces, requests=requests).messages:
        assert message.body_bytes >= 0


@pytest.mark.parametrize("missing", [1, 40, 95])
def test_bytes_missing_inside_a_body_of_known_length_harm_nothing(missing: int):
    reader = HttpReader(requests=False)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n12345"
    reader.feed(Chunk(data=head, frame=1, time_s=1.0))
    reader.feed(Chunk(data=b"y" * (95 - missing) + OK, frame=2, time_s=2.0, missing=missing))
    assert [(m.status, m.damaged, m.resumed) for m in reader.messages] == [(200, False, False)] * 2
    assert [m.ended and m.ended.frame for m in reader.messages] == [2, 2]


def test_bytes_missing_inside_a_chunk_harm_nothing():
    reader = HttpReader(requests=False)
    reader.feed(Chunk(data=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n12345", frame=1, time_s=1.0))
    reader.feed(Chunk(data=b"y" * 45 + b"\r\n0\r\n\r\n" + OK, frame=2, time_s=2.0, missing=50))
    assert [(m.status, m.damaged) for m in reader.messages] == [(200, False)] * 2


@pytest.mark.parametrize(
    ("first", "missing"),
    [(b"GET /a HT", 20), (b"POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 30), (CHUNKED[:80], 900), (GET, 31)],
)
def test_after_a_hole_in_a_head_reading_goes_on_with_the_next_start_line(first: bytes, missing: int):
    reader = HttpReader(requests=True)
    reader.feed(Chunk(data=first, frame=1, time_s=1.0))
    reader.feed(Chunk(data=b"the rest of something", frame=2, time_s=2.0, missing=missing))
    reader.feed(Chunk(data=b"and more of it", frame=3, time_s=3.0))
    reader.feed(Chunk(data=b"GET /z HTTP/1.1\r\n\r\n", frame=4, time_s=4.0))
    last = reader.messages[-1]
    assert (last.target, last.resumed, last.began.frame) == ("/z", True, 4)


def test_a_capture_that_begins_inside_a_body_is_read_from_the_next_message_on():
    reader = HttpReader(requests=False)
    for number, piece in enumerate([b"\x00\x01tail of a picture", b"more", OK], start=1):
        reader.feed(Chunk(data=piece, frame=number, time_s=0.0))
    assert [message.status for message in reader.messages] == [200]


@pytest.mark.parametrize(
    "stream",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"GET /a\r\n\r\n",
        b"GET /a HTTP/2.0 extra\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[:5] + b"\r\n",
        b"A" * (MAX_HEAD_BYTES + 1),
    ],
)
def test_what_is_no_http_gives_no_message(stream: bytes):
    assert read(cut(stream, [3, 20]), requests=True).messages == []


@pytest.mark.parametrize("size", [b"xyz", b"-5", b"", b"1" * 13, b"9" * 5000])
def test_a_chunk_without_a_proper_size_damages_its_message(size: bytes):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    [message] = read([head + size + b"\r\nabc"], requests=False).messages
    assert (message.ended, message.damaged) == (None, True)


@pytest.mark.parametrize("length", [b"-1", b"1e3", b"9" * 30, b"", b"five"])
def test_a_length_that_is_none_is_taken_for_no_length(length: bytes):
    [message] = read([b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\nrest"], requests=False).messages
    assert (message.body_bytes, message.ended) == (4, None)


def test_behind_an_upgrade_nothing_is_read():
    reader = HttpReader(requests=False, rule=lambda message: "tunnel")
    for piece in (b"HTTP/1.1 101 Switching\r\n\r\n\x81\x05hello", OK):
        reader.feed(Chunk(data=piece, frame=1, time_s=0.0))
    assert [message.status for message in reader.messages] == [101]


def test_what_is_unfinished_can_be_asked_for():
    reader = read([GET, b"GET /slow HTTP/1.1\r\nHo"], requests=True)
    assert reader.unfinished == b"GET /slow HTTP/1.1\r\nHo"
    assert reader.unfinished_began == Moment(time_s=2.0, frame=2)
