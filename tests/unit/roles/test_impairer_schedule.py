from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.roles.impairer_schedule import FRAME_HEADER_BYTES, Parameters, Release, Schedule

GAPS = st.lists(st.floats(0, 0.02), min_size=1, max_size=200)
"""Seconds between packets."""


def sent(parameters: Parameters, times: list[float], length_bytes: int = 200) -> tuple[list[Release], list[int]]:
    """(what leaves and when, numbers of lost packets); packets are numbered from 0, and handed out at the moment they are due."""
    schedule, left, lost = Schedule(parameters), [], []
    for number, time_s in enumerate(times):
        while schedule.next_release_s <= time_s:
            left += schedule.due(schedule.next_release_s)
        if not schedule.admit(number, length_bytes, time_s):
            lost.append(number)
    while len(schedule):
        left += schedule.due(schedule.next_release_s)
    return left, lost


def moments(gaps: list[float]) -> list[float]:
    times, now = [], 100.0
    for gap in gaps:
        now += gap
        times.append(now)
    return times


EVENLY = [100 + number / 1000 for number in range(20_000)]


@pytest.mark.parametrize(
    ("parameters", "leaves_s"),
    [
        (Parameters(delay_s=0.05), [0.05, 0.051, 0.052]),
        # 186 bytes and the frame's 14 are 1600 bits: 1.6 ms each at 1 Mbit/s.
        (Parameters(rate_bit_s=1e6), [0.0016, 0.0032, 0.0048]),
        (Parameters(rate_bit_s=1e6, delay_s=0.01), [0.0116, 0.0132, 0.0148]),
        (Parameters(rate_bit_s=1e9), [1.6e-6, 0.0010016, 0.0020016]),
        (Parameters(loss_percent=100), []),
        (Parameters(duplicate_percent=100, delay_s=0.05), [0.05, 0.05, 0.051, 0.051, 0.052, 0.052]),
        (Parameters(duplicate_percent=100, loss_percent=100, delay_s=0.05), [0.05, 0.051, 0.052]),
        (Parameters(delay_s=0.05, limit_packets=2), [0.05, 0.051]),
        (Parameters(corrupt_percent=100), [0.0, 0.001, 0.002]),
    ],
)
def test_three_packets_a_millisecond_apart_leave_when_the_parameters_say(parameters: Parameters, leaves_s: list[float]):
    left, _ = sent(parameters, [10.0, 10.001, 10.002], length_bytes=186)
    assert [release.at_s - 10 for release in left] == pytest.approx(leaves_s, abs=1e-9)
    assert all((release.corrupt_at is not None) == bool(parameters.corrupt_percent) for release in left)


def test_nothing_is_due_before_its_time_and_nothing_waits_for_ever():
    schedule = Schedule(Parameters(delay_s=0.05))
    assert schedule.next_release_s == math.inf
    assert schedule.admit("a", 100, 7.0)
    assert schedule.due(7.0499) == []
    assert [release.item for release in schedule.due(7.05)] == ["a"]
    assert schedule.due(1e9) == []


@given(gaps=GAPS, delay_s=st.floats(0, 0.1), rate_bit_s=st.sampled_from([0.0, 64e3, 1e6, 1e9]))
def test_order_is_kept_without_jitter_and_reordering(gaps: list[float], delay_s: float, rate_bit_s: float):
    left, lost = sent(Parameters(delay_s=delay_s, rate_bit_s=rate_bit_s), moments(gaps))
    assert [release.item for release in left] == list(range(len(gaps)))
    assert not lost


@given(gaps=GAPS, lengths=st.lists(st.integers(20, 1500), min_size=200, max_size=200))
def test_a_rate_is_kept_exactly(gaps: list[float], lengths: list[int]):
    """The n-th packet leaves when the link is free and has carried it: the textbook recursion."""
    rate_bit_s, schedule, free_s = 1e6, Schedule(Parameters(rate_bit_s=1e6, limit_packets=10_000)), 0.0
    expected = []
    for number, (now, length) in enumerate(zip(moments(gaps), lengths, strict=False)):
        free_s = max(free_s, now) + (length + FRAME_HEADER_BYTES) * 8 / rate_bit_s
        expected.append(free_s)
        assert schedule.admit(number, length, now)
    assert [release.at_s for release in schedule.due(math.inf)] == pytest.approx(expected, abs=1e-9)


