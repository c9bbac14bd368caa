"""The timeline: a lane for each host and each group of phones, with the faults as bands and what happened as marks.

Marks of one sort that would lie upon each other are one, which lists the first of them; so a thousand phones need no more room than ten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from testbed.checks.effects import effects
from testbed.checks.facts import FOREVER, FaultWindow, Seen, seen
from testbed.report.event_marks import SORTS, shape, sort_of, words_of
from testbed.report.markup import Child, Html, folded, joined, scrolling, table, tag
from testbed.report.reading import Told
from testbed.report.scale import Scale, time_axis
from testbed.topology import Role, Topology

WIDTH, LEFT, RIGHT, TOP = 1140.0, 118.0, 1126.0, 26.0
LANE, GROUP_LANE = 44.0, 72.0
BUCKET = 5.0
"""Pixels: marks of one sort nearer than this are drawn as one."""
TITLE_LINES = 8
MAX_ROWS = 400
"""Of the table of events; those that prove a verdict are in it whatever their number."""


@dataclass(kw_only=True, slots=True)
class Bucket:
    """Events of one sort and lane that are drawn as one mark."""

    x: float
    sort: str
    events: list[Seen] = field(default_factory=list)


def timeline(told: Told) -> Html | None:
    """The drawing, its legend, and the same events as a table; None where nothing was recorded."""
    if not len(told.run.history):
        return None
    topology = told.run.topology
    lanes = ["testbed", *(host.name for host in topology.hosts)]
    tops = _tops(topology, lanes)
    bottom = tops[lanes[-1]] + _height(topology, lanes[-1])
    scale = Scale(low=told.begin_s - told.zero_s, high=told.end_s - told.zero_s, left=LEFT, right=RIGHT)
    notable = _notable(told)
    parts: list[Child] = [
        [_lane(topology, name, tops[name]) for name in lanes],
        time_axis(scale, TOP, bottom),
        _registrations(told, scale, tops),
        _faults(told, scale, tops, bottom),
        _marks(told, scale, tops, notable),
    ]
    drawing = tag(
        "svg",
        parts,
        viewBox=f"0 0 {WIDTH:g} {bottom + 24:g}",
        class_="wide",
        role="img",
        aria_label="Timeline of the run; the table below has the same events",
        data_marks="timeline",
    )
    caption = (
        "Seconds since the steps began. Dashed: from the command to break something until the command to heal it was confirmed; filled: as "
        "packets and events show it in effect. The bars of phones hosts show where their phones are registered."
    )
    figure = tag("figure", tag("figcaption", caption), _legend(told), scrolling(drawing, "the timeline as a drawing"))
    return joined(figure, _table(told, notable))


def _height(topology: Topology, name: str) -> float:
    is_group = any(host.name == name and host.phones for host in topology.hosts)
    return GROUP_LANE if is_group else LANE


def _tops(topology: Topology, lanes: Sequence[str]) -> dict[str, float]:
    tops, top = {}, TOP
    for name in lanes:
        tops[name] = top
        top += _height(topology, name)
    return tops


def _lane(topology: Topology, name: str, top: float) -> Html:
    height = _height(topology, name)
    phones = sum(host.phones for host in topology.hosts if host.name == name)
    shown = name if len(name) <= 16 else name[:15] + "…"
    return joined(
        tag("rect", x=LEFT, y=top + 2, width=RIGHT - LEFT, height=height - 4, class_="lane"),
        tag("text", shown, x=4, y=top + 20, class_="strong"),
        tag("text", f"{phones} phone{'s' if phones > 1 else ''}", x=4, y=top + 36, class_="soft") if phones else None,
    )


def _notable(told: Told) -> list[Seen]:
    return [
        one
        for index, event in enumerate(told.run.history.events)
        if sort_of(one := Seen(index=index, event=event)) and event.name != "RunEnded"
    ]


def _marks(told: Told, scale: Scale, tops: Mapping[str, float], notable: Iterable[Seen]) -> Html:
    buckets: dict[tuple[str, str, int], Bucket] = {}
    for event in notable:
        lane, sort = event.event.host, sort_of(event)
        if lane not in tops or sort is None:
            continue
        x = scale.at(event.time_s - told.zero_s)
        bucket = buckets.setdefault((lane, sort, int(x // BUCKET)), Bucket(x=x, sort=sort))
        bucket.events.append(event)
    ordered = sorted(buckets.items(), key=lambda item: (tops[item[0][0]], item[1].x))
    return joined([_mark(told, bucket, tops[lane]) for (lane, _, _), bucket in ordered])


def _mark(told: Told, bucket: Bucket, top: float) -> Html:
    lines = [f"{event.time_s - told.zero_s:.3f} s {words_of(event)}" for event in bucket.events[:TITLE_LINES]]
    if len(bucket.events) > TITLE_LINES:
        lines.append(f"and {len(bucket.events) - TITLE_LINES} more")
    row = list(SORTS).index(bucket.sort)
    y = top + 4 + row * 4.6
    return tag("g", tag("title", "\n".join(lines)), shape(bucket.sort, bucket.x, y), class_="mark")


def _legend(told: Told) -> Html:
    def entry(form: Html, text: str) -> Html:
        return tag("li", tag("svg", form, width=14, height=12, viewBox="0 0 14 12", aria_hidden="true"), text)

    controls = [host.name for host in told.run.topology.with_role(Role.CALL_CONTROL)]
    entries = [entry(shape(sort, 7, 2), text) for sort, text in SORTS.items()]
    entries += [
        entry(tag("rect", x=1, y=1, width=12, height=10, class_=f"c{place % 4}"), f"at {name}")
        for place, name in enumerate(controls)
    ]
    entries.append(entry(tag("rect", x=1, y=1, width=12, height=10, class_="nowhere"), "registered nowhere"))
    return tag("ul", entries, class_="legend")


def _faults(told: Told, scale: Scale, tops: Mapping[str, float], bottom: float) -> Html:
    parts: list[Child] = []
    shown = {effect.window.confirmed.index: effect for effect in effects(told.run)}
    for window in told.windows:
        effect = shown.get(window.confirmed.index)
        began, ended = (
            (edge.after_s if edge else None for edge in (effect.began, effect.ended)) if effect else (None, None)
        )
        parts.append(_fault(told, scale, tops, bottom, window, began, ended))
    return joined(parts)


def _fault(
    told: Told,
    scale: Scale,
    tops: Mapping[str, float],
    bottom: float,
    window: FaultWindow,
    began: float | None,
    ended: float | None,
) -> Html:
    zero = told.zero_s
    low, high = window.began_s - zero, window.healed_s - zero
    x, width = scale.at(low), scale.width(low, high)
    lines = [str(window), f"commanded {low:.3f} s, " + (f"healed {high:.3f} s" if high != FOREVER else "never healed")]
    lines.append(f"shown in effect {began - zero:.3f} s" if began is not None else "not shown to have begun")
    lines.append(f"shown over {ended - zero:.3f} s" if ended is not None else "not shown to have ended")
    parts: list[Child] = [tag("title", "\n".join(lines))]
    parts.append(tag("rect", x=x, y=TOP, width=width, height=bottom - TOP, class_="span"))
    for host in window.hosts:
        if host not in tops:
            continue
        y = tops[host] + 3
        parts.append(tag("rect", x=x, y=y, width=width, height=LANE - 6, class_="told"))
        if began is not None:
            shown_s = (began - zero, (told.end_s if ended is None else ended) - zero)
            parts.append(
                tag("rect", x=scale.at(shown_s[0]), y=y, width=scale.width(*shown_s), height=LANE - 6, class_="shown")
            )
    kind = window.kind if len(window.kind) < 20 else window.kind[:19] + "…"
    parts.append(tag("text", f"⚡ {kind}", x=min(x, RIGHT - 90), y=TOP - 8, class_="hit"))
    return tag("g", parts, class_="mark")


def _registrations(told: Told, scale: Scale, tops: Mapping[str, float]) -> Html:
    """Of each phones host the shares of its phones by call control, as bars that change where a phone changes."""
    controls = [host.name for host in told.run.topology.with_role(Role.CALL_CONTROL)]
    parts = []
    for host in told.run.topology.hosts:
        if host.phones:
            steps = _steps(told, scale, host.name, controls, host.phones)
            parts.append(_bars(steps, tops[host.name] + GROUP_LANE - 26, controls, host.phones))
    return joined(parts)


def _steps(
    told: Told, scale: Scale, host: str, controls: Sequence[str], phones: int
) -> list[tuple[float, tuple[int, ...]]]:
    """(pixel, phones at each call control, the last of that pixel), the end of the drawing included."""
    held: dict[str, str] = {}
    found: dict[float, tuple[int, ...]] = {LEFT: (0,) * len(controls)}
    for event in seen(told.run, "Registered", "CallControlLost", "Unregistered"):
        if event.event.host != host:
            continue
        phone, at = str(event["phone"]), str(event["at"])
        if event.event.name == "Registered":
            held[phone] = at
        elif held.get(phone) == at and event["state"] != "standby":
            del held[phone]
        pixel = round(scale.at(event.time_s - told.zero_s))
        places = list(held.values())
        found[float(pixel)] = tuple(places.count(control) for control in controls)
    last = list(found.values())[-1]
    return [*sorted(found.items()), (RIGHT, last)]


def _bars(steps: Sequence[tuple[float, tuple[int, ...]]], top: float, controls: Sequence[str], phones: int) -> Html:
    height, parts = 20.0, []
    for (x, counts), (until, _) in pairwise(steps):
        y, left = top, max(0, phones - sum(counts))
        for place, count in (*enumerate(counts), (-1, left)):
            size = height * count / phones
            if size:
                class_ = f"c{place % 4}" if place >= 0 else "nowhere"
                parts.append(tag("rect", x=x, y=y, width=max(0.5, until - x), height=size, class_=class_))
            y += size
    return joined(parts)


def _table(told: Told, notable: Sequence[Seen]) -> Html:
    proving = told.evidence_events()
    # What came before the steps is the bed's coming up: it has to wait where there is much.
    by_worth = sorted(notable, key=lambda event: event.time_s < told.zero_s)
    chosen = {event.index: event for event in by_worth[:MAX_ROWS]}
    events = told.run.history.events
    chosen |= {index: Seen(index=index, event=events[index]) for index in proving if 0 <= index < len(events)}
    rows = [
        (
            tag("span", index, id=f"event-{index}"),
            f"{event.time_s - told.zero_s:.4f}",
            event.event.host,
            words_of(event),
        )
        for index, event in sorted(chosen.items())
    ]
    more = len(notable) - min(len(notable), MAX_ROWS)
    note = tag("p", f"{more} more events are in history.jsonl.", class_="note") if more else None
    made = table(
        ("event", "seconds", "host", "what"), rows, caption="Events, by their number in history.jsonl", class_="events"
    )
    return folded(f"{len(rows)} events as a table", made, note)
