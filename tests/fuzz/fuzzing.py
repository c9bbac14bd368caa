"""`make fuzz`: changed captures and policies against their readers, for a given time; what breaks one is made small and kept.

Hypothesis draws and shrinks; it does not look at which lines are reached, as a coverage-guided fuzzer would.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
import traceback
from pathlib import Path

import click
from fuzz.fuzz_samples import CHANGES, captures, changed
from fuzz.fuzz_targets import TARGETS, Target, timed
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

FOLDER = Path(".hypothesis/fuzz")
ROUND = 100
"""Examples between two looks at the clock."""
POLICY = (Path(__file__).parents[2] / "testbed/policies/srnd-strict.yaml").read_bytes()
PUSH = b"XML=<ExecuteItem URL=%22RTPRx:10.0.0.9:20480:60%22/><ExecuteItem URL='RTPMTx:239.1.1.1:20480'/>"


def inputs(name: str) -> st.SearchStrategy[bytes]:
    """What a target is given."""
    if name in ("policy", "push"):
        return st.builds(changed, st.just(POLICY if name == "policy" else PUSH), st.lists(CHANGES, max_size=10))
    return captures()


def broken_by(target: Target, drawn: st.SearchStrategy[bytes], number: int) -> tuple[bytes, str] | None:
    """A small input that breaks the target, and its traceback; None where none of a round does."""
    failed: list[tuple[bytes, str]] = []

    @seed(number)
    @settings(
        max_examples=ROUND,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(drawn)
    def run(data: bytes) -> None:
        try:
            target(data)
        except BaseException:
            failed[:] = [(data, traceback.format_exc())]
            raise

    try:
        run()
    except Exception:  # noqa: BLE001
        # The last one that failed is the smallest.
        return failed[0]
    return None


def fuzz(names: list[str], *, seconds: float, folder: Path) -> int:
    """Rounds of all targets in turn until the time is over or one breaks; the exit status."""
    until, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        name, number = names[rounds % len(names)], random.randrange(1 << 32)
        rounds += 1
        if found := broken_by(timed(TARGETS[name]), inputs(name), number):
            data, text = found
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"{name}-{hashlib.sha256(data).hexdigest()[:8]}"
            file.write_bytes(data)
            click.echo(f"{text}\n{name} breaks by {file} ({len(data)} bytes)\n  again: --target {name} --file {file}")
            return 1
    click.echo(f"{rounds * ROUND} inputs in {seconds:g} s, nothing broke")
    return 0


def main() -> int:
    """Parse, and run."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long (60)")
    parser.add_argument("--target", choices=sorted(TARGETS), help="one of them only")
    parser.add_argument("--file", type=Path, help="run this one input, which broke --target before")
    options = parser.parse_args()
    if options.file:
        if not options.target:
            parser.error("--file wants its --target")
        timed(TARGETS[options.target])(options.file.read_bytes())
        click.echo("nothing broke")
        return 0
    names = [options.target] if options.target else sorted(TARGETS)
    return fuzz(names, seconds=options.seconds, folder=FOLDER)


if __name__ == "__main__":
    sys.exit(main())
