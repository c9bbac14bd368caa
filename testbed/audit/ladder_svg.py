"""Ladders as a picture: what the terminal shows, an arrow for each message between two lines. Times go down by order, not by length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from testbed.audit.ladder import Ladder, Rung
from testbed.audit.markup import Markup, joined, tag

_STYLE = Markup(
    "svg { color: #1c2024; background: #ffffff; font: 12px ui-monospace, monospace; }"
    " @media (prefers-color-scheme: dark) { svg { color: #e4e8ec; background: #14171a; } }"
    " @media print { svg { color: #000000; background: none; } }"
)
_STEP = 26
"""Pixels from rung to rung: a line, and its name above."""
_HEAD, _GAP, _EDGE = 44, 24, 12
_SECONDS, _FRAME, _PHONE, _CALL_CONTROL, _DETAILS = 80, 150, 250, 610, 630
_LETTER = 7.3
"""Width of a letter, about; only what is drawn at the right end depends on it."""
_TIP, _DROP = 7, 4
"""Of an arrow its head; how far below an arrow the letters beside it stand."""


def document(every: Sequence[Ladder], *, keepalives: bool) -> str:
    """A file of its own, which follows a dark screen."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{picture(every, keepalives=keepalives, style=_STYLE)}\n'


def picture(every: Sequence[Ladder], *, keepalives: bool, style: Markup | None = None) -> Markup:
    """All of them one below the other; without a style it has the colour of the text around it."""
    parts, top = [], _EDGE
    name = max((len(rung.file) for ladder in every for rung in ladder.rungs), default=0)
    details = _DETAILS + (round((name + 2) * _LETTER) if name else 0)
    for ladder in every:
        parts.append(_ladder(ladder, top, details, keepalives=keepalives))
        top += _height(ladder, keepalives=keepalives) + _GAP
    height = max(top - _GAP + _EDGE, 1)
    longest = max((len(rung.details) for ladder in every for rung in ladder.rungs), default=0)
    width = round(max(details + longest * _LETTER, _CALL_CONTROL + 200)) + _EDGE
    inside = (tag("style", style), *parts) if style else parts
    return tag(
        "svg", *inside, class_="ladder", xmlns="http://www.w3.org/2000/svg", width=width, height=height,
        viewBox=f"0 0 {width} {height}", font_family="monospace", font_size=12, fill="currentColor", role="img",
        aria_label="SCCP, message by message",
    )  # fmt: skip


def _height(ladder: Ladder, *, keepalives: bool) -> int:
    return _HEAD + _STEP * (len(ladder.shown(keepalives=keepalives)) + 1)


def _ladder(ladder: Ladder, top: int, details: int, *, keepalives: bool) -> Markup:
    """``details``: where those of messages begin, behind the names of files if there are any."""
    shown = ladder.shown(keepalives=keepalives)
    bottom = top + _height(ladder, keepalives=keepalives)
    phone = (
        joined((tag("tspan", ladder.device, font_weight="bold"), " ", ladder.phone)) if ladder.device else ladder.phone
    )
    parts = [
        _text(phone, _PHONE, top + 14, anchor="middle"),
        _text(ladder.call_control, _CALL_CONTROL, top + 14, anchor="middle"),
        _text("seconds", _SECONDS, top + 30, anchor="end", opacity="0.7"),
        _text("frame", _FRAME, top + 30, anchor="end", opacity="0.7"),
        *(_line(x, top + 22, x, bottom, opacity="0.4") for x in (_PHONE, _CALL_CONTROL)),
    ]
    if details > _DETAILS:
        parts.append(_text("file of the frame", _DETAILS, top + 30, opacity="0.7"))
    began_s = ladder.rungs[0].time_s
    for place, rung in enumerate(shown):
        parts += _rung(rung, top + _HEAD + _STEP * (place + 1), began_s, details)
    if hidden := len(ladder.rungs) - len(shown):
        words = f"and {hidden} keepalives and answers"
        parts.append(_text(words, (_PHONE + _CALL_CONTROL) // 2, bottom, anchor="middle", opacity="0.7"))
    return tag("g", *parts)


def _rung(rung: Rung, y: int, began_s: float, details: int) -> Iterator[Markup]:
    middle = (_PHONE + _CALL_CONTROL) // 2
    begin, end = (_PHONE, _CALL_CONTROL) if rung.up else (_CALL_CONTROL, _PHONE)
    back = -_TIP if rung.up else _TIP
    yield _text(f"{rung.time_s - began_s:.4f}", _SECONDS, y + _DROP, anchor="end")
    yield _text(rung.frame, _FRAME, y + _DROP, anchor="end")
    yield _text(rung.name, middle, y - 5, anchor="middle")
    yield _line(begin, y, end + back, y)
    yield tag("path", d=f"M{end} {y}l{back} -4v8Z")
    if rung.file:
        yield _text(rung.file, _DETAILS, y + _DROP)
    if rung.details:
        yield _text(rung.details, details, y + _DROP)


def _text(words: object, x: int, y: int, *, anchor: str | None = None, opacity: str | None = None) -> Markup:
    return tag("text", words, x=x, y=y, text_anchor=anchor, opacity=opacity)


def _line(x1: int, y1: int, x2: int, y2: int, *, opacity: str | None = None) -> Markup:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke="currentColor", opacity=opacity)
