"""How long phones took to re-home: a bar a phone, its parts one after another; of many phones their distribution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from testbed.checks.concerned import company, losses
from testbed.checks.facts import call_controls, quantiles
from testbed.checks.rehome_times import Rehome, failovers, fallbacks
from testbed.report.markup import Child, Html, joined, scrolling, table, tag
from testbed.report.reading import Told
from testbed.report.scale import Scale, seconds, time_axis

WIDTH, LEFT, RIGHT = 1140.0, 170.0, 1050.0
BAR, MAX_BARS, BINS = 18.0, 40, 40


def groups(told: Told) -> Iterator[tuple[str, tuple[Rehome, ...], int]]:
    """(what of which fault, those that did, how many did not)."""
    for fault in losses(told.run, call_controls(told.run)):
        own = company(told.run, fault)
        for word, found in (("failover", failovers(told.run, own, None)), ("fallback", fallbacks(told.run, own, None))):
            if found.done:
                yield f"{word}, {fault.window}", found.done, len(found.missing)


def slowest(told: Told, most: int) -> list[str]:
    """The phones that took longest for any failover."""
    times = [(one.total_s, one.phone) for name, done, _ in groups(told) if name.startswith("failover") for one in done]
    return list(dict.fromkeys(phone for _, phone in sorted(times, reverse=True)))[:most]


def rehomes(told: Told) -> Html | None:
    """A figure for each failover and fallback; None where no phone re-homed."""
    figures = [_figure(*group) for group in groups(told)]
    return joined(figures) if figures else None


def _figure(name: str, done: Sequence[Rehome], missing: int) -> Html:
    ordered = sorted(done, key=lambda one: -one.total_s)
    figures = quantiles("total", [one.total_s for one in done])
    words = ", ".join(f"{word} {seconds(figures[f'total_{word}_s'])}" for word in ("p50", "p95", "max"))
    caption = f"{len(done)} phones: {words}" + (f"; {missing} did not" if missing else "")
    parts = list(ordered[0].parts)
    drawing = _bars(ordered, name) if len(ordered) <= MAX_BARS else _histogram(ordered, name)
    legend = [
        tag(
            "li",
            tag(
                "svg", tag("rect", width=12, height=10, class_=f"c{place % 4}"), width=12, height=10, aria_hidden="true"
            ),
            part,
        )
        for place, part in enumerate(parts)
    ]
    rows = []
    for part in (*parts, "total"):
        values = [one.total_s if part == "total" else one.parts.get(part, 0.0) for one in done]
        found = quantiles("x", values)
        rows.append((part, *(seconds(found[f"x_{word}_s"]) for word in ("p50", "p95", "max"))))
    return joined(
        tag("h3", name),
        tag(
            "figure",
            tag("figcaption", caption),
            tag("ul", legend, class_="legend") if len(ordered) <= MAX_BARS else None,
            scrolling(drawing, f"re-home times, {name}"),
            table(("part", "p50", "p95", "max"), rows, caption=f"parts of a re-home, {name}"),
        ),
    )


def _scale(ordered: Sequence[Rehome]) -> Scale:
    return Scale(low=0.0, high=max(0.001, ordered[0].total_s), left=LEFT, right=RIGHT)


def _svg(parts: Child, height: float, label: str) -> Html:
    return tag(
        "svg",
        parts,
        viewBox=f"0 0 {WIDTH:g} {height + 24:g}",
        class_="wide",
        role="img",
        aria_label=f"Re-home times, {label}; the table below has the quantiles",
        data_marks="rehome",
    )


def _bars(ordered: Sequence[Rehome], name: str) -> Html:
    scale, parts = _scale(ordered), []
    bottom = 6 + BAR * len(ordered)
    for place, one in enumerate(ordered):
        y, begin = 6 + place * BAR, 0.0
        lines = [
            f"{one.phone} to {one.at}: {seconds(one.total_s)}",
            *(f"{word} {seconds(value)}" for word, value in one.parts.items()),
        ]
        if one.noticed:
            lines.append(f"noticed by {one.noticed}")
        rects: list[Child] = []
        for number, length in enumerate(list(one.parts.values()) or [one.total_s]):
            if length > 0:
                width = max(0.8, scale.at(begin + length) - scale.at(begin))
                rects.append(
                    tag("rect", x=scale.at(begin), y=y + 2, width=width, height=BAR - 4, class_=f"c{number % 4}")
                )
            begin += max(0.0, length)
        label = tag("text", one.phone[:20], x=LEFT - 8, y=y + 13, text_anchor="end")
        value = tag("text", seconds(one.total_s), x=scale.at(one.total_s) + 6, y=y + 13, class_="soft")
        parts.append(tag("g", tag("title", "\n".join(lines)), label, rects, value, class_="mark"))
    return _svg([time_axis(scale, 6, bottom), parts], bottom, name)


def _histogram(ordered: Sequence[Rehome], name: str) -> Html:
    scale, height = _scale(ordered), 180.0
    width_s = scale.high / BINS
    counts = [0] * BINS
    for one in ordered:
        counts[min(BINS - 1, max(0, int(one.total_s / width_s)))] += 1
    parts = []
    for place, count in enumerate(counts):
        if count:
            size = 150.0 * count / max(counts)
            title = f"{count} phones in {seconds(place * width_s)} to {seconds((place + 1) * width_s)}"
            bar = tag(
                "rect",
                x=scale.at(place * width_s) + 1,
                y=height - size,
                width=(RIGHT - LEFT) / BINS - 2,
                height=size,
                class_="c0",
            )
            parts.append(tag("g", tag("title", title), bar, class_="mark"))
    label = tag("text", f"up to {max(counts)} phones", x=LEFT - 8, y=36, text_anchor="end", class_="soft")
    return _svg([time_axis(scale, 20, height), label, parts], height, name)
