"""Beds that are broken on purpose: each must be caught, by the check that is there for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import Testbed, describe

pytestmark = pytest.mark.usefixtures("clean")

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("scenario", "check"),
    [
        ("no-backup-call-control", "rehomed"),
        ("no-standby-server", "redirected"),
        ("wrong-signalling-mark", "packets"),
        pytest.param("media-unmarked", "packets", marks=pytest.mark.nightly),
        pytest.param("call-across-unmarked", "packets", marks=pytest.mark.nightly),
        pytest.param("precedence-ignored", "streams", marks=pytest.mark.nightly),
        pytest.param("service-stream-marked", "service-streams", marks=pytest.mark.nightly),
        pytest.param("push-authenticated", "pushed", marks=pytest.mark.nightly),
        pytest.param("mute-without-backup", "rehomed", marks=pytest.mark.nightly),
        pytest.param("http-error-unseen", "redirected", marks=pytest.mark.nightly),
        pytest.param("untrusting-link", "carried", marks=pytest.mark.nightly),
    ],
)
def test_a_broken_bed_fails_by_the_check_that_is_there_for_it(
    scenario: str, check: str, testbed: Testbed, tmp_path: Path
):
    outcome = testbed("run", HERE / "mutants" / f"{scenario}.scenario.yaml", "--runs", tmp_path, "--output", "json")
    assert outcome.status == 1, describe(outcome)
    assert "FAIL" in {row["status"] for row in outcome.verdicts[check]}, describe(outcome)


def test_a_run_whose_captures_were_emptied_is_inconclusive(testbed: Testbed, tmp_path: Path):
    outcome = testbed("run", "rehome-stop", "--runs", tmp_path, "--output", "json")
    assert outcome.status == 0, describe(outcome)
    for capture in (outcome.run / "captures").glob("*.pcap"):
        capture.write_bytes(capture.read_bytes()[:24])
    again = testbed("judge", outcome.run, "--output", "json")
    assert again.status == 3, describe(again)
    assert "INCONCLUSIVE" in {row["status"] for row in again.verdicts["captures"]}
