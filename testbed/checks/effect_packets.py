"""Which packets tell of a fault at a place: probes of the lanes it is about, bystanders of those it must leave alone, and, where it is
about one protocol, that protocol's own packets beside what the host's kernel got of them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from testbed.checks.capture import captures
from testbed.checks.effect import Mask, Units
from testbed.checks.facts import FaultWindow
from testbed.checks.probes import LaneView, ProbeView, Stage
from testbed.errors import BedError
from testbed.faults import Fault, fault_of
from testbed.faults.base import Way
from testbed.faults.probing import places_of
from testbed.faults.target import Place
from testbed.packets import TCP, UDP, Packets
from testbed.packets.classes import owned
from testbed.probe import FINGERPRINT_BYTES, fingerprint
from testbed.recording import Run

AFTERMATH_S = 0.3
"""How long after its healing another fault may still be seen: neighbours resolve addresses anew, TCP sends again."""

_PROTOCOLS = {"tcp": TCP, "udp": UDP}


class Observed:
    """A run as proofs read it: its probes, its faults, its captures."""

    def __init__(self, run: Run, windows: Sequence[FaultWindow]) -> None:
        self.run, self.windows = run, windows
        self.probes = ProbeView(run)
        self.captures = captures(run)
        self._places: dict[int, tuple[Place, ...]] = {}

    def capture(self, host: str) -> Packets | None:
        """The capture at this host, where there is one that can be read."""
        return self.captures.get(host)

    def fault(self, window: FaultWindow) -> Fault | None:
        """The fault as the scenario wrote it; None where the history does not hold it whole."""
        target = window.confirmed["target"]
        try:
            return fault_of(window.kind, str(target), **{k: v for k, v in window.parameters.items() if k != "at"})
        except (BedError, TypeError):
            return None

    def places(self, window: FaultWindow) -> tuple[Place, ...]:
        """Where it happens to packets; none where that cannot be told any more."""
        key = window.confirmed.index
        if key not in self._places:
            fault = self.fault(window)
            try:
                self._places[key] = places_of(self.run.topology, fault) if fault else ()
            except BedError:
                self._places[key] = ()
        return self._places[key]

    def undisturbed(self, view: LaneView, time_s: npt.NDArray[np.float64], window: FaultWindow) -> Mask:
        """Which of these times are not within another fault that could do the same to probes of this lane."""
        clear = np.ones(len(time_s), np.bool_)
        for other in self.windows:
            if other is window or _is_marking(other) != _is_marking(window):
                continue
            if any(is_about(place, view) for place in self.places(other)):
                clear &= (time_s < other.began_s) | (time_s > other.healed_s + AFTERMATH_S)
        return clear


def _is_marking(window: FaultWindow) -> bool:
    return window.kind in ("bleach", "remark")


def is_about(place: Place, view: LaneView) -> bool:
    """Whether a lane's probes are among the packets meant: they are ICMP between its two ends."""
    lane = view.lane
    if lane.to == place.host.name:
        own, peer = lane.destination, lane.source
    elif lane.from_ == place.host.name:
        own, peer = lane.source, lane.destination
    else:
        return False
    return place.protocol in ("", "icmp") and _holds(place.own, own) and _holds(place.peers, peer)


def _holds(cidrs: Iterable[str], address: str) -> bool:
    blocks = [ipaddress.ip_network(cidr) for cidr in cidrs]
    return not blocks or any(ipaddress.ip_address(address) in block for block in blocks)


def passage(observed: Observed, view: LaneView, host: str, way: Way, window: FaultWindow) -> Units | None:
    """Requests of this lane at the host's link; a hit is one that did not pass it. None where it does not run this way."""
    if way == "in":
        if view.lane.to != host or not {"in", "got"} <= view.available:
            return None
        return _units(observed, view, window, f"into {host}", seen="in", passed="got", sent="in")
    if view.lane.from_ != host or not {"sent", "out"} <= view.available:
        return None
    return _units(observed, view, window, f"out of {host}", seen="out", passed="out", sent="sent")


