"""A run that is interrupted heals its faults and removes its bed on the way out."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from driving import ours

LONG = """
scenario: long-cut
phones: 2
capture: [ccm-1]
steps:
  - inject: {cut: ccm-1}
    for: 60s
expect:
  - recovered: {}
"""


def wait_for_line(file: Path, words: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if file.exists() and words in file.read_text():
            return
        time.sleep(0.1)
    pytest.fail(f"{words!r} did not come within {timeout_s:g} s")


@pytest.mark.parametrize(
    ("numbers", "beds"),
    [
        ([signal.SIGINT], 1),
        ([signal.SIGTERM], 1),
        ([signal.SIGINT, signal.SIGINT, signal.SIGTERM], 1),
        pytest.param([signal.SIGINT, signal.SIGTERM], 2, marks=pytest.mark.nightly),
    ],
)
def test_an_interrupted_run_leaves_nothing_behind_however_often_it_is_interrupted(
    numbers: list[signal.Signals], beds: int, tmp_path: Path
):
    files = [tmp_path / f"long-{number}.scenario.yaml" for number in range(beds)]
    for file in files:
        file.write_text(LONG)
    process = subprocess.Popen(
        [sys.executable, "-m", "testbed", "run", *files, "--jobs", str(beds), "--runs", tmp_path / "runs"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while (
            len(histories := list((tmp_path / "runs").glob("*/history.jsonl"))) < beds and time.monotonic() < deadline
        ):
            time.sleep(0.2)
        assert len(histories) == beds
        for history in histories:
            wait_for_line(history, "FaultConfirmed", 60)
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.4)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert all("FaultHealed" in history.read_text() for history in histories)
    names = set(re.findall(r"bed (run-[\w-]+):", said))
    assert len(names) == beds
    assert not [line for line in ours() if any(name in line for name in names)]
