"""`testbed audit`: captures in, a description or verdicts out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from testbed import show
from testbed.audit import report
from testbed.audit.judge import judge, nearest
from testbed.audit.survey import Survey, survey
from testbed.errors import EXIT_CHECK_FAILED, EXIT_INCONCLUSIVE, EXIT_NOTHING_RAN, EXIT_OK
from testbed.packets_file import open_capture
from testbed.policy import policy
from testbed.verdict import Status, Verdict, worst

_EXITS = {Status.PASS: EXIT_OK, Status.FAIL: EXIT_CHECK_FAILED, Status.INCONCLUSIVE: EXIT_INCONCLUSIVE}


def run(files: Sequence[Path], *, policy_name: str | None, output: str) -> int:
    """Read, print, and say by the exit status: without a policy 0 (5 where there was no packet), with one as its verdicts are."""
    chosen = policy(policy_name) if policy_name else None
    found = survey((open_capture(path) for path in files), chosen)
    verdicts = judge(found) if chosen else []
    likeness = None if chosen else nearest(found)
    if output == "table":
        _print(found, verdicts)
        if not chosen:
            for line in report.likeness_lines(likeness):
                show.note(line)
    else:
        show.rows(list(report.records(found, verdicts, likeness)), output)
    for source in found.sources:
        for line in report.source_lines(source):
            show.warning(line)
    if chosen:
        return _EXITS[worst(verdict.status for verdict in verdicts)]
    return EXIT_OK if found.packets else EXIT_NOTHING_RAN


def _print(found: Survey, verdicts: Sequence[Verdict]) -> None:
    seconds = [
        (one.began_s, one.ended_s) for one in found.sources if one.began_s is not None and one.ended_s is not None
    ]
    length_s = max(end for _, end in seconds) - min(begin for begin, _ in seconds) if seconds else 0.0
    if found.groups:
        title = f"{found.packets} packets in {len(found.sources)} files, {length_s:.3f} s"
        show.table([report.group_row(group) for group in found.groups], title)
    if verdicts:
        show.note("")
        show.table([report.verdict_row(verdict) for verdict in verdicts], "")
