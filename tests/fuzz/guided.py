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


def kept(name: str) -> set[Path]:
    """Inputs that broke it."""
    return set(FOLDER.glob(f"{name}-*"))


def guided_apart(name: str, seconds: int) -> str:
    """The same in a process of its own; what went wrong, in words."""
    before = kept(name)
    command = [sys.executable, "-m", "fuzz.guided", "--target", name, "--seconds", str(seconds)]
    status = subprocess.run(command, check=False).returncode
    if not status:
        return ""
    found = sorted(kept(name) - before)
    again = "".join(f"\n  again: make fuzz FUZZ='--target {name} --file {file}'" for file in found)
    return f"{name} broke{again}" if found else f"{name} ended with status {status}, and kept no input"


def main() -> int:
    """Parse, and run; exit status 1 where an input broke a target."""
    parser = argparse.ArgumentParser(prog="make fuzz-guided", description=__doc__)
    parser.add_argument("--seconds", type=int, default=300, help="how long in all (300)")
    parser.add_argument("--target", choices=sorted(TARGETS), help="one of them only")
    options = parser.parse_args()
    # libFuzzer takes 0 for without end.
    if options.seconds < 1:
        parser.error("--seconds: at least 1")
    if options.target:
        guided(options.target, options.seconds)
        return 0
    problems = []
    for name in sorted(TARGETS):
        click.echo(f"-- {name}")
        problems.append(guided_apart(name, max(1, options.seconds // len(TARGETS))))
    for problem in filter(None, problems):
        click.echo(problem)
    return 1 if any(problems) else 0


if __name__ == "__main__":
    sys.exit(main())
