from __future__ import annotations

import pytest

from testbed.roles.nic import counters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "12 packets captured\n14 packets received by filter\n2 packets dropped by kernel\n",
            {"captured": 12, "received": 14, "dropped": 2},
        ),
        (
            "1 packet captured\n1 packet received by filter\n0 packets dropped by kernel",
            {"captured": 1, "received": 1, "dropped": 0},
        ),
        ("tcpdump: pcap_loop: The interface disappeared\n", {"captured": -1, "received": -1, "dropped": -1}),
    ],
)
def test_counters_are_what_tcpdump_said_or_unknown(text: str, expected: dict[str, int]):
    assert counters(text) == expected
