"""HTTP exchanges out of captures: what was asked, what came of it and when; tshark reads the same out of them."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from recordings import ACK, FIN, RST, SYN, T0, Connection, Wire

from testbed.packets import TCP, parse_capture
from testbed.packets.exchange import Exchange, exchanges

CLIENT, SERVER = ("172.26.100.2", 40_000), ("172.26.100.3", 8000)


def get(path: str = "/a", method: str = "GET", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: shop", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def answer(status: int = 200, body: bytes = b"ok", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Word", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode() + body


def connection(wire: Wire, port: int = CLIENT[1], at_s: float | None = 0.0) -> Connection:
    made = Connection(wires=[wire], client=(CLIENT[0], port), server=SERVER)
    if at_s is not None:
        made.open(at_s)
    return made


def read(wire: Wire) -> list[Exchange]:
    packets = parse_capture(wire.pcap(), file="x.pcap")
    return exchanges(packets, packets.proto == TCP)


def only(wire: Wire) -> Exchange:
    [exchange] = read(wire)
    return exchange


def test_an_exchange_lasts_from_setting_out_to_the_last_byte_of_its_answer():
    wire = Wire()
    one = connection(wire, at_s=1.0)
    one.send(1.5, get("/a?x=1"), up=True)
    one.send(1.7, answer(body=b"x" * 100)[:60], up=False)
    one.send(2.0, answer(body=b"x" * 100)[60:], up=False)
    found = only(wire)
    assert (found.method, found.target, found.path, found.status, found.failure) == ("GET", "/a?x=1", "/a", 200, "")
    assert found.answered is not None
    assert found.answered.time_s == pytest.approx(T0 + 1.7)
    # The 0.1 ms that the connection took count, the half second in which nothing was asked does not.
    assert found.elapsed_s == pytest.approx(0.5001, abs=1e-5)
    assert found.began.frame == 4


def test_a_connection_that_took_a_repeated_syn_counts_from_the_first():
    wire = Wire()
    one = connection(wire, at_s=None)
    one.packet(1.0, up=True, flags=SYN)
    one.client_seq -= 1
    one.packet(2.0, up=True, flags=SYN)
    one.packet(2.01, up=False, flags=SYN | ACK)
    one.send(2.02, get(), up=True)
    one.send(2.03, answer(), up=False)
    assert only(wire).elapsed_s == pytest.approx(1.02, abs=1e-4)
    assert only(wire).began_s == pytest.approx(T0 + 1.01, abs=1e-4)


def test_requests_of_one_connection_are_told_apart_pipelined_or_not():
    wire = Wire()
    one = connection(wire)
    one.send(1.0, get("/1"), up=True)
    one.send(1.1, answer(200), up=False)
    one.send(2.0, get("/2") + get("/3", "HEAD") + get("/4"), up=True)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
    one.send(2.1, answer(404) + head + answer(500), up=False)
    assert [(e.target, e.status) for e in read(wire)] == [("/1", 200), ("/2", 404), ("/3", 200), ("/4", 500)]
    assert [round(e.connect_s, 4) for e in read(wire)] == [0.0001, 0, 0, 0]


def test_an_interim_answer_is_none():
    wire = Wire()
    one = connection(wire)
    one.send(1.0, get(method="POST", **{"Content-Length": "2", "Expect": "100-continue"}), up=True)
    one.send(1.1, b"HTTP/1.1 100 Continue\r\n\r\n", up=False)
    one.send(1.2, b"hi", up=True)
    one.send(1.3, answer(201), up=False)
    assert only(wire).status == 201


def test_an_answer_that_lasts_until_the_server_closes_ends_there():
    wire = Wire()
    one = connection(wire)
    one.send(1.0, get(), up=True)
    one.send(1.1, b"HTTP/1.0 200 OK\r\n\r\nbody", up=False)
    assert only(wire).is_open
    one.close(1.4, up=False)
    assert only(wire).elapsed_s == pytest.approx(0.4001, abs=1e-5)
    assert only(wire).failure == ""


def test_who_a_proxy_is_asked_for_is_no_part_of_the_path():
    wire = Wire()
    connection(wire).send(1.0, get("http://outside-web/news?x"), up=True)
    assert only(wire).path == "/news"


Ending = Callable[[Connection], None]
FAILURES: dict[str, tuple[Ending, str]] = {
    "the server resets": (lambda one: one.reset(2.0, up=False), "reset"),
    "the server closes": (lambda one: one.close(2.0, up=False), "closed without an answer"),
    "the client closes": (lambda one: one.close(2.0, up=True), "given up"),
    "the client resets": (lambda one: one.reset(2.0, up=True), "given up"),
}


@pytest.mark.parametrize(("ending", "failure"), FAILURES.values(), ids=FAILURES)
def test_a_request_without_an_answer_failed_as_its_connection_ended(ending: Ending, failure: str):
    wire = Wire()
    one = connection(wire)
    one.send(1.0, get(), up=True)
    ending(one)
    found = only(wire)
    assert (found.status, found.failure) == (0, failure)
    assert found.ended is not None
    assert found.ended.time_s == pytest.approx(T0 + 2)


@pytest.mark.parametrize(
    ("flags", "up", "failure"), [(RST, False, "cut short"), (FIN | ACK, False, "cut short"), (RST, True, "")]
)
def test_an_answer_that_is_not_whole_is_a_failure_unless_the_client_wanted_no_more(flags: int, up: bool, failure: str):
    wire = Wire()
    one = connection(wire)
    one.send(1.0, get(), up=True)
    one.send(1.1, answer(body=b"x" * 500)[:100], up=False)
    one.packet(1.2, up=up, flags=flags)
    assert (only(wire).status, only(wire).failure) == (200, failure)


def test_an_answer_that_comes_after_the_client_hung_up_is_no_answer():
    wire = Wire()
    one = connection(wire)
    one.send(1.0, get(), up=True)
    one.close(2.0, up=True)
    one.send(5.0, answer(), up=False)
    assert only(wire).failure == ""  # half a closing: it may still read
    one.reset(5.001, up=True)
    found = only(wire)
    assert (found.failure, found.ended and found.ended.time_s) == ("given up", pytest.approx(T0 + 2))


def test_a_request_over_a_connection_that_the_server_had_closed_failed_at_once():
    wire = Wire()
    one = connection(wire)
    one.send(1.0, get("/1"), up=True)
    one.send(1.1, answer(), up=False)
    one.close(1.5, up=False)
    one.send(1.6, get("/2"), up=True)
    assert [(e.target, e.failure) for e in read(wire)] == [("/1", ""), ("/2", "closed without an answer")]


def test_a_refused_connection_is_a_failure_of_nobody_knows_which_page():
    wire = Wire()
    one = connection(wire, at_s=None)
    one.packet(1.0, up=True, flags=SYN)
    one.server_seq = 0
    one.packet(1.001, up=False, flags=RST | ACK)
    found = only(wire)
    assert (found.method, found.failure) == ("", "refused")
    assert found.elapsed_s == pytest.approx(0.001, abs=1e-5)


def test_a_connection_that_nobody_answers_is_open_however_often_it_is_tried():
    wire = Wire()
    one = connection(wire, at_s=None)
    for at_s in (1.0, 2.0, 4.0):
        one.packet(at_s, up=True, flags=SYN)
        one.client_seq -= 1
    assert (only(wire).is_open, only(wire).began_s) == (True, pytest.approx(T0 + 1))


def test_a_connection_over_which_nothing_is_asked_is_no_exchange():
    wire = Wire()
    connection(wire).close(1.0, up=True)
    assert read(wire) == []


def test_the_same_port_again_is_another_connection():
    wire = Wire()
    for at_s, seq in ((1.0, 5000), (2.0, 9000)):
        one = Connection(wires=[wire], client=CLIENT, server=SERVER, client_seq=seq)
        one.open(at_s)
        one.send(at_s + 0.1, get(f"/{at_s:g}"), up=True)
        if at_s == 2.0:
            one.send(at_s + 0.2, answer(), up=False)
    assert [(e.target, e.status, e.is_open) for e in read(wire)] == [("/1", 0, True), ("/2", 200, False)]


def test_a_capture_that_begins_in_mid_connection_is_read_whoever_has_the_greater_port():
    for port in (40_000, 500):
        wire = Wire()
        one = connection(wire, port, at_s=None)
        one.send(1.0, b"rest of a body", up=True)
        one.send(1.1, get("/b"), up=True)
        one.send(1.2, answer(), up=False)
        assert [(e.target, e.status, e.client[1]) for e in read(wire)] == [("/b", 200, port)]


def test_what_a_capture_lacks_is_neither_a_failure_nor_an_answer_to_another_request():
    wire = Wire()
    one = connection(wire)
    one.send(1.0, get("/1"), up=True)
    one.server_seq = (one.server_seq + len(answer())) % 2**32  # the answer to /1 was not captured
    one.send(2.0, get("/2"), up=True)
    one.send(2.1, answer(201), up=False)
    assert [(e.target, e.status) for e in read(wire)] == [("/2", 201)]


def test_a_damaged_answer_has_a_status_and_an_end():
    wire = Wire()
    one = connection(wire)
    one.send(1.0, get(), up=True)
    one.send(1.1, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", up=False)
    one.server_seq = (one.server_seq + 50) % 2**32
    one.send(1.2, b"garbage", up=False)
    assert (only(wire).status, only(wire).failure, only(wire).is_open) == (200, "", False)


def scenes() -> dict[str, Wire]:
    """Captures as awkward as they come."""
    repeated, split, mixed = Wire(), Wire(), Wire()
    one = connection(repeated)
    start = one.client_seq
    for at_s in (1.0, 1.2, 1.4):
        one.client_seq = start
        one.send(at_s, get("/again"), up=True)
    one.send(1.5, answer(), up=False)
    one = connection(split)
    request, response = get("/split", Cookie="x" * 3000), answer(body=b"y" * 5000)
    start = one.client_seq
    for place in (1000, 0, 2000):
        one.client_seq = start + place
        one.send(1.0 + place / 1e4, request[place : place + 1000], up=True)
    one.client_seq = start + 3000
    one.send(1.5, request[3000:], up=True)
    for place in range(0, len(response), 700):
        one.send(2 + place / 1e5, response[place : place + 700], up=False)
    for number in range(20):
        one = connection(mixed, 41_000 + number, at_s=number * 0.01)
        one.send(0.5 + number * 0.01, get(f"/{number}") + get(f"/{number}b", "HEAD"), up=True)
        head = b"HTTP/1.1 503 No\r\nContent-Length: 99\r\n\r\n"
        one.send(0.6 + number * 0.01, answer(200 + number % 3) + head, up=False)
    return {"repeated": repeated, "split": split, "mixed": mixed}


@pytest.mark.parametrize("name", scenes())
def test_tshark_reads_the_same_exchanges(name: str, tmp_path: Path):
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    wire, file = scenes()[name], tmp_path / "x.pcap"
    file.write_bytes(wire.pcap())
    fields = ("http.request.method", "http.request.uri", "http.response.code")
    command = ["tshark", "-n", "-r", str(file), "-d", "tcp.port==8000,http", "-Y", "http", "-T", "fields"]
    command += [word for name in fields for word in ("-e", name)]
    rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    asked: Counter[tuple[str, str]] = Counter()
    statuses: Counter[str] = Counter()
    for row in rows:
        methods, targets, codes = (cell.split(",") if cell else [] for cell in row.split("\t"))
        asked.update(zip(methods, targets, strict=True))
        statuses.update(codes)
    found = read(wire)
    assert asked == Counter((exchange.method, exchange.target) for exchange in found)
    assert statuses == Counter(str(exchange.status) for exchange in found)
    assert len(found) >= 1


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from([b"", b"x", get(), get("/b", "HEAD"), answer(), answer(503), b"HTTP/1.1 200 OK\r\n\r\n"]),
            st.integers(0, 0xFF),
            st.integers(-60, 60),
        ),
        max_size=14,
    )
)
@example([(1, b"", 1, 0), (3, get(), 0, 0), (1, b"HTTP/1.1 200 OK\r\n\r\n", 0, 0)])  # the FIN overtakes the answer
def test_arbitrary_packets_are_read_without_an_error(segments: list[tuple[int, bytes, int, int]]):
    wire = Wire()
    pair = [connection(wire, 40_000 + place, at_s=None) for place in range(2)]
    for place, (which, payload, flags, move) in enumerate(segments):
        one = pair[which % 2]
        one.client_seq = (one.client_seq + move) % 2**32
        one.packet(place * 0.01, up=which < 2, flags=flags, payload=payload)
    for exchange in read(wire):
        assert exchange.elapsed_s is None or exchange.elapsed_s >= -1e-9 or exchange.failure
        assert bool(exchange.failure) <= (exchange.ended is not None)
