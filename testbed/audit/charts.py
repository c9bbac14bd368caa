"""Pictures of marks as SVG: bars of shares, strips of packets over time. Every one has its numbers in words beside it: colour tells
nothing alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from testbed.audit.markup import Markup, tag
from testbed.audit.timeline import Timeline
from testbed.dscp import name_of

_COLOURS = {
    0: "#8b949e",
    24: "#e69f00",
    26: "#009e73",
    34: "#cc79a7",
    40: "#56b4e9",
    46: "#1f77d0",
}
"""Of the usual marks, told apart by the colour-blind too (Okabe and Ito), and seen on white and on black."""
_TICKS = 4


def colour_of(dscp: int) -> str:
    """One for each code point, the same in every picture; the unusual ones go around the circle."""
    return _COLOURS.get(dscp, f"hsl({dscp * 47 % 360} 60% 50%)")


def swatch(dscp: int) -> Markup:
    """A small square of the mark's colour."""
    square = tag("rect", width=10, height=10, fill=colour_of(dscp))
    return tag("svg", square, class_="swatch", viewBox="0 0 10 10", aria_hidden="true")


def bar(numbers: Mapping[int, int]) -> Markup:
    """Packets by code point, as shares of a line."""
    total, at, parts, words = sum(numbers.values()), 0.0, [], []
    for dscp, number in numbers.items():
        width = 1000 * number / max(total, 1)
        words.append(f"{name_of(dscp)} {number}")
        parts.append(tag("rect", tag("title", words[-1]), x=at, y=0, width=width, height=14, fill=colour_of(dscp)))
        at += width
    return tag(
        "svg", *parts, class_="bar", viewBox="0 0 1000 14", preserveAspectRatio="none", role="img",
        aria_label=", ".join(words),
    )  # fmt: skip


def strips(timeline: Timeline) -> Markup:
    """One for each code point, each as high as its own greatest number, so that rare marks are seen beside frequent ones."""
    rows = (_strip(timeline, dscp) for dscp in timeline.marks)
    seconds = (timeline.length_s * place / _TICKS for place in range(_TICKS + 1))
    axis = tag("div", *(tag("span", length_text(length_s)) for length_s in seconds), class_="axis")
    return tag("figure", *rows, tag("div", tag("span", class_="gap"), axis, class_="strip"))


def _strip(timeline: Timeline, dscp: int) -> Markup:
    numbers: Sequence[int] = timeline.packets[dscp].tolist()
    most = max(numbers)
    path = tag("path", d=" ".join(_steps(numbers, most)), fill=colour_of(dscp))
    total = f"{name_of(dscp)}: {sum(numbers)} packets, at most {most} in {length_text(timeline.piece_s)}"
    picture = tag(
        "svg", tag("title", total), path, viewBox=f"0 0 {len(numbers)} 40", preserveAspectRatio="none", role="img",
        aria_label=total,
    )  # fmt: skip
    label = tag(
        "span",
        swatch(dscp),
        name_of(dscp),
        tag("span", f" {sum(numbers)}, at most {most} in {length_text(timeline.piece_s)}", class_="soft"),
    )
    return tag("div", label, picture, class_="strip")


def _steps(numbers: Sequence[int], most: int) -> Iterator[str]:
    """An area with a step for each piece; pieces with nothing cost nothing. What there is at all is at least a line."""
    at = 0
    while at < len(numbers):
        begin = at
        while at < len(numbers) and numbers[at] == numbers[begin]:
            at += 1
        if numbers[begin]:
            height = max(1.0, 38 * numbers[begin] / most)
            yield f"M{begin} 40V{40 - height:.1f}H{at}V40Z"


def length_text(seconds: float) -> str:
    """``0.25 s``, ``90 s``, ``1:02:03``: as short as it can be read."""
    if seconds < 600:
        return f"{seconds:.3g} s"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
