"""Markup that cannot be broken out of: every text is escaped unless it is ``Html`` already, and only ``tag`` makes that.

A builder of ours, no template: a forgotten filter in a template is a hole, a forgotten ``Html`` here is only ugly. What is added to
an ``Html`` with ``+`` or an f-string is a plain text again, and is escaped.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
"""What neither HTML nor XML may hold (control characters, half a surrogate pair, non-characters), and what turns the direction of
writing: a device name with one of these could pass for another."""

_VOID = frozenset({"meta", "br", "hr", "link", "input", "wbr"})
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")


class Html(str):
    """Markup, as ``tag`` made it."""

    __slots__ = ()


Child = str | int | float | None | Iterable["Child"]
"""Text (escaped), markup (not), nothing, or several of these."""


def clean(text: str) -> str:
    """Every character that must not be there as U+FFFD, so that one sees that there was one."""
    return _UNSEEN.sub("\ufffd", text)


def escaped(text: object) -> Html:
    """The text for an element or a quoted attribute."""
    return Html(html.escape(clean(str(text)), quote=True))


def joined(*children: Child) -> Html:
    """All of them one after another."""
    return Html("".join(_parts(children)))


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Html:
    """An element. ``class_`` is class, ``aria_label`` is aria-label; an attribute that is None or False is left out, True has no value."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an element")
    words = [name]
    for word, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = word.rstrip("_").replace("_", "-")
        if not _NAME.fullmatch(attribute):
            raise ValueError(f"{attribute!r} is no name of an attribute")
        words.append(attribute if value is True else f'{attribute}="{escaped(_number(value))}"')
    if name in _VOID:
        return Html(f"<{' '.join(words)}>")
    return Html(f"<{' '.join(words)}>{joined(*children)}</{name}>")


def _parts(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            yield child
        elif isinstance(child, (str, int, float)):
            yield escaped(_number(child))
        else:
            yield from _parts(child)


def _number(value: str | float) -> str:
    """A length in pixels needs no more than two places."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def table(heads: Iterable[str], rows: Iterable[Iterable[Child]], *, caption: str = "", class_: str = "") -> Html:
    """A table whose first cell of each row is its head; scrolls by itself where the window is narrow."""
    head = tag("tr", [tag("th", word, scope="col") for word in heads])
    body = []
    for row in rows:
        first, *others = row
        body.append(tag("tr", tag("th", first, scope="row"), [tag("td", cell) for cell in others]))
    made = tag(
        "table",
        tag("caption", caption) if caption else None,
        tag("thead", head),
        tag("tbody", body),
        class_=class_ or None,
    )
    return scrolling(made, caption or "table")


def scrolling(content: Html, label: str) -> Html:
    """A part that may be wider than the window: it scrolls by itself, also by keys."""
    return tag("div", content, class_="scroll", tabindex="0", role="region", aria_label=label)


def folded(summary: Child, *content: Child, is_open: bool = False, id_: str | None = None) -> Html:
    """What one opens to see."""
    return tag("details", tag("summary", summary), *content, open=is_open, id=id_)
