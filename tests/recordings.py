"""Recordings made by hand: captures written with struct, histories written as events, and whole run folders of both.

The bed is Figure 11-4's with two phones and a keepalive of one second (profile quick). A story puts down a run in which everything
is as it should be; a test then spoils one thing. Times are seconds after ``T0``.
"""

from __future__ import annotations

import ipaddress
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from testbed.history import Event
from testbed.packets import ACK, CANARY_TAG, ETHERTYPE_CANARY, FIN, RST, SYN, TCP, UDP
from testbed.recording import Run
from testbed.topology import Host, Link, Role, Topology

T0 = 1_700_000_000.0
AF31_TOS = 104
PHONES = ("SEP020000000001", "SEP020000000002")
PHONE_ADDRESSES = ("172.26.16.1", "172.26.16.2")
ADDRESSES = {
    "slb": "172.26.1.1",
    "ccm-1": "172.26.1.100",
    "ccm-bk": "172.26.1.101",
    "tftp": "172.26.1.10",
    "web-1": "172.26.1.111",
    "web-2": "172.26.1.112",
    "proxy": "172.26.1.20",
    "outside-web": "198.18.26.80",
    "phones-1": "172.26.2.1",
}
SERVICES_VIP = "172.26.1.2"
_ROLES = {
    "slb": Role.SLB,
    "ccm-1": Role.CALL_CONTROL,
    "ccm-bk": Role.CALL_CONTROL,
    "tftp": Role.TFTP_SERVER,
    "web-1": Role.WEB_HOST,
    "web-2": Role.WEB_HOST,
    "proxy": Role.PROXY,
    "outside-web": Role.OTHER,
    "phones-1": Role.PHONE,
}


def bed(*, phones: int = len(PHONES), profile: str = "quick") -> Topology:
    """Figure 11-4 with one phones host."""
    hosts = tuple(
        Host(
            name=name,
            role=_ROLES[name],
            links=(Link(host=name, network="bed", address=address),),
            image="testbed-node:0",
            rank=1 if name in ("ccm-bk", "web-2") else 0,
            addresses=(SERVICES_VIP,) if name == "slb" else (),
            phone_prefix="172.26.16.0/21" if name == "phones-1" else "",
            phones=phones if name == "phones-1" else 0,
        )
        for name, address in ADDRESSES.items()
    )
    return Topology(bed="test", prefix="172.26.0.0/16", profile=profile, hosts=hosts)


def ethernet(ethertype: int, payload: bytes) -> bytes:
    """A frame between two locally administered addresses."""
    return bytes.fromhex("0242ac1a0101 0242ac1a0102") + struct.pack(">H", ethertype) + payload


