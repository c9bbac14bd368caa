"""The phone's HTTP client against servers of every kind on 127.0.0.0/8."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any

import pytest

from testbed.roles.phone_http import MAX_BODY_BYTES, HttpFailure, PhoneRequest, PhoneResponse, fetch

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
BED = IPv4Network("127.0.0.0/16")
PHONE = "127.0.16.5"


@dataclass
class Seen:
    """What one server got."""

    requests: list[bytes] = field(default_factory=list)
    peers: list[str] = field(default_factory=list)
    tos: list[int] = field(default_factory=list)


def request(url: str, **settings: Any) -> PhoneRequest:
    defaults: dict[str, Any] = {
        "device_name": "SEP020000000001",
        "source_address": PHONE,
        "bed_prefix": BED,
        "timeout_s": 2.0,
    }
    return PhoneRequest(url=url, **{**defaults, **settings})


def exchange(
    answer: Answer | bytes, url: str = "http://127.0.1.1:{port}/", **settings: Any
) -> tuple[PhoneResponse, Seen]:
    """One fetch from a server that answers so; in ``url`` and ``proxy``, ``{port}`` is the server's."""
    return asyncio.run(_exchange(answer, url, settings))


async def _exchange(answer: Answer | bytes, url: str, settings: dict[str, Any]) -> tuple[PhoneResponse, Seen]:
    seen = Seen()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            seen.requests.append(head)
            seen.peers.append(writer.get_extra_info("peername")[0])
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(head, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.1.1", 0)
    port = str(server.sockets[0].getsockname()[1])
    try:
        settings = {
            name: value.replace("{port}", port) if name == "proxy" else value for name, value in settings.items()
        }
        return await fetch(request(url.replace("{port}", port), **settings)), seen
    finally:
        server.close()


def failure(answer: Answer | bytes, url: str = "http://127.0.1.1:{port}/", **settings: Any) -> HttpFailure:
    started = time.monotonic()
    with pytest.raises(HttpFailure) as caught:
        exchange(answer, url, **settings)
    assert time.monotonic() - started < 4
    return caught.value


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nX-Served-By: web-1\r\nContent-Length: 4\r\n\r\n<a/>"


def test_the_request_is_a_real_phones() -> None:
    response, seen = exchange(OK, "http://web-1:{port}/menu?name=#DEVICENAME#", names={"web-1": "127.0.1.1"})
    lines = seen.requests[0].decode().split("\r\n")
    assert lines[0] == "GET /menu?name=SEP020000000001 HTTP/1.1"
    assert lines[1].startswith("Host: web-1:")
    assert lines[2:] == [
        "Accept: x-CiscoIPPhone/*, text/*,image/png,*/*",
        "Accept-Language: en",
        "Accept-Charset: iso-8859-1",
        "User-Agent: Allegro-Software-WebClient/4.34",
        "x-CiscoIPPhoneModelName: CP-7941G",
        "x-CiscoIPPhoneSDKVersion: 5.0.4",
        "x-CiscoIPPhoneDisplay: 298,144,3,G",
        "Connection: close",
        "",
        "",
    ]
    assert seen.peers == [PHONE]
    assert (response.status, response.body, response.served_by, response.via) == (200, b"<a/>", "web-1", "direct")


def test_a_post_has_a_form_as_its_body() -> None:
    _, seen = exchange(OK, method="POST", body=b"XML=a")
    assert b"POST / HTTP/1.1" in seen.requests[0]
    assert b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n" in seen.requests[0]


def test_a_status_of_failure_is_an_answer() -> None:
    response, _ = exchange(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
    assert response.status == 503


def test_a_chunked_answer_is_put_together() -> None:
    response, _ = exchange(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n<a\r\n2\r\n/>\r\n0\r\n\r\n")
    assert response.body == b"<a/>"


def test_an_answer_may_end_with_the_connection() -> None:
    response, _ = exchange(b"HTTP/1.0 200 OK\r\n\r\n<a/>")
    assert response.body == b"<a/>"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("10; url=http://b/c", (10.0, "http://b/c")),
        ("0", (0.0, "http://127.0.1.1/x/menu")),
        ("3;URL=next", (3.0, "http://127.0.1.1/x/next")),
        ("soon", None),
        ("99999999999", None),
    ],
)
def test_refresh_is_seconds_and_a_whole_url(header: str, expected: tuple[float, str] | None) -> None:
    head = f"HTTP/1.1 200 OK\r\nRefresh: {header}\r\nContent-Length: 0\r\n\r\n".encode()
    response, _ = exchange(head, "http://127.0.1.1:{port}/x/menu")
    refresh = response.refresh and (response.refresh[0], response.refresh[1].replace(f":{_port_of(response.url)}", ""))
    assert refresh == expected


def _port_of(url: str) -> str:
    return url.split(":")[2].split("/")[0]


def test_a_cookie_comes_back_with_the_next_request() -> None:
    response, _ = exchange(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: session=7; path=/\r\nContent-Length: 0\r\n\r\n", cookie="a=1"
    )
    assert response.cookie == "a=1; session=7"
    _, seen = exchange(OK, cookie=response.cookie)
    assert b"Cookie: a=1; session=7\r\n" in seen.requests[0]


def test_a_redirect_is_followed_as_get() -> None:
    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        moved = b"HTTP/1.1 302 Found\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n"
        writer.write(OK if b"GET /new" in head else moved)

    response, seen = exchange(answer, method="POST", body=b"a")
    assert [head.split(b" HTTP")[0] for head in seen.requests] == [b"POST /", b"GET /new"]
    assert response.url.endswith("/new")


def test_redirects_end_after_five() -> None:
    error = failure(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")
    assert error.error == "more than 5 redirects"


def test_a_redirect_does_not_lead_out_of_the_bed() -> None:
    error = failure(b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n")
    assert error.error == "outside the bed's block '192.0.2.1', and no proxy is set"


@pytest.mark.parametrize("url", ["http://outside.example/page?a=1", "http://198.18.26.80/page?a=1"])
def test_what_is_outside_goes_to_the_proxy_in_absolute_form(url: str) -> None:
    response, seen = exchange(OK, url, proxy="127.0.1.1:{port}")
    assert seen.requests[0].startswith(b"GET " + url.encode() + b" HTTP/1.1\r\nHost: ")
    assert response.via == "proxy"


def test_what_is_inside_does_not_go_to_the_proxy() -> None:
    response, _ = exchange(OK, proxy="127.0.1.1:9")
    assert response.via == "direct"


def test_a_name_of_a_host_outside_goes_to_the_proxy() -> None:
    response, seen = exchange(
        OK, "http://outside-web/", names={"outside-web": "198.18.26.80"}, proxy="127.0.1.1:{port}"
    )
    assert response.via == "proxy"
    assert b"Host: outside-web\r\n" in seen.requests[0]


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://unknown/", "unknown host 'unknown', and no proxy is set"),
        ("http://192.0.2.1/", "outside the bed's block '192.0.2.1', and no proxy is set"),
        ("https://127.0.1.1/", "not an http URL"),
        ("Key:Services", "not an http URL"),
        ("", "not an http URL"),
        ("http://127.0.1.1/\r\nX: y", "control characters in the URL"),
        ("http://127.0.1.1:99999/", "Port out of range 0-65535"),
        ("http://127.0.1.1:1/", "connection refused"),
    ],
)
def test_what_cannot_be_reached_fails_at_once(url: str, error: str) -> None:
    caught = failure(OK, url)
    assert caught.elapsed_s < 0.5
    assert error in caught.error


def test_the_mark_is_on_the_socket_before_it_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    marks: list[int] = []
    loop_class = asyncio.SelectorEventLoop
    original = loop_class.sock_connect

    async def connect(self: Any, sock: socket.socket, address: Any) -> None:
        marks.append(sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS))
        await original(self, sock, address)

    monkeypatch.setattr(loop_class, "sock_connect", connect)
    exchange(OK, tos=104)
    exchange(OK)
    assert marks == [104, 0]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", "closed without an answer"),
        (b"\x00\x01garbage\r\n\r\n", "not HTTP"),
        (b"SSH-2.0-x\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: " + b"b" * 100_000 + b"\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ""),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n", ""),
    ],
)
def test_garbage_is_a_failure(answer: bytes, error: str) -> None:
    assert error in failure(answer).error


async def _endless_body(_head: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def _endless_headers(_head: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"A: b\r\n" * 1000)
        await writer.drain()


async def _endless_interim(_head: bytes, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
        await writer.drain()


async def _drip(_head: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _silence(_head: bytes, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(5)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (_endless_body, f"body larger than {MAX_BODY_BYTES} bytes"),
        (_endless_headers, "larger than"),
        (_endless_interim, ""),
        (_drip, "timeout: no end of the answer within 0.5 s"),
        (_silence, "timeout: no answer within 0.5 s"),
    ],
)
def test_a_hostile_server_is_left_in_time(answer: Answer, error: str) -> None:
    caught = failure(answer, timeout_s=0.5)
    assert error in caught.error
    assert caught.elapsed_s < 1.5


def test_many_phones_fetch_at_once() -> None:
    async def all_of_them() -> list[PhoneResponse]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.1.1", 0, backlog=500)
        url = f"http://127.0.1.1:{server.sockets[0].getsockname()[1]}/"
        async with server:
            return await asyncio.gather(*(fetch(request(url, source_address=f"127.0.16.{n}")) for n in range(1, 200)))

    assert {response.body for response in asyncio.run(all_of_them())} == {b"<a/>"}
