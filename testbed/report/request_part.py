"""Requests of phones against time: how long each took, and which failed. Those that would lie upon each other are one dot."""

from __future__ import annotations

from testbed.checks.facts import Seen, quantiles, seen
from testbed.report.event_marks import words_of
from testbed.report.markup import Html, scrolling, tag
from testbed.report.reading import Told
from testbed.report.scale import Scale, seconds, ticks, time_axis

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 1140.0, 70.0, 1126.0, 40.0, 240.0
CELL = 4.0


def requests(told: Told) -> Html | None:
    """None where no phone asked for anything."""
    events = [one for one in seen(told.run, "UrlAnswered", "UrlFailed") if one["elapsed_s"] is not None]
    if not events:
        return None
    failed = [one for one in events if one.event.name == "UrlFailed"]
    x_scale = Scale(low=told.begin_s - told.zero_s, high=told.end_s - told.zero_s, left=LEFT, right=RIGHT)
    most = max(0.001, *(_elapsed(one) for one in events))
    y_scale = Scale(low=0.0, high=most, left=BOTTOM, right=TOP)
    cells: dict[tuple[int, int, bool], list[Seen]] = {}
    for one in events:
        x, y = x_scale.at(one.time_s - told.zero_s), y_scale.at(_elapsed(one))
        cells.setdefault((int(x // CELL), int(y // CELL), one.event.name == "UrlFailed"), []).append(one)
    bands = [
        tag(
            "rect",
            x=x_scale.at(w.began_s - told.zero_s),
            y=TOP,
            height=BOTTOM - TOP,
            class_="span",
            width=x_scale.width(w.began_s - told.zero_s, w.healed_s - told.zero_s),
        )
        for w in told.windows
    ]
    levels = [
        [
            tag("line", x1=LEFT, x2=RIGHT, y1=y_scale.at(value), y2=y_scale.at(value), class_="grid"),
            tag("text", seconds(value), x=LEFT - 6, y=y_scale.at(value) + 4, text_anchor="end", class_="tick"),
        ]
        for value in ticks(0.0, most, 6)
    ]
    drawing = tag(
        "svg",
        bands,
        time_axis(x_scale, TOP, BOTTOM),
        levels,
        [_dot(told, x_scale, y_scale, cell) for _, cell in sorted(cells.items(), key=lambda item: item[0][2])],
        viewBox=f"0 0 {WIDTH:g} {BOTTOM + 24:g}",
        class_="wide",
        role="img",
        aria_label="Requests of phones: how long each took against time, with failures as triangles",
        data_marks="requests",
    )
    took = quantiles("x", [_elapsed(one) for one in events])
    words = ", ".join(f"{word} {seconds(took[f'x_{word}_s'])}" for word in ("p50", "p95", "max"))
    caption = f"{len(events)} requests of phones, {len(failed)} failed (triangles); took {words}. Shaded: faults."
    return tag("figure", tag("figcaption", caption), scrolling(drawing, "requests against time"))


def _elapsed(one: Seen) -> float:
    return max(0.0, float(one["elapsed_s"] or 0.0))


def _dot(told: Told, x_scale: Scale, y_scale: Scale, cell: list[Seen]) -> Html:
    one = cell[0]
    x, y = x_scale.at(one.time_s - told.zero_s), y_scale.at(_elapsed(one))
    title = f"{one.time_s - told.zero_s:.3f} s, took {seconds(_elapsed(one))}: {words_of(one)}"
    title += f"\nand {len(cell) - 1} more here" if len(cell) > 1 else ""
    form = tag("circle", cx=x, cy=y, r=min(6.0, 2.2 + len(cell) ** 0.5 / 2), class_="dot")
    if one.event.name == "UrlFailed":
        form = tag("polygon", points=f"{x - 5:g},{y - 5:g} {x + 5:g},{y - 5:g} {x:g},{y + 5:g}", class_="error")
    return tag("g", tag("title", title), form, class_="mark")
