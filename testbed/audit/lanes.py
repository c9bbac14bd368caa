"""Lanes: packets that differ in nothing a verdict asks for (flow, mark, CoS, SYN or RST or neither), counted together.

Everything later is said of lanes, not of packets: a capture of millions of packets has some thousands of them. A lane is found by a
hash table in arrays, a block at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from testbed.packets import RST, SYN, TCP, UDP, Packets, address_text
from testbed.packets.fetch import Fetch, Words, mixed

MAX_LANES = 1 << 18
"""More are those of a scan or an attack. What comes then is still counted by protocol, mark and the ports that tell a class, but no
longer by addresses."""

PLAIN, OPENING, RESET = 0, 1, 2
"""What a lane's packets are: those with SYN, those with RST, all others."""

NO_COS = 15
ICMPS = np.array([1, 58], np.uint8)
"""ICMP and ICMPv6: their type takes the place of the destination port."""
_FLOW_BITS = np.uint64(0xF << 52 | 0xFF << 32 | 0xFFFFFFFF)
"""Of a lane's word, what all lanes of a flow share: version, protocol, ports."""
_FOLDED_PORTS = np.array([69, 80, 2000, 8080], np.uint16)

Index = npt.NDArray[np.int64]


class Columns:
    """One element a lane. ``src`` and ``dst`` as of ``Packets.endpoints``; ``first`` is its first packet's place in the order in which all
    were read, ``frame`` its number in file number ``file``; ``flow`` is one number for all lanes of one flow. A lane whose addresses were
    given up is ``folded``."""

    def __init__(self, room: int = 256) -> None:
        self.addresses: Words = np.zeros(room, np.uint64)
        self.word: Words = np.zeros(room, np.uint64)
        self.src: Words = np.zeros(room, np.uint64)
        self.dst: Words = np.zeros(room, np.uint64)
        self.packets: Index = np.zeros(room, np.int64)
        self.bytes: Index = np.zeros(room, np.int64)
        self.first: Index = np.zeros(room, np.int64)
        self.frame: Index = np.zeros(room, np.int64)
        self.file: Index = np.zeros(room, np.int64)
        self.flow: Index = np.zeros(room, np.int64)
        self.first_s = np.zeros(room)
        self.last_s = np.zeros(room)
        self.folded = np.zeros(room, np.bool_)

    def grow(self) -> None:
        """Twice as many."""
        for name, column in vars(self).items():
            setattr(self, name, np.concatenate([column, np.zeros_like(column)]))

    def _part(self, shift: int, bits: int) -> npt.NDArray[np.uint64]:
        part: npt.NDArray[np.uint64] = self.word >> np.uint64(shift) & np.uint64((1 << bits) - 1)
        return part

    @property
    def dport(self) -> npt.NDArray[np.uint16]:
        return self._part(0, 16).astype(np.uint16)

    @property
    def sport(self) -> npt.NDArray[np.uint16]:
        return self._part(16, 16).astype(np.uint16)

    @property
    def proto(self) -> npt.NDArray[np.uint8]:
        return self._part(32, 8).astype(np.uint8)

    @property
    def dscp(self) -> npt.NDArray[np.uint8]:
        return self._part(40, 6).astype(np.uint8)

    @property
    def kind(self) -> npt.NDArray[np.uint8]:
        return self._part(46, 2).astype(np.uint8)

    @property
    def cos(self) -> npt.NDArray[np.uint8]:
        return self._part(48, 4).astype(np.uint8)

    @property
    def version(self) -> npt.NDArray[np.uint8]:
        return self._part(52, 4).astype(np.uint8)


