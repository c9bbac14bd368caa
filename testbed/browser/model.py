"""Phone models: what their displays can show and what their parsers take.

Display sizes are those services may use (Cisco's Services Application Development Notes, table of display image sizes;
the 7941's depth as a real one sends it). The first parser, of the 7900 phones before the 7906, is not one that checks
against the schema: it takes a soft key without a position and a form without a URL.
"""

from __future__ import annotations

from dataclasses import dataclass

from testbed.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneModel:
    """``width``, ``height`` in pixels and ``depth`` in bits of the services pane; 0 x 0 shows no pictures at all."""

    name: str
    product: str
    width: int
    height: int
    depth: int
    is_colour: bool = False
    has_picture_files: bool = False
    """Whether it fetches PNG files (CiscoIPPhoneImageFile and its kin)."""
    checks_schema: bool = False
    soft_keys: int = 4
    """How many show at a time; more are behind a key ``more``."""

    @property
    def has_pictures(self) -> bool:
        return self.width > 0

    @property
    def display(self) -> str:
        """As in ``x-CiscoIPPhoneDisplay``: width, height, depth, C(olour) or G(rey)."""
        return f"{self.width},{self.height},{self.depth},{'C' if self.is_colour else 'G'}"


MODELS = {
    model.name: model
    for model in (
        PhoneModel(name="7912", product="CP-7912G", width=0, height=0, depth=1),
        PhoneModel(name="7920", product="CP-7920", width=128, height=59, depth=1),
        PhoneModel(name="7940", product="CP-7940G", width=133, height=65, depth=2),
        PhoneModel(name="7960", product="CP-7960G", width=133, height=65, depth=2),
        PhoneModel(
            name="7941", product="CP-7941G", width=298, height=144, depth=3, has_picture_files=True, checks_schema=True
        ),
        PhoneModel(
            name="7961", product="CP-7961G", width=298, height=144, depth=3, has_picture_files=True, checks_schema=True
        ),
        PhoneModel(
            name="7970",
            product="CP-7970G",
            width=298,
            height=168,
            depth=12,
            is_colour=True,
            has_picture_files=True,
            checks_schema=True,
            soft_keys=5,
        ),
    )
}

DEFAULT_MODEL = MODELS["7941"]
"""The model whose requests were seen in a capture."""


def model_named(name: str) -> PhoneModel:
    """By number, with or without ``CP-`` and ``G``; raises UsageError."""
    number = name.upper().removeprefix("CP-").removesuffix("G")
    if number not in MODELS:
        raise UsageError(f"no phone model {name!r}", hint="known: " + ", ".join(MODELS))
    return MODELS[number]
