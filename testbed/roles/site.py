"""What every web site of the bed has: a health page, X-Served-By, PageServed events, CiscoIPPhone answers, marking."""

from __future__ import annotations

import re
import socket
from typing import Any, Protocol, cast

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from testbed import phone_xml

HEALTH_PATH = "/health"
MAX_REQUEST_BYTES = 64 * 1024
_ORIGIN = re.compile(r"[A-Za-z0-9.-]{1,100}(?::\d{1,5})?")
_BACKLOG = 1024


class Emit(Protocol):
    """Reports an event of this host."""

    def __call__(self, name: str, /, **data: object) -> None: ...


def site(host: str, emit: Emit) -> web.Application:
    """An application without pages but the health page; ``host`` is what X-Served-By says."""
    application = web.Application(middlewares=[_reporting(emit)], client_max_size=MAX_REQUEST_BYTES)

    async def sign(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Served-By"] = host

    # A signal rather than the middleware: it covers aiohttp's own answers (404, 500) too. Its type is one that releases
    # of aiosignal disagree about.
    application.on_response_prepare.append(cast("Any", sign))
    application.router.add_get(HEALTH_PATH, _health)
    return application


def xml(page: phone_xml.PhoneObject, *, refresh: str = "") -> web.Response:
    """An object as the answer; ``refresh``: value of the Refresh header."""
    response = web.Response(body=page.to_xml(), content_type=phone_xml.CONTENT_TYPE)
    if refresh:
        response.headers["Refresh"] = refresh
    return response


def origin(request: web.Request) -> str:
    """``http://host[:port]`` as the phone asked for it (the VIP, where there is one); 400 for a strange Host."""
    if not _ORIGIN.fullmatch(request.host):
        raise web.HTTPBadRequest(text="Host")
    return f"http://{request.host}"


def listener(address: str, port: int, *, tos: int = 0) -> socket.socket:
    """A listening TCP socket; with ``tos`` (the octet) every packet of its connections carries it, SYN-ACK to RST."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if tos:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
        sock.bind((address, port))
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


async def _health(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


def _reporting(emit: Emit) -> Middleware:
    @web.middleware
    async def report(request: web.Request, handler: Handler) -> web.StreamResponse:
        status = 500
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as answer:
            status = answer.status
            raise
        finally:
            if request.path != HEALTH_PATH:
                emit(
                    "PageServed",
                    client=request.remote,
                    method=request.method,
                    path=request.path[:200],
                    status=status,
                    forwarded_for=request.headers.get("X-Forwarded-For", "")[:200] or None,
                )
        return response

    return report
