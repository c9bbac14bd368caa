"""A phone service with audio: pushes RTPRx and streams itself, or pushes RTPTx and listens; the same by multicast.

Its own packets carry the mark it is told to set, none by default: nothing but the application marks what a service streams.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any

from testbed.browser.uri import RTP_PORTS
from testbed.errors import UsageError
from testbed.roles.common import Reporter
from testbed.roles.control import Handler, number_in
from testbed.roles.media import Media, MediaPort
from testbed.roles.phone_streams import SCHEMES
from testbed.roles.pusher import Pusher
from testbed.rtp import Sender

MAX_STREAM_S = 45.0
GROUP = "239.26.1.1"
"""Administratively scoped (RFC 2365)."""
PHONE_PORT = RTP_PORTS[0]
VOLUME_PERCENT = 50


class Streamer:
    """Streams for one web host at ``address``."""

    def __init__(self, report: Reporter, pusher: Pusher, address: str) -> None:
        self._report, self._pusher, self._address = report, pusher, address

    @property
    def handlers(self) -> dict[str, Handler]:
        """By the name of the operation."""
        return {"stream": self.stream}

    async def stream(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """``to`` as for a push, ``scheme`` (RTPRx …), ``duration_s``, ``tos`` of what the host itself sends. Answers at the end."""
        scheme, to = request.get("scheme"), request.get("to")
        if scheme not in SCHEMES:
            raise UsageError(f"scheme: no {scheme!r}", hint="known: " + ", ".join(SCHEMES))
        if not isinstance(to, dict):
            raise UsageError("to: phones, device name and address, are needed")
        duration_s = number_in(request, "duration_s", least=0.1, most=MAX_STREAM_S)
        tos = int(number_in(request, "tos", least=0, most=255, default=0))
        media = Media(self._held_up)
        try:
            ports = self._open(media, scheme, to)
            started = await self._start(scheme, to, ports)
            self._send(scheme, {phone: to[phone] for phone in started}, ports, tos)
            await asyncio.sleep(duration_s)
        except OSError as error:
            raise UsageError(f"cannot stream: {error.strerror or error}") from error
        finally:
            await self._pusher.push({"to": to, "urls": [f"{scheme}:Stop"]})
            media.close()
        results = [self._ended(phone, scheme, port) for phone, port in ports.items()]
        return {"results": results}

    def _held_up(self, late_s: float, waited_s: float) -> None:
        self._report("MediaHeldUp", late_s=round(late_s, 6), waited_s=round(waited_s, 6))

    def _open(self, media: Media, scheme: str, to: Mapping[str, str]) -> dict[str, MediaPort]:
        """A port for each phone; one under "" for a group."""
        if scheme == "RTPMTx":
            return {"": media.open(self._address, PHONE_PORT, group=GROUP)}
        if scheme == "RTPMRx":
            return {"": media.open(self._address)}
        return {phone: media.open(self._address) for phone in to}

    async def _start(self, scheme: str, to: Mapping[str, str], ports: Mapping[str, MediaPort]) -> list[str]:
        """Push; the phones that took it."""
        replies = await asyncio.gather(
            *(
                self._pusher.push({"to": {phone: address}, "urls": [self._uri(scheme, ports.get(phone))]})
                for phone, address in to.items()
            )
        )
        return [reply["results"][0]["phone"] for reply in replies if reply["results"][0].get("ok")]

    def _uri(self, scheme: str, port: MediaPort | None) -> str:
        """What is pushed to a phone; ``port``: our own for it."""
        if scheme == "RTPTx":
            assert port is not None
            return f"RTPTx:{self._address}:{port.port}"
        target = f"{self._address if scheme == 'RTPRx' else GROUP}:{PHONE_PORT}"
        return f"{scheme}:{target}" + (f":{VOLUME_PERCENT}" if scheme.endswith("Rx") else "")

    def _send(self, scheme: str, to: Mapping[str, str], ports: Mapping[str, MediaPort], tos: int) -> None:
        targets = {"RTPRx": to, "RTPMRx": {"": GROUP}}.get(scheme, {})
        for phone, address in targets.items():
            draw = random.getrandbits
            sender = Sender(ssrc=draw(32), sequence=draw(16), timestamp=draw(32), now=time.monotonic())
            ports[phone].start(sender, (address, PHONE_PORT), tos)

    def _ended(self, phone: str, scheme: str, port: MediaPort) -> dict[str, Any]:
        received = port.receiver.figures
        figures = {
            "sent": port.sender.packets if port.sender is not None else 0,
            "received": received.packets,
            "lost": received.lost,
        }
        self._report("ServiceStreamEnded", phone=phone or "all", scheme=scheme, **figures)
        return {"phone": phone, **figures}
