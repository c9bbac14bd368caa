"""Faults of a host: it ends in order (stop), at once (kill), or stops answering (freeze). Its NIC, address and captures live on.

Peers see FIN then RST after a stop, FIN or RST after a kill, and after a freeze a TCP that still acknowledges, with nobody behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from testbed.faults.base import EngineAction, OnWorkload, Plan
from testbed.topology import Topology


@dataclass(frozen=True, slots=True)
class _HostFault:
    target: str

    do: ClassVar[EngineAction]
    undo: ClassVar[EngineAction]

    def plan(self, topology: Topology, fault_id: str) -> Plan:
        """One engine action and its opposite."""
        name = topology.host(self.target).name
        return Plan(do=OnWorkload(host=name, action=self.do), undo=OnWorkload(host=name, action=self.undo))


@dataclass(frozen=True, slots=True)
class HostStop(_HostFault):
    """SIGTERM, and SIGKILL after the grace period."""

    kind: ClassVar[str] = "stop"
    help: ClassVar[str] = "the host's workload ends in order (SIGTERM): connections closed, new ones refused"
    do: ClassVar[EngineAction] = "stop"
    undo: ClassVar[EngineAction] = "start"


@dataclass(frozen=True, slots=True)
class HostKill(_HostFault):
    """SIGKILL."""

    kind: ClassVar[str] = "kill"
    help: ClassVar[str] = "the host's workload ends at once (SIGKILL): connections reset, new ones refused"
    do: ClassVar[EngineAction] = "kill"
    undo: ClassVar[EngineAction] = "start"


@dataclass(frozen=True, slots=True)
class HostFreeze(_HostFault):
    """The cgroup freezer."""

    kind: ClassVar[str] = "freeze"
    help: ClassVar[str] = "the host's workload stops answering (cgroup freezer): TCP still acknowledges, nobody answers"
    do: ClassVar[EngineAction] = "pause"
    undo: ClassVar[EngineAction] = "unpause"
