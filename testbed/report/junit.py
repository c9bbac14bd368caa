"""A run as JUnit XML: a test case for each verdict, with its figures as properties.

INCONCLUSIVE is an ``error``, not ``skipped``: most readers count what was skipped as well, and unknown is not pass. In JUnit's own words an
error is a test that could not be carried out, a failure one whose assertion did not hold: that is the difference between the two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from testbed.report.markup import clean
from testbed.report.reading import Told
from testbed.verdict import Evidence, Status, Verdict

WORDS = {Status.FAIL: "failure", Status.INCONCLUSIVE: "error"}


def junit(told: Told) -> str:
    """The document. A run that was not judged has one case, an error: a suite without cases would count as good."""
    verdicts = told.verdicts or (
        Verdict(check="verdicts", status=Status.INCONCLUSIVE, summary="; ".join(told.missing) or "nothing was judged"),
    )
    counts = {status: sum(one.status is status for one in verdicts) for status in Status}
    suite = ET.Element(
        "testsuite",
        name=clean(told.name),
        tests=str(len(verdicts)),
        failures=str(counts[Status.FAIL]),
        errors=str(counts[Status.INCONCLUSIVE]),
        skipped="0",
        time=f"{max(0.0, told.end_s - told.begin_s):.3f}",
    )
    if told.begin_s > 0:
        suite.set("timestamp", datetime.fromtimestamp(told.begin_s, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    facts = {"run": told.run.path.name, **{word: told.scenario.get(word) for word in ("profile", "phones")}}
    _properties(suite, {name: str(value) for name, value in facts.items() if value is not None})
    for one in verdicts:
        _case(suite, told.name, one)
    suites = ET.Element("testsuites", name="testbed", tests=suite.get("tests", "0"))
    suites.append(suite)
    ET.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def _case(suite: ET.Element, name: str, one: Verdict) -> None:
    case = ET.SubElement(suite, "testcase", classname=f"testbed.{clean(name)}", name=clean(one.check), time="0")
    figures = {word: f"{value:.15g}" for word, value in one.figures.items() if math.isfinite(value)}
    _properties(case, {"claim": one.claim, **figures})
    if one.status in WORDS:
        outcome = ET.SubElement(case, WORDS[one.status], message=clean(one.summary), type=one.status.name)
        outcome.text = clean("\n".join([one.summary, *map(_line, one.evidence)]))
    else:
        ET.SubElement(case, "system-out").text = clean("\n".join([one.summary, *map(_line, one.evidence)]))


def _properties(parent: ET.Element, values: Mapping[str, str]) -> None:
    if not values:
        return
    properties = ET.SubElement(parent, "properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", name=clean(name), value=clean(value))


def _line(item: Evidence) -> str:
    return f"{item.text} [{', '.join(_places(item))}]" if item.capture or item.event is not None else item.text


def _places(item: Evidence) -> Iterable[str]:
    if item.event is not None:
        yield f"history.jsonl event {item.event}"
    if item.capture:
        yield f"captures/{item.capture}" + (f" frame {item.frame}" if item.frame is not None else "")
