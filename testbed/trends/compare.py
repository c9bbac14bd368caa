"""Whether figures got worse from one set of runs to another: by their distributions, never by single values. Pure.

A figure is worse where (1) the second set's values are larger than the first's beyond chance, by the rank-sum test of Mann, Whitney and
Wilcoxon, one-sided, and (2) its median is larger by more than the first set's own spread and a tenth of its median. Many figures are looked
at together, so chance is bounded by the false discovery rate (Benjamini, Hochberg 1995).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist, median, quantiles

from testbed.trends.store import Figure

FALSE_DISCOVERIES = 0.05
"""Share of what is called worse that may be so by chance."""
LEAST_SHARE = 0.1
"""Of the median: what is less nobody would look into."""
LEAST_S = 0.005
"""Of a time: the kernel's and the scheduler's own."""
FEWEST = 4
"""Values of each set: fewer cannot differ beyond chance."""
EXACT = 20_000
"""Arrangements that are counted one by one; of more the normal approximation is good."""

MORE_IS_WORSE = frozenset(
    {
        "failed",
        "slow",
        "lost",
        "lost_percent",
        "drops",
        "wrong",
        "changed",
        "not_rehomed",
        "phones_away",
        "servers_down",
    }
)
ABOUT_MEASURING = (
    "confirmed_",
    "bracket_",
    "off_schedule_",
    "packets_differ_",
    "command_to_effect_",
    "heal_to_effect_",
)
"""Figures that say how well the test-bed measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One figure of one expectation of one scenario in both sets: how many values, medians, and the spread (interquartile range) of the
    first; ``chance``: how likely values at least as large are if nothing changed. ``worse``: beyond chance and beyond the noise."""

    scenario: str
    profile: str
    verdict: str
    figure: str
    before: int
    after: int
    median_before: float
    median_after: float
    spread_before: float
    chance: float
    worse: bool = False

    @property
    def noise(self) -> float:
        """How much larger the median must be at least."""
        least = LEAST_S if self.figure.endswith("_s") else 0.0
        return max(self.spread_before, LEAST_SHARE * abs(self.median_before), least)


def compare(before: Iterable[Figure], after: Iterable[Figure]) -> list[Comparison]:
    """Every figure that both sets have often enough, the worst first."""
    old, new = _by_name(before), _by_name(after)
    found = [
        _compared(key, old[key], new[key]) for key in old if len(old[key]) >= FEWEST and len(new.get(key, ())) >= FEWEST
    ]
    found.sort(key=lambda one: one.chance)
    worst = 0
    for place, one in enumerate(found, 1):
        if one.chance <= FALSE_DISCOVERIES * place / len(found):
            worst = place
    return [_judged(one, place <= worst) for place, one in enumerate(found, 1)]


def is_judged(figure: str) -> bool:
    """Whether more of it is worse: times that phones, pages and calls took, and counts of what went wrong."""
    if figure.startswith(ABOUT_MEASURING) or figure.endswith("_per_s"):
        return False
    return figure in MORE_IS_WORSE or figure.endswith("_s")


def larger_by_chance(before: Sequence[float], after: Sequence[float]) -> float:
    """One-sided: the probability of a rank sum at least as large as that of ``after``, were both drawn from one distribution.

    Exact by counting, ties at their mean rank; the normal approximation, corrected for ties, where that are too many arrangements.
    """
    ranks, ties = _ranks([*before, *after])
    count, total = len(after), len(before) + len(after)
    observed = sum(ranks[len(before) :])
    if math.comb(total, count) <= EXACT:
        sums = [sum(chosen) for chosen in combinations(ranks, count)]
        return sum(one >= observed - 1e-9 for one in sums) / len(sums)
    expected = count * (total + 1) / 2
    variance = count * len(before) / 12 * (total + 1 - sum(tie**3 - tie for tie in ties) / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    return 1 - NormalDist().cdf((observed - expected - 0.5) / math.sqrt(variance))


def _judged(one: Comparison, beyond_chance: bool) -> Comparison:
    worse = beyond_chance and one.median_after - one.median_before > one.noise
    values = {name: getattr(one, name) for name in one.__slots__}
    return Comparison(**{**values, "worse": worse})


def _compared(key: tuple[str, str, str, str], before: Sequence[float], after: Sequence[float]) -> Comparison:
    scenario, profile, verdict, figure = key
    low, _, high = quantiles(before, n=4, method="inclusive")
    return Comparison(
        scenario=scenario,
        profile=profile,
        verdict=verdict,
        figure=figure,
        before=len(before),
        after=len(after),
        median_before=median(before),
        median_after=median(after),
        spread_before=high - low,
        chance=larger_by_chance(before, after),
    )


def _by_name(figures: Iterable[Figure]) -> dict[tuple[str, str, str, str], list[float]]:
    found: dict[tuple[str, str, str, str], list[float]] = defaultdict(list)
    for one in figures:
        if is_judged(one.name):
            found[one.scenario, one.profile, one.verdict, one.name].append(one.value)
    return dict(found)


def _ranks(values: Sequence[float]) -> tuple[list[float], list[int]]:
    """(rank of each value from 1, equal ones at their mean rank; how many are equal, for each value there is)."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    ties = []
    place = 0
    while place < len(order):
        end = place
        while end < len(order) and values[order[end]] == values[order[place]]:
            end += 1
        for index in order[place:end]:
            ranks[index] = (place + 1 + end) / 2
        ties.append(end - place)
        place = end
    return ranks, ties
