"""What we read from captures of every kind is what tshark reads, field for field: two hundred files made from seeds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from capture_maker import Made
from tshark_judge import assert_agrees, fields, marks_by_class

from testbed.audit.survey import survey
from testbed.packets.file import open_capture


@pytest.mark.parametrize("tens", range(20))
def test_fields_and_counts_of_generated_captures_are_tsharks(tens: int, tmp_path: Path) -> None:
    for seed in range(tens * 10, tens * 10 + 10):
        made = Made(seed)
        file = tmp_path / f"{seed}{made.suffix}"
        file.write_bytes(made.data)
        assert assert_agrees(file) == len(made.frames)
        counts: Counter[tuple[str, int]] = Counter()
        for group in survey([open_capture(file)]).groups:
            if group.traffic in ("sccp", "http"):
                summary = group.summary
                counts.update({(group.traffic, dscp): count.packets for dscp, count in summary.counts.items()})
                counts.update({(group.traffic, dscp): number for dscp, number in summary.foreign.items()})
        assert counts == marks_by_class(fields(file))
