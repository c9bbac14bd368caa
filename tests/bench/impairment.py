"""What impairments do to packets, measured between two NICs of a small bed of its own, on an internal network.

``near`` sends numbered datagrams to ``far`` at an even pace, ``far`` sends each one back, and the capture at far's NIC has both. So
the time from a datagram's arrival to its answer's departure holds whatever delay far's link has, out or in, on one clock.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from testbed.bed import Bed
from testbed.engine import containers, streams
from testbed.engine.images import build_all
from testbed.faults import fault_of
from testbed.generation import BedSpec
from testbed.live import Recorder
from testbed.packets import UDP, read_capture

ECHO_PORT = 7007
RTP_PAYLOAD_BYTES = 172
"""RTP header and 20 ms of G.711."""

_PROJECT = """
services:
  near:
    image: testbed-node
    entrypoint: [sleep, "600"]
    labels: {testbed.host: "true"}
  far:
    image: testbed-node
    entrypoint: [python3, -c]
    command:
      - |
        import socket
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.bind(("", PORT))
        while True:
            content, peer = sock.recvfrom(2048)
            sock.sendto(content, peer)
    labels: {testbed.host: "true"}
networks:
  default: {internal: true}
"""

_SENDER = """
import json, select, socket, sys, time
address, port, rate, seconds, size = sys.argv[1], *map(float, sys.argv[2:6])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
sock.connect((address, int(port)))
sock.setblocking(False)
total, sent, back, refused = int(rate * seconds), 0, [], 0
began = time.monotonic()
while (now := time.monotonic()) < began + seconds + 1.5:
    while sent < total and began + sent / rate <= now:
        try:
            sock.send(sent.to_bytes(8, "big").ljust(int(size), b"."))
        except BlockingIOError:
            refused += 1
        sent += 1
    wait = began + sent / rate - now if sent < total else 0.05
    if select.select([sock], [], [], max(0.0, wait))[0]:
        try:
            while True:
                back.append(int.from_bytes(sock.recv(2048)[:8], "big"))
        except BlockingIOError:
            pass
