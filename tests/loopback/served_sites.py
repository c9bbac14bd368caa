"""Web sites of the bed in threads of this process, and the published schema as their judge."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest
from aiohttp import web

from testbed.roles.phone_http import PhoneRequest, PhoneResponse, fetch
from testbed.roles.site import listener

REPOSITORY = Path(__file__).parents[2]
SCHEMA = REPOSITORY.parent / "shared" / "data" / "chan-sccp-CiscoIPPhone.xsd"
HOST = "127.0.1.111"
BED = IPv4Network("127.0.0.0/16")
DEVICE = "SEP020000000001"


class Site:
    """A site in a thread of its own, and the events it reported."""

    def __init__(self, port: int) -> None:
        self.url = f"http://{HOST}:{port}"
        self.events: list[dict[str, Any]] = []

    def emit(self, name: str, /, **data: object) -> None:
        self.events.append({"name": name, **data})

    def get(self, path: str, **settings: Any) -> PhoneResponse:
        request = PhoneRequest(
            url=self.url + path,
            device_name=DEVICE,
            source_address="127.0.16.1",
            bed_prefix=BED,
            timeout_s=5,
            **settings,
        )
        return asyncio.run(fetch(request))


@contextmanager
def serving(build: Callable[[Site], web.Application]) -> Iterator[Site]:
    sock = listener(HOST, 0)
    site = Site(sock.getsockname()[1])
    ready, stop = Flag(), Flag()

    async def serve() -> None:
        runner = web.AppRunner(build(site), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, sock).start()
        ready.set()
        await asyncio.to_thread(stop.wait)
        await runner.cleanup()

    thread = Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield site
    finally:
        stop.set()
        thread.join(10)


def validate(document: bytes) -> None:
    """Against the published schema, by xmllint: a judge that is not ours."""
    if not SCHEMA.exists():
        pytest.skip(f"third-party samples are not part of the project: {SCHEMA.name} is not there")
    if shutil.which("xmllint") is None:
        pytest.skip("xmllint (libxml2-utils) is not installed")
    command = ["xmllint", "--noout", "--nonet", "--schema", str(SCHEMA), "-"]
    done = subprocess.run(command, input=document, capture_output=True, timeout=20)
    assert done.returncode == 0, done.stderr.decode()
