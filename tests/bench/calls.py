"""Many calls at once between the two phones hosts: what is lost, and how punctually packets leave, from the captures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from testbed.checks.capture import captures
from testbed.checks.heard import arrived
from testbed.packets_class import owned
from testbed.packets_rtp import rtp_streams
from testbed.recording import Run
from testbed.rtp import PACKET_S

PAIRS, TALK = 100, "60s"
_SCENARIO = """scenario: many-calls
phones: {phones}
capture: [phones-1, phones-2]
steps:
  - call: {{pairs: {pairs}, for: {talk}}}
expect:
  - streams: {{policy: srnd-strict}}
  - heard: {{}}
"""


def rows(runs: Path) -> list[tuple[str, str, str]]:
    """(what, asked, measured) of one run."""
    what = f"{PAIRS} calls at once, {2 * PAIRS} streams, for {TALK}"
    runs.mkdir(parents=True, exist_ok=True)
    file = runs / "many-calls.scenario.yaml"
    file.write_text(_SCENARIO.format(phones=2 * PAIRS, pairs=PAIRS, talk=TALK), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "testbed", "run", str(file), "--runs", str(runs), "--output", "json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    folders = sorted(runs.glob("*-many-calls-*"))
    if not folders:
        return [(what, "lost 0, p99 send jitter ≤ 5 ms", f"no run, exit {done.returncode}")]
    run = Run.open(folders[-1])
    heard = arrived(run)
    lost, packets = sum(one.lost for one in heard), sum(len(one.stream) for one in heard)
    late_s = lateness_s(run)
    p99 = f"{np.quantile(late_s, 0.99) * 1000:.1f} ms" if len(late_s) else "none"
    return [
        (f"{what}: packets lost", "0", f"{lost} of {packets} in {len(heard)} streams"),
        (f"{what}: send jitter", "p99 ≤ 5 ms", p99),
    ]


def lateness_s(run: Run) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Of every packet where it was sent: how much later than its place in the stream says, against the most punctual one."""
    found = []
    for host, packets in captures(run).items():
        streams = rtp_streams(packets)
        own = owned(np.array([stream.src for stream in streams], np.uint32), [run.topology.host(host)])
        for stream, is_own in zip(streams, own, strict=True):
            if is_own:
                late_s = stream.time_s - (stream.sequence - stream.sequence[0]) * PACKET_S
                found.append(late_s - late_s.min())
    return np.concatenate(found) if found else np.zeros(0)


if __name__ == "__main__":
    for _row in rows(Path("runs") / "bench-calls"):
        sys.stdout.write("  ".join(_row) + "\n")
