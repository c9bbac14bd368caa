"""Impairments by netem, on a machine whose kernel has it: ``python -m tests.bench.netem [NIC_IMAGE NODE_IMAGE]``.

Shows every kind take effect by netem, a delay hold its 50 ms, foreign queueing disciplines refused by name and left alone, and the
kernel's state the same after each fault as before it (else healing is an error). Slow machines do: 100 packets a second.
"""

from __future__ import annotations

import sys

from rich.console import Console

from testbed.errors import BedError
from tests.bench.impairment import Measured, Pair, pair

RATE_S, SECONDS = 100, 2
FOREIGN = (
    "tc",
    "qdisc",
    "add",
    "dev",
    "eth0",
    "root",
    "handle",
    "8001:",
    "tbf",
    "rate",
    "1gbit",
    "burst",
    "64k",
    "latency",
    "1s",
)
CASES = [
    ("", {}),
    ("delay", {"by": "50ms"}),
    ("delay", {"by": "50ms", "direction": "in"}),
    ("delay", {"by": "50ms", "direction": "both"}),
    ("delay", {"by": "50ms", "towards": "near"}),
    ("delay", {"by": "50ms", "at": "tcp at far"}),
    ("jitter", {"by": "10ms", "delay": "50ms"}),
    ("loss", {"by": 20}),
    ("duplicate", {"by": 20}),
    ("reorder", {"by": 20}),
    ("corrupt", {"by": 20}),
    ("rate", {"by": "400kbit"}),
    ("impair", {"delay": "50ms", "jitter": "5ms", "loss": 5, "duplicate": 5, "rate": "1mbit", "direction": "both"}),
]


def main(argv: list[str]) -> int:
    """Print what was measured; 1 where something is not as it must be."""
    console, problems = Console(width=150, markup=False, highlight=False), []
    images = {"nic": argv[0], "node": argv[1]} if argv else None
    with pair("netem", images) as hosts:
        console.print("features:", hosts.in_nic("python3", "-m", "testbed.roles.features").strip())
        for kind, parameters in CASES:
            found = hosts.measure(rate_s=RATE_S, seconds=SECONDS, kind=kind, **parameters)
            console.print(f"{kind} {parameters}: {found.figures()}; in order: {found.in_order}")
            problems += [f"{kind} {parameters}: {problem}" for problem in wrong(kind, parameters, found)]
        problems += refusal(hosts)
        taken = sorted(hosts.command_to_effect_s(20))
        console.print(f"command to effect, 20 times: p50 {taken[10] * 1e3:.1f} ms, p95 {taken[18] * 1e3:.1f} ms")
    console.print(*(problems or ["all as it must be"]), sep="\n")
    return 1 if problems else 0


def wrong(kind: str, parameters: dict[str, object], found: Measured) -> list[str]:
    """What is not as this fault must make it."""
    problems = [f"done by {found.means}"] if kind and found.means != "netem" else []
    delay_s = found.delay_s(50)
    if kind == "delay":
        expected_s = {"tcp at far": 0.0}.get(
            str(parameters.get("at")), 0.1 if parameters.get("direction") == "both" else 0.05
        )
        problems += [f"delay {delay_s:.4f} s"] if not expected_s - 0.001 <= delay_s <= expected_s + 0.015 else []
        problems += ["lost"] if found.lost else []
    shares = {"loss": found.lost, "corrupt": found.lost, "duplicate": found.back - found.distinct}
    if kind in shares and not 0.1 * found.sent < shares[kind] < 0.3 * found.sent:
        problems.append(f"{shares[kind]} of {found.sent}")
    if kind in ("reorder", "jitter") and found.in_order:
        problems.append("in order")
    return problems


def refusal(hosts: Pair) -> list[str]:
    """A foreign queueing discipline is named, and there afterwards as before."""
    length = hosts.in_nic("cat", "/sys/class/net/eth0/tx_queue_len").strip()
    hosts.in_nic(*FOREIGN)
    before = hosts.in_nic("tc", "qdisc", "show")
    try:
        hosts.measure(rate_s=RATE_S, seconds=0.1, kind="delay", by="50ms")
        problems = ["a foreign queueing discipline was not refused"]
    except BedError as error:
        problems = [] if "qdisc tbf 8001:" in str(error) else [f"refused without naming it: {error}"]
    problems += ["the foreign one was changed"] if hosts.in_nic("tc", "qdisc", "show") != before else []
    hosts.in_nic("tc", "qdisc", "del", "dev", "eth0", "root", "handle", "8001:")
    hosts.in_nic("ip", "link", "set", "dev", "eth0", "txqueuelen", length)  # the kernel changed it with the first qdisc
    return problems


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
