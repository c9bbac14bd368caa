from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.report.scale import Scale, seconds, ticks

finite = st.floats(-1e6, 1e6)


@given(finite, st.floats(1e-6, 1e6), st.floats(allow_nan=True, allow_infinity=True))
def test_everything_is_drawn_within_the_edges(low: float, span: float, value: float):
    assert 10 <= Scale(low=low, high=low + span, left=10, right=90).at(value) <= 90


def test_a_scale_may_run_upwards():
    scale = Scale(low=0, high=10, left=100, right=0)
    assert [scale.at(0), scale.at(5), scale.at(10)] == [100, 50, 0]


def test_nothing_is_too_thin_to_be_seen():
    assert Scale(low=0, high=100, left=0, right=100).width(5, 5) == 1.5


@given(finite, st.floats(1e-3, 1e6))
def test_ticks_are_round_few_and_inside(low: float, span: float):
    found = ticks(low, low + span)
    assert 1 <= len(found) <= 11
    slack = span * 1e-6 + abs(low) * 1e-9
    assert all(low - slack <= value <= low + span + slack for value in found)


def test_ticks_of_ten_seconds():
    assert ticks(-1.5, 8.2) == [-1, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert ticks(0, 0) == [0]
    assert ticks(0, math.inf) == [0]


@pytest.mark.parametrize(
    ("value", "text"), [(0.0016, "1.6 ms"), (0.25, "0.250 s"), (93.12, "93.1 s"), (0.0, "0 s"), (math.inf, "never")]
)
def test_seconds_in_words(value: float, text: str):
    assert seconds(value) == text
