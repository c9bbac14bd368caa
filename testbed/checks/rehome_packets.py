"""Re-homes once more, from packets alone: from the sign of the fault's effect to the last message of the registration.

A registration ends with the answer to the phone's request for the time (DefineTimeDate, 0x0094). What phones and engine report must agree
with it: a report of re-home times that packets contradict is worth nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from testbed.checks.capture import captures
from testbed.checks.effect import Edge
from testbed.checks.facts import quantiles
from testbed.checks.rehome_times import Rehome
from testbed.packets import Packets, address_number
from testbed.packets.classes import owned
from testbed.packets.sccp import sccp_mask, sccp_messages
from testbed.recording import Run
from testbed.topology import Role
from testbed.verdict import Evidence

DEFINE_TIME_DATE = 0x0094
CONTRADICTION_S = 0.1
"""A report that is further from its packets than a busy machine is late with reading its sockets. How near they are is a figure."""
NEAR_S = 2.0
"""A packet this far from the report of a registration is not its end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """How far reports and packets are apart, in seconds, for each re-home that was captured; ``unseen``: phones whose was not."""

    differ_s: tuple[float, ...]
    worst: Evidence | None
    unseen: tuple[str, ...]

    @property
    def doubt(self) -> str:
        """Why the times cannot be relied on; empty where they can."""
        if self.unseen:
            return f"the registration of {self.unseen[0]} is in no capture"
        if self.worst is not None and max(self.differ_s) > CONTRADICTION_S:
            return f"packets contradict the reported re-home times: {self.worst.text}"
        return ""

    @property
    def figures(self) -> dict[str, float]:
        """How great the differences are, and how many re-homes were measured from packets."""
        return {"measured_from_packets": float(len(self.differ_s)), **quantiles("packets_differ", self.differ_s)}


def agreement(run: Run, rehomes: Sequence[Rehome], began: Edge | None) -> Agreement:
    """``began``: when packets show that what these re-homes are counted from happened; None where they don't tell it to the moment."""
    ends = _ends(run, {(rehome.phone, rehome.at) for rehome in rehomes})
    found: list[tuple[float, Evidence]] = []
    unseen = []
    for rehome in rehomes:
        own = ends.get((rehome.phone, rehome.at), ())
        end = min(own, key=lambda item: abs(item[0] - rehome.registered.time_s), default=None)
        if end is None or abs(end[0] - rehome.registered.time_s) > NEAR_S:
            unseen.append(rehome.phone)
            continue
        end_s, begin_s = rehome.registered.time_s - end[0], _outside(rehome.effect_s, began)
        text = (
            f"{rehome.phone}: reported {rehome.total_s:.3f} s; by packets its registration ended {end_s * 1000:+.1f} ms earlier, "
            f"and what it is counted from was {abs(begin_s) * 1000:.1f} ms {'before' if begin_s < 0 else 'after'} that report"
        )
        found.append((abs(end_s) + abs(begin_s), Evidence(text=text, capture=end[1].file, frame=end[2])))
    worst = max(found, key=lambda item: item[0], default=None)
    return Agreement(
        differ_s=tuple(differ_s for differ_s, _ in found), worst=worst[1] if worst else None, unseen=tuple(unseen)
    )


def _outside(reported_s: float, edge: Edge | None) -> float:
    """How far an instant lies outside what packets leave open; negative before it."""
    if edge is None or edge.before_s is None:
        return 0.0
    if reported_s < edge.before_s:
        return reported_s - edge.before_s
    return max(0.0, reported_s - edge.after_s)


def _ends(run: Run, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], list[tuple[float, Packets, int]]]:
    """(phone, call control) -> (time_s, capture, frame) of its DefineTimeDate messages; at the phones' own NIC where it is captured."""
    phones = {address_number(run.topology.phone_address(phone)): phone for phone, _ in wanted}
    fleets = {host.name for host in run.topology.with_role(Role.PHONE)}
    ends: dict[tuple[str, str], list[tuple[float, Packets, int]]] = {}
    for _, packets in sorted(captures(run).items(), key=lambda item: item[0] not in fleets):
        here: dict[tuple[str, str], list[tuple[float, Packets, int]]] = {}
        for control in {control for _, control in wanted}:
            own = owned(packets.src, [run.topology.host(control)]) & sccp_mask(packets)
            own &= np.isin(packets.dst, np.array(list(phones), np.uint32))
            for message in sccp_messages(packets.only(own)):
                if message.id == DEFINE_TIME_DATE:
                    here.setdefault((phones[message.flow[2]], control), []).append(
                        (message.time_s, packets, message.frame)
                    )
        for key, found in here.items():
            ends.setdefault(key, found)
    return ends
