"""A capture packet by packet, for comparison with another of the same traffic: what tells each packet, when it was seen, and how marked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from testbed.audit.flows import Flows
from testbed.audit.lanes import Index, hashed
from testbed.audit.survey import Surveyor
from testbed.packets import Packets
from testbed.packets.fetch import Fetch
from testbed.packets.file import CaptureFile

MAX_PACKETS = 3_000_000
"""Of one capture: a packet takes 33 bytes, and twice that while two captures are matched."""
_HASHED_BYTES = 32
"""Of the payload: an RTP packet has its sequence number, time and SSRC there."""
_MASKS = np.array(
    [[(1 << 8 * min(8, max(0, length - 8 * word))) - 1 for word in range(4)] for length in range(_HASHED_BYTES + 1)],
    np.uint64,
)
"""Of little-endian words, what of a payload of that length is in them."""

Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """One element for each IP packet. ``key`` tells packets apart wherever they are captured: of equal ones (a frame that was seen twice)
    each has a number of its own mixed in. ``flow`` is the same in all captures; ``traffic`` and ``way`` as in Flows."""

    file: str
    key: Keys
    flow: Keys
    time_s: npt.NDArray[np.float64]
    dscp: npt.NDArray[np.uint8]
    ttl: npt.NDArray[np.uint8]
    frame: npt.NDArray[np.uint32]
    traffic: npt.NDArray[np.uint8]
    way: npt.NDArray[np.uint8]
    cut: bool
    """Whether there were more packets than are compared."""


def trace_of(surveyor: Surveyor, capture: CaptureFile) -> Trace:
    """All of a file, which the surveyor takes too."""
    parts: list[tuple[npt.NDArray[np.generic], ...]] = []
    count = 0
    lanes: list[Index] = []

    def keep(packets: Packets, lane: Index) -> None:
        nonlocal count
        index = np.flatnonzero(packets.version > 0)[: max(0, MAX_PACKETS - count)]
        count += len(index)
        flow = surveyor.lanes.columns
        flow_key = hashed(flow.addresses[lane[index]], flow.word[lane[index]] & np.uint64(0xFF_FFFF_FFFF))
        key = _keys(packets, index) ^ flow_key
        lanes.append(lane[index].astype(np.int32))
        parts.append(
            (key, flow_key, packets.time_s[index], packets.tos[index] >> 2, packets.ttl(index), packets.frame[index])
        )

    surveyor.read(capture, keep)
    flows: Flows = surveyor.flows()
    lane = np.concatenate([*lanes, np.zeros(0, np.int32)]).astype(np.int64)
    empty = (
        np.zeros(0, np.uint64),
        np.zeros(0, np.uint64),
        np.zeros(0),
        *(np.zeros(0, kind) for kind in (np.uint8, np.uint8, np.uint32)),
    )
    key, flow, time_s, dscp, ttl, frame = (np.concatenate(column) for column in zip(*parts, empty, strict=True))
    return Trace(
        file=capture.file,
        key=_numbered(key.astype(np.uint64)),
        flow=flow.astype(np.uint64),
        time_s=time_s.astype(np.float64),
        dscp=dscp.astype(np.uint8),
        ttl=ttl.astype(np.uint8),
        frame=frame.astype(np.uint32),
        traffic=flows.traffic[lane],
        way=flows.way[lane],
        cut=count >= MAX_PACKETS,
    )


def _keys(packets: Packets, index: Index) -> Keys:
    """IP identification, TCP's sequence and acknowledgement, and the beginning of the payload. Not what routers change."""
    fetch = Fetch(packets.data)
    rows = fetch.rows(packets.payload_at[index], _HASHED_BYTES)
    masks = _MASKS[np.minimum(packets.payload_len[index], _HASHED_BYTES)]
    head = packets.seq[index].astype(np.uint64) << np.uint64(32) | packets.ack[index]
    tail = packets.ip_id[index].astype(np.uint64) << np.uint64(48) | packets.tcp_flags[index].astype(
        np.uint64
    ) << np.uint64(40)
    tail |= np.where(packets.later[index], packets.payload_len[index], 0).astype(np.uint64)
    key = hashed(head, tail)
    for word in range(4):
        key = hashed(key, rows.u64(8 * word, "<") & masks[:, word])
    return key


def _numbered(key: Keys) -> Keys:
    """Equal keys made different by how many there were before."""
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=~key[order[:1]]) != 0) if len(key) else order
    place = np.arange(len(key))
    before = place - np.repeat(starts, np.diff(np.append(starts, len(key))))
    numbers = np.zeros(len(key), np.uint64)
    numbers[order] = before.astype(np.uint64)
    return np.where(numbers > 0, hashed(key, numbers), key)
