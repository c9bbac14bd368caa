"""The phone as HTTP client: a request as a real phone sends it, one TCP connection each, bounded in time and size.

Names resolve by the bed's own table only, never by DNS; what lies outside the bed's block only by the proxy.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from types import MappingProxyType

import aiohttp
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from testbed.browser.http import MAX_REDIRECTS, refresh_of, request_headers
from testbed.browser.model import DEFAULT_MODEL
from testbed.errors import BedError

MAX_BODY_BYTES = 1 << 20
"""A phone's own memory is far smaller; the bound keeps a page that never ends from filling ours."""
_MAX_WIRE_BYTES = 2 * MAX_BODY_BYTES + (1 << 16)
"""Of one connection: the body, its chunk headers, and the header fields, which could go on for ever too."""
HTTP_PORT = 80

PHONE_HEADERS = request_headers(DEFAULT_MODEL)


class HttpFailure(BedError):
    """No answer came. ``error`` is short and the same for the same cause ("connection refused", "timeout ...")."""

    def __init__(self, error: str, *, url: str, elapsed_s: float, via: str) -> None:
        super().__init__(f"{url}: {error}")
        self.error, self.url, self.elapsed_s, self.via = error, url, elapsed_s, via


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneRequest:
    """What a phone asks for, and from where.

    ``url`` may hold ``#DEVICENAME#``. ``tos`` is the whole octet; with 0 the socket is left alone. ``proxy`` is
    ``host:port`` (a SEP file's ``proxyServerURL``), "" for none. ``names``: host name -> IPv4 address. ``cookie``: as
    an earlier response's ``cookie`` gave it.
    """

    url: str
    device_name: str
    source_address: str
    bed_prefix: IPv4Network
    timeout_s: float
    names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tos: int = 0
    method: str = "GET"
    body: bytes | None = None
    content_type: str = "application/x-www-form-urlencoded"
    proxy: str = ""
    cookie: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneResponse:
    """The answer, of any status (a caller that wants a page checks for ``status < 400``).

    ``url`` is where the redirects ended; ``headers`` has lower-case names (the last of a repeated field); ``refresh``:
    after how many seconds (0 = only on the Update key) to fetch which URL; ``cookie``: to send with the next request.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed_s: float
    via: str
    served_by: str | None
    refresh: tuple[float, str] | None
    cookie: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Route:
    address: str
    port: int
    via: str
    proxy: URL | None = None


class _Refused(Exception):
    """A request that is not sent at all: the text says why."""


async def fetch(request: PhoneRequest) -> PhoneResponse:
    """Send it and read the answer, redirects followed (at most five), all within ``timeout_s``. Raises HttpFailure."""
    started = time.monotonic()
    hop = _Hop(request)
    try:
        async with asyncio.timeout(request.timeout_s):
            for _ in range(MAX_REDIRECTS + 1):
                response = await hop.exchange(started)
                if not hop.redirected_by(response):
                    return response
            raise _Refused(f"more than {MAX_REDIRECTS} redirects")
    except TimeoutError:
        error = f"timeout: {hop.awaited} within {request.timeout_s:g} s"
    except (_Refused, aiohttp.ClientError, OSError, ValueError) as caught:
        error = _text_of(caught)
    raise HttpFailure(error, url=hop.url, elapsed_s=time.monotonic() - started, via=hop.via)


def route(url: URL, request: PhoneRequest) -> _Route:
    """Where to connect for ``url``; raises _Refused for what a phone of the bed cannot or must not reach."""
    if url.scheme != "http" or not url.host:
        raise _Refused("not an http URL")
    address = _resolve(url.host, request.names)
    if address is not None and address in request.bed_prefix:
        return _Route(address=str(address), port=url.port or HTTP_PORT, via="direct")
    if not request.proxy:
        reason = "unknown host" if address is None else "outside the bed's block"
        raise _Refused(f"{reason} {url.host!r}, and no proxy is set")
    proxy = URL(request.proxy if "://" in request.proxy else f"http://{request.proxy}")
    address = _resolve(proxy.host or "", request.names)
    if address is None:
        raise _Refused(f"unknown proxy {request.proxy!r}")
    # An own URL without user and path: what aiohttp needs to write the request in absolute form.
    target = URL.build(scheme="http", host=str(address), port=proxy.port or HTTP_PORT)
    return _Route(address=str(address), port=proxy.port or HTTP_PORT, via="proxy", proxy=target)


class _Hop:
    """The request as it stands after the redirects so far."""

    def __init__(self, request: PhoneRequest) -> None:
        self._request = request
        self.url = request.url.replace("#DEVICENAME#", request.device_name)
        self.via = "direct"
        self.awaited = "no connection"
        self._method, self._body, self._cookie = request.method.upper(), request.body, request.cookie

    async def exchange(self, started: float) -> PhoneResponse:
        if not self.url.isprintable():
            raise _Refused("control characters in the URL")
        url = URL(self.url)
        way = route(url, self._request)
        self.via, self.awaited = way.via, "no connection"
        connector = _OneSocket(await _connect(way, self._request))
        self.awaited = "no answer"
        try:
            async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
                return await self._ask(session, url, way.proxy, started)
        finally:
            connector.close_unused()

    async def _ask(self, session: aiohttp.ClientSession, url: URL, proxy: URL | None, started: float) -> PhoneResponse:
        session._retry_connection = False  # aiohttp would send a GET again where the server hangs up; a phone does not
        async with session.request(
            self._method,
            url,
            data=self._body,
            headers=self._headers(),
            skip_auto_headers=("Accept-Encoding", "Content-Type"),
            allow_redirects=False,
            auto_decompress=False,
            proxy=proxy,
            timeout=aiohttp.ClientTimeout(),  # fetch() holds the time for all hops together
        ) as response:
            self.awaited = "no end of the answer"
            body = await _read(response)
            self._cookie = _merged(self._cookie, response.cookies)
            return self._response(response, body, time.monotonic() - started)

    def redirected_by(self, response: PhoneResponse) -> bool:
        """Take the response's Location where it has one; a POST becomes a GET unless 307 or 308 forbids it."""
        location = response.headers.get("location", "")
        if response.status not in (301, 302, 303, 307, 308) or not location:
            return False
        self.url = str(URL(self.url).join(URL(location)))
        if response.status < 307:
            self._method, self._body = "GET", None
        return True

    def _headers(self) -> dict[str, str]:
        headers = dict(PHONE_HEADERS)
        if self._cookie:
            headers["Cookie"] = self._cookie
        if self._body is not None:
            headers["Content-Type"] = self._request.content_type
        return headers

    def _response(self, response: aiohttp.ClientResponse, body: bytes, elapsed_s: float) -> PhoneResponse:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return PhoneResponse(
            url=self.url,
            status=response.status,
            headers=MappingProxyType(headers),
            body=body,
            elapsed_s=elapsed_s,
            via=self.via,
            served_by=headers.get("x-served-by"),
            refresh=refresh_of(headers.get("refresh", ""), self.url),
            cookie=self._cookie,
        )


