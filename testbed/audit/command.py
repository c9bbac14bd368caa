"""`testbed audit`: captures in, a description or verdicts out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import show
from testbed.audit import report
from testbed.audit.judge import judge, nearest
from testbed.audit.survey import Survey, survey
from testbed.errors import EXIT_CHECK_FAILED, EXIT_INCONCLUSIVE, EXIT_NOTHING_RAN, EXIT_OK
from testbed.packets_file import open_capture
from testbed.verdict import Status, Verdict, worst

if TYPE_CHECKING:
    from testbed.policy import Policy

_EXITS = {Status.PASS: EXIT_OK, Status.FAIL: EXIT_CHECK_FAILED, Status.INCONCLUSIVE: EXIT_INCONCLUSIVE}


def run(files: Sequence[Path], *, policy_name: str | None, output: str, list_flows: bool = False) -> int:
    """Read, print, and say by the exit status: without a policy 0 (5 where there was no packet), with one as its verdicts are."""
    chosen = _policy(policy_name) if policy_name else None
    found = survey((open_capture(path) for path in files), chosen, list_flows=list_flows)
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


def _policy(name: str) -> Policy:
    """Its reader is loaded only where there is something to read: it takes longer than a small capture."""
    from testbed.policy import policy

    return policy(name)


def _print(found: Survey, verdicts: Sequence[Verdict]) -> None:
    seconds = [
        (one.began_s, one.ended_s) for one in found.sources if one.began_s is not None and one.ended_s is not None
    ]
    length_s = max(end for _, end in seconds) - min(begin for begin, _ in seconds) if seconds else 0.0
    if found.groups:
        title = f"{found.packets} packets in {len(found.sources)} files, {length_s:.3f} s"
        show.table([report.group_row(group) for group in found.groups], title)
    if found.flows:
        show.note("")
        show.table([report.flow_row(flow) for flow in found.flows], "flows")
    if verdicts:
        show.note("")
        show.table([report.verdict_row(verdict) for verdict in verdicts], "")
