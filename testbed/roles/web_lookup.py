"""A page that itself needs the call manager: each time it is asked it looks a name up in the call manager's directory, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from yarl import URL

from testbed.errors import UsageError
from testbed.phone_xml import Text
from testbed.roles.common import HostEnvironment
from testbed.roles.site import xml

LOOKUP_PATH = "/lookup"
ASK_TIMEOUT_S = 1.2
"""Shorter than the 1.5 s for which the shipped SLB waits for this site: the phone gets our answer, not the SLB's."""
MAX_ANSWER_BYTES = 64 * 1024
MAX_NAME_CHARS = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class CallManager:
    """Whose directory is asked: the URL of its search page, at an address of the bed."""

    url: URL

    @classmethod
    def read(cls, environment: Mapping[str, str], host: HostEnvironment) -> CallManager | None:
        """From TESTBED_CALL_MANAGER_URL; None where it is not set. Raises UsageError."""
        text = environment.get("TESTBED_CALL_MANAGER_URL", "")
        if not text:
            return None
        try:
            url = URL(text)
        except ValueError as error:
            raise UsageError(f"TESTBED_CALL_MANAGER_URL={text!r}: {error}") from error
        address = host.address_of(url.host or "")
        if url.scheme != "http" or address is None:
            raise UsageError(f"TESTBED_CALL_MANAGER_URL={text!r}: not an http URL of a host of the bed")
        return cls(url=url.with_host(address))

    async def find(self, name: str) -> tuple[int, str]:
        """(how many entries the directory has for this name, who answered). Raises LookupError where no directory comes."""
        try:
            async with (
                asyncio.timeout(ASK_TIMEOUT_S),
                aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.get(self.url.update_query(n=name), allow_redirects=False) as response,
            ):
                body = await response.content.read(MAX_ANSWER_BYTES)
                served_by = response.headers.get("X-Served-By", "")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise LookupError(f"the call manager does not answer: {type(error).__name__}") from error
        if response.status != 200 or b"<CiscoIPPhoneDirectory" not in body:
            raise LookupError(f"the call manager gave no directory: HTTP {response.status}")
        return body.count(b"<DirectoryEntry>"), served_by


def add_lookup(application: web.Application, call_manager: CallManager | None) -> None:
    """Add the page to a site; it answers 503 where there is no call manager, 502 where it gives no directory."""

    async def lookup(request: web.Request) -> web.Response:
        if call_manager is None:
            raise web.HTTPServiceUnavailable(text="this host has no call manager to ask")
        try:
            count, served_by = await call_manager.find(request.query.get("n", "")[:MAX_NAME_CHARS])
        except LookupError as error:
            raise web.HTTPBadGateway(text=str(error)) from error
        return xml(Text(title="Colleagues", text=f"{count} in the directory of {served_by or 'the call manager'}."))

    application.router.add_get(LOOKUP_PATH, lookup)