class Lanes:
    """Grows as packets come. ``columns`` has room for more than ``count``."""

    def __init__(self, most: int = MAX_LANES) -> None:
        self._most = most
        self.columns = Columns()
        self.count = 0
        self.packets = 0
        self.folded = 0
        """Packets that came when there were too many lanes."""
        self._flows: dict[int, int] = {}
        """Hash of a flow to its number."""
        self.text: dict[int, tuple[str, str]] = {}
        """Of lanes of IPv6: source and destination as people write them."""
        self._table = np.full(1 << 12, -1, np.int64)

    @property
    def flows(self) -> int:
        """How many flows there are."""
        return len(self._flows)

    def add(self, packets: Packets, file: int) -> Index:
        """Count these packets; the lane of each. Their ``source`` counts files from number ``file`` on."""
        addresses, word, src, dst = _keys(packets)
        lane = self._find(addresses, word)
        new = np.flatnonzero(lane < 0)
        if len(new) and self.count + len(new) > self._most:
            new = self._fold(packets, addresses, word, lane, new)
        if len(new):
            self._insert(packets, addresses, word, src, dst, new, file)
            lane[new] = self._find(addresses[new], word[new])
        columns, size = self.columns, len(self.columns.word)
        columns.packets += np.bincount(lane, minlength=size)
        columns.bytes += np.bincount(lane, weights=packets.wire_len, minlength=size).astype(np.int64)
        # Frames inside VXLAN come behind the block that carries them: no packet makes a lane end earlier.
        before_s = columns.last_s.copy()
        columns.last_s[lane] = packets.time_s
        np.maximum(columns.last_s, before_s, out=columns.last_s)
        self.packets += len(packets)
        return lane

    def _find(self, addresses: Words, word: Words) -> Index:
        """The lane of each key, -1 where there is none."""
        columns, table = self.columns, self._table
        slot = _slots(addresses, word, len(table))
        lane: Index = table[slot]
        wrong = (columns.word[lane] != word) | (columns.addresses[lane] != addresses)
        searching = np.flatnonzero(wrong & (lane >= 0))
        while len(searching):
            slot[searching] = slot[searching] + 1 & len(table) - 1
            found = table[slot[searching]]
            lane[searching] = found
            wrong = (columns.word[found] != word[searching]) | (columns.addresses[found] != addresses[searching])
            searching = searching[wrong & (found >= 0)]
        return lane

    def _insert(
        self, packets: Packets, addresses: Words, word: Words, src: Words, dst: Words, new: Index, file: int
    ) -> None:
        _, firsts = np.unique(hashed(addresses[new], word[new]), return_index=True)
        chosen = new[np.sort(firsts)]
        begin, end = self.count, self.count + len(chosen)
        while end > len(self.columns.word):
            self.columns.grow()
        columns = self.columns
        for column, values in (
            (columns.addresses, addresses),
            (columns.word, word),
            (columns.src, src),
            (columns.dst, dst),
            (columns.frame, packets.frame),
            (columns.first_s, packets.time_s),
        ):
            column[begin:end] = values[chosen]
        columns.first[begin:end] = self.packets + chosen
        folded = (addresses[chosen] == 0) & (packets.version[chosen] > 0)
        columns.folded[begin:end] = folded
        columns.src[begin:end][folded] = columns.dst[begin:end][folded] = 0
        columns.file[begin:end] = file + packets.source[chosen].astype(np.int64)
        flow = hashed(addresses[chosen], word[chosen] & _FLOW_BITS).tolist()
        columns.flow[begin:end] = [self._flows.setdefault(key, len(self._flows)) for key in flow]
        self.count = end
        for place in np.flatnonzero(packets.version[chosen] == 6).tolist():
            if not folded[place]:
                self.text[begin + place] = packets.addresses(int(chosen[place]))
        if end * 4 > len(self._table):
            self._rebuild()
        else:
            self._place(np.arange(begin, end))

    def _rebuild(self) -> None:
        size = len(self._table)
        while self.count * 4 > size:
            size *= 4
        self._table = np.full(size, -1, np.int64)
        self._place(np.arange(self.count))

    def _place(self, lanes: Index) -> None:
        """Each in the first free slot from its own on."""
        table, mask = self._table, len(self._table) - 1
        slots = _slots(self.columns.addresses[lanes], self.columns.word[lanes], len(table))
        for lane, slot in zip(lanes.tolist(), slots.tolist(), strict=True):
            while table[slot] >= 0:
                slot = slot + 1 & mask
            table[slot] = lane

    def _fold(self, packets: Packets, addresses: Words, word: Words, lane: Index, new: Index) -> Index:
        """Give up the addresses of these, and the ports that tell no class: which of them still have no lane."""
        self.folded += len(new)
        kept = word[new] & ~np.uint64(0xFFFFFFFF) | np.uint64(NO_COS << 48)
        other = ~np.isin(packets.proto[new], (TCP, UDP))
        kept[other] &= ~np.uint64(0xFF << 32)
        for shift, ports in ((16, packets.sport[new]), (0, packets.dport[new])):
            known = np.isin(ports, _FOLDED_PORTS)
            kept |= np.where(known, ports, 0).astype(np.uint64) << np.uint64(shift)
        addresses[new], word[new] = 0, kept
        lane[new] = self._find(addresses[new], word[new])
        return new[lane[new] < 0]


