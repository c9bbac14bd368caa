"""SCCP ladders of the phones that matter: those that verdicts name, and those that re-homed slowest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from testbed.audit.ladder import Ladder, Rung, ladders_of
from testbed.checks.capture import captures
from testbed.packets import Mask, Packets, address_number
from testbed.report.markup import Child, Html, folded, joined, scrolling, tag
from testbed.report.reading import Told
from testbed.report.rehome_part import slowest

MAX_PHONES, SLOWEST = 6, 2
MAX_RUNGS = 120
WIDTH, STEP, FIRST = 1140.0, 19.0, 44.0
PHONE_X = 190.0
DETAIL_LETTERS, DETAIL_WIDTH = 60, 330.0

Line = tuple[Rung, str]
"""A rung and the call control it went to or came from."""


def phones(told: Told) -> list[str]:
    """Whose ladders are drawn."""
    return list(dict.fromkeys([*told.named_phones(), *slowest(told, SLOWEST)]))[:MAX_PHONES]


def sccp(told: Told) -> Html | None:
    """A drawing a phone, to be opened; None where no phone stands out, or its packets were not captured."""
    parts = [part for phone in phones(told) if (part := _phone(told, phone)) is not None]
    if not parts:
        return None
    note = "Phones that re-homed slowest and phones that verdicts name. Keepalives and their answers are left out."
    return joined(tag("p", note, class_="note"), parts)


def _phone(told: Told, phone: str) -> Html | None:
    address = told.run.topology.phone_address(phone)
    number = address_number(address)
    own = {host.name: host for host in told.run.topology.hosts}
    read = captures(told.run)
    vantage = next((name for name in read if name in own and own[name].phones and own[name].owns(address)), None)
    for name in [vantage] if vantage else list(read):
        found = ladders_of([read[name]], lambda packets: _of(packets, number)).every
        if found:
            return _drawn(told, phone, name, found)
    return None


def _of(packets: Packets, number: int) -> Mask:
    mask: Mask = (packets.src == np.uint32(number)) | (packets.dst == np.uint32(number))
    return mask


def _drawn(told: Told, phone: str, vantage: str, found: Sequence[Ladder]) -> Html:
    def control_of(ladder: Ladder) -> str:
        return told.run.topology.host_of(ladder.call_control.rpartition(":")[0])

    lines = sorted(
        ((rung, control_of(ladder)) for ladder in found for rung in ladder.shown(keepalives=False)),
        key=lambda line: (line[0].time_s, line[0].frame),
    )
    controls = sorted({control for _, control in lines})
    shown, more = lines[:MAX_RUNGS], max(0, len(lines) - MAX_RUNGS)
    drawing = _svg(told, phone, controls, shown)
    text = "\n".join(_text(told, line) for line in shown)
    return folded(
        joined(tag("strong", phone), f": {len(lines)} messages, as {vantage} saw them"),
        scrolling(drawing, f"SCCP of {phone}"),
        tag("p", f"{more} more: testbed ladder captures/{vantage}.pcap --device {phone}", class_="note")
        if more
        else None,
        folded("as text", scrolling(tag("pre", text), f"SCCP of {phone} as text")),
        is_open=phone == phones(told)[0],
    )


def _text(told: Told, line: Line) -> str:
    rung, control = line
    arrow = f"-> {control}" if rung.up else f"<- {control}"
    return (
        f"{rung.time_s - told.zero_s:10.4f} s  frame {rung.frame:>6}  {arrow:<12} {rung.name}  {rung.details}".rstrip()
    )


def _svg(told: Told, phone: str, controls: Sequence[str], shown: Sequence[Line]) -> Html:
    places = {control: PHONE_X + 330.0 * (place + 1) for place, control in enumerate(controls)}
    width = max(WIDTH, PHONE_X + 330.0 * len(controls) + DETAIL_WIDTH)
    bottom = FIRST + STEP * len(shown)
    parts: list[Child] = []
    for name, x in ((phone, PHONE_X), *places.items()):
        parts.append(tag("text", name, x=x, y=18, text_anchor="middle", class_="strong"))
        parts.append(tag("line", x1=x, x2=x, y1=26, y2=bottom, class_="life"))
    for place, (rung, control) in enumerate(shown):
        parts.append(_rung(told, rung, places[control], FIRST + place * STEP, max(places.values()) + 14))
    return tag(
        "svg",
        _bands(told, shown, width),
        parts,
        viewBox=f"0 0 {width:g} {bottom + 6:g}",
        class_="wide",
        role="img",
        aria_label=f"SCCP messages of {phone}; the text below has the same",
        data_marks="ladder",
    )


def _bands(told: Told, shown: Sequence[Line], width: float) -> Html:
    """Messages that came while a fault lasted."""
    found = []
    for window in told.windows:
        inside = [place for place, (rung, _) in enumerate(shown) if window.began_s <= rung.time_s <= window.healed_s]
        if inside:
            y, height = FIRST + (inside[0] - 0.7) * STEP, (inside[-1] - inside[0] + 1) * STEP
            found.append(tag("rect", x=0, y=y, width=width, height=height, class_="span"))
            found.append(tag("text", str(window)[:40], x=width - 6, y=y + 13, text_anchor="end", class_="hit"))
    return joined(found)


def _rung(told: Told, rung: Rung, x: float, y: float, beside: float) -> Html:
    tip = x - 6 if rung.up else PHONE_X + 6
    back = -7 if rung.up else 7
    head = tag("polygon", points=f"{tip:g},{y:g} {tip + back:g},{y - 4:g} {tip + back:g},{y + 4:g}", class_="tip")
    time_s = rung.time_s - told.zero_s
    return tag(
        "g",
        tag("title", f"{time_s:.4f} s, frame {rung.frame}: {rung.name}\n{rung.details}".strip()),
        tag("text", f"{time_s:.4f} s", x=4, y=y + 4, class_="soft"),
        tag("text", f"#{rung.frame}", x=84, y=y + 4, class_="soft"),
        tag("line", x1=PHONE_X, x2=x, y1=y, y2=y, class_="arrow"),
        head,
        tag("text", rung.name[:38], x=PHONE_X + 165, y=y - 3, text_anchor="middle"),
        tag("text", rung.details[:DETAIL_LETTERS], x=beside, y=y + 4, class_="soft") if rung.details else None,
        class_="mark",
    )
