"""How many probes are sent: enough of them meet what hits a small share, and they leave a slow link to others."""

from __future__ import annotations

import math

import pytest
from recordings import bed

from testbed.checks.chance import FEWEST_HITS, RARE
from testbed.faults import fault_of
from testbed.faults.probing import PROBE_WIRE_BYTES, RATE_SHARE, plan_probes


@pytest.mark.parametrize(
    ("parameters", "a_second"),
    [
        ({"loss": 5}, 50),
        ({"loss": 1}, 250),
        ({"loss": 0.1}, 500),
        ({"loss": 5, "rate": "5mbit"}, 50),
        ({"loss": 2, "rate": "5mbit"}, 147.4),
        ({"loss": 0.1, "rate": "100mbit"}, 500),
        ({"loss": 0.1, "rate": "64kbit"}, 1.9),
    ],
)
def test_the_smaller_the_share_the_more_probes_as_far_as_a_rate_allows(
    parameters: dict[str, object], a_second: float
) -> None:
    lanes = plan_probes(bed(), [fault_of("impair", "slb", **parameters)]).lanes
    singles = [lane for lane in lanes if lane.size_bytes == lanes[0].size_bytes]
    assert singles
    for lane in singles:
        assert lane.burst / lane.period_s == pytest.approx(a_second, rel=0.01)
        assert "rate" not in parameters or lane.burst == 1
        if parameters.get("rate") == "64kbit":
            assert lane.burst / lane.period_s * PROBE_WIRE_BYTES * 8 * 2 == pytest.approx(RATE_SHARE * 64_000)


def test_in_six_seconds_the_shares_of_the_worst_scenario_are_met_more_than_once_all_but_rarely() -> None:
    lanes = plan_probes(bed(), [fault_of("impair", "slb", loss=1, corrupt=0.5, duplicate=2, rate="5mbit")]).lanes
    expected = 6 / lanes[0].period_s * 0.015
    poisson = math.exp(-expected) * (1 + expected)
    assert FEWEST_HITS == 2
    assert poisson < RARE
