"""One page on the phone: which line is chosen, what the form's fields hold, which soft keys it has, how it looks."""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote_plus

from testbed import phone_xml as px

MAX_FIELD_CHARS = 128
"""What a field takes by keys; a phone's own bound is not published."""

_ALLOWED = {
    "A": string.ascii_letters + string.digits + string.punctuation + " ",
    "T": string.digits + "*#",
    "N": string.digits,
    "E": string.digits + "+-*/=().,# ",
    "U": string.ascii_letters + string.digits + string.punctuation + " ",
    "L": string.ascii_letters + string.digits + string.punctuation + " ",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PageKey:
    """A soft key as it shows: what it says and what it does."""

    label: str
    url: str


class Page:
    """A displayable object and what the user did on it so far.

    ``refresh`` as ``browser.http.refresh_of`` gives it; ``keeps_history``: whether the page can be come back to.
    """

    def __init__(
        self, content: px.Displayable, url: str, *, refresh: tuple[float, str] | None = None, keeps_history: bool = True
    ) -> None:
        self.content, self.url, self.refresh, self.keeps_history = content, url, refresh, keeps_history
        self.values = [_allowed(item.default, item.flags) for item in self.fields]
        self.cursor = 0
        self.png: bytes | None = None
        """The picture file of an ImageFile, once it came."""
        self.typed_number = ""
        """Digits of an item's number that may go on."""

    @property
    def fields(self) -> tuple[px.InputItem, ...]:
        return self.content.items if isinstance(self.content, px.Input) else ()

    @property
    def items(self) -> tuple[px.MenuItem, ...]:
        return self.content.items if isinstance(self.content, px.Menu | px.IconMenu | px.GraphicMenu) else ()

    @property
    def entries(self) -> tuple[px.DirectoryEntry, ...]:
        return self.content.entries if isinstance(self.content, px.Directory) else ()

    @property
    def choices(self) -> int:
        """How many lines the cursor goes over."""
        return len(self.items) or len(self.entries) or len(self.fields)

    @property
    def chosen_url(self) -> str:
        """Of the chosen item; ``Dial:`` with the number of the chosen entry; "" where there is none."""
        if self.items:
            return self.items[self.cursor].url
        if self.entries and self.entries[self.cursor].telephone:
            return f"Dial:{self.entries[self.cursor].telephone}"
        return ""

    def move(self, by: int) -> None:
        """The cursor goes down or up; at an end it stays."""
        self.cursor = max(0, min(self.choices - 1, self.cursor + by)) if self.choices else 0

    def type_text(self, text: str) -> None:
        """Into the chosen field; characters that its flags do not allow are lost."""
        if self.fields:
            joined = self.values[self.cursor] + _allowed(text, self.fields[self.cursor].flags)
            self.values[self.cursor] = joined[:MAX_FIELD_CHARS]

    def rub_out(self) -> None:
        """Take back the last character of the chosen field."""
        if self.fields:
            self.values[self.cursor] = self.values[self.cursor][:-1]

    def submit_url(self) -> str:
        """The form's URL with its fields as the query; a field without a parameter (first parser) is not sent."""
        assert isinstance(self.content, px.Input)
        pairs = [
            f"{quote_plus(item.parameter)}={quote_plus(_encoded(value))}"
            for item, value in zip(self.fields, self.values, strict=True)
            if item.parameter.strip()
        ]
        return with_query(self.content.url.strip(), "&".join(pairs))

    def soft_keys(self) -> dict[int, PageKey]:
        """By place, 1 to 8. A page with keys of its own has none of the phone's."""
        if self.content.soft_keys:
            return {key.position: PageKey(label=key.name, url=key.url) for key in self.content.soft_keys}
        keys = dict(_default_keys(self.content))
        if 1 not in keys:
            is_next = self.refresh is not None and self.refresh[1] != self.url
            keys[1] = "Next" if is_next else "Update"
        return {place: PageKey(label=label, url=f"SoftKey:{label}") for place, label in sorted(keys.items())}

    def lines(self) -> tuple[str, ...]:
        """All lines, above and below what the display has room for."""
        if self.items:
            return tuple(f"{number} {item.name}" for number, item in enumerate(self.items, start=1))
        if self.entries:
            return tuple(
                f"{number} {entry.name}  {entry.telephone}" for number, entry in enumerate(self.entries, start=1)
            )
        if self.fields:
            return tuple(
                f"{item.name}: {'*' * len(value) if 'P' in item.flags else value}_"
                for item, value in zip(self.fields, self.values, strict=True)
            )
        if isinstance(self.content, px.Text):
            return tuple(self.content.text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
        if isinstance(self.content, px.ImageFile) and self.png is None:
            return (f"picture file {self.content.url}",)
        return ()

    @property
    def bitmap(self) -> px.Bitmap | None:
        return self.content.bitmap if isinstance(self.content, px.Image | px.GraphicMenu) else None


def with_query(url: str, query: str) -> str:
    """``query`` after ``?`` or, where there is one already, after ``&``."""
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{query}"


def _default_keys(content: px.Displayable) -> Iterable[tuple[int, str]]:
    if isinstance(content, px.Menu | px.IconMenu):
        return ((1, "Select"), (3, "Exit"))
    if isinstance(content, px.Directory):
        return ((1, "Dial"), (2, "EditDial"), (3, "Exit"))
    if isinstance(content, px.Input):
        return ((1, "Submit"), (2, "<<"), (3, "Cancel"))
    return ((3, "Exit"),)


def _allowed(text: str, flags: str) -> str:
    kind = flags.replace("P", "")
    text = text.upper() if kind == "U" else text.lower() if kind == "L" else text
    return "".join(character for character in text if character in _ALLOWED[kind])


def _encoded(value: str) -> bytes:
    """The phone's character set is ISO 8859-1."""
    return value.encode("latin-1", "replace")
