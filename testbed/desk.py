"""One phone on this machine, without containers: the browser's requests by HTTP, bounded in time and size."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from testbed.browser.exchange import HOST_NOT_FOUND, NO_CONNECTION, Answer, BrowserSettings, Fetch
from testbed.browser.http import request_headers
from testbed.browser.machine import Browser
from testbed.browser.model import PhoneModel
from testbed.browser.read import MAX_PAGE_BYTES, TOO_LARGE
from testbed.errors import BedError

DEVICE_NAME = "SEP020000000001"
TIMEOUT_S = 10.0
"""For a whole answer, from the name's look-up to the last byte."""
CHUNK_BYTES = 16 * 1024


class FetchFailed(BedError):
    """No page came: ``shown`` is what a phone's prompt line says, the message why."""

    def __init__(self, message: str, *, shown: str) -> None:
        super().__init__(message, hint="is the service running, and is the URL right? curl -i shows what it answers")
        self.shown = shown


def fetch(url: str, model: PhoneModel, *, cookie: str = "", timeout_s: float = TIMEOUT_S) -> Answer:
    """One GET as the phone sends it, redirects not followed. Raises FetchFailed after ``timeout_s`` at the latest."""
    if not url.lower().startswith(("http://", "https://")):
        raise FetchFailed(f"{url[:80]!r} is not an http URL", shown=HOST_NOT_FOUND)
    headers = request_headers(model) | ({"Cookie": cookie} if cookie else {})
    deadline = time.monotonic() + timeout_s
    with _Watch(timeout_s) as watch:
        try:
            with watch.session.get(
                url, headers=headers, timeout=timeout_s, stream=True, allow_redirects=False
            ) as response:
                body = _read(response, deadline, watch)
                return Answer(
                    url=url,
                    status=response.status_code,
                    headers={name.lower(): value for name, value in response.headers.items()},
                    body=body,
                    set_cookies=tuple(_set_cookies(response)),
                )
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            if watch.is_over or isinstance(error, requests.Timeout):
                raise FetchFailed(f"{url}: no whole answer within {timeout_s:g} s", shown=NO_CONNECTION) from None
            raise _failure(url, error) from None


class _Watch:
    """A session of its own for one request, whose sockets are shut when the time is over, whatever trickles in."""

    def __init__(self, timeout_s: float) -> None:
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(timeout_s, self._end)
        self._timer.daemon = True
        self.is_over = False
        self.session = requests.Session()
        self.session.trust_env = False  # a phone knows nothing of this machine's proxies and passwords
        self.session.headers.clear()
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, _Adapter(self._sockets.append))

    def __enter__(self) -> _Watch:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self.session.close()
        for sock in self._sockets:
            sock.close()

    def _end(self) -> None:
        self.is_over = True
        for sock in list(self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    """Tells of every connection, by a second socket of it: TLS takes the first one away."""

    def __init__(self, connected: Callable[[socket.socket], None]) -> None:
        self._connected = connected
        super().__init__(max_retries=0)

    def init_poolmanager(self, *arguments: Any, **settings: Any) -> None:
        super().init_poolmanager(*arguments, **settings)
        connected = self._connected

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                sock = super()._new_conn()
                connected(sock.dup())
                return sock

        class Secure(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                sock = super()._new_conn()
                connected(sock.dup())
                return sock

        plain = type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": Plain})
        secure = type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": Secure})
        self.poolmanager.pool_classes_by_scheme = {"http": plain, "https": secure}


def _read(response: requests.Response, deadline: float, watch: _Watch) -> bytes:
    """The body as sent (a phone asks for no compression); one that is too large or too late is not read to its end."""
    body = bytearray()
    while chunk := response.raw.read(CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_PAGE_BYTES:
            raise FetchFailed(f"{response.url}: more than {MAX_PAGE_BYTES} bytes", shown=TOO_LARGE)
        if time.monotonic() > deadline:
            watch.is_over = True
            raise TimeoutError
    length = response.headers.get("content-length", "")
    if watch.is_over or (length.isdigit() and len(length) < 12 and len(body) < int(length)):
        raise ConnectionResetError("the answer ended before its length")
    return bytes(body)


def _set_cookies(response: requests.Response) -> Iterator[str]:
    headers = response.raw.headers
    yield from headers.getlist("set-cookie") if hasattr(headers, "getlist") else ()


def _failure(url: str, error: Exception) -> FetchFailed:
    text = str(error)
    if isinstance(error, requests.exceptions.InvalidURL) or "Failed to resolve" in text or "getaddrinfo" in text:
        return FetchFailed(f"{url[:120]}: no such host", shown=HOST_NOT_FOUND)
    reason = next((word for word in ("Connection refused", "unreachable", "reset by peer") if word in text), "")
    return FetchFailed(f"{url[:120]}: {(reason or _short(error)).lower()}", shown=NO_CONNECTION)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


class Desk:
    """The phone: a browser whose requests are sent one after the other, each before the next key."""

    def __init__(self, settings: BrowserSettings, *, timeout_s: float = TIMEOUT_S) -> None:
        self.browser = Browser(settings)
        self._timeout_s = timeout_s

    def key(self, name: str) -> None:
        """Press it, and wait for what it asks for. Raises UnknownKey."""
        self.browser.key(name, time.monotonic())
        self.settle()

    def open(self, url: str) -> None:
        """Show this page."""
        self.browser.open(url, time.monotonic())
        self.settle()

    def tick(self) -> bool:
        """Do what is due by now; whether anything was."""
        due = self.browser.next_timer()
        if due is None or due > time.monotonic():
            return False
        self.browser.tick(time.monotonic())
        self.settle()
        return True

    def settle(self) -> None:
        """Fetch until nothing is asked for; redirects and executed pages are bounded by the browser."""
        while wanted := self.browser.to_fetch():
            for one in wanted:
                self._fetch(one)
        self.browser.to_perform()  # a phone on the desk has no line: its screen says what it was told to do

    def _fetch(self, wanted: Fetch) -> None:
        model = self.browser.settings.model
        try:
            answer = fetch(wanted.url, model, cookie=wanted.cookie, timeout_s=self._timeout_s)
        except FetchFailed as failure:
            self.browser.failed(wanted.number, failure.shown, failure.message, time.monotonic())
        else:
            self.browser.answered(wanted.number, answer, time.monotonic())

    def save_picture(self, path: Path) -> bool:
        """Write the screen's picture as PNG; whether there is one."""
        found = self.browser.picture()
        if found is not None:
            path.write_bytes(found)
        return found is not None
