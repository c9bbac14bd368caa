"""The verdicts, worst first, each with what proves it."""

from __future__ import annotations

import shlex

from testbed.report.markup import Child, Html, folded, joined, table, tag
from testbed.report.reading import Told
from testbed.verdict import Evidence, Status, Verdict, worst

SIGNS = {Status.PASS: "✓", Status.INCONCLUSIVE: "?", Status.FAIL: "✗"}
"""So that no status is told by its colour alone."""


def overall(told: Told) -> Status | None:
    """The worst of all; None where nothing was judged."""
    return worst(one.status for one in told.verdicts) if told.verdicts else None


def badge(status: Status | None) -> Html:
    """A status as a word, with its sign and colour."""
    if status is None:
        return tag("span", "not judged", class_="badge unknown")
    return tag("span", f"{SIGNS[status]} {status.name}", class_=f"badge {status.name.lower()}")


def verdicts(told: Told) -> Html:
    """A line each; what proves it below, open where it is no PASS."""
    if not told.verdicts:
        judge = tag("code", f"testbed judge {shlex.quote(told.where)}")
        return tag("p", "Nothing was judged: ", judge, " does it.", class_="note")
    counts = {status: sum(one.status is status for one in told.verdicts) for status in Status}
    words = ", ".join(f"{counts[status]} {status.name}" for status in reversed(Status) if counts[status])
    ordered = sorted(enumerate(told.verdicts), key=lambda item: (-item[1].status, item[0]))
    return joined(tag("p", words), tag("ol", [_verdict(told, one) for _, one in ordered], class_="verdicts"))


def _verdict(told: Told, one: Verdict) -> Html:
    claim = tag("span", one.claim, class_="claim") if one.claim and one.claim != "requirement" else None
    head = joined(badge(one.status), " ", tag("strong", one.check), " ", claim)
    summary = tag("p", one.summary, class_="summary")
    parts: list[Child] = []
    if one.evidence:
        count = len(one.evidence)
        proofs = tag("ul", [_proof(told, item) for item in one.evidence], class_="evidence")
        is_open = one.status is not Status.PASS
        parts.append(folded(f"{count} {'proof' if count == 1 else 'proofs'}", proofs, is_open=is_open))
    if one.figures:
        rows = [(name.replace("_", " "), f"{value:g}") for name, value in sorted(one.figures.items())]
        figures = table(("figure", "value"), rows, caption=f"figures of {one.check}", class_="figures")
        parts.append(folded(f"{len(rows)} {'figure' if len(rows) == 1 else 'figures'}", figures))
    return tag("li", tag("div", head, class_="head"), summary, *parts, class_=one.status.name.lower())


def _proof(told: Told, item: Evidence) -> Html:
    """The words, then where it is: a row of the events below, or a frame with the file that holds it."""
    where: list[Child] = []
    if item.event is not None:
        where += [" ", tag("a", f"event {item.event}", href=f"#event-{item.event}")]
    if item.capture is not None:
        where += [" ", tag("code", item.capture + (f" frame {item.frame}" if item.frame is not None else ""))]
    return tag("li", item.text, where)
