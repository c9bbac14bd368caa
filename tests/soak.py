"""``make soak``: many runs killed at random moments, and rounds of many beds at once of which some are killed. Prints figures.

``python -m tests.soak --kills 50 --rounds 20 --beds 8 --seed 7 --minutes 120``; exit status 1 where anything was left, or a bed that was
not killed broke. It stops in order when its time is up, and says how far it came.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import click

from testbed.errors import EXIT_CLEANUP_INCOMPLETE, EXIT_ENVIRONMENT
from testbed.state import home
from tests.killing import Kill, await_nothing_left, random_kill, running

SCENARIOS = (
    "rehome-kill",
    "rehome-freeze",
    "rehome-power-off",
    "standby-cut",
    "impair-delay",
    "app-mute",
    "script-every",
)
"""One of each family, and one with several faults."""
PHONES = ("--phones", "2")
LONGEST_S = 20.0
"""A run takes 12 to 30 s, and on a loaded machine longer: kills come before its end."""
ENDINGS = ((signal.SIGKILL,),) * 5 + ((signal.SIGTERM,), (signal.SIGINT, signal.SIGINT))


class Figures:
    """What was done, and what went wrong."""

    def __init__(self, until_s: float) -> None:
        self.until_s = until_s
        self.gone_s: list[float] = []
        self.done: Counter[str] = Counter()
        self.problems: list[str] = []

    def time_left(self) -> bool:
        return time.monotonic() < self.until_s

    def await_gone(self, bed: str, what: str) -> None:
        """Note how long it took, or what is left."""
        try:
            self.gone_s.append(await_nothing_left(bed, home()))
        except AssertionError as error:
            self.problems.append(f"{what}: {error}")

    def say(self) -> None:
        click.echo(
            "done: " + (", ".join(f"{number} {what}" for what, number in sorted(self.done.items())) or "nothing")
        )
        if self.gone_s:
            times = sorted(self.gone_s)
            middle, high = times[len(times) // 2], times[int(len(times) * 0.95)]
            click.echo(f"nothing left after: p50 {middle:.1f} s, p95 {high:.1f} s, max {times[-1]:.1f} s of 60 s")
        for problem in self.problems:
            click.echo(f"problem: {problem}")


def kills(number: int, chance: random.Random, folder: Path, figures: Figures) -> None:
    """Runs one after another, each killed at a moment of its own."""
    endings = [ENDINGS[place % len(ENDINGS)] for place in range(number)]
    for place, numbers in enumerate(endings):
        if not figures.time_left():
            return
        kill = random_kill(chance, LONGEST_S, numbers)
        scenario = chance.choice(SCENARIOS)
        bed = f"soak-{os.getpid()}-{place}"
        with running(bed, folder, (scenario, *PHONES)) as run:
            run.kill(kill)
        status = run.process.returncode
        figures.await_gone(bed, f"{scenario}, {kill}")
        how = "+".join(number.name for number in numbers)
        figures.done[how if status in (130, -numbers[0]) else f"{how} too late"] += 1
        click.echo(f"{place + 1}: {scenario}, {kill}: exit status {status}, gone {figures.gone_s[-1:]}")


def rounds(number: int, beds: int, chance: random.Random, folder: Path, figures: Figures) -> None:
    """Beds at once: half of them are killed, the others must come to a verdict."""
    for place in range(number):
        if not figures.time_left():
            return
        names = [f"soak-{os.getpid()}-{place}-{each}" for each in range(beds)]
        fates = [random_kill(chance, 3 * LONGEST_S) if chance.random() < 0.5 else None for _ in names]
        scenarios = [chance.choice(SCENARIOS) for _ in names]
        with ThreadPoolExecutor(max_workers=beds) as pool:
            statuses = list(pool.map(partial(_fated, folder, figures), names, scenarios, fates))
        for name, fate, status in zip(names, fates, statuses, strict=True):
            what = (
                "killed" if fate and status < 0 else {0: "passed", 1: "failed", 3: "inconclusive"}.get(status, "broke")
            )
            figures.done[f"beds {what}"] += 1
            for line in (folder / f"{name}.said").read_text().splitlines() if status in (1, 3) else ():
                if line.startswith(("FAIL", "INCONCLUSIVE")):
                    click.echo(f"  {name}: {line.strip()}")
            if status in (EXIT_ENVIRONMENT, EXIT_CLEANUP_INCOMPLETE):
                figures.problems.append(f"round {place}: {name}: {(folder / f'{name}.said').read_text()[-800:]}")
        figures.done["rounds"] += 1
        click.echo(f"round {place + 1}: {statuses}")


def _fated(folder: Path, figures: Figures, bed: str, scenario: str, fate: Kill | None) -> int:
    """The run's exit status, once nothing is left of it."""
    with running(bed, folder, (scenario, *PHONES)) as run:
        if fate is not None:
            run.kill(fate)
        else:
            run.process.wait(600)
    figures.await_gone(bed, f"{bed}, {scenario}, {fate or 'not killed'}")
    return int(run.process.returncode)


def main() -> int:
    """Exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("kills", 70), ("rounds", 20), ("beds", 8), ("seed", 7), ("minutes", 240)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    figures = Figures(time.monotonic() + 60 * options.minutes)
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="testbed-soak-") as folder:
        kills(options.kills, chance, Path(folder), figures)
        rounds(options.rounds, options.beds, chance, Path(folder), figures)
    figures.say()
    return 1 if figures.problems else 0


if __name__ == "__main__":
    sys.exit(main())
