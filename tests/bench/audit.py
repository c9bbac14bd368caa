"""`testbed audit` beside tshark and tcpdump, on a capture of a million packets that is made here: each round all of them in turn.

Compared is the processor time of whole processes, start-up included; wall time is printed beside it, since the C reader is so quick that
a busy machine's waiting would be all one sees. `python -m tests.bench.audit` is this part of `make bench` alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from testbed.audit.survey import Surveyor
from testbed.packets.file import open_capture
from tests.bench import big_capture

COUNT = 1_000_000
_FIELDS = ("ip.dsfield.dscp", "udp.srcport", "udp.dstport", "tcp.srcport", "tcp.dstport")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one process, or of a piece of this one: seconds of processor and of wall."""

    cpu_s: float
    wall_s: float


def of_process(*words: str) -> Cost:
    """Run it to its end, its output dropped."""
    began = time.perf_counter()
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began
    return Cost(cpu_s=usage.ru_utime + usage.ru_stime, wall_s=wall_s)


_TELL_MEMORY = """
import re, sys
from testbed.cli import main
try:
    main(sys.argv[1:])
finally:
    print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
"""


def memory_mb(file: Path) -> float:
    """The greatest memory of `testbed audit` of this file, as its own process tells it: what wait4 says includes what its parent had."""
    command = [sys.executable, "-c", _TELL_MEMORY, "audit", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stderr.split()[-1]) / 1024


def of_reading(file: Path, *, correlate: bool = True) -> Cost:
    """Reading and classifying alone, in this process, with or without looking into SCCP for who started what."""
    surveyor = Surveyor()
    if not correlate:
        surveyor._signalling.add = lambda *_: None  # type: ignore[method-assign]
    began, cpu = time.perf_counter(), time.process_time()
    surveyor.read(open_capture(file))
    return Cost(cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - began)


def peers(file: Path) -> dict[str, Callable[[], Cost]]:
    """What is measured, by name; tools that this machine lacks are left out."""
    ours = [sys.executable, "-m", "testbed", "audit", str(file)]
    found: dict[str, Callable[[], Cost]] = {
        "audit": lambda: of_process(*ours),
        "reading": lambda: of_reading(file),
        "uncorrelated": lambda: of_reading(file, correlate=False),
    }
    if shutil.which("tcpdump"):
        user = ["-Z", "root"] if os.geteuid() == 0 else []
        found["tcpdump -nr"] = lambda: of_process("tcpdump", *user, "-nr", str(file))
        found["tcpdump -w"] = lambda: of_process("tcpdump", *user, "-r", str(file), "-w", "/dev/null", "ip[1]==184")
    if shutil.which("tshark"):
        fields = [word for name in _FIELDS for word in ("-e", name)]
        found["tshark"] = lambda: of_process("tshark", "-n", "-r", str(file), "-T", "fields", *fields)
    return found


def measured(file: Path, rounds: int) -> dict[str, list[Cost]]:
    """All of them in turn, that many times; tshark, which is slow and steady, once."""
    found: dict[str, list[Cost]] = {}
    for turn in range(rounds):
        for name, run in peers(file).items():
            if name != "tshark" or not turn:
                found.setdefault(name, []).append(run())
    return found


_RATIOS = (
    ("tshark", "audit", "tshark -T fields / testbed audit, whole processes", "≥ 20"),
    ("tcpdump -nr", "audit", "tcpdump -nr / testbed audit, whole processes", "≥ 3"),
    ("tshark", "reading", "tshark -T fields / reading and classifying", "≥ 40"),
    ("reading", "tcpdump -w", "reading and classifying / tcpdump -w /dev/null 'ip[1]==184'", "≤ 5"),
    ("reading", "uncorrelated", "reading and classifying with SCCP correlation / without", "≤ 1.3"),
)


def rows(count: int = COUNT, rounds: int = 5, *, longest: int = COUNT) -> Iterator[tuple[str, str, str]]:
    """(what, asked, measured) for the table of `make bench`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "big.pcap"
        big_capture.write(file, count)
        costs = measured(file, rounds)
        for over, under, what, asked in _RATIOS:
            if over in costs and under in costs:
                cpu, wall = (_ratio(costs[over], costs[under], name) for name in ("cpu_s", "wall_s"))
                yield what, asked, f"{cpu:.2f} processor, {wall:.2f} wall"
            else:
                yield what, asked, "a tool is not installed"
        best = min(cost.cpu_s for cost in costs["reading"])
        yield "reading and classifying", "", f"{count / best / 1e6:.1f} million packets a second of processor"
        yield "testbed audit: greatest memory", "≤ 300 MB", f"{memory_mb(file):.0f} MB"
        yield from _linear(Path(folder), longest)
    yield from _starts()


def _ratio(over: list[Cost], under: list[Cost], name: str) -> float:
    """Of medians: of pairs, tshark has one half only."""
    first, second = (statistics.median(getattr(cost, name) for cost in costs) for costs in (over, under))
    return float(first / second)


def _linear(folder: Path, longest: int) -> Iterator[tuple[str, str, str]]:
    size, parts = 10_000, []
    while size <= longest:
        file = folder / "linear.pcap"
        big_capture.write(file, size)
        cost = min((of_reading(file) for _ in range(3)), key=lambda one: one.cpu_s)
        parts.append(f"{size:,}: {cost.cpu_s / size * 1e6:.2f} µs a packet, {memory_mb(file):.0f} MB")
        size *= 10
    yield "reading and classifying, by length", "linear, ≤ 300 MB", "; ".join(parts)


def _starts() -> Iterator[tuple[str, str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tiny.pcap"
        big_capture.write(file, 10)
        for words in (["--help"], ["audit", str(file)]):
            costs = [of_process(sys.executable, "-m", "testbed", *words) for _ in range(7)]
            text = f"{statistics.median(cost.cpu_s for cost in costs):.2f} s processor, {min(cost.wall_s for cost in costs):.2f} s wall"
            yield f"testbed {words[0]}{' of 10 packets' if len(words) > 1 else ''}", "< 0.3 s", text


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.audit", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all but tshark (5)")
    parser.add_argument(
        "--longest", type=int, default=COUNT, help="packets of the longest capture of the linear row (1000000)"
    )
    options = parser.parse_args()
    table = Table("what", "asked", "measured", box=None, pad_edge=False)
    for row in rows(rounds=options.rounds, longest=options.longest):
        table.add_row(*row)
    Console(width=160).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
