"""Names of keys, as users, pages and pushes write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from testbed.browser.uri import SOFT_KEYS
from testbed.errors import UsageError

FEATURES = ("services", "directories", "messages", "information", "settings")
_ALIASES = {"directory": "directories", "info": "information"}
_NAVIGATION = {
    "up": "NavUp",
    "down": "NavDown",
    "left": "NavLeft",
    "right": "NavRight",
    "enter": "NavSelect",
    "select": "NavSelect",
    "navup": "NavUp",
    "navdown": "NavDown",
    "navdwn": "NavDown",
    "navleft": "NavLeft",
    "navright": "NavRight",
    "navselect": "NavSelect",
    "navback": "NavBack",
    "back": "NavBack",
}
_DIGITS = {**{digit: digit for digit in "0123456789*#"}, "star": "*", "pound": "#"}
_ITEM_NAMES = {"*": "Star", "#": "Pound"}
_ELSEWHERE = frozenset(label.lower() for label in SOFT_KEYS)


class UnknownKey(UsageError):
    """No key of this name is on a phone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """``feature`` (its name), ``digit``, ``navigation`` (``NavUp`` …) or ``soft`` (its place)."""

    kind: Literal["feature", "digit", "navigation", "soft"]
    value: str

    @property
    def as_item(self) -> str:
        """As a KeyItem names it; "" for keys that pages cannot take."""
        if self.kind == "digit":
            return "KeyPad" + _ITEM_NAMES.get(self.value, self.value)
        return self.value if self.kind == "navigation" else ""


def known_key(name: str, labels: Mapping[int, str]) -> Key | None:
    """The key; ``labels`` are the soft keys that show, by place. None for one that is not there now. Raises UnknownKey."""
    word = name.strip().lower().removeprefix("key:")
    for place, label in labels.items():
        if label and label.lower() == word:
            return Key(kind="soft", value=str(place))
    word = _ALIASES.get(word, word)
    if word in FEATURES:
        return Key(kind="feature", value=word)
    if word.removeprefix("keypad") in _DIGITS:
        return Key(kind="digit", value=_DIGITS[word.removeprefix("keypad")])
    if word in _NAVIGATION:
        return Key(kind="navigation", value=_NAVIGATION[word])
    if word.startswith("soft") and word[4:] in ("1", "2", "3", "4", "5", "6", "7", "8"):
        return Key(kind="soft", value=word[4:])
    if word in _ELSEWHERE:
        return None
    shown = ", ".join(label for label in labels.values() if label)
    raise UnknownKey(
        f"no key {name!r}",
        hint=(f"soft keys now: {shown}; " if shown else "")
        + "always: 0-9 * # Up Down Left Select Back Soft1-Soft8 "
        + " ".join(word.capitalize() for word in FEATURES)
        + "; text as =text",
    )