def arrival(observed: Observed, view: LaneView, host: str, window: FaultWindow) -> Units | None:
    """Requests of this lane to the host; a hit is one that did not even come to its link."""
    if view.lane.to != host or not {"sent", "in"} <= view.available:
        return None
    return _units(observed, view, window, f"to {host}", seen="in", passed="in", sent="sent")


def _units(
    observed: Observed, view: LaneView, window: FaultWindow, where: str, *, seen: Stage, passed: Stage, sent: Stage
) -> Units:
    there = view[sent].there
    time_s = np.where(view[seen].there, view[seen].time_s, view[sent].time_s)
    begin_s, end_s = view.span_s
    keep = there & (time_s >= begin_s) & (time_s <= end_s)
    keep &= observed.undisturbed(view, np.where(keep, time_s, 0.0), window)
    where = f"{where} (probes {view.lane.from_} to {view.lane.to})"
    return Units.ordered(where, time_s[keep], ~view[passed].there[keep], view[seen].index[keep], view[seen].packets)


def lanes_about(observed: Observed, place: Place) -> tuple[list[LaneView], list[LaneView]]:
    """(lanes whose probes are meant, lanes of the same host whose probes are not)."""
    views = observed.probes.of_host(place.host.name)
    return [view for view in views if is_about(place, view)], [view for view in views if not is_about(place, view)]


def meant(place: Place, packets: Packets, way: Way) -> Mask:
    """Packets in the capture at the place's host that are meant, on their way in or out. Probes and what is not IPv4 are not."""
    wanted = [_PROTOCOLS[place.protocol]] if place.protocol in _PROTOCOLS else list(_PROTOCOLS.values())
    mask = crossing(place, packets, way) & np.isin(packets.proto, wanted)
    if place.port:
        mask = mask & ((packets.sport == place.port) | (packets.dport == place.port))
    return mask


def crossing(place: Place, packets: Packets, way: Way) -> Mask:
    """IPv4 packets in the capture at the place's host between the addresses meant, on their way in or out, probes included."""
    own, peer = (packets.dst, packets.src) if way == "in" else (packets.src, packets.dst)
    mask: Mask = owned(own, [place.host]) if not place.own else _inside(own, place.own)
    return mask & _inside(peer, place.peers) if place.peers else mask


def _inside(addresses: npt.NDArray[np.uint32], cidrs: Sequence[str]) -> Mask:
    mask = np.zeros(len(addresses), np.bool_)
    for cidr in cidrs:
        block = ipaddress.IPv4Network(cidr)
        mask |= (addresses >= int(block.network_address)) & (addresses <= int(block.broadcast_address))
    return mask


def fingerprints(packets: Packets, index: npt.NDArray[np.int64]) -> Iterator[int]:
    """As the witness notes them; ``index`` names TCP or UDP packets."""
    for number in index.tolist():
        source, destination = (int(column[number]).to_bytes(4, "big") for column in (packets.src, packets.dst))
        at = int(packets.payload_at[number])
        begin = at - (8 if packets.proto[number] == UDP else _tcp_header(packets, number))
        end = min(begin + FINGERPRINT_BYTES, at + int(packets.payload_len[number]))
        yield fingerprint(source, destination, int(packets.ip_id[number]), bytes(packets.data[begin:end]))


def _tcp_header(packets: Packets, number: int) -> int:
    """Its length: the payload's place is known, the ports are where the header begins."""
    at = int(packets.payload_at[number])
    ports = int(packets.sport[number]).to_bytes(2, "big") + int(packets.dport[number]).to_bytes(2, "big")
    ports += int(packets.seq[number]).to_bytes(4, "big")
    return next((size for size in range(20, 64, 4) if packets.data[at - size : at - size + 8] == ports), 20)
