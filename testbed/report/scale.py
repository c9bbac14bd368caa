"""A scale: from values to pixels, with round numbers for its ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from testbed.report.markup import Html, joined, tag


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """Values from ``low`` to ``high`` at pixels from ``left`` to ``right`` (which may be the smaller one)."""

    low: float
    high: float
    left: float
    right: float

    def at(self, value: float) -> float:
        """The pixel of a value; what lies outside, infinities included, is drawn at the edge."""
        span = self.high - self.low
        share = 0.0 if span <= 0 or math.isnan(value) else min(1.0, max(0.0, (value - self.low) / span))
        return self.left + share * (self.right - self.left)

    def width(self, low: float, high: float, least: float = 1.5) -> float:
        """Pixels between two values; never too thin to be seen."""
        return max(least, abs(self.at(high) - self.at(low)))


def ticks(low: float, high: float, most: int = 10) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within [low, high], at most so many."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low] if math.isfinite(low) else []
    step = 10.0 ** math.floor(math.log10(span / most))
    step = next(step * factor for factor in (1, 2, 5, 10) if span / (step * factor) <= most - 1 or factor == 10)
    first = math.ceil(low / step - 1e-9)
    return [
        round((first + place) * step, 12) for place in range(most + 1) if (first + place) * step <= high + step * 1e-9
    ]


def seconds(value: float) -> str:
    """``1.8 ms``, ``0.412 s``, ``93.1 s``: three digits are enough to look at."""
    size = abs(value)
    if not math.isfinite(value):
        return "never"
    if size < 0.1:
        return f"{value * 1000:.3g} ms" if size else "0 s"
    return f"{value:.3f} s" if size < 10 else f"{value:.1f} s"


def time_axis(scale: Scale, top: float, bottom: float, *, unit: str = "s") -> Html:
    """Vertical lines with their values below."""
    lines = []
    for value in ticks(scale.low, scale.high):
        x = scale.at(value)
        lines.append(tag("line", x1=x, x2=x, y1=top, y2=bottom, class_="grid"))
        lines.append(tag("text", f"{value:g} {unit}", x=x, y=bottom + 14, class_="tick", text_anchor="middle"))
    return joined(lines)
