from __future__ import annotations

import numpy as np
import pytest
from audit_reading import capture
from capture_maker import Frame, pcap
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import Wire, ethernet, ipv4

from testbed.audit.charts import length_text, strips
from testbed.audit.timeline import MAX_PIECES, Timekeeper, Timeline

Seen = list[tuple[int, int]]
"""(nanoseconds since the epoch, code point) of packets."""


def timed(seen: Seen, *, block_bytes: int = 400) -> Timeline | None:
    frames = []
    for time_ns, dscp in seen:
        data = ethernet(0x0800, ipv4("10.0.0.1", "10.0.0.2", 17, bytes(8), tos=dscp << 2))
        frames.append(Frame(data=data, wire_len=len(data), time_ns=time_ns))
    keeper = Timekeeper()
    for packets in capture(pcap(frames, nanoseconds=True), block_bytes=block_bytes).blocks():
        keeper.add(packets)
    return keeper.timeline()


TIMES_NS = st.one_of(*(st.integers(0, most) for most in (10**8, 10**9, 2**32 * 10**9 - 1)))
"""Near each other and far apart: pieces are merged while there are some."""


@settings(deadline=None)
@given(st.lists(st.tuples(TIMES_NS, st.integers(0, 63)), min_size=1, max_size=40))
def test_every_packet_is_in_its_piece_whatever_the_order_of_times(seen: Seen) -> None:
    assert_in_place(seen)


@pytest.mark.parametrize("begin", range(8))
def test_neighbours_become_one_wherever_the_first_piece_lies(begin: int) -> None:
    assert_in_place([((begin + place) * 10**9 // 1024 + 1, place % 64) for place in range(2000)])


def assert_in_place(seen: Seen) -> None:
    found = timed(seen)
    assert found is not None
    assert found.packets.shape[1] <= MAX_PIECES
    wanted = np.zeros_like(found.packets)
    for time_ns, dscp in seen:
        seconds, rest = divmod(time_ns, 10**9)
        wanted[dscp, int((seconds + rest * 1e-9 - found.began_s) // found.piece_s)] += 1
    assert (found.packets == wanted).all()


def test_pieces_are_as_short_as_the_room_allows() -> None:
    found = timed([(place * 10**7, 46) for place in range(1001)])
    assert found is not None
    assert MAX_PIECES / 2 <= found.packets.shape[1] <= MAX_PIECES
    assert found.length_s >= 10


def test_marks_are_in_order_of_their_packets() -> None:
    found = timed([(0, 26), (1, 46), (2, 46), (3, 0), (4, 0)])
    assert found is not None
    assert found.marks == [0, 46, 26]


def test_frames_without_a_mark_are_not_counted() -> None:
    wire = Wire()
    wire.add(0.1, ethernet(0x0806, bytes(46)))
    keeper = Timekeeper()
    for packets in capture(wire.pcap()).blocks():
        keeper.add(packets)
    assert keeper.timeline() is None


def test_a_rare_mark_has_a_strip_of_its_own_that_shows_it() -> None:
    found = timed([*((place * 10**7, 46) for place in range(1000)), (5 * 10**9, 13)])
    assert found is not None
    drawn = strips(found)
    assert "EF: 1000 packets" in drawn
    assert "13: 1 packets, at most 1 in" in drawn
    assert drawn.count("V2.0H") >= 2, "both reach the top of their strips"


def test_lengths_are_written_as_short_as_they_can_be_read() -> None:
    written = {seconds: length_text(seconds) for seconds in (0, 0.03125, 90, 3723)}
    assert written == {0: "0 s", 0.03125: "0.0312 s", 90: "90 s", 3723: "1:02:03"}
