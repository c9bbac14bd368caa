"""A phone-service site: ``python3 -m testbed.roles.web_host``.

Environment, besides the bed's own: TESTBED_HTTP_PORT (80), TESTBED_ADDRESS (0.0.0.0), TESTBED_RESPONSE_DSCP (name or
number of the code point its packets carry; unset = the socket is left alone), TESTBED_CALL_MANAGER_URL (the directory search
that the page /lookup asks; unset = it answers 503).
"""

from __future__ import annotations

import asyncio
import math
import os
import sys

from aiohttp import web

from testbed.dscp import code_point, tos_of
from testbed.errors import UsageError
from testbed.phone_xml import Bitmap, Directory, DirectoryEntry, Image, Input, InputItem, Menu, MenuItem, SoftKey, Text
from testbed.roles.common import HostEnvironment, Reporter, run_role, whole_number
from testbed.roles.control import ControlServer
from testbed.roles.held_faults import HeldFaults
from testbed.roles.page_faults import PageFaults
from testbed.roles.pusher import Pusher
from testbed.roles.site import Emit, listener, origin, site, xml
from testbed.roles.streamer import Streamer
from testbed.roles.web_lookup import CallManager, add_lookup

ROLE = "web-host"
HTTP_PORT = 80
MAX_SLOW_S = 30.0
MAX_BULK_KB = 2000
NUMBER_DIGITS = 30
REFRESH_S = 10
"""The period a real phone was seen to refresh a page with."""
STOP_GRACE_S = 2.0
"""How long a page in the making may take once the host is told to stop."""

_EXIT = SoftKey(name="Exit", position=3, url="SoftKey:Exit")
_WIDTH, _HEIGHT = 132, 32


def app(
    host: str, *, emit: Emit, faults: PageFaults | None = None, call_manager: CallManager | None = None
) -> web.Application:
    """The site; ``host`` is what X-Served-By says, ``emit`` gets the PageServed events (health page excluded)."""
    pages = _Pages(host)
    application = site(host, emit, faults)
    application.add_routes(
        [
            web.get("/", pages.menu),
            web.get("/text", pages.text),
            web.get("/input", pages.form),
            web.get("/answer", pages.answer),
            web.get("/directory", pages.directory),
            web.get("/image", pages.image),
            web.get("/refresh", pages.refresh),
            web.get("/idle", pages.idle),
            web.post("/post", pages.post),
            web.get("/slow", pages.slow),
            web.get("/bulk", pages.bulk),
        ]
    )
    add_lookup(application, call_manager)
    return application


