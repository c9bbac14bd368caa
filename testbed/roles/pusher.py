"""A phone service that pushes: POST to phones' ``/CGI/Execute``, as its control socket is asked to; what came of it are events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp

from testbed import phone_xml as px
from testbed.browser.model import DEFAULT_MODEL
from testbed.browser.read import PageError, read_object
from testbed.errors import LocalProtocolError, UsageError
from testbed.roles.common import Reporter
from testbed.roles.control import Handler
from testbed.roles.phone_web import PUSH_PASSWORD, PUSH_USER

MAX_PHONES = 2000
MAX_AT_ONCE = 100
MAX_ANSWER_BYTES = 64 * 1024


class Pusher:
    """Pushes for one web host; ``timeout_s`` is for a whole answer: the phone asks its authentication URL meanwhile."""

    def __init__(self, report: Reporter, *, timeout_s: float, port: int = 80) -> None:
        self._report, self._timeout_s, self._port = report, timeout_s, port

    @property
    def handlers(self) -> dict[str, Handler]:
        """By the name of the operation."""
        return {"push": self.push}

    async def push(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """``to``: device name -> address; ``urls``: one to three; ``priority``; ``user``, ``password``. Answers when all did."""
        to, urls = request.get("to"), request.get("urls")
        if not isinstance(to, dict) or not 1 <= len(to) <= MAX_PHONES:
            raise UsageError(f"to: 1 to {MAX_PHONES} phones, device name and address, are needed")
        if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
            raise UsageError("urls: a list of URLs and URIs is needed")
        try:
            items = tuple(px.ExecuteItem(url=url, priority=int(request.get("priority", 0))) for url in urls)
            pushed = px.Execute(items=items)
        except (LocalProtocolError, TypeError, ValueError) as error:
            raise UsageError(f"cannot be pushed: {error}") from None
        user, password = str(request.get("user", PUSH_USER)), str(request.get("password", PUSH_PASSWORD))
        slots = asyncio.Semaphore(MAX_AT_ONCE)
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        async with aiohttp.ClientSession(timeout=timeout, auth=aiohttp.BasicAuth(user, password)) as session:
            results = await asyncio.gather(*(self._one(session, slots, *phone, pushed) for phone in to.items()))
        return {"results": results}

    async def _one(
        self, session: aiohttp.ClientSession, slots: asyncio.Semaphore, phone: str, address: str, pushed: px.Execute
    ) -> dict[str, Any]:
        async with slots:
            began = time.monotonic()
            result = await self._answer(session, f"http://{address}:{self._port}/CGI/Execute", pushed)
        seen = {"phone": phone, "urls": [item.url for item in pushed.items], **result}
        seen["elapsed_s"] = round(time.monotonic() - began, 6)
        self._report("PushAnswered" if result.get("ok") else "PushFailed", **seen)
        return seen

    async def _answer(self, session: aiohttp.ClientSession, url: str, pushed: px.Execute) -> dict[str, Any]:
        """``ok``, and ``answers`` of the items or ``error``: ``CiscoIPPhoneError 4``, ``HTTP 401``, ``timeout`` …"""
        body = urlencode({"XML": pushed.to_xml().decode("ascii")})
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Connection": "close"}
        try:
            async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                content = await response.content.read(MAX_ANSWER_BYTES)
                if response.status != 200:
                    return {"ok": False, "error": f"HTTP {response.status}"}
            found = read_object(content, DEFAULT_MODEL)
        except TimeoutError:
            return {"ok": False, "error": "timeout"}
        except (aiohttp.ClientError, OSError) as error:
            return {"ok": False, "error": " ".join(str(error).split())[:120] or type(error).__name__}
        except PageError as error:
            return {"ok": False, "error": f"no answer of a phone: {error.message[:100]}"}
        if isinstance(found, px.Error):
            return {"ok": False, "error": f"{found._tag} {found.number}"}
        answers = [item.data for item in found.items] if isinstance(found, px.Response) else []
        return {"ok": bool(answers), "answers": answers}
