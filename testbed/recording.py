"""A run as it lies on disk: what checks and reports read. No Docker, no clock; the same folder gives the same verdicts anywhere."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import UsageError
from testbed.history import History
from testbed.profile import Profile
from testbed.topology import Topology, topology_from_json

if TYPE_CHECKING:
    from testbed.packets import Packets


class Run:
    """One execution and its folder: ``scenario.yaml topology.json history.jsonl captures/<host>.pcap verdicts.json versions.json``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def open(cls, path: Path) -> Run:
        """The run in this folder; UsageError names what is missing."""
        missing = [name for name in ("scenario.yaml", "topology.json", "history.jsonl") if not (path / name).is_file()]
        if missing:
            raise UsageError(
                f"{path} is no run folder: it has no {', '.join(missing)}",
                hint="runs are kept under runs/; `ls runs` shows them",
            )
        return cls(path)

    @cached_property
    def topology(self) -> Topology:
        """The bed as it was."""
        return topology_from_json(json.loads((self.path / "topology.json").read_text(encoding="utf-8")))

    @property
    def profile(self) -> Profile:
        """The timers the bed ran with."""
        return self.topology.timers

    @cached_property
    def history(self) -> History:
        """All events."""
        return History.read(self.path / "history.jsonl")

    def capture_path(self, host: str) -> Path | None:
        """The capture taken at this host's NIC, or None."""
        path = self.path / "captures" / f"{host}.pcap"
        return path if path.is_file() else None

    @cached_property
    def _packets(self) -> dict[str, Packets]:
        return {}

    def packets(self, host: str) -> Packets | None:
        """Packets seen at this host's NIC (read once), or None where nothing was captured there."""
        from testbed.packets import read_capture

        path = self.capture_path(host)
        if path is None:
            return None
        if host not in self._packets:
            self._packets[host] = read_capture(path)
        return self._packets[host]
