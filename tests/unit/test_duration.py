"""Durations: what is written is what is meant, in either profile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.duration import MAX_S, parse_duration
from testbed.profile import PROFILES

QUICK, SRND = PROFILES["quick"], PROFILES["srnd"]


@pytest.mark.parametrize(
    ("text", "quick_s", "srnd_s"),
    [
        ("10s", 10, 10),
        ("500ms", 0.5, 0.5),
        ("2 min", 120, 120),
        ("1.5s", 1.5, 1.5),
        ("4 keepalives", 4, 120),
        ("1 keepalive", 1, 30),
        ("0s", 0, 0),
        ("3600 s", 3600, 3600),
        ("60min", 3600, 3600),
        ("120 keepalives", 120, 3600),
    ],
)
def test_a_duration_is_as_long_as_written(text: str, quick_s: float, srnd_s: float) -> None:
    duration = parse_duration(text)
    assert duration.seconds(QUICK) == pytest.approx(quick_s)
    assert duration.seconds(SRND) == pytest.approx(srnd_s)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("-1s", "negative"),
        (" -5 min", "negative"),
        ("3601s", "longer than an hour"),
        ("61min", "longer than an hour"),
        ("121 keepalives", "longer than an hour"),
        ("9999999s", "longer than an hour"),
        ("9" * 400 + "s", "is no duration"),
        (10, "has no unit: write 10s"),
        (0.5, "has no unit"),
        ("10", "is no duration"),
        ("10 hours", "is no duration"),
        ("1e3s", "is no duration"),
        ("inf s", "is no duration"),
        ("nan s", "is no duration"),
        ("٣s", "is no duration"),
        ("", "is no duration"),
        ("s", "is no duration"),
        (True, "must be a duration"),
        (None, "must be a duration"),
        (["1s"], "must be a duration"),
    ],
)
def test_anything_else_is_refused_with_its_reason(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_duration(value)


@given(
    amount=st.decimals(min_value=0, max_value=30, places=3),
    unit=st.sampled_from(["ms", "s", "min", "keepalive", "keepalives", " ms", " s", " min", " keepalives"]),
)
def test_a_duration_survives_being_written_down(amount: object, unit: str) -> None:
    duration = parse_duration(f"{amount}{unit}")
    assert parse_duration(str(duration)) == duration


@given(st.one_of(st.text(max_size=30), st.from_regex(r"-?[0-9.]*\s?(ms|s|min|keepalives)?", fullmatch=True)))
def test_arbitrary_text_is_a_bounded_duration_or_a_value_error(text: str) -> None:
    try:
        duration = parse_duration(text)
    except ValueError:
        return
    assert 0 <= duration.seconds(QUICK) <= MAX_S
    assert 0 <= duration.seconds(SRND) <= MAX_S
