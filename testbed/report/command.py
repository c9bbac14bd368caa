"""`testbed report`: a run folder in, one HTML file out."""

from __future__ import annotations

from pathlib import Path

from testbed import show
from testbed.errors import EXIT_OK
from testbed.report.keep import write_report


def run(folder: Path, file: Path | None) -> int:
    """Write it, say where it is and what was missing; what the run's verdicts are does not matter here."""
    target, told = write_report(folder, file)
    for line in told.missing:
        show.warning(line)
    show.say(f"{target}: {len(told.verdicts)} verdicts, {target.stat().st_size / 1000:.0f} kB")
    return EXIT_OK
