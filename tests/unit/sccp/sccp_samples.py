"""A strategy for every layout, and one example of every message we send."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from testbed.sccp.layout import Address, Integer, Kind, Layout, Numbers, Octets, Records, Text
from testbed.sccp.messages import TABLE, Message, Row

_LIMITS = {"B": 0xFF, "H": 0xFFFF, "I": 0xFFFFFFFF}
ROOT = Path(__file__).parents[3]


def values(kind: Kind) -> st.SearchStrategy[Any]:
    """Values that survive a round trip: no trailing zeros in tables and areas, no NUL in texts."""
    if isinstance(kind, Integer):
        return st.integers(0, _LIMITS[kind.code])
    if isinstance(kind, Text):
        return st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=kind.size)
    if isinstance(kind, Octets):
        return st.binary(max_size=kind.size).map(lambda raw: raw.rstrip(b"\0"))
    if isinstance(kind, Address):
        return st.ip_addresses(v=4).map(str)
    if isinstance(kind, Numbers):
        code = kind.packed.format.lstrip("<0123456789")
        return st.lists(st.integers(1, _LIMITS[code]), max_size=kind.count).map(tuple)
    assert isinstance(kind, Records)
    records = layouts(kind.layout).filter(lambda record: record.encode() != kind.unused)
    return st.lists(records, max_size=min(kind.count, 4)).map(tuple)


def layouts(layout: type[Layout]) -> st.SearchStrategy[Any]:
    """Any object of this layout."""
    fields = {name: values(kind) for name, kind in layout.kinds}
    if layout.tail is None:
        return st.builds(layout, **fields)
    name, tail = layout.tail
    del fields[tail.length_field]
    return st.binary(max_size=tail.most).flatmap(
        lambda data: st.builds(layout, **fields, **{tail.length_field: st.just(len(data)), name: st.just(data)})
    )


def sample(row: Row) -> Message:
    """One message with something in every field."""
    fields: dict[str, Any] = {name: _something(kind) for name, kind in row.layout.kinds}
    if row.layout.tail is not None:
        name, tail = row.layout.tail
        fields |= {tail.length_field: 8, name: b"<a>b</a>"}
    return row.layout(**fields)


def _something(kind: Kind) -> Any:
    if isinstance(kind, Integer):
        return 1
    if isinstance(kind, Text):
        return "SEP020000000001"[: kind.size - 1]
    if isinstance(kind, Octets):
        return b""
    if isinstance(kind, Address):
        return "172.26.16.1"
    if isinstance(kind, Numbers):
        return (1, 2, 3)
    assert isinstance(kind, Records)
    return (kind.layout(**{name: _something(inner) for name, inner in kind.layout.kinds}),) * 2


BASIC_ROWS = [row for row in TABLE if row.since == 0]


def shared_data(name: str) -> Path:
    """A file of the third-party data beside the project; the test is skipped where it is not there."""
    folder = Path(os.environ.get("TESTBED_SHARED", ROOT.parent / "shared")) / "data"
    if not (folder / name).is_file():
        pytest.skip(f"third-party sample {name} is not in {folder} (TESTBED_SHARED names the folder above it)")
    return folder / name