def ipv4(src: str, dst: str, proto: int, payload: bytes, *, tos: int = 0, ip_id: int = 0) -> bytes:
    """A packet with a correct header checksum."""
    header = struct.pack(
        ">BBHHHBBH4s4s",
        *(0x45, tos, 20 + len(payload), ip_id, 0x4000, 64, proto, 0),
        *(ipaddress.IPv4Address(address).packed for address in (src, dst)),
    )
    total = sum(struct.unpack(">10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return header[:10] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + header[12:] + payload


def sccp(message_id: int, body: bytes = b"") -> bytes:
    """A message with header version 0."""
    return struct.pack("<III", 4 + len(body), 0, message_id) + body


@dataclass
class Wire:
    """What one NIC saw; frames may be added in any order of time."""

    frames: list[tuple[float, bytes]] = field(default_factory=list)

    def add(self, at_s: float, frame: bytes) -> None:
        self.frames.append((at_s, frame))

    def udp(self, at_s: float, src: tuple[str, int], dst: tuple[str, int], payload: bytes, *, tos: int = 0) -> None:
        datagram = struct.pack(">HHHH", src[1], dst[1], 8 + len(payload), 0) + payload
        self.add(at_s, ethernet(0x0800, ipv4(src[0], dst[0], UDP, datagram, tos=tos)))

    def canary(self, at_s: float, host: str, place: str) -> None:
        record = json.dumps({"host": host, "place": place}).encode()
        self.add(at_s, ethernet(ETHERTYPE_CANARY, (CANARY_TAG + record).ljust(46, b"\x00")))

    def pcap(self, *, order: str = "<", nanoseconds: bool = False, snaplen: int = 262_144) -> bytes:
        """The file that tcpdump would have written."""
        unit = 1_000_000_000 if nanoseconds else 1_000_000
        magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
        parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, 1)]
        for at_s, frame in sorted(self.frames, key=lambda item: item[0]):
            ticks = round((T0 + at_s) * unit)
            kept = frame[:snaplen]
            parts.append(struct.pack(order + "IIII", ticks // unit, ticks % unit, len(kept), len(frame)) + kept)
        return b"".join(parts)


@dataclass
class Connection:
    """A TCP connection whose packets every one of these wires sees; sequence numbers are kept."""

    wires: list[Wire]
    client: tuple[str, int]
    server: tuple[str, int]
    client_tos: int = 0
    server_tos: int = 0
    client_seq: int = 1000
    server_seq: int = 0xFFFF_FFF0

    def packet(self, at_s: float, *, up: bool, flags: int = ACK, payload: bytes = b"", tos: int | None = None) -> None:
        src, dst = (self.client, self.server) if up else (self.server, self.client)
        seq, ack = (self.client_seq, self.server_seq) if up else (self.server_seq, self.client_seq)
        segment = struct.pack(">HHIIBBHHH", src[1], dst[1], seq, ack, 0x50, flags, 65535, 0, 0) + payload
        marked = (self.client_tos if up else self.server_tos) if tos is None else tos
        frame = ethernet(0x0800, ipv4(src[0], dst[0], TCP, segment, tos=marked))
        for wire in self.wires:
            wire.add(at_s, frame)
        used = len(payload) + (1 if flags & (SYN | FIN) else 0)
        if up:
            self.client_seq = (self.client_seq + used) % 2**32
        else:
            self.server_seq = (self.server_seq + used) % 2**32

    def open(self, at_s: float) -> None:
        self.packet(at_s, up=True, flags=SYN)
        self.packet(at_s + 0.0001, up=False, flags=SYN | ACK)
        self.packet(at_s + 0.0002, up=True)

    def send(self, at_s: float, payload: bytes, *, up: bool) -> None:
        self.packet(at_s, up=up, payload=payload)

    def close(self, at_s: float, *, up: bool) -> None:
        self.packet(at_s, up=up, flags=FIN | ACK)

    def reset(self, at_s: float, *, up: bool) -> None:
        self.packet(at_s, up=up, flags=RST)


class Recording:
    """A run folder in the making."""

    def __init__(self, topology: Topology | None = None) -> None:
        self.topology = topology or bed()
        self.events: list[Event] = []
        self.wires: dict[str, Wire] = {}
        self.rows: dict[str, list[tuple[int, ...]]] = {}
        """Host -> what its prober noted (testbed.probe)."""
        self.scenario = "scenario: by-hand\n"

    def event(self, at_s: float, host: str, name: str, **data: Any) -> None:
        self.events.append(Event(time_s=T0 + at_s, host=host, name=name, data=data))

    def drop(self, name: str, **particulars: Any) -> int:
        """Take these events out; how many there were."""
        kept = [event for event in self.events if not self._is(event, name, particulars)]
        dropped = len(self.events) - len(kept)
        self.events = kept
        return dropped

    def change(self, name: str, *, where: dict[str, Any] | None = None, shift_s: float = 0.0, **values: Any) -> int:
        """Give these events other values, or another time; how many there were."""
        changed = 0
        for index, event in enumerate(self.events):
            if self._is(event, name, where or {}):
                data = {**event.data, **values}
                self.events[index] = Event(time_s=event.time_s + shift_s, host=event.host, name=name, data=data)
                changed += 1
        return changed

    @staticmethod
    def _is(event: Event, name: str, particulars: dict[str, Any]) -> bool:
        return event.name == name and all(event.get(key) == value for key, value in particulars.items())

    def capture(self, host: str, *, until_s: float, dropped: int = 0) -> Wire:
        """A sound capture at this host from 0 to ``until_s``."""
        wire = self.wires[host] = Wire()
        self.event(0.0, "testbed", "CaptureStarted", capture=host, file=f"captures/{host}.pcap")
        wire.canary(0.01, host, "begin")
        wire.canary(until_s, host, "end")
        self.event(
            until_s + 0.1, "testbed", "CaptureStopped", capture=host, file=f"{host}.pcap", received=9, dropped=dropped
        )
        return wire

    def steps(self, begin_s: float, end_s: float) -> None:
        """Steady state, steps, steady state."""
        count = len(self.topology.phones)
        for at_s, when in ((begin_s - 0.2, "before"), (end_s + 0.2, "after")):
            self.event(at_s, "testbed", "SteadyStateReached", when=when, registered=count, expected=count)
        self.event(begin_s, "testbed", "StepsStarted")
        self.event(end_s, "testbed", "StepsEnded")
        self.event(end_s + 3600.0, "testbed", "RunEnded")

    def fault(
        self,
        kind: str,
        target: str,
        began_s: float,
        healing_s: float | None,
        *,
        hosts: tuple[str, ...] = (),
        **parameters: Any,
    ) -> None:
        """Intended, confirmed 50 ms after the command, healed 50 ms after its command. With ``hosts`` its parameters are on record,
        as they are today; without, it is an older run's."""
        common: dict[str, Any] = {"fault_id": f"{kind}-{target}", "kind": kind, "target": target}
        if hosts:
            common |= {"hosts": list(hosts), "fault": {"at": target, **parameters}}
        self.event(began_s, "testbed", "FaultIntended", **common)
        for name, at_s in (("FaultConfirmed", began_s), ("FaultHealed", healing_s)):
            if at_s is not None:
                instants = {"began_s": T0 + at_s, "effect_s": T0 + at_s + 0.05}
                self.event(at_s + 0.06, "testbed", name, **common, **instants)

    def _counted(self, event: Event) -> Event:
        """The end of a capture says how many packets it holds, where the story does not say otherwise."""
        wire = self.wires.get(str(event.get("capture")))
        if event.name != "CaptureStopped" or wire is None or "captured" in event.data:
            return event
        return replace(event, data={**event.data, "captured": len(wire.frames)})

    def write(self, path: Path, *, pcap: Callable[[str, Wire], bytes] = lambda _, wire: wire.pcap()) -> Run:
        """The folder, opened."""
        (path / "captures").mkdir(parents=True)
        (path / "scenario.yaml").write_text(self.scenario, encoding="utf-8")
        (path / "topology.json").write_text(json.dumps(self.topology.to_json()), encoding="utf-8")
        self.events = [self._counted(event) for event in self.events]
        lines = [event.to_json() for event in self.events]
        (path / "history.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        if self.rows:
            (path / "probes").mkdir()
        for host, rows in self.rows.items():
            text = "".join(" ".join(map(str, row)) + "\n" for row in sorted(rows, key=lambda row: row[3]))
            (path / "probes" / f"{host}.rows").write_text(text, encoding="ascii")
        for host, wire in self.wires.items():
            (path / "captures" / f"{host}.pcap").write_bytes(pcap(host, wire))
        return Run.open(path)