class _Pages:
    def __init__(self, host: str) -> None:
        self._host = host
        self._refreshed = 0

    async def menu(self, request: web.Request) -> web.Response:
        base = origin(request)
        pages = {"News": "text", "Form": "input", "Colleagues": "directory", "Picture": "image", "Ticker": "refresh"}
        items = tuple(MenuItem(name=name, url=f"{base}/{path}") for name, path in pages.items())
        return xml(Menu(title="Phone services", prompt="Choose one", items=items))

    async def text(self, _request: web.Request) -> web.Response:
        return xml(Text(title="News", text=f"This page comes from {self._host}.", soft_keys=(_EXIT,)))

    async def form(self, request: web.Request) -> web.Response:
        fields = (
            InputItem(name="First number", parameter="a", flags="N"),
            InputItem(name="Second", parameter="b", flags="N"),
        )
        return xml(Input(title="Sum", prompt="Two numbers", url=f"{origin(request)}/answer", items=fields))

    async def answer(self, request: web.Request) -> web.Response:
        numbers = [request.query.get(name, "") for name in ("a", "b")]
        if not all(number.isascii() and number.isdigit() and len(number) <= NUMBER_DIGITS for number in numbers):
            return xml(Text(title="Sum", text="Two whole numbers, please."))
        return xml(Text(title="Sum", text=str(sum(map(int, numbers)))))

    async def directory(self, _request: web.Request) -> web.Response:
        entries = tuple(DirectoryEntry(name=f"Colleague {n}", telephone=str(2000 + n)) for n in range(1, 9))
        return xml(Directory(title="Colleagues", prompt="Dial one", entries=entries))

    async def image(self, _request: web.Request) -> web.Response:
        return xml(Image(title="Picture", bitmap=_bars()))

    async def refresh(self, request: web.Request) -> web.Response:
        """The phone comes again by itself; the count shows that it did."""
        self._refreshed += 1
        page = Text(title="Ticker", text=f"Page {self._refreshed} from {self._host}.")
        return xml(page, refresh=f"{REFRESH_S}; url={origin(request)}/refresh")

    async def idle(self, _request: web.Request) -> web.Response:
        return xml(Text(title="Idle", text=f"Nothing happens at {self._host}."))

    async def post(self, request: web.Request) -> web.Response:
        return xml(Text(title="Posted", text=f"{len(await request.read())} bytes"))

    async def bulk(self, request: web.Request) -> web.Response:
        """A file of ``kb`` kilobytes, at most MAX_BULK_KB: load for a link."""
        size = request.query.get("kb", "100")
        if not (size.isascii() and size.isdigit() and len(size) <= 4 and 1 <= int(size) <= MAX_BULK_KB):
            raise web.HTTPBadRequest(text=f"kb: kilobytes from 1 to {MAX_BULK_KB}")
        return web.Response(body=bytes(1000 * int(size)), content_type="application/octet-stream")

    async def slow(self, request: web.Request) -> web.Response:
        """Answers after ``s`` seconds, at most MAX_SLOW_S."""
        try:
            delay_s = float(request.query.get("s", "1"))
        except ValueError:
            delay_s = math.nan
        if not 0 <= delay_s <= MAX_SLOW_S:
            raise web.HTTPBadRequest(text=f"s: seconds from 0 to {MAX_SLOW_S:g}")
        await asyncio.sleep(delay_s)
        return xml(Text(title="Slow", text=f"after {delay_s:g} s"))


def _bars() -> Bitmap:
    """Four vertical bars, white to black: two bits a pixel, four pixels a byte."""
    row = b"".join(bytes([0b01010101 * shade]) * (_WIDTH // 16) for shade in range(4))
    row += b"\xff" * (_WIDTH // 4 - len(row))
    return Bitmap(width=_WIDTH, height=_HEIGHT, data=row * _HEIGHT)


async def serve(host: HostEnvironment, report: Reporter, stopped: asyncio.Event) -> None:
    """Serve until ``stopped`` is set, then finish the pages in the making."""
    environment = os.environ
    mark = environment.get("TESTBED_RESPONSE_DSCP", "")
    sock = listener(
        environment.get("TESTBED_ADDRESS", "0.0.0.0"),
        whole_number(environment, "TESTBED_HTTP_PORT", HTTP_PORT, 65535),
        tos=tos_of(code_point(mark)) if mark else 0,
    )
    faults = PageFaults()
    held = HeldFaults(faults.kinds, report)
    pusher = Pusher(report, timeout_s=2 * host.profile.http_timeout_s)
    streamer = Streamer(report, pusher, host.addresses.get(host.host, "127.0.0.1"))
    handlers = {**held.handlers, **pusher.handlers, **streamer.handlers}
    control = ControlServer(host.control_path, handlers)
    pages = app(host.host, emit=report, faults=faults, call_manager=CallManager.read(environment, host))
    runner = web.AppRunner(pages, access_log=None, shutdown_timeout=STOP_GRACE_S)
    await runner.setup()
    try:
        await _start_control(control)
        await web.SockSite(runner, sock).start()
        report("RoleStarted", role=ROLE)
        await stopped.wait()
    finally:
        held.close()
        await control.close()
        await runner.cleanup()


async def _start_control(control: ControlServer) -> None:
    """A site needs none to serve its pages: where there is no place for the socket (a project of the user's own), it has no faults."""
    try:
        await control.start()
    except UsageError as error:
        print(f"{ROLE}: {error.message}: no application fault can be injected here", file=sys.stderr, flush=True)


if __name__ == "__main__":
    run_role(ROLE, serve)
