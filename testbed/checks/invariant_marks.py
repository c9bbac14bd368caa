"""Marks under any faults: every packet carries one that the policy allows its class, but those that a fault remarks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import numpy as np

from testbed.checks.capture import captures
from testbed.checks.facts import fault_windows, first
from testbed.checks.invariant import Outcome, fault_in
from testbed.checks.marking import PacketsParams, marks_of, offence
from testbed.errors import UsageError
from testbed.faults.probing import places_of
from testbed.faults.target import Place, addresses_of
from testbed.packets import TCP, UDP, Mask, Packets
from testbed.policy import Policy
from testbed.recording import Run
from testbed.verdict import Evidence

UNDER_WAY_S = 0.5
"""After a healing, packets that were remarked are still under way: delayed by another fault, or waiting at a slow link."""


def as_policy_says(run: Run, policy: Policy) -> Outcome:
    """In all captures, all the time."""
    read = captures(run)
    wrong: list[Evidence] = []
    figures: dict[str, float] = {"packets": 0.0, "packets_remarked": 0.0}
    for traffic in policy.classes:
        params = PacketsParams.model_validate({"class": traffic, "policy": policy})
        for host, packets in read.items():
            found = marks_of(run, params, packets)
            remarked = _remarked(run, packets)
            own = [index for index in found.wrong if not remarked[index]]
            figures["packets"] += float(sum(found.counts.values()))
            figures["packets_remarked"] += float(len(found.wrong) - len(own))
            wrong += [offence(run, host, packets, index) for index in own]
    figures["marks_wrong"] = float(len(wrong))
    if wrong:
        said = f"{len(wrong)} packets carry another mark than {policy.name} allows: {wrong[0].text}"
        return Outcome(broken=first(wrong), said=said, figures=figures)
    if not figures["packets"]:
        where = f"in {len(read)} captures" if read else "since nothing was captured"
        return Outcome(unknown=f"no packet of {' or '.join(policy.classes)} seen {where}", figures=figures)
    remarked_words = (
        f", {figures['packets_remarked']:.0f} by a fault's hand otherwise" if figures["packets_remarked"] else ""
    )
    return Outcome(
        good=f"{figures['packets']:.0f} packets marked as {policy.name} says{remarked_words}", figures=figures
    )


def _remarked(run: Run, packets: Packets) -> Mask:
    """Packets that pass, or have just passed, the place of a fault that alters marks; seen before it, they may be of the old mark, too."""
    mask: Mask = np.zeros(len(packets), np.bool_)
    for since_s, until_s, place in _altering(run):
        inside = (packets.time_s >= since_s) & (packets.time_s <= until_s)
        for way in place.ways:
            ends = (packets.dst, packets.src) if way == "in" else (packets.src, packets.dst)
            ports = (packets.dport, packets.sport)
            here = _within(ends[0], place.own or addresses_of(place.host))
            there = _within(ends[1], place.peers) if place.peers else np.ones(len(packets), np.bool_)
            meant = np.ones(len(packets), np.bool_)
            if place.protocol:
                meant = packets.proto == {"tcp": TCP, "udp": UDP}.get(place.protocol, 1)
            if place.port:
                meant = meant & ((ports[0] == place.port) | (ports[1] == place.port))
            mask |= inside & here & there & meant
    return mask


def _altering(run: Run) -> Iterator[tuple[float, float, Place]]:
    for window in fault_windows(run):
        fault = fault_in(window)
        if fault is None or not fault.alters_marks:
            continue
        try:
            found = places_of(run.topology, fault)
        except UsageError:
            continue
        for place in found:
            yield window.began_s, window.healed_s + UNDER_WAY_S, place


def _within(addresses: np.ndarray, cidrs: tuple[str, ...]) -> Mask:
    mask: Mask = np.zeros(len(addresses), np.bool_)
    for network in map(ipaddress.IPv4Network, cidrs):
        mask |= (addresses >= int(network.network_address)) & (addresses <= int(network.broadcast_address))
    return mask
