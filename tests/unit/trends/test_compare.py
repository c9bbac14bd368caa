from __future__ import annotations

import math
import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.trends.compare import FEWEST, compare, is_judged, larger_by_chance
from testbed.trends.store import Figure

VALUES = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=6)


def figures(values: list[float], name: str = "rehome_max_s", scenario: str = "rehome-kill") -> list[Figure]:
    return [
        Figure(folder=str(n), scenario=scenario, profile="quick", verdict="rehomed", name=name, value=value)
        for n, value in enumerate(values)
    ]


def test_values_that_are_all_larger_are_so_by_chance_in_one_of_all_arrangements() -> None:
    assert larger_by_chance([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(1 / 252)
    assert larger_by_chance([6, 7, 8, 9, 10], [1, 2, 3, 4, 5]) == 1.0
    assert larger_by_chance([1.0] * 5, [1.0] * 5) == 1.0


@given(before=VALUES, after=VALUES)
def test_the_chance_is_that_of_counting_pairs(before: list[float], after: list[float]) -> None:
    """Mann and Whitney counted pairs, Wilcoxon summed ranks: the same test, told apart by nothing."""

    def pairs(old: list[float], new: list[float]) -> float:
        return sum((one > other) + (one == other) / 2 for one in new for other in old)

    values = [*before, *after]
    observed = pairs(before, after)
    hits = total = 0
    for chosen in combinations(range(len(values)), len(after)):
        new = [values[index] for index in chosen]
        old = [values[index] for index in range(len(values)) if index not in chosen]
        hits += pairs(old, new) >= observed - 1e-9
        total += 1
    assert larger_by_chance(before, after) == pytest.approx(hits / total)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), shift=st.floats(0, 1.5))
def test_the_approximation_agrees_with_counting_where_both_can_be_had(seed: int, shift: float) -> None:
    chance = random.Random(seed)
    before = [chance.gauss(0, 1) for _ in range(8)]
    after = [chance.gauss(shift, 1) for _ in range(8)]
    assert math.comb(16, 8) <= 20_000
    exact = larger_by_chance(before, after)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("testbed.trends.compare.EXACT", 0)
        assert larger_by_chance(before, after) == pytest.approx(exact, abs=0.02)


def test_a_slower_registration_is_worse_and_says_by_how_much() -> None:
    (one,) = compare(figures([1.40, 1.42, 1.43, 1.45, 1.41]), figures([1.70, 1.72, 1.71, 1.75, 1.74]))
    assert one.worse
    assert (one.median_before, one.median_after) == (1.42, 1.72)
    assert one.noise == pytest.approx(0.142)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            [1.40, 1.42, 1.43, 1.45, 1.41],
            [1.43, 1.44, 1.46, 1.45, 1.47],
        ),  # larger beyond chance, and nobody would look into it
        ([1.0, 2.0, 3.0, 4.0, 5.0], [4.0, 4.6, 4.7, 5.1, 5.2]),  # within the noise of the first
        (
            [0.0001, 0.0002, 0.0001, 0.0002],
            [0.004, 0.004, 0.004, 0.004],
        ),  # many times as long, and all the same nothing
        ([1.7, 1.8, 1.9, 1.7, 1.8], [1.4, 1.4, 1.4, 1.4, 1.4]),  # better
    ],
)
def test_what_is_within_the_noise_is_not_worse(before: list[float], after: list[float]) -> None:
    (one,) = compare(figures(before), figures(after))
    assert not one.worse


def test_few_values_are_not_compared() -> None:
    assert compare(figures([1.0] * (FEWEST - 1)), figures([9.0] * 20)) == []


def test_of_many_figures_without_a_change_next_to_none_is_called_worse() -> None:
    chance = random.Random(7)

    def night() -> list[Figure]:
        return [
            one
            for n in range(200)
            for one in figures([chance.lognormvariate(0, 0.3) for _ in range(6)], scenario=f"scenario-{n}")
        ]

    wrong = [sum(one.worse for one in compare(night(), night())) for _ in range(20)]
    assert sum(wrong) <= 4, wrong


def test_one_slower_scenario_is_found_among_others() -> None:
    chance = random.Random(11)

    def night(slower: float) -> list[Figure]:
        found = []
        for n in range(30):
            factor = slower if n == 3 else 1.0
            values = [factor * chance.lognormvariate(0, 0.05) for _ in range(8)]
            found += figures(values, scenario=f"scenario-{n}")
        return found

    assert [one.scenario for one in compare(night(1.0), night(1.5)) if one.worse] == ["scenario-3"]


@pytest.mark.parametrize("name", ["rehome_max_s", "failed", "lost", "largest_gap_s", "back_after_s"])
def test_more_of_it_is_worse(name: str) -> None:
    assert is_judged(name)


@pytest.mark.parametrize("name", ["packets", "fastest_per_s", "confirmed_p95_s", "phones", "command_to_effect_max_s"])
def test_of_other_figures_nobody_can_say(name: str) -> None:
    assert not is_judged(name)