@given(
    gaps=GAPS,
    seed=st.integers(0, 2**32 - 1),
    given_=st.fixed_dictionaries(
        {
            "delay_s": st.just(0.05),
            "jitter_s": st.floats(0, 0.05),
            "loss_percent": st.floats(0, 100),
            "duplicate_percent": st.floats(0, 100),
            "reorder_percent": st.floats(0, 99),
            "corrupt_percent": st.floats(0, 100),
            "limit_packets": st.integers(1, 50),
        }
    ),
)
def test_every_packet_is_lost_or_leaves_once_and_only_duplication_makes_a_second(
    gaps: list[float], seed: int, given_: dict[str, Any]
):
    parameters = Parameters(seed=seed, **given_)
    left, lost = sent(parameters, moments(gaps))
    originals = [release.item for release in left if not release.is_copy]
    copies = [release.item for release in left if release.is_copy]
    assert sorted(originals + lost) == list(range(len(gaps)))
    assert len(copies) == len(set(copies))
    assert set(copies) <= set(originals)
    assert not copies or parameters.duplicate_percent
    assert [release.at_s for release in left] == sorted(release.at_s for release in left)


@given(gaps=GAPS, jitter_s=st.floats(0.001, 0.05), seed=st.integers(0, 1000))
def test_jitter_stays_around_the_delay(gaps: list[float], jitter_s: float, seed: int):
    times = moments(gaps)
    left, _ = sent(Parameters(delay_s=0.05, jitter_s=jitter_s, seed=seed), times)
    for release in left:
        assert abs(release.at_s - times[release.item] - 0.05) <= jitter_s + 1e-9


@pytest.mark.parametrize("share", [0.5, 5.0, 30.0])
@pytest.mark.parametrize("word", ["loss", "duplicate", "reorder", "corrupt"])
def test_shares_are_within_five_standard_deviations_of_what_was_asked(word: str, share: float):
    parameters = Parameters(delay_s=0.02, seed=7, **{f"{word}_percent": share})
    left, lost = sent(parameters, EVENLY)
    count = {
        "loss": len(lost),
        "duplicate": sum(release.is_copy for release in left),
        "reorder": sum(release.at_s == EVENLY[release.item] for release in left),
        "corrupt": sum(release.corrupt_at is not None for release in left),
    }[word]
    packets, probability = len(EVENLY), share / 100
    assert abs(count - packets * probability) < 5 * math.sqrt(packets * probability * (1 - probability))


def test_jitter_is_spread_evenly():
    left, _ = sent(Parameters(delay_s=0.05, jitter_s=0.02, seed=3), EVENLY)
    waits = sorted(release.at_s - EVENLY[release.item] for release in left)
    assert waits[len(waits) // 2] == pytest.approx(0.05, abs=0.001)
    assert waits[len(waits) // 20] == pytest.approx(0.032, abs=0.001)
    assert waits[-len(waits) // 20] == pytest.approx(0.068, abs=0.001)


def test_a_reordered_packet_overtakes_those_that_wait():
    left, _ = sent(Parameters(delay_s=0.02, reorder_percent=5, seed=1), EVENLY[:200])
    order = [release.item for release in left]
    assert order != sorted(order)
    waiting = [release.item for release in left if release.at_s != EVENLY[release.item]]
    assert waiting == sorted(waiting)


def test_the_same_seed_gives_the_same_fate():
    parameters = Parameters(delay_s=0.02, jitter_s=0.01, loss_percent=5, duplicate_percent=5, seed=42)
    assert sent(parameters, EVENLY[:500]) == sent(parameters, EVENLY[:500])
    other = Parameters(delay_s=0.02, jitter_s=0.01, loss_percent=5, duplicate_percent=5, seed=43)
    assert sent(parameters, EVENLY[:500]) != sent(other, EVENLY[:500])
