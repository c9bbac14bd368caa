"""Bits a second as users write them: ``512kbit``, ``2mbit``."""

from __future__ import annotations

import re
from typing import Any

RATE_PATTERN = r"[0-9]{1,11}(\.[0-9]{1,3})? ?(bit|kbit|mbit|gbit)"
_UNITS = {"bit": 1, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9}


def parse_rate(value: Any) -> float:
    """``1mbit`` in bits a second; ValueError says what to write."""
    text = str(value).strip().lower()
    if isinstance(value, bool | int | float) or not re.fullmatch(RATE_PATTERN, text):
        raise ValueError(f"{str(value)[:40]!r} is no rate: write 64kbit or 1mbit (bits a second)")
    number = text.rstrip("bitkmg ")
    return round(float(number) * _UNITS[text[len(number) :].strip()], 3)


def written_rate(bit_s: float) -> str:
    """``1mbit``: the largest unit in which it has at most three decimals."""
    fitting = [unit for unit, bits in _UNITS.items() if bit_s >= bits and bit_s * 1000 % bits == 0]
    unit = fitting[-1] if fitting else "bit"
    return f"{bit_s / _UNITS[unit]:.14g}{unit}"
