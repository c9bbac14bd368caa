"""A run as it lies on disk: what checks and reports read. No Docker, no clock; the same folder gives the same verdicts anywhere."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.errors import UsageError
from testbed.history import History
from testbed.profile import Profile
from testbed.topology import Role, Topology, topology_from_json

if TYPE_CHECKING:
    from testbed.packets import Packets
    from testbed.packets.exchange import Exchange

_DAMAGED = "the run folder is damaged: run the scenario again, or copy the folder anew from where it was recorded"


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
        """The bed as it was; UsageError where the file does not hold a whole one."""
        file = self.path / "topology.json"
        try:
            topology = topology_from_json(json.loads(file.read_text(encoding="utf-8")))
            _take_stock(topology)
        except KeyError as error:
            raise UsageError(f"{file} holds no bed: {error} is missing or unknown", hint=_DAMAGED) from None
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise UsageError(f"{file} holds no bed: {str(error).splitlines()[0]}", hint=_DAMAGED) from None
        return topology

    @cached_property
    def scenario(self) -> Mapping[str, Any]:
        """The scenario as plain values, whatever kinds it names; ScenarioError where the file is no YAML mapping."""
        from testbed.document import read_document

        return read_document(self.path / "scenario.yaml").value

    @property
    def profile(self) -> Profile:
        """The timers the bed ran with."""
        return self.topology.timers

    @cached_property
    def history(self) -> History:
        """All events; UsageError where the file cannot be read."""
        file = self.path / "history.jsonl"
        try:
            return History.read(file)
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}", hint=_DAMAGED) from None

    def capture_path(self, host: str) -> Path | None:
        """The capture taken at this host's NIC, or None. Looked up, not put together: a damaged history may name any path."""
        found = {path.stem: path for path in (self.path / "captures").glob("*.pcap") if path.is_file()}
        return found.get(host)

    def probe_text(self, host: str) -> str | None:
        """What the prober at this host's NIC noted (testbed.probe has its rows), or None."""
        found = {path.stem: path for path in (self.path / "probes").glob("*.rows") if path.is_file()}
        return found[host].read_text(encoding="ascii", errors="replace") if host in found else None

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

    @cached_property
    def _exchanges(self) -> dict[str, list[Exchange]]:
        return {}

    def exchanges(self, packets: Packets) -> list[Exchange]:
        """HTTP exchanges in one of this run's captures (read once)."""
        from testbed.packets import TCP
        from testbed.packets.exchange import exchanges

        if packets.file not in self._exchanges:
            self._exchanges[packets.file] = exchanges(packets, packets.proto == TCP)
        return self._exchanges[packets.file]


def _take_stock(topology: Topology) -> None:
    """Ask for all that checks will ask for: a value of the wrong sort raises here, and nowhere later."""
    if not (topology.timers and all(isinstance(phone, str) for phone in topology.phones)):
        raise ValueError("no timers")
    for role in Role:
        topology.with_role(role)
    for host in topology.hosts:
        for address in (*host.addresses, *(link.address for link in host.links if link.address)):
            ipaddress.IPv4Address(address)
        if host.phone_prefix:
            ipaddress.IPv4Network(host.phone_prefix)
