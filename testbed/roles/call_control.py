"""A call control: SCCP on port 2000 and the phone-service pages on port 80. ``python3 -m testbed.roles.call_control``.

Environment, besides the bed's own: TESTBED_SCCP_PORT (2000), TESTBED_HTTP_PORT (80), TESTBED_ADDRESS (0.0.0.0),
TESTBED_SIGNALLING_TOS (104 = AF31, the whole octet), TESTBED_MEDIA_TOS (184 = EF, what phones are told to mark their
media with), TESTBED_LINES (1 or 2: how many each phone has), TESTBED_SERVICES_URL (what the services menu points at),
TESTBED_REJECT (refuse registrations with this text), TESTBED_TOKEN ("grant", or whole seconds to wait), TESTBED_CALL_CONTROLS
(all call controls whose phones may call each other, see ``cluster_links.py``) and TESTBED_CLUSTER_PORT (8002).
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from aiohttp import web

from testbed.errors import UsageError
from testbed.roles import pages
from testbed.roles.bounded import BoundedConnection
from testbed.roles.cluster_links import ClusterLinks, ClusterSettings
from testbed.roles.common import HostEnvironment, Reporter, run_role, whole_number
from testbed.roles.control import ControlServer, number_in
from testbed.roles.held_faults import Begin, HeldFaults, Undo
from testbed.roles.page_faults import PageFaults
from testbed.roles.site import listener
from testbed.sccp.call_codes import EF_TOS
from testbed.sccp.call_control import CallControl, Rules
from testbed.sccp.leg import NEVER
from testbed.sccp.service import MAX_LINES

ROLE = "call-control"
SCCP_PORT, HTTP_PORT = 2000, 80
AF31_TOS = 104
BACKLOG = 4096
"""All phones of a failed neighbour knock within a second."""
STOP_GRACE_S = 1.0
MAX_TOKEN_WAIT_S = 3600
MAX_REJECT_CHARS = 32
"""The text field of RegisterReject."""
RESTART = 2
"""The kind of Reset after which a phone registers again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallSettings:
    """The TOS octet that phones are told to mark their media with, and how many lines each phone has."""

    media_tos: int = EF_TOS
    lines: int = 1

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> CallSettings:
        """Raises UsageError naming the variable that is wrong."""
        return cls(
            media_tos=whole_number(environment, "TESTBED_MEDIA_TOS", EF_TOS, 255),
            lines=max(1, whole_number(environment, "TESTBED_LINES", 1, MAX_LINES)),
        )


