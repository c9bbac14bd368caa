"""Verdicts as JUnit XML, for what shows test results: one test case each.

PASS is a success and FAIL a failure. INCONCLUSIVE is an error, as JUnit means it: the question could not be answered. As "skipped" it
would be green wherever such files are shown, and unknown is not pass; the exit status 3 says the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from testbed.audit.markup import Markup, tag
from testbed.verdict import Status, Verdict

_ELEMENTS = {Status.FAIL: "failure", Status.INCONCLUSIVE: "error"}


def junit(verdicts: Sequence[Verdict], *, suite: str) -> str:
    """A document with one suite of this name, which is also the class of all its cases."""
    counts = {
        "tests": len(verdicts),
        "failures": sum(verdict.status is Status.FAIL for verdict in verdicts),
        "errors": sum(verdict.status is Status.INCONCLUSIVE for verdict in verdicts),
    }
    cases = (_case(verdict, suite) for verdict in verdicts)
    suites = tag("testsuites", tag("testsuite", *cases, name=suite, skipped=0, time="0", **counts))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{suites}\n'


def _case(verdict: Verdict, suite: str) -> Markup:
    attributes = {"name": verdict.check, "classname": suite, "time": "0"}
    lines = _lines(verdict)
    if verdict.status is Status.PASS:
        return tag("testcase", tag("system-out", "\n".join(lines)), **attributes)
    outcome = tag(_ELEMENTS[verdict.status], "\n".join(lines), message=verdict.summary, type=verdict.status.name)
    return tag("testcase", outcome, **attributes)


def _lines(verdict: Verdict) -> list[str]:
    return [verdict.summary, *(item.text for item in verdict.evidence)]
