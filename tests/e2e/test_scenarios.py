"""One scenario of each family on real containers, with what independent judges say of its captures."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from driving import Testbed, describe

pytestmark = pytest.mark.usefixtures("clean")


def malformed_and_messages(capture: Path) -> tuple[int, int]:
    """(malformed frames, SCCP messages) as tshark sees them."""
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed; it is one of the judges (apt-get install tshark)")
    bad = subprocess.run(
        ["tshark", "-r", capture, "-Y", "skinny && _ws.malformed"], capture_output=True, text=True, check=True
    )
    ids = subprocess.run(
        ["tshark", "-r", capture, "-Y", "skinny", "-T", "fields", "-e", "skinny.messageId"],
        capture_output=True,
        text=True,
        check=True,
    )
    return len(bad.stdout.splitlines()), sum(len(line.split(",")) for line in ids.stdout.splitlines())


def lost_by_stream(capture: Path) -> list[str]:
    """``0 (0.0%)`` of each media stream, as tshark finds them by what SCCP says."""
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed; it is one of the judges (apt-get install tshark)")
    shown = subprocess.run(
        ["tshark", "-r", capture, "-q", "-z", "rtp,streams"], capture_output=True, text=True, check=True
    )
    return re.findall(r"g711U\s+\d+\s+(-?\d+ \(\S+%\))", shown.stdout)


def signalling_marks(capture: Path) -> set[str]:
    """The code points that tshark reads in packets of SCCP's port."""
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed; it is one of the judges (apt-get install tshark)")
    seen = subprocess.run(
        ["tshark", "-r", capture, "-Y", "tcp.port == 2000", "-T", "fields", "-e", "ip.dsfield.dscp"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(seen.stdout.split())


FAMILIES = [
    "rehome-kill",
    "urls-without-slb",
    "push-without-authentication",
    "standby-freeze",
    "marking-signalling",
    "marking-rtp-call",
    "call-preserved",
    "impair-delay",
    "app-http-error",
    "fault-bleach",
    "script-overlap",
]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_built_in_scenario_passes_and_is_judged_the_same_again(name: str, testbed: Testbed, tmp_path: Path):
    outcome = testbed("run", name, "--profile", "quick", "--runs", tmp_path, "--output", "json")
    assert outcome.status == 0, describe(outcome)
    run = outcome.run
    first = json.loads((run / "verdicts.json").read_text())
    again = testbed("judge", run, "--output", "json")
    assert again.status == 0, describe(again)
    assert json.loads((run / "verdicts.json").read_text()) == first
    assert [(row["check"], row["status"], row["summary"]) for row in again.json] == [
        (row["check"], row["status"], row["summary"]) for row in outcome.json
    ]
    if name == "marking-signalling":
        assert signalling_marks(run / "captures" / "phones-1.pcap") == {"26"}
    if name == "marking-rtp-call":
        assert lost_by_stream(run / "captures" / "phones-1.pcap") == ["0 (0.0%)"] * 4
    for capture in sorted((run / "captures").glob("*.pcap")):
        bad, messages = malformed_and_messages(capture)
        assert bad == 0, f"{capture.name}: {bad} malformed frames"
        if capture.stem in ("phones-1", "ccm-1"):
            assert messages > 50, f"{capture.name}: only {messages} SCCP messages"
