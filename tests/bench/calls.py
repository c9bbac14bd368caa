"""Many calls at once between the two phones hosts: what is lost, and how punctually packets leave, from the captures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from testbed.checks.capture import captures
from testbed.checks.heard import arrived
from testbed.packets.classes import owned
from testbed.packets.rtp import rtp_streams
from testbed.recording import Run
from testbed.rtp import CLOCK_HZ, PACKET_S

PAIRS, TALK_S = 100, 60
TALK = f"{TALK_S}s"
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
    due = 2 * PAIRS * round(TALK_S / PACKET_S)
    late_s = lateness_s(run)
    p99 = f"{np.quantile(late_s, 0.99) * 1000:.1f} ms" if len(late_s) else "none"
    return [
        (f"{what}: packets lost", "0", f"{lost} of {packets} in {len(heard)} streams; {due} were due"),
        (f"{what}: send jitter", "p99 ≤ 5 ms", p99),
    ]


def lateness_s(run: Run) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Of every packet where it was sent: how much later than its RTP timestamp says, against the most punctual one of its stream.

    By timestamps, not by sequence numbers: a sender that was stopped for long leaves packets out and goes on in time.
    """
    found = []
    for host, packets in captures(run).items():
        streams = rtp_streams(packets)
        own = owned(np.array([stream.src for stream in streams], np.uint32), [run.topology.host(host)])
        for stream, is_own in zip(streams, own, strict=True):
            if is_own:
                stamps = np.array([_timestamp(packets.payload(int(index))) for index in stream.index], np.int64)
                late_s = stream.time_s - ((stamps - stamps[0]) % (1 << 32)) / CLOCK_HZ
                found.append(late_s - late_s.min())
    return np.concatenate(found) if found else np.zeros(0)


def _timestamp(payload: bytes) -> int:
    return int.from_bytes(payload[4:8], "big")


if __name__ == "__main__":
    for _row in rows(Path("runs") / "bench-calls"):
        sys.stdout.write("  ".join(_row) + "\n")