class Switchboard:
    """The machine, its connections and its one timer."""

    def __init__(
        self,
        host: HostEnvironment,
        report: Reporter,
        rules: Rules,
        page_faults: PageFaults,
        calls: CallSettings | None = None,
    ) -> None:
        calls = calls or CallSettings()
        self._host, self._report, self._page_faults = host, report, page_faults
        self._rules = rules
        """As asked for by the owner; a fault may refuse registrations meanwhile."""
        self._refusal = _Refusal()
        self._loop = asyncio.get_running_loop()
        self.machine = CallControl(
            host=host.host, profile=host.profile, rules=rules, now=time.monotonic(), lines=calls.lines
        )
        self.machine.set_clock(time.monotonic(), time.time())
        self.machine.exchange.media_tos = calls.media_tos
        self.links: ClusterLinks | None = None
        """To other call controls, where there are any."""
        self._connections: dict[int, PhoneConnection] = {}
        self._last_peer = 0
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = NEVER

    def opened(self, connection: PhoneConnection, address: str) -> int:
        """A connection was accepted; its number."""
        self._last_peer += 1
        self._connections[self._last_peer] = connection
        self.machine.connected(self._last_peer, address, time.monotonic())
        self.pump()
        return self._last_peer

    def received(self, peer: int, data: bytes) -> None:
        self.machine.receive(peer, data, time.monotonic())
        self.pump()

    def lost(self, peer: int) -> None:
        if self._connections.pop(peer, None) is not None:
            self.machine.connection_lost(peer, time.monotonic())
            self.pump()

    def pump(self) -> None:
        """Do what the machine asks for."""
        for peer, messages in itertools.groupby(self.machine.to_send(), key=itemgetter(0)):
            connection = self._connections.get(peer)
            if connection is not None and not connection.send(b"".join([data for _, data in messages])):
                self._report("PeerRejected", peer=connection.address, error="sends and does not read")
                connection.abort()
        for peer in self.machine.to_close():
            connection = self._connections.pop(peer, None)
            if connection is not None:
                connection.close()
        if self.links is not None:
            self.links.flush()
        now, realtime_s = time.monotonic(), time.time()
        for event in self.machine.events():
            data = event.data
            if event.name == "RegisterRefused" and data["text"] == self._refusal.text:
                self._refusal.effects += 1
                data = {**data, "fault_id": self._refusal.fault_id}
            self._report.at(realtime_s - (now - event.now), event.name, data)
        self._arm(now)

    def close(self) -> None:
        """End all connections in order (FIN)."""
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self._connections.values()):
            connection.close()
        self._connections.clear()

    def _arm(self, now: float) -> None:
        due = self.machine.next_timer()
        if due is None or due >= self._armed_for:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = due
        self._timer = self._loop.call_later(max(0.001, due - now), self._tick)

    def _tick(self) -> None:
        self._timer, self._armed_for = None, NEVER
        self.machine.tick(time.monotonic())
        self.pump()

    # -- control operations

    async def ls(self, _request: Mapping[str, Any]) -> dict[str, Any]:
        """Registered phones, in order of their names."""
        sessions = sorted(self.machine.registered.items())
        return {
            "phones": [{"phone": name, "address": session.address, "line": session.line} for name, session in sessions],
            "connections": len(self._connections),
        }

    async def set_rules(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """``reject``: text or null; ``token``: "grant" or seconds; ``media_tos``: 0 to 255. What is not named stays."""
        rules = self._rules
        reject = request.get("reject", rules.reject)
        if reject is not None and not isinstance(reject, str):
            raise UsageError("reject: a text or null is needed")
        wait_s = token_wait(request["token"]) if "token" in request else rules.token_wait_s
        exchange = self.machine.exchange
        media_tos = number_in(request, "media_tos", least=0, most=255, default=exchange.media_tos)
        exchange.media_tos = int(media_tos)
        self._rules = Rules(reject=reject, token_wait_s=wait_s)
        self._apply_rules()
        return {"reject": reject, "token": "grant" if wait_s is None else wait_s, "media_tos": exchange.media_tos}

    async def reset(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send Reset to ``phones``, a list of names or ``all`` that are registered here; ``kind`` 1 reset (default), 2 restart."""
        wanted, kind = request.get("phones"), request.get("kind", 1)
        if kind not in (1, 2):
            raise UsageError(f"kind: 1 (reset) or 2 (restart), not {kind!r}")
        if self.machine.unheeded is not None:
            raise UsageError("a mute call control sends nothing", hint="heal the fault first")
        names = list(self.machine.registered) if wanted == "all" else wanted
        if not isinstance(names, list) or not names:
            raise UsageError("phones: a list of device names or all, and one of them registered here")
        strangers = [str(name) for name in names if name not in self.machine.registered]
        if strangers:
            raise UsageError(f"not registered here: {', '.join(strangers)}; no phone was reset")
        for name in names:
            self.machine.reset(name, kind, time.monotonic())
        self.pump()
        return {"phones": names, "kind": kind}

    # -- faults

    @property
    def fault_kinds(self) -> dict[str, Begin]:
        """Kinds of faults that a call control can have."""
        return {**self._page_faults.kinds, "register-reject": self._begin_reject, "mute": self._begin_mute}

    def _begin_reject(self, fault_id: str, request: Mapping[str, Any]) -> Undo:
        """``text``: what refused phones are told; ``reset``: true sends those registered here Reset, so that they register anew."""
        text, is_resetting = request.get("text", ""), request.get("reset", False)
        if not _is_refusal(text) or not isinstance(is_resetting, bool):
            raise UsageError(
                f"text: 1 to {MAX_REJECT_CHARS} printable ASCII characters are needed; reset: true or false"
            )
        if self._refusal.fault_id:
            raise UsageError(f"registrations are refused already, by {self._refusal.fault_id}")
        self._refusal = _Refusal(fault_id=fault_id, text=text)
        self._apply_rules()
        for name in list(self.machine.registered) if is_resetting else ():
            self.machine.reset(name, RESTART, time.monotonic())
        self.pump()
        return self._end_reject

    def _end_reject(self) -> int:
        refusal, self._refusal = self._refusal, _Refusal()
        self._apply_rules()
        return refusal.effects

    def _apply_rules(self) -> None:
        self.machine.rules = replace(self._rules, reject=self._refusal.text or self._rules.reject)

    def _begin_mute(self, fault_id: str, _request: Mapping[str, Any]) -> Undo:
        if self.machine.unheeded is not None:
            raise UsageError("it is mute already")
        self.machine.mute()
        undo_pages = self._page_faults.begin_mute(fault_id)

        def undo() -> int:
            messages = self.machine.unmute(time.monotonic())
            self.pump()
            return messages + undo_pages()

        return undo


@dataclass(slots=True, kw_only=True)
class _Refusal:
    """The fault that refuses registrations, where there is one; how many it refused."""

    fault_id: str = ""
    text: str = ""
    effects: int = 0


class PhoneConnection(BoundedConnection):
    """One accepted connection."""

    __slots__ = ("_peer", "_switchboard")

    def __init__(self, switchboard: Switchboard) -> None:
        super().__init__()
        self._switchboard = switchboard
        self._peer = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._peer = self._switchboard.opened(self, self.address)

    def data_received(self, data: bytes) -> None:
        self._switchboard.received(self._peer, data)

    def connection_lost(self, _error: Exception | None) -> None:
        self._switchboard.lost(self._peer)


def _is_refusal(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= MAX_REJECT_CHARS and text.isascii() and text.isprintable()


def token_wait(value: object) -> int | None:
    """``"grant"`` is None; whole seconds, also as text, are themselves. Raises UsageError."""
    if value == "grant":
        return None
    text = str(value)
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_TOKEN_WAIT_S):
        raise UsageError(f'token: "grant" or seconds from 1 to {MAX_TOKEN_WAIT_S} are needed, not {value!r}')
    return int(text)


def rules_from(environment: Mapping[str, str]) -> Rules:
    """As the process starts; raises UsageError."""
    return Rules(
        reject=environment.get("TESTBED_REJECT") or None,
        token_wait_s=token_wait(environment.get("TESTBED_TOKEN", "grant")),
    )


async def serve(host: HostEnvironment, report: Reporter, stopped: asyncio.Event) -> None:
    """SCCP, pages and control socket until ``stopped`` is set."""
    environment = os.environ
    address = environment.get("TESTBED_ADDRESS", "0.0.0.0")
    tos = whole_number(environment, "TESTBED_SIGNALLING_TOS", AF31_TOS, 255)
    page_faults = PageFaults()
    switchboard = Switchboard(host, report, rules_from(environment), page_faults, CallSettings.read(environment))
    held = HeldFaults(switchboard.fault_kinds, report)
    operations = {"ls": switchboard.ls, "set": switchboard.set_rules, "reset": switchboard.reset}
    control = ControlServer(host.control_path, {**operations, **held.handlers})
    subscriptions = pages.Subscriptions(services_url=environment.get("TESTBED_SERVICES_URL", "http://web-1/"))
    links = switchboard.links = ClusterLinks(
        ClusterSettings.read(host, environment, tos), switchboard.machine.exchange.across, report, switchboard.pump
    )
    site = web.AppRunner(
        pages.app(host.host, subscriptions=subscriptions, emit=report, faults=page_faults),
        access_log=None,
        shutdown_timeout=STOP_GRACE_S,
    )
    await site.setup()
    http = listener(address, whole_number(environment, "TESTBED_HTTP_PORT", HTTP_PORT, 65535))
    sccp = listener(address, whole_number(environment, "TESTBED_SCCP_PORT", SCCP_PORT, 65535), tos=tos)
    sccp.listen(BACKLOG)
    sccp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted connections inherit it, as they do the mark
    await control.start()
    await web.SockSite(site, http).start()
    server = await asyncio.get_running_loop().create_server(
        lambda: PhoneConnection(switchboard), sock=sccp, backlog=BACKLOG
    )
    await links.start()
    report("RoleStarted", role=ROLE)
    await stopped.wait()
    held.close()
    server.close()
    links.close()
    switchboard.close()
    await control.close()
    await site.cleanup()


if __name__ == "__main__":
    run_role(ROLE, serve)
