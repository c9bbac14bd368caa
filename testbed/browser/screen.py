"""A phone's display as it stands, and its drawing as lines of text."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass, field
from typing import Any

WIDTH = 40
"""Characters between the edges; a title or prompt at its limit of 32 fits."""
ROWS = 8
MAX_KEY_CHARS = 9
CURSOR, FRAME = ">", "|"


@dataclass(frozen=True, kw_only=True, slots=True)
class Screen:
    """``lines`` is all the page has, ``cursor`` the chosen line or None; ``soft_keys`` by place, "" where none is.

    ``error`` is what the prompt line says instead of ``prompt``; ``detail`` explains it to a developer, and is not on
    the phone. ``has_picture``: a picture shows in place of, or above, the lines.
    """

    title: str = ""
    lines: tuple[str, ...] = ()
    cursor: int | None = None
    prompt: str = ""
    soft_keys: tuple[str, ...] = ()
    error: str = ""
    detail: str = ""
    url: str = ""
    object: str = ""
    has_picture: bool = False
    is_busy: bool = False
    is_on: bool = True
    notices: tuple[str, ...] = field(default=())
    """What the phone was told to do besides: dial, play, stream."""

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Screen:
        """From ``to_json``."""
        lists = ("lines", "soft_keys", "notices")
        values: dict[str, Any] = {key: tuple(value) if key in lists else value for key, value in record.items()}
        return cls(**values)


def draw(screen: Screen, *, picture: str = "") -> list[str]:
    """The display as lines, equally wide; ``picture`` names the file that holds the picture. Detail and notices follow."""
    edge = "+" + "-" * (WIDTH + 2) + "+"
    body = ["", "display off"] if not screen.is_on else _body(screen, picture)
    rows = [_row(screen.title), _row("-" * WIDTH), *(_row(line) for line in body)]
    prompt = screen.error or ("Requesting..." if screen.is_busy else screen.prompt)
    rows += [_row("")] * (ROWS + 2 - len(rows)) + [_row(prompt)]
    rows += [_row(line) for line in _soft_keys(screen.soft_keys)]
    after = [f"  {text}" for text in (screen.detail, *screen.notices) if text]
    return [edge, *rows, edge, *after]


def _row(text: str) -> str:
    return f"{FRAME} {_plain(text)[:WIDTH]:<{WIDTH}} {FRAME}"


def _plain(text: str) -> str:
    """Nothing a page says moves the cursor of a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _body(screen: Screen, picture: str) -> list[str]:
    shown = [f"[picture{': ' + picture if picture else ''}]"] if screen.has_picture else []
    rows: list[str] = []
    starts: list[int] = []
    for index, line in enumerate(screen.lines):
        starts.append(len(rows))
        mark = f"{CURSOR if index == screen.cursor else ' '} " if screen.cursor is not None else ""
        rows += _wrapped(line, mark)
    room = ROWS - len(shown)
    first = 0
    if screen.cursor is not None and screen.cursor < len(starts):
        first = max(0, min(starts[screen.cursor] - room + 2, len(rows) - room))
    visible = rows[first : first + room]
    if len(rows) > first + room:
        visible[-1] = f"{visible[-1]:<{WIDTH - 2}} v"
    return shown + visible


def _wrapped(line: str, mark: str) -> list[str]:
    parts = [
        part
        for piece in line.split("\n")
        for part in textwrap.wrap(_plain(piece), WIDTH - len(mark) - 2, replace_whitespace=False) or [""]
    ]
    return [(mark if index == 0 else " " * len(mark)) + part for index, part in enumerate(parts)]


def _soft_keys(labels: tuple[str, ...]) -> list[str]:
    """Four a row, as on the phone; labels are cut to what a key has room for."""
    rows = [labels[start : start + 4] for start in range(0, max(len(labels), 1), 4)]
    return ["".join(f"{label[:MAX_KEY_CHARS]:<10}" for label in row) for row in rows]
