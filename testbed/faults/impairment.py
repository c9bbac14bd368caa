"""What is bad about an impaired link, as one value: how long packets take, how many are lost, how fast it is, and so on."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from testbed.rate import RATE_PATTERN, parse_rate, written_rate

MAX_DELAY_S = 10.0
"""Longer than any time-out of the bed's at real timers but the keepalive: a cut serves better."""

MIN_RATE_BIT_S, MAX_RATE_BIT_S = 8_000.0, 10e9
"""At 8 kbit/s a full packet takes 1.5 s; no link of a bed carries 10 Gbit/s."""

BASE_LIMIT_PACKETS = 1000
"""As many wait at a slow link before further ones are lost: netem's own default."""

CARRIED_PACKETS_S = 10_000
"""As many a second fit into a delay; the bed's busiest links carry a fifth of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Impairment:
    """Zero is none. ValueError where the values are impossible, or nothing is impaired.

    A packet waits ``delay_s``, with jitter anywhere in ``delay_s ± jitter_s``; a reordered one does not wait.
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss_percent: float = 0.0
    rate_bit_s: float = 0.0
    duplicate_percent: float = 0.0
    reorder_percent: float = 0.0
    corrupt_percent: float = 0.0

    def __post_init__(self) -> None:
        if not any(asdict(self).values()):
            raise ValueError("impairs nothing: " + _EXAMPLES)
        for name, value in asdict(self).items():
            if not (isfinite(value) and value >= 0):
                raise ValueError(f"{name.partition('_')[0]} is {value:g}: it must be zero or more")
            if name.endswith("_percent") and value > 100:
                raise ValueError(f"{name.partition('_')[0]} is {value:g} %: there are no more than 100")
        if self.delay_s > MAX_DELAY_S:
            raise ValueError(f"a delay of {self.delay_s:g} s is more than {MAX_DELAY_S:g} s: use cut")
        if self.jitter_s > self.delay_s:
            raise ValueError(
                f"jitter ({self.jitter_s:g} s) is more than the delay ({self.delay_s:g} s): no packet leaves before it came"
            )
        if self.reorder_percent and not self.delay_s:
            raise ValueError("reorder needs a delay: the packets that do not wait overtake those that do")
        if self.reorder_percent == 100:
            raise ValueError("reorder of 100 % leaves none to overtake")
        if self.rate_bit_s and not MIN_RATE_BIT_S <= self.rate_bit_s <= MAX_RATE_BIT_S:
            raise ValueError(f"a rate of {written_rate(self.rate_bit_s)} is not between 8kbit and 10gbit")

    @property
    def limit_packets(self) -> int:
        """Packets that wait at most."""
        return BASE_LIMIT_PACKETS + int(CARRIED_PACKETS_S * self.longest_s)

    @property
    def longest_s(self) -> float:
        """The longest time a packet waits, besides its turn at a slow link."""
        return self.delay_s + self.jitter_s

    def netem(self) -> str:
        """The words that tc takes for it."""
        jitter = f" {_us(self.jitter_s)}" if self.jitter_s else ""
        words = [f"limit {self.limit_packets}", f"delay {_us(self.delay_s)}{jitter}" if self.delay_s else ""]
        for name in ("loss", "duplicate", "reorder", "corrupt"):
            if percent := getattr(self, f"{name}_percent"):
                words.append(f"{name} {percent:g}%")
        words.append(f"rate {self.rate_bit_s:.0f}bit" if self.rate_bit_s else "")
        return " ".join(filter(None, words))

    def parameters(self) -> dict[str, float]:
        """What the impairer in the NIC takes (testbed.roles.impairer_schedule.Parameters)."""
        given = {name: value for name, value in asdict(self).items() if value}
        return {**given, "limit_packets": self.limit_packets}


_EXAMPLES = "write delay: 50ms, jitter: 5ms, loss: 1, rate: 1mbit, duplicate: 1, reorder: 5 or corrupt: 0.1 (percent)"


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.0f}us"


_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%")


def parse_percent(value: Any) -> float:
    """``5``, ``0.1`` or ``5%``; ValueError where it is no share above 0 and up to 100."""
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value.strip())):
        value = float(match[1])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{str(value)[:40]!r} is no percentage: write 5 or 0.1 (0.5 means 0.5 %)")
    if not 0 < value <= 100:
        raise ValueError(f"{value:g} % is not above 0 and up to 100")
    return float(value)


Percent = Annotated[
    float,
    PlainValidator(parse_percent),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 100}, {"type": "string", "pattern": "^.*%$"}]}
    ),
]
"""A field of a model that is a share of packets, in percent."""

Rate = Annotated[
    float,
    PlainValidator(parse_rate),
    PlainSerializer(written_rate, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{RATE_PATTERN}$"}),
]
"""A field of a model that is a rate, in bits a second; read again from what it is written as."""
