"""`make bench`: the figures the project promises, measured side by side in one run and printed as ratios where there is a peer.

Never a timed test: machines are shared and noisy, and a ratio of two medians of one run says what a single time cannot.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from testbed import bed as bed_module
from testbed import leftovers, state
from testbed.compose_file import NIC_SUFFIX
from testbed.engine import compose, containers
from testbed.engine.images import build_all
from testbed.generation import BedSpec
from testbed.live import Recorder
from testbed.scenario import builtin_scenarios, shipped_beds
from tests.bench import audit, calls, faults, impairment, reports

NAME = "bench"
PHONES = 12
STORIES = [
    *(f"rehome-{word}" for word in ("stop", "kill", "cut", "freeze")),
    *(f"urls-{word}" for word in ("with-slb", "without-slb")),
    *(f"standby-{word}" for word in ("stop", "kill", "cut", "freeze", "without-slb")),
    "marking-signalling",
]
"""What the page tells: phones re-home, URLs live and die, HTTP moves to the standby, signalling carries its marks."""


def seconds(action: Callable[[], object]) -> float:
    """How long it took."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def bed_up_against_compose_up(rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of `up` until all phones are registered, and of a bare `compose up -d` of the file it generated, in turn."""
    images = build_all(print)
    spec = BedSpec(name=NAME, files=(shipped_beds() / "bed.yaml",), phones=PHONES, profile="quick")
    pairs = [(_up_seconds(spec, images), _compose_seconds()) for _ in range(rounds)]
    return [ours for ours, _ in pairs], [bare for _, bare in pairs]


def _up_seconds(spec: BedSpec, images: dict[str, str]) -> float:
    """Brings the bed up, keeps a copy of what it generated, and takes the bed down."""
    began = time.perf_counter()
    bed = bed_module.Bed.up(spec, images=images, recorder=Recorder(), progress=lambda _: None)
    took = time.perf_counter() - began
    bed.close()
    shutil.rmtree(_kept(), ignore_errors=True)
    shutil.copytree(state.bed_folder(NAME), _kept())
    leftovers.remove(NAME, print)
    return took


def _compose_seconds() -> float:
    """The same containers by compose alone, which starts the NICs all at once where nobody tells it not to."""
    file = _kept() / "compose.yaml"
    config = yaml.safe_load(file.read_text().replace(str(state.bed_folder(NAME)), str(_kept())))
    for name, service in config["services"].items():
        if name.endswith(NIC_SUFFIX):
            service.pop("depends_on")
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    took = seconds(lambda: compose.up(file, project=containers.project_of(NAME), env={}))
    leftovers.remove(NAME, print)
    shutil.rmtree(_kept())
    return took


def _kept() -> Path:
    return state.bed_folder(NAME).with_name("bench-kept")


def run_scenarios(names: list[str], profile: str, runs: Path, *more: str) -> tuple[float, list[dict[str, Any]], int]:
    """(seconds, verdict rows, exit status) of `testbed run` of these scenarios, with further options."""
    began = time.perf_counter()
    options = ["--profile", profile, "--runs", str(runs), "--output", "json", *more]
    done = subprocess.run(
        [sys.executable, "-m", "testbed", "run", *names, *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return time.perf_counter() - began, json.loads(done.stdout or "[]"), done.returncode


def figure(rows: list[dict[str, Any]], scenario: str, check: str, name: str) -> list[float]:
    """This figure of every verdict of this check in this scenario."""
    return [
        row["figures"][name]
        for row in rows
        if (row["scenario"], row["check"].split(" ")[0]) == (scenario, check) and name in row.get("figures", {})
    ]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of bed up against compose up (3)")
    parser.add_argument("--srnd", action="store_true", help="also rehome-freeze at real timers (four minutes)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the folder with this bench's runs goes")
    options = parser.parse_args()
    options.runs /= f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-bench"

    table = Table("what", "asked", "measured", box=None, pad_edge=False)
    # Each row is said as it comes: the whole takes half an hour.
    for row in rows(options):
        sys.stderr.write(" | ".join(row) + "\n")
        table.add_row(*row)
    Console(width=130).print(table)
    return 0


def rows(options: argparse.Namespace) -> Iterator[tuple[str, str, str]]:
    """(what, asked, measured), as they are measured."""
    ours, bare = bed_up_against_compose_up(options.rounds)
    ratio = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    yield (
        f"up to {PHONES} phones registered / bare compose up -d, median of {options.rounds} pairs",
        "≤ 1.5",
        f"{ratio:.2f}  ({statistics.median(ours):.1f} s / {statistics.median(bare):.1f} s)",
    )
    yield from stories(options.runs)
    yield from impairment.rows()
    yield from audit.rows()
    yield from reports.rows()
    yield from calls.rows(options.runs / "calls")
    rest = [name for name in builtin_scenarios() if name not in STORIES]
    took, _, status = run_scenarios(rest, "quick", options.runs)
    yield f"the other {len(rest)} built-in scenarios", "exit 0", f"{took:.0f} s, exit {status}"
    yield from faults.rows(options.runs)
    if options.srnd:
        _, found, status = run_scenarios(["rehome-freeze"], "srnd", options.runs)
        for name in ("rehome_p50_s", "rehome_max_s"):
            measured = figure(found, "rehome-freeze", "rehomed", name)[:1]
            said = ", ".join(f"{value:.1f} s" for value in measured) or f"no figure, exit {status}"
            yield f"rehome-freeze srnd: {name}", "60-95 s", said


def stories(runs: Path) -> Iterator[tuple[str, str, str]]:
    """Of the scenarios that tell what the page tells."""
    took, found, status = run_scenarios(STORIES, "quick", runs)
    yield (
        f"the page's three stories, {len(STORIES)} scenarios, profile quick, one after another",
        "≤ 300 s, exit 0",
        f"{took:.0f} s, exit {status}",
    )
    # Their latencies are not to be counted with those of runs that had the machine to themselves.
    took, _, status = run_scenarios(STORIES, "quick", runs / "side-by-side", "--jobs", "2")
    yield "the same, two beds side by side", "≤ 180 s, exit 0", f"{took:.0f} s, exit {status}"
    for scenario in ("rehome-stop", "rehome-kill", "rehome-cut", "rehome-freeze"):
        asked = "≤ 1 s" if scenario in ("rehome-stop", "rehome-kill") else "by class"
        measured = figure(found, scenario, "rehomed", "rehome_max_s")[:1]
        said = ", ".join(f"{value:.2f} s" for value in measured) or "no figure"
        yield f"{scenario} quick: slowest phone at ccm-bk", asked, said
    for scenario in ("standby-stop", "standby-kill", "standby-cut", "standby-freeze"):
        failed = figure(found, scenario, "redirected", "failed")
        slowest = figure(found, scenario, "redirected", "slowest_s")
        yield (
            f"{scenario}: failed GETs, slowest",
            "0" if scenario in ("standby-stop", "standby-kill") else "0, ≤ 3 s",
            f"{failed[0]:.0f}, {slowest[0]:.2f} s" if failed and slowest else "no figure",
        )


if __name__ == "__main__":
    sys.exit(main())
