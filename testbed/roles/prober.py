"""Sends probes from a NIC and notes what reaches it. ``python3 -m testbed.roles.prober PARAMETERS``, started by ``docker exec -i``.

Parameters (JSON): ``lanes`` (those that begin here, see testbed.probe), ``witness`` (protocols, tcp or udp, whose packets to this host
are noted too), ``linger_s``. Rows go to stdout, a line each. On stderr, as JSON: ``{"ready": true}`` at the start and, at the end, how
many rows there are. When the input closes (or whoever started it is gone), it goes on for ``linger_s`` and ends.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from testbed.probe import (
    ECHO_HEADER,
    FAILED,
    REPLY,
    REQUEST,
    SENT,
    WITNESSED,
    Lane,
    checksum,
    echo_request,
    fingerprint,
    parse_probe,
)

RECEIVE_BUFFER_BYTES = 4 << 20
"""A second of being held up on a busy machine, at the largest bursts."""
FLUSH_S = 0.5
_SOL_RAW, _ICMP_FILTER = 255, 1
"""linux/icmp.h; the filter's bits name the types a socket does not want."""
_WITNESSED = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}


class Prober:
    """Rows in ``rows`` until they are written. ``open_lane`` gives the socket that a lane sends with."""

    def __init__(self, lanes: list[Lane], now: float) -> None:
        self.rows: list[str] = []
        self.count = 0
        self._lanes = lanes
        self._sequence = [0] * len(lanes)
        # Lanes take turns within the period: no two hosts' requests in one instant.
        self._due = [now + lane.period_s * place / max(1, len(lanes)) for place, lane in enumerate(lanes)]
        self._sockets = [_open_lane(lane) for lane in lanes]

    def next_due(self) -> float:
        """When the next request is due (monotonic)."""
        return min(self._due, default=float("inf"))

    def send_due(self, now: float) -> None:
        """Send what is due. What a pause of this process missed is not made up for: the stream must stay even."""
        for place, lane in enumerate(self._lanes):
            if self._due[place] > now:
                continue
            for _ in range(lane.burst):
                self._send(place, lane)
            missed = int((now - self._due[place]) / lane.period_s)
            self._due[place] += lane.period_s * (missed + 1)

    def _send(self, place: int, lane: Lane) -> None:
        sequence, time_ns = self._sequence[place], time.time_ns()
        self._sequence[place] += 1
        self._row(SENT, lane.number, sequence, time_ns, lane.tos, 0)
        try:
            self._sockets[place].sendto(echo_request(lane, sequence, time_ns), (lane.destination, 0))
        except OSError as error:
            self._row(FAILED, lane.number, sequence, time_ns, lane.tos, error.errno or 0)

    def receive(self, packet: bytes, time_ns: int) -> None:
        """An IP packet with ICMP in it, as a raw socket gives it."""
        message = packet[(packet[0] & 0x0F) * 4 :]
        probe = parse_probe(message)
        if probe is not None:
            what = REPLY if probe.is_reply else REQUEST
            damaged = checksum(message[: ECHO_HEADER.size] + message[ECHO_HEADER.size :]) != 0
            self._row(what, probe.lane, probe.sequence, time_ns, packet[1], int(damaged))

    def witness(self, packet: bytes, time_ns: int) -> None:
        """Any other IP packet."""
        header = (packet[0] & 0x0F) * 4
        mark = fingerprint(packet[12:16], packet[16:20], int.from_bytes(packet[4:6], "big"), packet[header:])
        self._row(WITNESSED, packet[9], mark, time_ns, packet[1], 0)

    def _row(self, *fields: int) -> None:
        self.rows.append(" ".join(map(str, fields)))
        self.count += 1

    def flush(self) -> None:
        """Write the rows there are."""
        if self.rows:
            sys.stdout.write("\n".join(self.rows) + "\n")
            sys.stdout.flush()
            self.rows.clear()


def _open_lane(lane: Lane) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    sock.setsockopt(_SOL_RAW, _ICMP_FILTER, b"\xff\xff\xff\xff")  # it only sends
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, lane.tos)
    sock.bind((lane.source, 0))
    sock.setblocking(False)
    return sock


def _listener(protocol: int) -> socket.socket:
    """Raw: the kernel hands over a copy of every packet of this protocol that is for this host, behind all faults of its link."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    sock.setblocking(False)
    return sock


def _receive_all(sock: socket.socket, take: Any) -> None:
    while True:
        try:
            packet = sock.recv(65536)
        except BlockingIOError:
            return
        take(packet, time.time_ns())


def probe(parameters: dict[str, Any]) -> int:
    """Until the input closes, and ``linger_s`` more."""
    listeners = {_listener(socket.IPPROTO_ICMP): "receive"}
    listeners |= {_listener(_WITNESSED[word]): "witness" for word in parameters.get("witness", ())}
    prober = Prober([Lane.from_json(lane) for lane in parameters["lanes"]], time.monotonic())
    print(json.dumps({"ready": True}), file=sys.stderr, flush=True)
    end, next_flush = float("inf"), time.monotonic() + FLUSH_S
    inputs: list[Any] = [0, *listeners]
    while (now := time.monotonic()) < end:
        prober.send_due(now)
        if now >= next_flush:
            prober.flush()
            next_flush = now + FLUSH_S
        wait_s = max(0.0, min(prober.next_due(), next_flush, end) - time.monotonic())
        for ready in select.select(inputs, [], [], wait_s)[0]:
            if ready != 0:
                _receive_all(ready, getattr(prober, listeners[ready]))
            elif not os.read(0, 65536):
                inputs.remove(0)
                end = time.monotonic() + float(parameters.get("linger_s", 0.0))
    prober.flush()
    print(json.dumps({"rows": prober.count}), file=sys.stderr, flush=True)
    return 0


def main(argv: list[str]) -> int:
    """Entry point in the container."""
    if len(argv) != 1:
        print("usage: prober PARAMETERS (JSON)", file=sys.stderr)
        return 2
    # A dying orchestrator's terminal may signal us too; the end of the input is the only end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return probe(json.loads(argv[0]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
