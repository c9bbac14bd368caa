"""What every web site of the bed has: a health page, X-Served-By, PageServed events, CiscoIPPhone answers, marking, page faults."""

from __future__ import annotations

import re
import socket
from typing import Any, Protocol, cast

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from testbed import phone_xml
from testbed.roles.page_faults import HEALTH_PATH, PageFault, PageFaults

MAX_REQUEST_BYTES = 64 * 1024
_ORIGIN = re.compile(r"[A-Za-z0-9.-]{1,100}(?::\d{1,5})?")
_BACKLOG = 1024


class Emit(Protocol):
    """Reports an event of this host."""

    def __call__(self, name: str, /, **data: object) -> None: ...


def site(host: str, emit: Emit, faults: PageFaults | None = None) -> web.Application:
    """An application without pages but the health page; ``host`` is what X-Served-By says, ``faults`` what is wrong with it."""
    reporting = _reporting(emit, faults or PageFaults())
    application = web.Application(middlewares=[reporting], client_max_size=MAX_REQUEST_BYTES)

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


def _reporting(emit: Emit, faults: PageFaults) -> Middleware:
    """Every page but the health page is reported once it is answered; one that a fault took, health page or not, with its id."""

    @web.middleware
    async def report(request: web.Request, handler: Handler) -> web.StreamResponse:
        fault = faults.taking(request.path)
        status = 500
        if fault is not None and fault.is_mute:
            emit("PageMuted", **_particulars(request, fault))
        try:
            response = await (handler(request) if fault is None else _spoilt(request, handler, fault))
            status = response.status
        except web.HTTPException as answer:
            status = answer.status
            raise
        finally:
            if (request.path != HEALTH_PATH or fault is not None) and not _is_gone(request, fault):
                emit("PageServed", status=status, **_particulars(request, fault))
        return response

    return report


async def _spoilt(request: web.Request, handler: Handler, fault: PageFault) -> web.StreamResponse:
    await fault.wait()
    if fault.status:
        return web.Response(status=fault.status, text=f"{fault.status}: {fault.fault_id}")
    return await handler(request)


def _is_gone(request: web.Request, fault: PageFault | None) -> bool:
    """Whether a fault let the client wait until it hung up: nothing was served."""
    return fault is not None and (request.transport is None or request.transport.is_closing())


def _particulars(request: web.Request, fault: PageFault | None) -> dict[str, object]:
    particulars: dict[str, object] = {
        "client": request.remote,
        "method": request.method,
        "path": request.path[:200],
        "forwarded_for": request.headers.get("X-Forwarded-For", "")[:200] or None,
    }
    return particulars if fault is None else {**particulars, "fault_id": fault.fault_id}
