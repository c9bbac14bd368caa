"""A client that asks for pages over and over, of any web service: ``python3 -m testbed.roles.client``. It reports PageFetched or PageFailed.

Environment, besides the bed's own: TESTBED_URLS (asked for in turn, with blanks between), TESTBED_INTERVAL_MS (200, between the
beginnings of two requests, however long the first takes), TESTBED_TIMEOUT_MS (3000), TESTBED_KEEP_ALIVE (1: connections are used again; 0).
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from testbed.errors import UsageError
from testbed.roles.common import HostEnvironment, Reporter, run_role, whole_number

ROLE = "client"
MAX_BODY_BYTES = 8 << 20
MAX_UNDER_WAY = 200
"""Requests at once; more are not made, so that a service that hangs is not buried."""
MIN_INTERVAL_MS = 5
STOP_GRACE_S = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientSettings:
    """What to ask for, how often and how patiently."""

    urls: tuple[str, ...]
    interval_s: float = 0.2
    timeout_s: float = 3.0
    keep_alive: bool = False

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> ClientSettings:
        """From the environment; raises UsageError naming the variable that is wrong."""
        urls = tuple(environment.get("TESTBED_URLS", "").split())
        if not urls:
            raise UsageError("TESTBED_URLS: no URL", hint="for instance http://slb/ http://slb/cart")
        for url in urls:
            _refuse_strange(url)
        interval_ms = whole_number(environment, "TESTBED_INTERVAL_MS", 200, 3_600_000)
        if interval_ms < MIN_INTERVAL_MS:
            raise UsageError(f"TESTBED_INTERVAL_MS={interval_ms}: at least {MIN_INTERVAL_MS}")
        return cls(
            urls=urls,
            interval_s=interval_ms / 1000,
            timeout_s=max(1, whole_number(environment, "TESTBED_TIMEOUT_MS", 3000, 3_600_000)) / 1000,
            keep_alive=whole_number(environment, "TESTBED_KEEP_ALIVE", 0, 1) == 1,
        )


def _refuse_strange(text: str) -> None:
    try:
        url = URL(text)
        is_one = url.scheme == "http" and bool(url.host) and (url.port or 0) <= 65535
    except ValueError:
        is_one = False
    if not is_one:
        raise UsageError(f"TESTBED_URLS: {text[:80]!r} is no http URL", hint="for instance http://slb/")


class BedResolver(AbstractResolver):
    """The bed's own table first; a host that is not in it, since Docker gave it its address, is looked up. No other name is: Docker would
    ask outside the bed for it."""

    def __init__(self, addresses: Mapping[str, str], names: Collection[str]) -> None:
        self._addresses, self._names = addresses, names
        self._docker = aiohttp.ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        """As aiohttp asks; OSError for a name that is none of the bed's."""
        if address := self._addresses.get(host):
            return [ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)]
        if host not in self._names:
            raise OSError(None, f"{host} is no host of the bed")
        return await self._docker.resolve(host, port, family)

    async def close(self) -> None:
        await self._docker.close()


class Client:
    """Asks and reports until it is closed."""

    def __init__(self, settings: ClientSettings, resolver: AbstractResolver, report: Reporter) -> None:
        self._settings, self._report = settings, report
        # A name is looked up for every connection: a service that comes back may have another address.
        connector = aiohttp.TCPConnector(
            resolver=resolver, force_close=not settings.keep_alive, use_dns_cache=False, limit=0
        )
        timeout = aiohttp.ClientTimeout(total=settings.timeout_s)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        )
        self._session._retry_connection = False  # what aiohttp asked again would not be seen to have failed
        self._under_way: set[asyncio.Task[None]] = set()

    async def browse(self, stopped: asyncio.Event) -> None:
        """A request each interval, on a clock that does not wait for answers."""
        due = time.monotonic()
        for url in cycle(self._settings.urls):
            if len(self._under_way) < MAX_UNDER_WAY:
                task = asyncio.get_running_loop().create_task(self._ask(url))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            # What was missed while we were frozen is not made up for.
            due = max(due + self._settings.interval_s, time.monotonic() - self._settings.interval_s)
            try:
                await asyncio.wait_for(stopped.wait(), max(0.0, due - time.monotonic()))
                return
            except TimeoutError:
                continue

    async def close(self) -> None:
        """Let what is under way end, a moment, and break off the rest."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=STOP_GRACE_S)
        for task in list(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._session.close()

    async def _ask(self, url: str) -> None:
        began = time.monotonic()
        result: dict[str, Any] = {"url": url, "method": "GET"}
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                result |= {"status": response.status, "served_by": response.headers.get("X-Served-By")}
                size = 0
                async for part in response.content.iter_any():
                    size += len(part)
                    if size > MAX_BODY_BYTES:
                        raise ValueError(f"more than {MAX_BODY_BYTES} bytes")
            if response.status >= 400:
                result["error"] = f"HTTP {response.status}"
        except TimeoutError:
            result["error"] = f"timeout: {self._settings.timeout_s:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            result["error"] = _text_of(error)
        result["elapsed_s"] = round(time.monotonic() - began, 6)
        self._report("PageFailed" if "error" in result else "PageFetched", **result)


def _text_of(error: Exception) -> str:
    """Short, without addresses, so that equal causes read equal."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "closed without an answer"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "no such host"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return " ".join(str(error).split())[:160] or type(error).__name__


async def serve(host: HostEnvironment, report: Reporter, stopped: asyncio.Event) -> None:
    """Browse until ``stopped`` is set."""
    names = os.environ.get("TESTBED_NAMES", "").split()
    client = Client(ClientSettings.read(os.environ), BedResolver(host.addresses, names), report)
    report("RoleStarted", role=ROLE)
    try:
        await client.browse(stopped)
    finally:
        await client.close()


if __name__ == "__main__":
    run_role(ROLE, serve)
