"""Which features of the kernel the faults of this NIC may use."""

from __future__ import annotations


def features() -> list[str]:
    """Words that ``InNic.needs`` may name."""
    return []
