"""The phones' HTTP server: pushes, checked with the authentication URL; screenshot; pages about the phone. One socket for all.

A push without the right password, or that nobody can check, is answered with CiscoIPPhoneError 4, as a phone does.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from html import escape
from xml.etree import ElementTree as ET

from aiohttp import web

from testbed import phone_xml as px
from testbed.browser.push import (
    AUTHENTICATION_ERROR,
    MAX_PUSH_BYTES,
    PARSE_ERROR,
    authentication_url,
    credentials,
    is_authorised,
    pushed_object,
)
from testbed.browser.read import PageError
from testbed.browser.uri import BadUri, parse_uri
from testbed.roles.common import Reporter
from testbed.roles.phone_fleet import Fleet, Seat
from testbed.roles.phone_web import Errand
from testbed.roles.site import listener

SERVER = "Allegro-Software-RomPager/4.34"
CONTENT_TYPE = 'text/xml; charset="utf-8"'
MAX_AT_ONCE = 200
"""Pushes and screenshots under way in one process; one more is answered with 503."""
MAX_CONNECTIONS = 400
"""Of one process; further ones are reset. The phones' own connections to call control need their files too."""


class PhoneServer:
    """Serves every phone of the fleet at its own address."""

    def __init__(self, fleet: Fleet, report: Reporter, address: str, port: int) -> None:
        self._fleet, self._report = fleet, report
        self._by_address = {seat.address: seat for seat in fleet.seats}
        self._listen_at = address, port
        self._under_way = 0
        self._silent: set[asyncio.BaseProtocol] = set()
        """Connections on which no request has come yet."""
        self._new: set[web.RequestHandler] = set()
        """Those that the server does not count yet: the loop accepts many in one turn."""
        self._server: asyncio.Server | None = None
        application = web.Application(client_max_size=MAX_PUSH_BYTES)
        application.add_routes(
            [
                web.post("/CGI/Execute", self._execute),
                web.get("/CGI/Screenshot", self._screenshot),
                *(
                    web.get(f"/{name}{suffix}", page)
                    for name, page in (
                        ("DeviceInformation", self._device_information),
                        ("NetworkConfiguration", self._network_configuration),
                        ("StreamingStatistics", self._streaming_statistics),
                    )
                    for suffix in ("", "X")
                ),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)

    async def start(self) -> None:
        """Listen; raises OSError."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, sock=listener(*self._listen_at), backlog=128)

    async def close(self) -> None:
        """Finish what is under way, for half a second."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    def _connection(self) -> asyncio.BaseProtocol:
        """Somebody connected: it has the time of a request to ask for something."""
        server = self._runner.server
        assert server is not None
        self._new = {one for one in self._new if one.transport is None}
        if len(server.connections) + len(self._new) >= MAX_CONNECTIONS:
            return _Refusal()
        protocol = server()
        self._silent.add(protocol)
        self._new.add(protocol)
        timeout_s = self._fleet.host.profile.http_timeout_s
        asyncio.get_running_loop().call_later(timeout_s, self._end_if_silent, protocol)
        return protocol

    def _end_if_silent(self, protocol: web.RequestHandler) -> None:
        self._new.discard(protocol)
        if protocol in self._silent:
            self._silent.discard(protocol)
            if protocol.transport is not None:
                protocol.transport.abort()

    @contextlib.contextmanager
    def _among_few(self) -> Iterator[None]:
        """One of those under way; raises HTTPServiceUnavailable where there are too many."""
        if self._under_way >= MAX_AT_ONCE:
            raise web.HTTPServiceUnavailable(text="busy")
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    # -- push

    async def _execute(self, request: web.Request) -> web.Response:
        seat, began = self._seat(request), time.monotonic()
        known = credentials(request.headers.get("Authorization", ""))
        if known is None:
            return self._locked()
        with self._among_few():
            try:
                async with asyncio.timeout(self._fleet.host.profile.http_timeout_s):
                    body = await request.read()
            except TimeoutError:
                raise web.HTTPRequestTimeout(text="no whole push came") from None
            refusal = await self._refusal(seat, *known)
        facts = {"phone": seat.device_name, "from": self._fleet.host.name_of(request.remote or "")}
        if refusal:
            return self._refuse(AUTHENTICATION_ERROR, refusal, began, facts)
        browser = self._fleet.services.browser(seat)
        try:
            pushed = pushed_object(body, request.headers.get("Content-Type", ""), browser.settings.model)
        except PageError as error:
            return self._refuse(PARSE_ERROR, error.message, began, facts)
        browser.is_busy = seat.machine is not None and seat.machine.in_call
        answers = browser.push(pushed, time.monotonic())
        outcomes = self._fleet.services.pump(seat)
        answers = tuple(_with_outcome(answer, outcomes) for answer in answers)
        items = [item.url for item in pushed.items] if isinstance(pushed, px.Execute) else [pushed._tag]
        answered = [answer.data for answer in answers]
        elapsed_s = round(time.monotonic() - began, 6)
        self._report("PushExecuted", **facts, items=items, answers=answered, elapsed_s=elapsed_s)
        return _xml(px.Response(items=answers))

    async def _refusal(self, seat: Seat, user: str, password: str) -> str:
        """Why a push by this user may not pass; "" where it may."""
        if seat.config is None:
            return "no configuration yet"
        file = seat.config.sep_file
        if not file.urls.authentication:
            return "no authentication URL is set"
        errand = Errand(
            device_name=seat.device_name,
            address=seat.address,
            url_name="authentication",
            url=authentication_url(file.urls.authentication, user, password, seat.device_name),
        )
        result, response = await self._fleet.web.start(errand, file)
        if response is None or response.status >= 400:
            return f"authentication URL: {result['error']}"
        return "" if is_authorised(response.status, response.body) else "authentication URL: not authorized"

    def _refuse(self, number: int, reason: str, began: float, facts: Mapping[str, object]) -> web.Response:
        elapsed_s = round(time.monotonic() - began, 6)
        self._report("PushRefused", **facts, error=number, reason=reason[:200], elapsed_s=elapsed_s)
        return _xml(px.Error(number=number))

    def _locked(self) -> web.Response:
        headers = {"WWW-Authenticate": 'Basic realm="user"', "Server": SERVER}
        return web.Response(status=401, headers=headers, text="a user and a password are needed")

    # -- what the phone shows of itself

    async def _screenshot(self, request: web.Request) -> web.Response:
        seat = self._seat(request)
        known = credentials(request.headers.get("Authorization", ""))
        if known is None:
            return self._locked()
        with self._among_few():
            if await self._refusal(seat, *known):
                return _xml(px.Error(number=AUTHENTICATION_ERROR))
        picture = self._fleet.services.browser(seat).picture()
        if picture is not None:
            return web.Response(body=picture, content_type="image/png", headers={"Server": SERVER})
        return _xml(self._fleet.services.screenshot(seat))

    async def _device_information(self, request: web.Request) -> web.Response:
        seat = self._seat(request)
        model = self._fleet.services.model(seat)
        facts = {
            "MACAddress": seat.device_name.removeprefix("SEP"),
            "HostName": seat.device_name,
            "phoneDN": seat.machine.line if seat.machine is not None else "",
            "appLoadID": seat.config.sep_file.load if seat.config is not None else "",
            "modelNumber": model.product,
        }
        return _facts(request, "DeviceInformation", facts)

    async def _network_configuration(self, request: web.Request) -> web.Response:
        seat = self._seat(request)
        facts = {"MACAddress": seat.device_name.removeprefix("SEP"), "HostName": seat.device_name}
        facts["IPAddress"] = seat.address
        if seat.config is not None:
            file, urls = seat.config.sep_file, seat.config.sep_file.urls
            facts |= {f"CallManager{number}": control.host for number, control in enumerate(file.call_controls, 1)}
            facts |= {
                "ServicesURL": urls.services,
                "DirectoriesURL": urls.directory,
                "InformationURL": urls.information,
                "MessagesURL": urls.messages,
                "AuthenticationURL": urls.authentication,
                "IdleURL": urls.idle,
                "ProxyServerURL": urls.proxy,
            }
        return _facts(request, "NetworkConfiguration", facts)

    async def _streaming_statistics(self, request: web.Request) -> web.Response:
        return _facts(request, "StreamingStatistics", self._fleet.services.stream_figures(self._seat(request)))

    def _seat(self, request: web.Request) -> Seat:
        """The phone at the address that was asked."""
        self._silent.discard(request.protocol)
        own = request.transport.get_extra_info("sockname") if request.transport is not None else None
        seat = self._by_address.get(own[0]) if own else None
        if seat is None:
            raise web.HTTPNotFound(text="no phone at this address")
        return seat


class _Refusal(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


def _with_outcome(answer: px.ResponseItem, outcomes: list[tuple[str, str]]) -> px.ResponseItem:
    """A port that the phone chose, or why it could not, where the answer is to a URI; its outcome is taken from those there are."""
    try:
        uri = str(parse_uri(answer.url))
    except BadUri:
        return answer
    found = next((outcome for outcome in outcomes if outcome[0] == uri), None)
    if found is None:
        return answer
    outcomes.remove(found)
    said = found[1]
    return replace(answer, data=said, status=int(said.startswith("Failure"))) if said else answer


def _xml(answer: px.PhoneObject) -> web.Response:
    return web.Response(body=answer.to_xml(), headers={"Content-Type": CONTENT_TYPE, "Server": SERVER})


def _facts(request: web.Request, name: str, facts: Mapping[str, str]) -> web.Response:
    """As XML where the path ends in X, as a table for people otherwise."""
    if request.path.endswith("X"):
        root = ET.Element(name)
        for key, value in facts.items():
            ET.SubElement(root, key).text = value
        return web.Response(body=ET.tostring(root), headers={"Content-Type": CONTENT_TYPE, "Server": SERVER})
    rows = "".join(f"<tr><td>{key}</td><td>{escape(value)}</td></tr>" for key, value in facts.items())
    text = f"<html><title>{name}</title><table>{rows}</table></html>"
    return web.Response(text=text, content_type="text/html", headers={"Server": SERVER})
