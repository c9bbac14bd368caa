"""Captures of every kind made from a seed: link layers, IP versions, options, fragments, containers, cut packets."""

from __future__ import annotations

import gzip
import random
import struct
from dataclasses import dataclass, field

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
PORTS = (69, 80, 2000, 8080, 5060, 16_384, 20_482, 30_000, 32_768, 40_000, 50_000)
MARKS = (0, 24, 26, 34, 40, 46, 13)
LINKS = (1, 1, 1, 113, 276, 101, 0, 108, 228, 229)
"""Ethernet more often than the others."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """As captured: its bytes, its length on the wire, its time in nanoseconds since the epoch, and the interface (pcapng)."""

    data: bytes
    wire_len: int
    time_ns: int
    link: int = 1
    interface: int = 0


def pcap(frames: list[Frame], *, order: str = "<", nanoseconds: bool = False) -> bytes:
    """A file whose link type is the first frame's."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    tick = 1 if nanoseconds else 1000
    link = frames[0].link if frames else 1
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262_144, link)]
    for frame in frames:
        seconds, rest = divmod(frame.time_ns, 10**9)
        parts.append(struct.pack(order + "IIII", seconds, rest // tick, len(frame.data), frame.wire_len) + frame.data)
    return b"".join(parts)


def block(kind: int, body: bytes, order: str) -> bytes:
    """A pcapng block."""
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str) -> bytes:
    """A section header of unknown length."""
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link: int, order: str, *, tsresol: int | None = None, snaplen: int = 0) -> bytes:
    """An interface description; ``tsresol`` as its option has it (9: nanoseconds, 0x80 + n: 2**-n s)."""
    options = b"" if tsresol is None else struct.pack(order + "HHB3xHH", 9, 1, tsresol, 0, 0)
    return block(1, struct.pack(order + "HHI", link, 0, snaplen) + options, order)


def enhanced(frame: Frame, order: str, ticks: int) -> bytes:
    """An enhanced packet block."""
    head = struct.pack(
        order + "IIIII", frame.interface, ticks >> 32, ticks & 0xFFFFFFFF, len(frame.data), frame.wire_len
    )
    return block(6, head + frame.data, order)


def obsolete(frame: Frame, order: str, ticks: int) -> bytes:
    """A packet block of the first drafts."""
    head = struct.pack(
        order + "HHIIII", frame.interface, 0, ticks >> 32, ticks & 0xFFFFFFFF, len(frame.data), frame.wire_len
    )
    return block(2, head + frame.data, order)


def simple(frame: Frame, order: str) -> bytes:
    """A simple packet block."""
    return block(3, struct.pack(order + "I", frame.wire_len) + frame.data, order)


def pcapng(frames: list[Frame], chance: random.Random, order: str) -> bytes:
    """One section; an interface for each link type, clocks of several resolutions, and statistics in between."""
    links = sorted({frame.link for frame in frames}) or [1]
    clocks = [(chance.choice([(None, 10**6), (6, 10**6), (9, 10**9)])) for _ in links]
    parts = [section(order)]
    parts += [interface(link, order, tsresol=clock[0]) for link, clock in zip(links, clocks, strict=True)]
    for frame in frames:
        number = links.index(frame.link)
        ticks = frame.time_ns * clocks[number][1] // 10**9
        placed = Frame(data=frame.data, wire_len=frame.wire_len, time_ns=frame.time_ns, interface=number)
        parts.append((enhanced if chance.random() < 0.9 else obsolete)(placed, order, ticks))
        if chance.random() < 0.05:
            parts.append(block(5, struct.pack(order + "III", number, ticks >> 32, ticks & 0xFFFFFFFF), order))
    return b"".join(parts)