print(json.dumps({"sent": sent, "refused": refused, "back": len(back), "distinct": len(set(back)),
                  "in_order": back == sorted(back), "took_s": time.monotonic() - began}))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One stream of datagrams. ``delays_s``: at far's NIC, from arrival to the answer's departure, of each that was answered."""

    sent: int
    distinct: int
    back: int
    in_order: bool
    arrived: int
    delays_s: tuple[float, ...]
    means: str
    command_to_effect_s: float

    @property
    def lost(self) -> int:
        """Datagrams of which no answer came back."""
        return self.sent - self.distinct

    def delay_s(self, percentile: float) -> float:
        """This percentile of the delays."""
        return float(np.percentile(self.delays_s, percentile)) if self.delays_s else float("nan")

    def figures(self) -> str:
        """In one line."""
        share = f"{self.lost} of {self.sent} lost, {self.back - self.distinct} twice"
        delays = " / ".join(f"{self.delay_s(percentile) * 1e3:.2f}" for percentile in (5, 50, 95, 100))
        return f"{share}; delay p5 / p50 / p95 / max {delays} ms; by {self.means or 'nothing'}"


class Pair:
    """The two hosts, up."""

    def __init__(self, bed: Bed, folder: Path) -> None:
        self.bed, self._folder, self._number = bed, folder, 0

    def measure(self, *, rate_s: float, seconds: float, kind: str = "", at: str = "far", **parameters: Any) -> Measured:
        """Send at this rate for so long under this fault (none: under no fault); the kernel's state is read back after it."""
        bed = self.bed
        self._number += 1
        folder = self._folder / str(self._number)
        confirmed: dict[str, Any] = {}
        injected = bed.injector.inject(fault_of(kind, at, **parameters)) if kind else None
        if injected:
            confirmed = self._confirmed()
        bed.captures.start(["far"], folder)
        address = bed.topology.host("far").address
        argv = ["python3", "-c", _SENDER, *map(str, (address, ECHO_PORT, rate_s, seconds, RTP_PAYLOAD_BYTES))]
        said = json.loads(bed.run_in("near", argv))
        bed.captures.stop("far")
        if injected:
            bed.injector.heal(injected)
        arrived, delays_s = _delays(folder / "far.pcap")
        return Measured(
            sent=said["sent"],
            distinct=said["distinct"],
            back=said["back"],
            in_order=said["in_order"],
            arrived=arrived,
            delays_s=delays_s,
            means=confirmed.get("means", ""),
            command_to_effect_s=confirmed.get("effect_s", 0.0) - confirmed.get("began_s", 0.0),
        )

    def command_to_effect_s(self, times: int, kind: str = "delay", **parameters: Any) -> list[float]:
        """Seconds from the command until the fault is in effect, so many times."""
        bed = self.bed
        fault = fault_of(kind, "far", **(parameters or {"by": "50ms"}))
        bed.injector.prepare([fault])
        taken = []
        for _ in range(times):
            injected = bed.injector.inject(fault)
            taken.append(injected.effect_s - injected.began_s)
            bed.injector.heal(injected)
        return taken

    def means(self) -> str:
        """By what the latest fault was done."""
        return str(self._confirmed()["means"])

    def in_nic(self, *argv: str) -> str:
        """Run a command in far's NIC; its output."""
        nic = next(c for c in containers.containers(self.bed.topology.bed) if c.is_nic and c.host == "far")
        return streams.exec_once(nic.id, list(argv), timeout_s=30)

    def _confirmed(self) -> dict[str, Any]:
        lines = (self._folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
        return next(event for line in reversed(lines) if (event := json.loads(line))["name"] == "FaultConfirmed")


@contextmanager
def pair(name: str, images: dict[str, str] | None = None) -> Iterator[Pair]:
    """A bed of this name, with two hosts; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="testbed-") as temporary:
        folder = Path(temporary)
        (folder / "project.yaml").write_text(_PROJECT.replace("PORT", str(ECHO_PORT)), encoding="utf-8")
        spec = BedSpec(name=name, files=(folder / "project.yaml",), phones=0, profile="quick")
        recorder = Recorder(folder / "history.jsonl")
        images = images or build_all(lambda _: None)
        with Bed.up(spec, images=images, recorder=recorder, progress=lambda _: None) as bed:
            yield Pair(bed, folder)


def _delays(file: Path) -> tuple[int, tuple[float, ...]]:
    """(datagrams that arrived, seconds from each one's arrival to its answer)."""
    packets = read_capture(file)
    came: dict[bytes, float] = {}
    delays: dict[bytes, float] = {}
    for index in np.flatnonzero(packets.proto == UDP):
        number, time_s = packets.payload(int(index))[:8], float(packets.time_s[index])
        if packets.dport[index] == ECHO_PORT:
            came.setdefault(number, time_s)
        elif packets.sport[index] == ECHO_PORT and number in came:
            delays.setdefault(number, time_s - came[number])
    return len(came), tuple(delays.values())


def rows(name: str = "bench-impairment") -> list[tuple[str, str, str]]:
    """(what, asked, measured) for `make bench`."""
    with pair(name) as hosts:
        plain = hosts.measure(rate_s=2000, seconds=5)
        delayed = hosts.measure(rate_s=2000, seconds=5, kind="delay", by="50ms")
        inward = hosts.measure(rate_s=2000, seconds=5, kind="delay", by="50ms", direction="in")
        taken = sorted(hosts.command_to_effect_s(20))
    asked = "0 lost, p95 within 45-55 ms"
    return [
        ("echo at 2,000 packets/s without a fault", "0 lost", plain.figures()),
        ("delay of 50 ms out of a host at 2,000 packets/s", asked, delayed.figures()),
        ("delay of 50 ms into a host at 2,000 packets/s", asked, inward.figures()),
        (
            "command to effect of a delay, 20 times",
            "p95 ≤ 20 ms",
            f"p50 {statistics.median(taken) * 1e3:.1f} ms, p95 {taken[18] * 1e3:.1f} ms",
        ),
    ]


if __name__ == "__main__":
    for row in rows():
        Console(width=150, markup=False, highlight=False).print(*row, sep="\n  ")
