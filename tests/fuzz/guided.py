"""`make fuzz-guided`: the targets of `make fuzz` under atheris, which goes on from inputs that reach lines no other one did.

Without ``--target`` all of them, one process after another: libFuzzer ends its process. What it learned stays for the next time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import atheris
import click

with atheris.instrument_imports(include=["testbed"], enable_loader_override=False):
    from fuzz.fuzz_targets import TARGETS, timed

from fuzz.fuzz_samples import samples
from fuzz.fuzzing import FOLDER, POLICY, PUSH

CORPUS = Path(".hypothesis/fuzz-corpus")
MAX_BYTES = 1 << 17
SLOWEST_S = 60
"""Wall time of one input, before libFuzzer takes it for one that hangs."""


def guided(name: str, seconds: int) -> None:
    """Fuzz one target; libFuzzer ends this process: 0 when the time is over, 77 where an input broke it."""
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    seeds = {"policy": (POLICY,), "push": (PUSH,)}.get(name, samples())
    for place, data in enumerate(seeds):
        if len(data) <= MAX_BYTES:
            (corpus / f"seed-{place}").write_bytes(data)
    options = {
        "max_total_time": seconds,
        "max_len": MAX_BYTES,
        "timeout": SLOWEST_S,
        "artifact_prefix": f"{FOLDER}/{name}-",
        "print_final_stats": 1,
    }
    atheris.Setup(
        [sys.argv[0], *(f"-{key}={value}" for key, value in options.items()), str(corpus)], timed(TARGETS[name])
    )
    atheris.Fuzz()


def main() -> int:
    """Parse, and run; exit status 1 where an input broke a target."""
    parser = argparse.ArgumentParser(prog="make fuzz-guided", description=__doc__)
    parser.add_argument("--seconds", type=int, default=300, help="how long in all (300)")
    parser.add_argument("--target", choices=sorted(TARGETS), help="one of them only")
    options = parser.parse_args()
    if options.target:
        guided(options.target, options.seconds)
    broken = []
    for name in sorted(TARGETS):
        click.echo(f"-- {name}")
        share = str(max(1, options.seconds // len(TARGETS)))
        if subprocess.run(
            [sys.executable, "-m", "fuzz.guided", "--target", name, "--seconds", share], check=False
        ).returncode:
            broken.append(name)
    for name in broken:
        click.echo(f"{name} broke: its input is in {FOLDER}; again: make fuzz FUZZ='--target {name} --file FILE'")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
