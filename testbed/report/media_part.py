"""Media: each stream as it arrived, with its pauses where they were."""

from __future__ import annotations

import numpy as np

from testbed.checks.heard import Arrived, HeardParams, arrived
from testbed.packets import address_text
from testbed.report.markup import Child, Html, joined, scrolling, table, tag
from testbed.report.reading import Told
from testbed.report.scale import Scale, seconds, time_axis

WIDTH, LEFT, RIGHT, LANE = 1140.0, 260.0, 1126.0, 20.0
MAX_STREAMS, MAX_GAPS = 40, 60


def media(told: Told) -> Html | None:
    """The streams with the longest pauses first; None where there was none."""
    streams = sorted(arrived(told.run), key=lambda one: -one.largest_gap_s)
    if not streams:
        return None
    limit_s = HeardParams().gap.seconds(told.run.profile)
    shown = streams[:MAX_STREAMS]
    scale = Scale(low=told.begin_s - told.zero_s, high=told.end_s - told.zero_s, left=LEFT, right=RIGHT)
    bottom = 6 + LANE * len(shown)
    bands = [
        tag(
            "rect",
            x=scale.at(w.began_s - told.zero_s),
            y=6,
            width=scale.width(w.began_s - told.zero_s, w.healed_s - told.zero_s),
            height=bottom - 6,
            class_="span",
        )
        for w in told.windows
    ]
    lanes = [_lane(told, scale, one, 6 + place * LANE, limit_s) for place, one in enumerate(shown)]
    drawing = tag(
        "svg",
        bands,
        time_axis(scale, 6, bottom),
        lanes,
        viewBox=f"0 0 {WIDTH:g} {bottom + 24:g}",
        class_="wide",
        role="img",
        aria_label="Media streams against time, with their pauses; the table below has their figures",
        data_marks="media",
    )
    rows = [
        (str(one.stream), len(one.stream), one.lost, seconds(one.largest_gap_s), seconds(one.stream.jitter_s))
        for one in shown
    ]
    more = f", of {len(streams)} those with the longest pauses" if len(streams) > len(shown) else ""
    caption = f"{len(shown)} streams as captured at their receivers{more}; red: no packet for more than {limit_s * 1000:g} ms. Shaded: faults."
    figures = table(("stream", "packets", "lost", "longest pause", "jitter"), rows, caption="figures of the streams")
    return joined(tag("figure", tag("figcaption", caption), scrolling(drawing, "media streams"), figures))


def _lane(told: Told, scale: Scale, one: Arrived, y: float, limit_s: float) -> Html:
    stream, host_of = one.stream, told.run.topology.host_of
    times = stream.time_s - told.zero_s
    begin_s, end_s = float(times.min()), float(times.max())
    label = f"{host_of(address_text(stream.src))} {stream.sport} → {host_of(address_text(stream.dst))}"
    title = f"{stream}: {len(stream)} packets, {one.lost} lost, longest pause {seconds(one.largest_gap_s)}"
    parts: list[Child] = [
        tag("title", title),
        tag("text", label if len(label) <= 40 else label[:39] + "…", x=LEFT - 8, y=y + 13, text_anchor="end"),
        tag("rect", x=scale.at(begin_s), y=y + 4, width=scale.width(begin_s, end_s), height=LANE - 8, class_="stream"),
    ]
    gaps = stream.gaps_s
    longest = np.argsort(-gaps, kind="stable")[:MAX_GAPS]
    for place in longest[gaps[longest] > limit_s].tolist():
        since_s, until_s = float(times[place]), float(times[place + 1])
        parts.append(
            tag(
                "rect", x=scale.at(since_s), y=y + 1, width=scale.width(since_s, until_s), height=LANE - 2, class_="gap"
            )
        )
    return tag("g", parts, class_="mark")
