"""What came of several runs, as Markdown for the page of a CI job. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

ORDER = ("ERROR", "FAIL", "FLAKY", "INCONCLUSIVE", "PASS")
"""Worst first: nobody scrolls for what went wrong."""


def markdown(label: str, overview: Sequence[Mapping[str, Any]], rows: Iterable[Mapping[str, Any]]) -> str:
    """``overview``: a record a scenario (``repeated`` of testbed.campaign); ``rows``: a record a verdict."""
    counts = {word: sum(row["status"] == word for row in overview) for word in ORDER}
    total = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    lines = [f"## Test-bed: {label or 'runs'}", "", f"{len(overview)} scenarios: {total or 'none'}", ""]
    lines += ["| status | scenario | passed |", "|---|---|---|"]
    for row in sorted(overview, key=lambda row: ORDER.index(row["status"])):
        lines.append(f"| {row['status']} | {_cell(row['scenario'])} | {row['passed']} |")
    wrong = [row for row in rows if row["status"] != "PASS"]
    if wrong:
        lines += [
            "",
            "### What did not pass",
            "",
            "| status | scenario | expectation | what was seen |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {row['status']} | {_cell(row['scenario'])} | {_cell(row['check'])} | {_cell(row['summary'])} |"
            for row in wrong
        ]
    return "\n".join(lines) + "\n\n"


def _cell(text: object) -> str:
    """No text of a bed's ends the cell, the row or the table, or is taken for markup."""
    plain = " ".join(str(text).split())
    for sign in "\\`*_|<>[]":
        plain = plain.replace(sign, "\\" + sign)
    return plain
