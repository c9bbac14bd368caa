"""What every message is, and the table of all of them: id, direction, layout, source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, TypeVar

from testbed.sccp.layout import Layout

BASIC_VERSION = 0
"""Header version of every protocol below 10, and the only one we send."""


class Direction(Enum):
    """Up is from phone to call control."""

    UP = "up"
    DOWN = "down"


UP, DOWN = Direction.UP, Direction.DOWN


class Message(Layout):
    """A message with a known layout."""

    message_id: ClassVar[int]
    direction: ClassVar[Direction]
    source: ClassVar[str]


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """A message whose id, or whose layout in this header version, is not in the table: no error, kept as it came."""

    message_id: int
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table. ``since`` is the header version from which this layout holds."""

    message_id: int
    direction: Direction
    layout: type[Message]
    source: str
    since: int = BASIC_VERSION


TABLE: list[Row] = []

M = TypeVar("M", bound=type[Message])


def row(message_id: int, direction: Direction, source: str, since: int = BASIC_VERSION) -> Callable[[M], M]:
    """Enter a layout into the table."""

    def enter(layout: M) -> M:
        layout.message_id, layout.direction, layout.source = message_id, direction, source
        TABLE.append(Row(message_id=message_id, direction=direction, layout=layout, source=source, since=since))
        return layout

    return enter