def ipv4(chance: random.Random, proto: int, payload: bytes, *, tos: int) -> bytes:
    """With options and as a fragment now and then."""
    options = b"\x01" * (4 * chance.choice([0, 0, 0, 0, 1, 3, 10]))
    flags = chance.choice([0x4000, 0x4000, 0x4000, 0, 0x2000, 0x0010, 0x2001])
    if flags & 0x1FFF:
        payload = payload[: len(payload) // 8 * 8]
    head = 20 + len(options)
    fields = (0x40 | head // 4, tos, head + len(payload), chance.randrange(1 << 16), flags, 64, proto, 0)
    addresses = bytes([10, 0, 0, chance.randrange(1, 5)]) + bytes([10, 0, 1, chance.randrange(1, 5)])
    return struct.pack(">BBHHHBBH", *fields) + addresses + options + payload


def ipv6(chance: random.Random, proto: int, payload: bytes, *, tos: int) -> bytes:
    """With extension headers now and then."""
    following, chain = proto, b""
    for kind in chance.choice([(), (), (), (0,), (60, 43), (44,), (0, 60, 44)])[::-1]:
        if kind == 44:
            offset = chance.choice([0, 0, 8, 1])
            chain = struct.pack(">BBHI", following, 0, offset & 0xFFF8 | offset & 1, 7) + chain
        else:
            size = chance.choice([0, 1])
            pad = 6 + 8 * size
            chain = bytes([following, size, 1, pad - 2]) + bytes(pad - 2) + chain
            if kind == 43:
                chain = bytes([following, size, 253, 0]) + bytes(pad - 2) + chain[8 + 8 * size :]
        following = kind
    body = chain + payload
    addresses = (bytes.fromhex("20010db8") + bytes(11) + bytes([chance.randrange(1, 9)]) for _ in "sd")
    return struct.pack(">IHBB", 6 << 28 | tos << 20, len(body), following, 64) + b"".join(addresses) + body


def transport(chance: random.Random) -> tuple[int, bytes]:
    """TCP, UDP (some of it RTP), or a ping."""
    source, destination = chance.choice(PORTS), chance.choice(PORTS)
    payload = bytes([chance.choice([0x80, 0x80, 0x00, 0x47])]) + chance.randbytes(chance.randrange(60))
    kind = chance.random()
    if kind < 0.5:
        return UDP, struct.pack(">HHHH", source, destination, 8 + len(payload), 0) + payload
    if kind < 0.9:
        options = b"\x01" * (4 * chance.choice([0, 0, 3]))
        size = (20 + len(options)) // 4 << 4
        flags = chance.choice([0x02, 0x12, 0x10, 0x18, 0x11, 0x04])
        fields = (source, destination, chance.randrange(1 << 32), chance.randrange(1 << 32), size, flags, 1024, 0, 0)
        return TCP, struct.pack(">HHIIBBHHH", *fields) + options + payload
    return ICMP, b"\x08\x00\x00\x00" + payload


def on_link(chance: random.Random, link: int, ethertype: int, packet: bytes) -> bytes:
    """The frame; Ethernet and cooked ones have VLAN tags now and then."""
    body, inner = packet, ethertype
    for _ in range(chance.choice([0, 0, 0, 1, 2, 3]) if link in (1, 113) else 0):
        control = chance.randrange(8) << 13 | chance.randrange(1, 4000)
        body, inner = struct.pack(">HH", control, inner) + body, chance.choice([0x8100, 0x88A8])
    tagged = struct.pack(">H", inner) + body
    if link == 1:
        frame = bytes.fromhex("020000000001020000000002") + tagged
        return frame.ljust(60, b"\0") if chance.random() < 0.5 else frame
    if link == 113:
        return bytes.fromhex("00000001000602000000000100 00") + tagged
    if link == 276:
        return struct.pack(">HHIHBB8s", ethertype, 0, 1, 1, 0, 6, b"\2") + packet
    family = 2 if ethertype == 0x0800 else 30
    if link in (0, 108):
        return struct.pack(">I" if link == 108 else chance.choice("<>") + "I", family) + packet
    return packet


@dataclass
class Made:
    """A capture file made from a seed."""

    seed: int
    count: int = 60
    frames: list[Frame] = field(default_factory=list)
    data: bytes = b""
    suffix: str = ".pcap"

    def __post_init__(self) -> None:
        chance = random.Random(self.seed)
        is_ng = chance.random() < 0.4
        links = chance.sample(LINKS, 3) if is_ng else [chance.choice(LINKS)]
        snaplen = chance.choice([10_000, 10_000, 10_000, 96, 60, 40])
        for place in range(self.count):
            self.frames.append(self._frame(chance, chance.choice(links), snaplen, place))
        order = chance.choice("<>")
        if is_ng:
            self.data, self.suffix = pcapng(self.frames, chance, order), ".pcapng"
        else:
            self.data = pcap(self.frames, order=order, nanoseconds=chance.random() < 0.5)
        if chance.random() < 0.2:
            self.data, self.suffix = gzip.compress(self.data), self.suffix + ".gz"

    @staticmethod
    def _frame(chance: random.Random, link: int, snaplen: int, place: int) -> Frame:
        is_6 = link == 229 or (link != 228 and chance.random() < 0.3)
        proto, payload = transport(chance)
        tos = chance.choice(MARKS) << 2 | chance.choice([0, 0, 1])
        proto = ICMPV6 if is_6 and proto == ICMP else proto
        packet = (ipv6 if is_6 else ipv4)(chance, proto, payload, tos=tos)
        frame = on_link(chance, link, 0x86DD if is_6 else 0x0800, packet)
        if link == 1 and chance.random() < 0.05:
            frame = frame[:12] + struct.pack(">H", 0x0806) + bytes(46)
        time_ns = 1_700_000_000 * 10**9 + place * 20_000_000 + chance.randrange(10**6) * 1000
        return Frame(data=frame[:snaplen], wire_len=len(frame), time_ns=time_ns, link=link)
