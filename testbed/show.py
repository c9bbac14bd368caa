"""How the command line shows things: tables for people, JSON for programs. Data goes to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
import time
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from testbed.errors import BedError

STYLES = {
    "PASS": "green",
    "FAIL": "bold red",
    "INCONCLUSIVE": "yellow",
    "registered": "green",
    "running": "green",
    "nowhere": "red",
    "exited": "red",
    "paused": "yellow",
    "ok": "green",
    "UP": "green",
    "DOWN": "red",
    "missing": "red",
}


def rows(
    records: Sequence[Mapping[str, Any]], output: str, *, title: str = "", columns: Sequence[str] | None = None
) -> None:
    """Print records as a table, one JSON array, or one JSON object a line."""
    if output == "json":
        click.echo(json.dumps(list(records), indent=1))
    elif output == "jsonl":
        for record in records:
            click.echo(json.dumps(record))
    else:
        table(records, title, columns)


def table(records: Sequence[Mapping[str, Any]], title: str, columns: Sequence[str] | None = None) -> None:
    """A table with one column for each key; as wide as it needs to be where nobody looks (a pipe, a CI log)."""
    console = Console(soft_wrap=False, width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(grid(records, title, columns))


def grid(records: Sequence[Mapping[str, Any]], title: str, columns: Sequence[str] | None = None) -> Table:
    """The same table, for what prints it by itself."""
    columns = list(columns or (records[0] if records else ()))
    shown = Table(
        title=visible(title) or None,
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
        title_style="bold",
    )
    for column in columns:
        shown.add_column(column.replace("_", " ").upper(), overflow="fold")
    for record in records:
        shown.add_row(*(_cell(record.get(column)) for column in columns))
    return shown


def _cell(value: Any) -> Text:
    text = visible(_words(value))
    return Text(text, style=STYLES.get(text.split(" ")[0], ""))


def _words(value: Any) -> str:
    """Lists and mappings as people write them; nothing for what is not there."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value))
    return "" if value is None else str(value)


def visible(text: str) -> str:
    """Every character that is no text as U+FFFD: a name in a capture, or of a file, gives a terminal no commands. Ends of lines and tabs
    stay."""
    if text.isprintable():
        return text
    return "".join(letter if _is_text(letter) else "\ufffd" for letter in text)


def _is_text(letter: str) -> bool:
    """``isprintable`` knows no space but one."""
    return letter in "\n\t" or letter.isprintable() or unicodedata.category(letter) == "Zs"


def progress() -> Any:
    """A function that prints one line to stderr, with the seconds since it was made."""
    started = time.monotonic()

    def say(line: str) -> None:
        click.echo(click.style(f"[{time.monotonic() - started:6.1f} s] ", dim=True) + visible(line), err=True)

    return say


def note(line: str) -> None:
    """One line of data to stdout, below a table."""
    click.echo(visible(line))


def problem(error: BedError, where: str = "") -> None:
    """An error with what to do next, to stderr."""
    text = (f"{where}: " if where else "") + error.message + (f"\n  next: {error.hint}" if error.hint else "")
    click.echo(click.style("error: ", fg="red", bold=True) + visible(text), err=True)


def warning(line: str) -> None:
    """What is not as it should be and stops nothing, to stderr."""
    click.echo(click.style("warning: ", fg="yellow", bold=True) + visible(line), err=True)


def say(line: str) -> None:
    """One line to stderr."""
    click.echo(visible(line), err=True)
