"""Puts report.html and junit.xml into a run folder. What keeps one from being written is said, and takes no verdict away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from testbed.plugins import guarded
from testbed.recording import Run
from testbed.report.junit import junit
from testbed.report.page import page
from testbed.report.reading import Told, read
from testbed.verdict import Verdict
from testbed.written import check_target, replace

REPORT, JUNIT = "report.html", "junit.xml"


def keep(run: Run, verdicts: Sequence[Verdict]) -> list[str]:
    """Both, of a run that has just been judged; a line for each that could not be made."""

    def both() -> list[str]:
        told = read(run.path, run=run, verdicts=list(verdicts))
        return [
            problem
            for name, make in ((REPORT, page), (JUNIT, junit))
            if (problem := guarded(_write, f"{name} was not written: {{}}".format)(run.path / name, make, told))
        ]

    return guarded(both, lambda said: [f"{REPORT} was not written: {said}"])()


def _write(file: Path, make: Callable[[Told], str], told: Told) -> str:
    file.write_text(make(told), encoding="utf-8")
    return ""


def write_report(folder: Path, file: Path | None) -> tuple[Path, Told]:
    """The report alone, from what is in the folder; UsageError where that is no run, or the file cannot be written."""
    told, target = read(folder), file or folder / REPORT
    check_target(target, "HTML")
    replace(target, page(told))
    return target, told
