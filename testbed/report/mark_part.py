"""Marks of packets, by traffic class and hop, as bars: at each end of a hop that was captured."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from testbed.checks.capture import captures
from testbed.dscp import name_of
from testbed.packets import Packets
from testbed.packets.classes import class_mask, owned
from testbed.report.markup import Html, joined, scrolling, table, tag
from testbed.report.reading import Told
from testbed.topology import Topology

CLASSES = ("sccp", "rtp", "http", "tftp")
MAX_HOPS = 40
"""Of a class; those with most packets."""
WIDTH, LEFT, RIGHT, BAR = 1140.0, 300.0, 1000.0, 22.0

COLOURS = {0: "nowhere", 26: "c0", 46: "c2", 24: "c3"}
"""Of default, AF31, EF and CS3, the same in every figure; any other mark is c1."""

Counts = dict[tuple[str, str, str], dict[int, int]]
"""(from, to, seen at) -> packets by code point."""


def marks(told: Told) -> Html | None:
    """A figure a class; None where nothing was captured."""
    read, topology = captures(told.run), told.run.topology
    figures = []
    for traffic in CLASSES:
        counts: Counts = {}
        for host, packets in read.items():
            _count(counts, topology, host, packets, traffic)
        if counts:
            figures.append(_figure(traffic, counts))
    return joined(figures) if figures else None


def _owners(topology: Topology, addresses: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    owner = np.full(len(addresses), -1, np.int64)
    for place, host in enumerate(topology.hosts):
        owner[owned(addresses, [host])] = place
    return owner


def _count(counts: Counts, topology: Topology, host: str, packets: Packets, traffic: str) -> None:
    mask = class_mask(packets, traffic)
    if not mask.any():
        return
    names = [one.name for one in topology.hosts]
    source, target = (_owners(topology, column[mask]) for column in (packets.src, packets.dst))
    keys = np.stack([source, target, (packets.tos[mask] >> 2).astype(np.int64)], axis=1)
    found, numbers = np.unique(keys, axis=0, return_counts=True)
    for (one, other, dscp), number in zip(found.tolist(), numbers.tolist(), strict=True):
        hop = (names[one] if one >= 0 else "others", names[other] if other >= 0 else "others", host)
        counts.setdefault(hop, {})[dscp] = number


def _figure(traffic: str, counts: Counts) -> Html:
    largest = sorted(counts.items(), key=lambda item: -sum(item[1].values()))[:MAX_HOPS]
    hops = sorted(largest)
    most = max(sum(own.values()) for _, own in hops)
    codes = sorted(
        {code for _, own in hops for code in own}, key=lambda code: -sum(own.get(code, 0) for _, own in hops)
    )
    bars = []
    for place, ((source, target, host), own) in enumerate(hops):
        y, x = place * BAR + 4, LEFT
        rects = []
        for code in codes:
            if own.get(code):
                width = max(1.0, (RIGHT - LEFT) * own[code] / most)
                rects.append(tag("rect", x=x, y=y, width=width, height=BAR - 6, class_=COLOURS.get(code, "c1")))
                x += width
        words = ", ".join(f"{name_of(code)} {own[code]}" for code in codes if own.get(code))
        label = f"{source} → {target}, at {host}"
        bars.append(
            tag(
                "g",
                tag("title", f"{traffic} {label}: {words}"),
                tag("text", label if len(label) <= 46 else label[:45] + "…", x=LEFT - 8, y=y + 12, text_anchor="end"),
                rects,
                tag(
                    "text",
                    words if len(words) <= 22 else words[:21] + "…",
                    x=min(x + 6, RIGHT + 4),
                    y=y + 12,
                    class_="soft",
                ),
                class_="mark",
            )
        )
    drawing = tag(
        "svg",
        bars,
        viewBox=f"0 0 {WIDTH:g} {len(hops) * BAR + 8:g}",
        class_="wide",
        role="img",
        aria_label=f"Marks of {traffic} packets by hop; the table below has the same numbers",
        data_marks=traffic,
    )
    total = [(name_of(code), sum(own.get(code, 0) for own in counts.values())) for code in codes]
    more = f" The {len(hops)} hops with most packets of {len(counts)}." if len(counts) > len(hops) else ""
    caption = "A packet that two captures have is counted at both." + more
    rows = table(("mark", "packets"), total, caption=f"marks of {traffic}, all captures")
    return joined(
        tag("h3", traffic), tag("figure", tag("figcaption", caption), scrolling(drawing, f"marks of {traffic}"), rows)
    )
