"""HTML, SVG and XML put together from pieces: whatever is not markup already is escaped, so a name in a capture stays a name."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

STYLE = Path(__file__).with_name("report.css")

_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
"""What no XML 1.0 document may hold, escaped or not, and surrogates, which stand for bytes of a file name that are no UTF-8; control
characters; and what turns the direction of writing, so that one name looks like another."""
_VOID = frozenset({"br", "hr", "meta"})
"""HTML elements without an end."""


class Markup(str):
    """Text that goes out as it is."""

    __slots__ = ()


def escaped(value: object) -> Markup:
    """Of markup itself; of anything else its text."""
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(_FORBIDDEN.sub("\ufffd", str(value)), quote=True))


def joined(parts: Iterable[object]) -> Markup:
    """One behind the other."""
    return Markup("".join(map(escaped, parts)))


def tag(name: str, /, *inside: object, **attributes: object) -> Markup:
    """``tag("p", "a < b", class_="note")``. Attributes: ``_`` at the end is dropped, within it is ``-``; None leaves one out."""
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(_short(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if not inside and name in _VOID:
        return Markup(f"<{name}{words}>")
    return Markup(f"<{name}{words}>{joined(inside)}</{name}>")


def _short(value: object) -> object:
    """Coordinates to a hundredth."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def table(rows: Sequence[Mapping[str, object]], *, numbers: Iterable[str] = ()) -> Markup:
    """A column for each key of the first row; those of ``numbers`` stand to the right. It scrolls by itself where it is too wide."""
    columns, right = list(rows[0]) if rows else [], set(numbers)

    def cell(kind: str, column: str, value: object) -> Markup:
        return tag(kind, value, class_="number" if column in right else None)

    head = tag("tr", *(cell("th", column, column.replace("_", " ")) for column in columns))
    body = (tag("tr", *(cell("td", column, row[column]) for column in columns)) for row in rows)
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body)), class_="wide")


def section(title: str, *inside: object) -> Markup:
    """With a heading."""
    return tag("section", tag("h2", title), *inside)


def page(title: str, *inside: object) -> str:
    """A whole document that needs nothing from elsewhere, and lets nothing in it run or load."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = (
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(STYLE.read_text(encoding="utf-8"))),
    )
    body = tag("body", tag("main", tag("h1", title), *inside))
    return "<!doctype html>\n" + tag("html", tag("head", *head), body, lang="en") + "\n"
