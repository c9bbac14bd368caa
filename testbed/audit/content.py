"""What payloads say of their lanes: RTP and RTCP by shape, HTTP by its first word."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from testbed.audit.lanes import Index
from testbed.packets import TCP, UDP, Packets
from testbed.packets.fetch import Fetch

Votes = npt.NDArray[np.int64]

RTP_HEADER_BYTES = 12
_VERSION = 2
_RTCP_TYPES = (192, 223)
"""Second byte of RTCP packets; RTP that is sent beside it stays clear of them (RFC 5761, 4)."""
_MAX_STEP = 8
"""Sequence numbers of one stream go up by one; losses make it a few more. Where two captures of it are together, each number comes twice, or
packets of one time come as a few numbers up and back again."""
_REQUESTS = np.array([int.from_bytes(word, "big") for word in (b"GET ", b"POST", b"HEAD", b"PUT ", b"CONN", b"OPTI")])
_RESPONSE = int.from_bytes(b"HTTP", "big")
POST = int.from_bytes(b"POST", "big")


class Content:
    """Votes of packets for what their lane carries; arrays as long as the lanes' columns."""

    def __init__(self) -> None:
        self.rtp: Votes = np.zeros(0, np.int64)
        """Packets that may be RTP; ``rtcp`` those that may be RTCP; ``filled`` all of UDP with a payload."""
        self.rtcp: Votes = np.zeros(0, np.int64)
        self.filled: Votes = np.zeros(0, np.int64)
        self.ssrc: Votes = np.zeros(0, np.int64)
        """The first SSRC of the lane, and one (0: none yet); ``sequence`` is the latest number."""
        self.sequence: Votes = np.zeros(0, np.int64)
        self.same_ssrc: Votes = np.zeros(0, np.int64)
        """Of the RTP ones, those with the lane's first SSRC; and those one to a few numbers behind the one before."""
        self.steps: Votes = np.zeros(0, np.int64)
        self.repeats: Votes = np.zeros(0, np.int64)
        """Those that have the number of the one before, or one up to a few behind it; ``advance`` is how far numbers came on in all, by
        steps and repeats."""
        self.advance: Votes = np.zeros(0, np.int64)
        self.requests: Votes = np.zeros(0, np.int64)
        self.responses: Votes = np.zeros(0, np.int64)

    def add(self, packets: Packets, lane: Index, size: int, usual: npt.NDArray[np.bool_]) -> Index:
        """Votes of a block, whose packets are in these lanes of ``size``; ``usual`` says of each port whether RTP is known by it. The
        return value is where POST requests begin."""
        self._grow(size)
        fetch = Fetch(packets.data)
        self._take_udp(packets, lane, size, usual, fetch)
        index = np.flatnonzero((packets.proto == TCP) & (packets.payload_len >= 4) & ~packets.later)
        if not len(index):
            return index
        word = fetch.rows(packets.payload_at[index], 4).u32(0)
        is_request = np.isin(word, _REQUESTS)
        if is_request.any():
            self.requests += np.bincount(lane[index[is_request]], minlength=size)
        is_response = word == _RESPONSE
        if is_response.any():
            self.responses += np.bincount(lane[index[is_response]], minlength=size)
        begun: Index = index[word == POST]
        return begun

    def _grow(self, size: int) -> None:
        for name, votes in vars(self).items():
            if len(votes) < size:
                setattr(self, name, np.concatenate([votes, np.zeros(size - len(votes), np.int64)]))

    def _take_udp(self, packets: Packets, lane: Index, size: int, usual: npt.NDArray[np.bool_], fetch: Fetch) -> None:
        index = np.flatnonzero((packets.proto == UDP) & (packets.payload_len > 0) & ~packets.later)
        if not len(index):
            return
        own = lane[index]
        self.filled += np.bincount(own, minlength=size)
        rows = fetch.rows(packets.payload_at[index], RTP_HEADER_BYTES)
        versioned = rows.u8(0) >> 6 == _VERSION
        kind = rows.u8(1)
        is_rtcp = versioned & (kind >= _RTCP_TYPES[0]) & (kind <= _RTCP_TYPES[1])
        is_rtp = versioned & ~is_rtcp
        if is_rtcp.any():
            self.rtcp += np.bincount(own[is_rtcp], minlength=size)
        if not is_rtp.any():
            return
        self.rtp += np.bincount(own[is_rtp], minlength=size)
        unusual = is_rtp & ~usual[packets.dport[index]] & (packets.payload_len[index] >= RTP_HEADER_BYTES)
        if unusual.any():
            self._take_shape(own[unusual], rows.u16(2)[unusual], rows.u32(8)[unusual].astype(np.int64) + 1, size)

    def _take_shape(self, own: Index, sequence: npt.NDArray[np.uint16], ssrc: Votes, size: int) -> None:
        """Only of lanes that no port tells: sorting is dear."""
        order = np.argsort(own, kind="stable")
        own, sequence, ssrc = own[order], sequence[order], ssrc[order]
        starts = np.flatnonzero(np.diff(own, prepend=-1))
        is_fresh = self.ssrc[own[starts]] == 0
        fresh, ends = starts[is_fresh], np.append(starts[1:], len(own)) - 1
        self.ssrc[own[fresh]] = ssrc[fresh]
        self.same_ssrc += np.bincount(own[ssrc == self.ssrc[own]], minlength=size)
        step = np.diff(sequence, prepend=np.uint16(0))
        step[starts] = sequence[starts] - self.sequence[own[starts]].astype(np.uint16)
        step[fresh] = 1
        self.sequence[own[ends]] = sequence[ends]
        ahead = step.astype(np.int16).astype(np.int64)
        is_step, is_repeat = (ahead > 0) & (ahead <= _MAX_STEP), (ahead <= 0) & (ahead >= -_MAX_STEP)
        self.steps += np.bincount(own[is_step], minlength=size)
        self.repeats += np.bincount(own[is_repeat], minlength=size)
        ahead[~(is_step | is_repeat)] = 0
        self.advance += np.bincount(own, weights=ahead, minlength=size).astype(np.int64)
