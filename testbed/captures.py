"""Captures of a bed: tcpdump at the NICs of named hosts, its files in the run folder, its counters on record."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from testbed.engine import streams
from testbed.topology import Topology


class Captures:
    """``nic`` gives the id of a host's NIC container; ``record`` writes an event."""

    def __init__(
        self, topology: Callable[[], Topology], nic: Callable[[str], str], record: Callable[..., None]
    ) -> None:
        self._topology, self._nic, self._record = topology, nic, record
        self._running: dict[str, streams.CaptureStream] = {}

    def start(self, hosts: Iterable[str], folder: Path) -> None:
        """Start tcpdump at these hosts' NICs; returns when every one listens."""
        folder.mkdir(parents=True, exist_ok=True)
        topology = self._topology()
        names = [topology.host(name).name for name in dict.fromkeys(hosts)]
        for name in names:
            self._running[name] = streams.CaptureStream(
                self._nic(name), address=topology.host(name).address, host=name, file=folder / f"{name}.pcap"
            )
        for name in names:
            self._running[name].wait_listening()
            self._record("CaptureStarted", capture=name, file=self._running[name].file.name)

    def stop(self, host: str) -> None:
        """End one capture and record its counters; one that ended badly has -1 for them, which no check calls sound."""
        capture = self._running.pop(host)
        counters = capture.stop()
        self._record("CaptureStopped", capture=host, file=capture.file.name, **counters)

    def stop_all(self) -> None:
        """End all captures, side by side."""
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(self.stop, list(self._running)))
