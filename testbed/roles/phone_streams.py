"""Audio that services start and stop on phones: RTPRx, RTPTx and their multicast forms. What a phone sends so carries no mark."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.browser.uri import RTP_PORTS, Stream, Uri, stream_of
from testbed.roles.common import Reporter
from testbed.roles.media import Media, MediaPort
from testbed.rtp import SAMPLES, Sender

if TYPE_CHECKING:
    from testbed.roles.phone_fleet import Seat

UNMARKED_TOS = 0
"""Table 11-4: RTP that an IP phone service initiates is not marked; the page knows no way to tell a phone otherwise."""
SCHEMES = ("RTPRx", "RTPTx", "RTPMRx", "RTPMTx")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Running:
    stream: Stream
    port: MediaPort
    began_s: float


class PhoneStreams:
    """Of all phones of a process: one stream of each scheme a phone; a new one takes the place of the old."""

    def __init__(self, report: Reporter, *, interface: str = "", tos: int = UNMARKED_TOS) -> None:
        """``interface``: the host's own address, by which multicast goes; ``tos``: of what phones send."""
        self._report, self._interface, self._tos = report, interface, tos
        self._media: Media | None = None
        self._running: dict[tuple[int, str], _Running] = {}
        self._last: dict[int, _Running] = {}

    def perform(self, seat: Seat, uri: Uri) -> str:
        """Start or stop; what the phone says of it: "" for done, a port that it chose, or ``Failure: …``."""
        stream = stream_of(uri)
        self._stop(seat, stream.scheme)
        if stream.is_stop:
            return ""
        if seat.machine is not None and seat.machine.in_call:
            return "Failure: in a call"
        try:
            port = self._open(seat, stream)
        except OSError as error:
            self._report(
                "ServiceStreamFailed", phone=seat.device_name, uri=str(uri), error=error.strerror or str(error)
            )
            return "Failure: no port"
        running = _Running(stream=stream, port=port, began_s=time.time())
        self._running[seat.index, stream.scheme] = self._last[seat.index] = running
        particulars = {"scheme": stream.scheme, "address": stream.address, "port": stream.port or port.port}
        self._report("ServiceStreamStarted", phone=seat.device_name, **particulars)
        return "" if stream.port else str(port.port)

    def forget(self, seat: Seat) -> None:
        """The phone restarts."""
        for scheme in SCHEMES:
            self._stop(seat, scheme)
        self._last.pop(seat.index, None)

    def close(self) -> None:
        """Let go of everything."""
        if self._media is not None:
            self._media.close()

    def figures(self, seat: Seat) -> dict[str, str]:
        """Of the stream that was started last, as the page StreamingStatistics names them."""
        running = self._last.get(seat.index)
        if running is None:
            return {"StreamStatus": "Not Ready"}
        received, port = running.port.receiver.figures, running.port
        return {
            "RemoteAddr": f"{running.stream.address}/{running.stream.port}",
            "LocalAddr": f"{port.address}/{port.port}",
            "StartTime": time.strftime("%H:%M:%S", time.gmtime(running.began_s)),
            "StreamStatus": "Active" if running in self._running.values() else "Not Ready",
            "SenderPackets": str(_packets(port)),
            "SenderOctets": str(_packets(port) * SAMPLES),
            "SenderCodec": "G.711u",
            "RcvrLostPackets": str(max(0, received.lost)),
            "AvgJitter": str(round(received.jitter_s * 1000)),
            "RcvrCodec": "G.711u",
            "RcvrPackets": str(received.packets),
            "RcvrOctets": str(received.octets),
        }

    def _open(self, seat: Seat, stream: Stream) -> MediaPort:
        if self._media is None:
            self._media = Media(interface=self._interface)
        if stream.sends:
            port = self._media.open(seat.address)
            draw, now = random.getrandbits, time.monotonic()
            sender = Sender(ssrc=draw(32), sequence=draw(16), timestamp=draw(32), now=now)
            port.start(sender, (stream.address, stream.port), self._tos)
            return port
        group = stream.address if stream.is_multicast else ""
        return self._media.open(seat.address, stream.port or RTP_PORTS[0], group=group)

    def _stop(self, seat: Seat, scheme: str) -> None:
        running = self._running.pop((seat.index, scheme), None)
        if running is None:
            return
        running.port.close()
        received = running.port.receiver.figures
        self._report(
            "ServiceStreamStopped",
            phone=seat.device_name,
            scheme=scheme,
            sent=_packets(running.port),
            received=received.packets,
            lost=received.lost,
            jitter_s=round(received.jitter_s, 6),
        )


def _packets(port: MediaPort) -> int:
    return port.sender.packets if port.sender is not None else 0