class _OneSocket(aiohttp.BaseConnector):
    """A connector for one connection, over a connected socket (its source and mark were set before the SYN)."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(force_close=True)
        self._sock: socket.socket | None = sock

    async def _create_connection(self, *_: object) -> ResponseHandler:
        sock, self._sock = self._sock, None
        if sock is None:
            raise aiohttp.ClientConnectionError("one connection a request")
        loop = asyncio.get_running_loop()
        _transport, protocol = await loop.create_connection(lambda: _BoundedHandler(loop), sock=sock)
        return protocol

    def close_unused(self) -> None:
        """Close the socket where no connection was made of it."""
        if self._sock is not None:
            self._sock.close()


class _BoundedHandler(ResponseHandler):
    """Ends the connection once more came than any page may have."""

    _received = 0

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > _MAX_WIRE_BYTES:
            self.set_exception(aiohttp.ClientPayloadError(f"answer larger than {_MAX_WIRE_BYTES} bytes"))
            self.close()
        else:
            super().data_received(data)


async def _connect(way: _Route, request: PhoneRequest) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if request.tos:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, request.tos)  # before connect: the SYN carries it too
        sock.bind((request.source_address, 0))
        await asyncio.get_running_loop().sock_connect(sock, (way.address, way.port))
    except BaseException:
        sock.close()
        raise
    return sock


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise _Refused(f"body larger than {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _resolve(host: str, names: Mapping[str, str]) -> IPv4Address | None:
    try:
        return IPv4Address(names.get(host.lower().rstrip("."), host))
    except AddressValueError:
        return None


def _merged(cookie: str, fresh: SimpleCookie) -> str:
    """The Cookie header with these values set in it."""
    pairs = dict(pair.split("=", 1) for pair in cookie.split("; ") if "=" in pair)
    pairs.update({name: morsel.value for name, morsel in fresh.items()})
    return "; ".join(f"{name}={value}" for name, value in pairs.items())


def _text_of(error: Exception) -> str:
    """A short text for this cause, without addresses, so that equal causes read equal."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "closed without an answer"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    if isinstance(error, aiohttp.ClientResponseError):
        return f"not HTTP: {' '.join(error.message.split())[:120]}"
    return " ".join(str(error).split())[:160] or type(error).__name__
