"""Segments that wait behind a gap of a capture."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.packets.tcp import Half


def one_by_one(half: Half) -> None:
    """Go on behind each gap as if its end were what comes next, and take what it holds up."""
    while half.waiting:
        early = min(half.waiting, key=half._ahead)
        missing = half._ahead(early)
        payload, frame, time_s = half.waiting.pop(early)
        half.next_seq = early
        half._take(payload, frame, time_s, missing)
        half.add(half.next_seq, b"", frame, time_s)


@given(st.integers(0, (1 << 32) - 1), st.lists(st.tuples(st.integers(0, 300), st.binary(max_size=20)), max_size=40))
def test_what_waits_comes_in_order_with_what_is_missing_before_it(
    begin: int, segments: list[tuple[int, bytes]]
) -> None:
    halves = [Half(flow=(1, 2, 3, 4), connection=0, next_seq=begin) for _ in range(2)]
    for half in halves:
        for frame, (offset, payload) in enumerate(segments):
            half.add((begin + offset) % (1 << 32), payload, frame, float(frame))
    halves[0].skip_gaps()
    one_by_one(halves[1])
    assert halves[0] == halves[1]


def test_a_gap_is_skipped_in_one_pass_however_much_waits_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    half, asked, ahead = Half(flow=(1, 2, 3, 4), connection=0, next_seq=0), [0], Half._ahead

    def counted(half: Half, seq: int) -> int:
        asked[0] += 1
        return ahead(half, seq)

    monkeypatch.setattr(Half, "_ahead", counted)
    for place in range(1, 2001):
        half.add(place * 8, bytes(8), place, float(place))
    half.skip_gaps()
    assert (len(half.chunks), half.chunks[0].missing) == (2000, 8)
    assert asked[0] < 4 * 2000