def _keys(packets: Packets) -> tuple[Words, Words, Words, Words]:
    """(both addresses in one number, all else in one, source, destination) of each packet."""
    src, dst = packets.endpoints()
    addresses = np.bitwise_xor(src << np.uint64(32), dst)
    six = np.flatnonzero(packets.version == 6)
    if len(six):
        # Both numbers are 64 bits wide: mixed, the second one turned, so that the two ways differ.
        addresses[six] = src[six] * np.uint64(0x9E3779B97F4A7C15) ^ (dst[six] << np.uint64(1) | np.uint64(1))
    is_tcp = packets.proto == TCP
    kind = np.where(packets.tcp_flags & RST, RESET, np.where(packets.tcp_flags & SYN, OPENING, PLAIN))
    high = packets.version.astype(np.uint32) << 20 | np.minimum(packets.cos, NO_COS).astype(np.uint32) << 16
    high |= np.where(is_tcp, kind, 0).astype(np.uint32) << 14
    high |= (packets.tos >> 2).astype(np.uint32) << 8 | packets.proto
    low = packets.sport.astype(np.uint32) << 16 | packets.dport
    icmp = np.flatnonzero(np.isin(packets.proto, ICMPS) & ~packets.later & (packets.payload_len > 0))
    if len(icmp):
        low[icmp] = Fetch(packets.data).u8(packets.payload_at[icmp])
    stray = np.flatnonzero(packets.version == 0)
    if len(stray):
        low[stray] = packets.ethertype[stray]
    word = np.bitwise_or(high.astype(np.uint64) << np.uint64(32), low.astype(np.uint64))
    return addresses, word, src, dst


def hashed(addresses: Words, word: Words) -> Words:
    """Mixed so well that the uppermost bits alone tell most of them apart."""
    number = mixed(addresses, word)
    number ^= number >> np.uint64(29)
    number *= np.uint64(0x9E3779B97F4A7C15)
    return number


def _slots(addresses: Words, word: Words, size: int) -> Index:
    """``size`` is a power of 2: the uppermost bits of the hash."""
    slots: Index = (hashed(addresses, word) >> np.uint64(65 - size.bit_length())).astype(np.int64)
    return slots


@dataclass(frozen=True, kw_only=True, slots=True)
class First:
    """The packet that something was first seen in."""

    file: str
    frame: int
    time_s: float
    text: str


def first_of(lanes: Lanes, lane: int, files: list[str]) -> First:
    """A lane's first packet, in words."""
    columns = lanes.columns
    version, proto = int(columns.version[lane]), int(columns.proto[lane])
    if not version:
        text = f"EtherType {columns.dport[lane]:#06x}"
    elif columns.folded[lane]:
        text = "one of too many flows"
    else:
        source, destination = lanes.text.get(lane) or _ipv4(columns, lane)
        if proto in (TCP, UDP):
            source, destination = (
                f"{_bracketed(address)}:{port}"
                for address, port in ((source, columns.sport[lane]), (destination, columns.dport[lane]))
            )
        text = f"{source} to {destination}"
    return First(
        file=files[int(columns.file[lane])],
        frame=int(columns.frame[lane]),
        time_s=float(columns.first_s[lane]),
        text=text,
    )


def _ipv4(columns: Columns, lane: int) -> tuple[str, str]:
    return address_text(int(columns.src[lane])), address_text(int(columns.dst[lane]))


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
