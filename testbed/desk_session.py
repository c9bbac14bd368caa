"""`testbed phone browse`: keys from the terminal, from a list or from lines of input; the screen drawn after each."""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from testbed import errors, show
from testbed.browser.keys import UnknownKey
from testbed.browser.screen import draw
from testbed.desk import Desk

HELP = (
    "digits choose, arrows move, Enter selects, F1-F8 soft keys, Esc back, Ctrl-U update; "
    "Ctrl-V services, Ctrl-T settings, Ctrl-D ends; letters type into forms"
)
_ESCAPES = {
    "[A": "Up",
    "[B": "Down",
    "[C": "Right",
    "[D": "Left",
    "OP": "Soft1",
    "OQ": "Soft2",
    "OR": "Soft3",
    "OS": "Soft4",
    "[11~": "Soft1",
    "[12~": "Soft2",
    "[13~": "Soft3",
    "[14~": "Soft4",
    "[15~": "Soft5",
    "[17~": "Soft6",
    "[18~": "Soft7",
    "[19~": "Soft8",
    "": "Back",
}
_CONTROLS = {
    "\r": "Enter",
    "\n": "Enter",
    "\t": "Down",
    "\x7f": "<<",
    "\b": "<<",
    "\x15": "Update",
    "\x16": "Services",
    "\x14": "Settings",
}
_END = "\x04"
ESCAPE_WAIT_S = 0.05
"""How long the rest of an arrow key may take after its Esc."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """``picture``: where a page's picture is written; ``output``: ``table`` draws, ``json`` prints the last screen."""

    desk: Desk
    url: str
    picture: Path
    output: str = "table"

    def run(self, keys: str | None) -> int:
        """The exit status: 1 where the phone shows an error at the end. ``keys`` None: from the terminal, or lines of input."""
        self.desk.open(self.url)
        self._show("")
        if keys is not None:
            self._press_all(split_keys(keys))
        elif sys.stdin.isatty():
            self._from_terminal()
        else:
            for line in sys.stdin:
                self._press_all(split_keys(line))
        screen = self.desk.browser.screen()
        if self.output != "table":
            click.echo(json.dumps(screen.to_json(), indent=1 if self.output == "json" else None))
        return errors.EXIT_CHECK_FAILED if screen.error else errors.EXIT_OK

    def _press_all(self, keys: list[str]) -> None:
        for key in keys:
            self.desk.tick()
            self.desk.key(key)
            self._show(key)

    def _show(self, key: str, *, clears: bool = False) -> None:
        saved = self.desk.save_picture(self.picture)
        if self.output != "table":
            return
        if clears:
            click.clear()
        elif key:
            click.echo(f"\n{key}")
        for line in draw(self.desk.browser.screen(), picture=str(self.picture) if saved else ""):
            click.echo(line)

    def _from_terminal(self) -> None:
        with _raw(sys.stdin.fileno()):
            show.say(HELP)
            while True:
                key = self._next_key(sys.stdin.fileno())
                if key is None:
                    return
                try:
                    if key:
                        self.desk.key(key)
                except UnknownKey:
                    click.echo("\a", nl=False)
                    continue
                self._show(key, clears=True)
                show.say(HELP)

    def _next_key(self, terminal: int) -> str | None:
        """A key's name, "" when a timer did something, None at the end."""
        due = self.desk.browser.next_timer()
        wait_s = None if due is None else max(0.0, due - time.monotonic())
        if not select.select([terminal], [], [], wait_s)[0]:
            self.desk.tick()
            return ""
        data = os.read(terminal, 1).decode("latin-1")
        if data in ("", _END):
            return None
        if data == "\x1b":
            rest = ""
            while len(rest) < 5 and select.select([terminal], [], [], ESCAPE_WAIT_S)[0]:
                rest += os.read(terminal, 1).decode("latin-1")
                if rest in _ESCAPES:
                    break
            return _ESCAPES.get(rest, "")
        if data in _CONTROLS:
            return _CONTROLS[data]
        return data if data in "0123456789*#" else f"={data}"


def split_keys(text: str) -> list[str]:
    """``2 Select =two words; Exit`` as keys: separated by spaces; typed text goes up to a ``;`` or the end of its word."""
    found: list[str] = []
    rest = text.strip()
    while rest:
        if rest.startswith("=") and ";" in rest:
            word, _, rest = rest.partition(";")
        else:
            word, _, rest = rest.partition(" ")
        if word.strip():
            found.append(word if word.startswith("=") else word.strip())
        rest = rest.strip()
    return found


@contextlib.contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """Keys one by one and unseen, Ctrl-C as ever; the terminal is as before afterwards."""
    import termios
    import tty

    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
