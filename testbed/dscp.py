"""Code points and per-hop behaviours: the six bits of RFC 2474 and the names of RFC 2597 (AF), 3246 (EF), 2474 (CS).

``dscp`` is the six-bit value (0-63), ``tos`` the whole octet; the two low bits of the octet are ECN and no mark.
"""

from __future__ import annotations

from testbed.errors import UsageError

DEFAULT = 0
CS3 = 24
AF31 = 26
AF41 = 34
CS5 = 40
EF = 46

NAMES: dict[int, str] = {
    0: "default",
    **{8 * i: f"CS{i}" for i in range(1, 8)},
    **{8 * i + 2 * j: f"AF{i}{j}" for i in range(1, 5) for j in range(1, 4)},
    44: "VOICE-ADMIT",
    46: "EF",
}


def name_of(dscp: int) -> str:
    """``46 -> "EF"``; a code point without a name is written as its number."""
    return NAMES.get(dscp, str(dscp))


def code_point(word: str | int) -> int:
    """``"AF31" -> 26``, ``26 -> 26``; raises UsageError with the known names."""
    if isinstance(word, int) or word.isdigit():
        if 0 <= int(word) <= 63:
            return int(word)
    else:
        for dscp, name in NAMES.items():
            if name.lower() == word.lower():
                return dscp
    raise UsageError(f"no code point {word!r}", hint="known: 0-63, " + ", ".join(NAMES.values()))


def tos_of(dscp: int) -> int:
    """The octet with this code point and no ECN bits."""
    return dscp << 2


def dscp_of(tos: int) -> int:
    """The code point in this octet."""
    return tos >> 2
