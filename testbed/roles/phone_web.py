"""What phones fetch by HTTP: the pages behind their keys, the idle page, a page over and over (browse)."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from testbed.errors import BedError
from testbed.phone_xml import root_of
from testbed.roles.common import HostEnvironment, Reporter
from testbed.roles.phone_http import HttpFailure, PhoneRequest, PhoneResponse, fetch
from testbed.sep_file import SepFile

KEYS = ("services", "directory", "information", "messages", "authentication", "idle", "proxy")
ALL_URLS = "all-urls"
OUTSIDE_URL = "http://outside-web/"
MAX_AT_ONCE = 500
"""Requests under way in one process; more wait their turn."""
PUSH_USER, PUSH_PASSWORD = "testbed", "testbed"
"""What a push names as its sender; the phone asks the authentication URL about it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Errand:
    """One request of one phone. ``url_name``: the key, or ``page``."""

    device_name: str
    address: str
    url_name: str
    url: str
    method: str = "GET"
    cookie: str = ""


class PhoneWeb:
    """Runs errands and reports UrlAnswered or UrlFailed for each."""

    def __init__(self, host: HostEnvironment, report: Reporter) -> None:
        self._host, self._report = host, report
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, errand: Errand, sep_file: SepFile) -> asyncio.Task[tuple[dict[str, Any], PhoneResponse | None]]:
        """Run it in the background; the task's result is what was reported, and the answer where one came."""
        task = asyncio.get_running_loop().create_task(self._run(errand, sep_file))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Break off what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, errand: Errand, sep_file: SepFile) -> tuple[dict[str, Any], PhoneResponse | None]:
        result: dict[str, Any] = {
            "phone": errand.device_name,
            "url_name": errand.url_name,
            "url": errand.url,
            "method": errand.method,
        }
        response: PhoneResponse | None = None
        if not errand.url:
            result |= {"elapsed_s": 0.0, "via": "direct", "error": "not set in the configuration file"}
        else:
            async with self._slots:
                try:
                    response = await fetch(self._request(errand, sep_file))
                except HttpFailure as failure:
                    result |= {"elapsed_s": round(failure.elapsed_s, 6), "via": failure.via, "error": failure.error}
        if response is not None:
            result |= {
                "status": response.status,
                "elapsed_s": round(response.elapsed_s, 6),
                "via": response.via,
                "served_by": response.served_by,
                "content": content_of(response),
            }
            if response.status >= 400:
                result["error"] = f"HTTP {response.status}"
        self._report("UrlFailed" if "error" in result else "UrlAnswered", **result)
        return result | {"ok": "error" not in result}, response

    def _request(self, errand: Errand, sep_file: SepFile) -> PhoneRequest:
        return PhoneRequest(
            url=errand.url,
            device_name=errand.device_name,
            source_address=errand.address,
            bed_prefix=self._host.prefix,
            timeout_s=self._host.profile.http_timeout_s,
            names=self._host.addresses,
            tos=sep_file.tos_services,
            method=errand.method,
            body=b"XML=" if errand.method == "POST" else None,
            proxy=sep_file.urls.proxy,
            cookie=errand.cookie,
        )


def url_of(key: str, sep_file: SepFile, device_name: str, environment: Mapping[str, str] = os.environ) -> str:
    """What a key fetches: the URL from the configuration file; the proxy key a page that only the proxy reaches."""
    if key == "proxy":
        return environment.get("TESTBED_OUTSIDE_URL", OUTSIDE_URL) if sep_file.urls.proxy else ""
    url: str = getattr(sep_file.urls, key)
    if key == "authentication" and url:
        query = urlencode({"UserID": PUSH_USER, "Password": PUSH_PASSWORD, "devicename": device_name})
        return f"{url}{'&' if '?' in url else '?'}{query}"
    return url


def content_of(response: PhoneResponse) -> str:
    """The root element of a phone object, else the content type."""
    content_type = response.headers.get("content-type", "").split(";")[0].strip()
    if "xml" in content_type:
        try:
            return root_of(response.body)
        except BedError:
            return f"{content_type}, malformed"
    return content_type


class Idle:
    """When a phone shows its idle page next: ``idleTimeout`` after the last key, then as the page's Refresh says."""

    __slots__ = ("at",)

    def __init__(self) -> None:
        self.at = float("inf")

    def restart(self, sep_file: SepFile | None) -> None:
        """A key was pressed, or the phone came into service."""
        is_set = sep_file is not None and sep_file.idle_timeout_s > 0 and sep_file.urls.idle
        self.at = time.monotonic() + sep_file.idle_timeout_s if sep_file is not None and is_set else float("inf")

    def shown(self, sep_file: SepFile, response: PhoneResponse | None) -> None:
        """The page came, or did not: then the phone tries again after another idle period."""
        if response is None or response.status >= 400:
            self.restart(sep_file)
        elif response.refresh is not None and response.refresh[0] > 0:
            self.at = time.monotonic() + response.refresh[0]
