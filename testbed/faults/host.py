"""Faults of a host: it ends in order (stop), at once (kill), stops answering (freeze), comes again (restart), or goes dark (power-off).

Its NIC, address and captures live on. Peers see FIN then RST after a stop, FIN or RST after a kill, after a freeze a TCP that still
acknowledges with nobody behind it, and after a power-off nothing at all.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar

from testbed.faults.base import EngineAction, Family, Fault, OnWorkload, Plan
from testbed.faults.draw import Drawn, a_host
from testbed.faults.link import LinkCut
from testbed.topology import Topology


class _HostFault(Fault):
    family: ClassVar[Family] = "host"
    do: ClassVar[EngineAction]
    undo: ClassVar[EngineAction | None]

    @classmethod
    def drawn(cls, topology: Topology, chance: Random) -> Drawn | None:
        """At a host that is asked for something."""
        at = a_host(topology, chance)
        return {"at": at} if at else None

    def plan(self, topology: Topology, fault_id: str) -> Plan:
        """One engine action and its opposite."""
        name = topology.host(self.at).name
        return Plan(acts=(OnWorkload(host=name, do=self.do, undo=self.undo),))

    def claims(self, topology: Topology) -> frozenset[str]:
        """The workload."""
        return frozenset({f"workload:{self.at}"})


class HostStop(_HostFault):
    """SIGTERM, and SIGKILL after the grace period."""

    kind: ClassVar[str] = "stop"
    help: ClassVar[str] = "the host's workload ends in order (SIGTERM): connections closed, new ones refused"
    example: ClassVar[str] = "{stop: ccm-1}"
    do: ClassVar[EngineAction] = "stop"
    undo: ClassVar[EngineAction | None] = "start"


class HostKill(_HostFault):
    """SIGKILL."""

    kind: ClassVar[str] = "kill"
    help: ClassVar[str] = "the host's workload ends at once (SIGKILL): connections reset, new ones refused"
    example: ClassVar[str] = "{kill: ccm-1}"
    do: ClassVar[EngineAction] = "kill"
    undo: ClassVar[EngineAction | None] = "start"


class HostFreeze(_HostFault):
    """The cgroup freezer."""

    kind: ClassVar[str] = "freeze"
    help: ClassVar[str] = "the host's workload stops answering (cgroup freezer): TCP still acknowledges, nobody answers"
    example: ClassVar[str] = "{freeze: ccm-1}"
    do: ClassVar[EngineAction] = "pause"
    undo: ClassVar[EngineAction | None] = "unpause"


class HostRestart(_HostFault):
    """SIGTERM, and started again at once: over when it runs again, so healing has nothing left to do."""

    kind: ClassVar[str] = "restart"
    help: ClassVar[str] = (
        "the host's workload ends in order and starts again at once: connections closed, refused a moment"
    )
    example: ClassVar[str] = "{restart: ccm-1}"
    momentary: ClassVar[bool] = True
    do: ClassVar[EngineAction] = "restart"
    undo: ClassVar[EngineAction | None] = "start"


class HostPowerOff(_HostFault):
    """Cut first, so that no FIN or RST of the dying workload gets out."""

    kind: ClassVar[str] = "power-off"
    help: ClassVar[str] = "the host goes dark: its link is cut, then its workload killed; nobody is told anything"
    example: ClassVar[str] = "{power-off: ccm-1}"
    do: ClassVar[EngineAction] = "kill"
    undo: ClassVar[EngineAction | None] = "start"

    def plan(self, topology: Topology, fault_id: str) -> Plan:
        """A cut and a kill; the workload starts before the link comes back."""
        name = topology.host(self.at).name
        cut = LinkCut(at=name).plan(topology, fault_id)
        return Plan(acts=(*cut.acts, OnWorkload(host=name, do=self.do, undo=self.undo)))
