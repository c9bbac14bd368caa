"""What chance leaves of a share: how few hits are still no surprise."""

from __future__ import annotations

import math

FEWEST_HITS = 2
"""A single one may have strayed without any fault."""
RARE = 0.001
"""So seldom a fault that hits the share asked for hits fewer than are demanded of it."""


def fewest_hits(total: int, share: float) -> int:
    """What a fault that hits this share (0-1, of which a tenth may be missing) of so many units reaches all but RARE-ly: from the
    Poisson distribution, which is wider than the binomial one; never below FEWEST_HITS."""
    expected = 0.9 * share * total
    least, chance = 0, math.exp(-expected)
    below = chance
    while below < RARE:
        least += 1
        chance = math.exp(least * math.log(expected) - expected - math.lgamma(least + 1))
        below += chance
    return max(FEWEST_HITS, least)
