from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stories import rehome

from testbed.judge import write_verdicts
from testbed.recording import Run
from testbed.report.junit import junit
from testbed.report.reading import read, verdict_of
from testbed.verdict import Evidence, Status, Verdict

VERDICTS = [
    Verdict(check="steady", status=Status.PASS, summary="steady", figures={"phones": 2.0}),
    Verdict(
        check="rehomed",
        status=Status.FAIL,
        summary="1 of 2",
        claim="page",
        evidence=(Evidence(text="late", event=7), Evidence(text="seen", capture="phones-1.pcap", frame=3)),
    ),
    Verdict(check="captures", status=Status.INCONCLUSIVE, summary="lost"),
]


def judged(path: Path, verdicts: list[Verdict]) -> Run:
    run = rehome().write(path)
    write_verdicts(run, verdicts)
    return run


def test_a_test_case_for_each_verdict_with_its_figures_as_properties(tmp_path: Path):
    judged(tmp_path, VERDICTS)
    suite = ET.fromstring(junit(read(tmp_path)))[0]
    assert [suite.get(word) for word in ("name", "tests", "failures", "errors", "skipped")] == [
        "by-hand",
        "3",
        "1",
        "1",
        "0",
    ]
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert list(cases) == ["steady", "rehomed", "captures"]
    steady = {one.get("name"): one.get("value") for one in cases["steady"].iter("property")}
    assert steady == {"claim": "requirement", "phones": "2"}


def test_a_failure_names_its_evidence_and_what_is_inconclusive_is_an_error_never_skipped(tmp_path: Path):
    judged(tmp_path, VERDICTS)
    cases = {case.get("name"): case for case in ET.fromstring(junit(read(tmp_path))).iter("testcase")}
    failure = cases["rehomed"].find("failure")
    assert failure is not None
    assert failure.get("message") == "1 of 2"
    assert failure.text == "1 of 2\nlate [history.jsonl event 7]\nseen [captures/phones-1.pcap frame 3]"
    error = cases["captures"].find("error")
    assert error is not None
    assert error.get("type") == "INCONCLUSIVE"
    assert not [case for case in cases.values() if case.find("skipped") is not None]
    assert cases["steady"].find("failure") is None


def test_a_run_that_was_not_judged_is_an_error_and_no_empty_suite(tmp_path: Path):
    rehome().write(tmp_path)
    suite = ET.fromstring(junit(read(tmp_path)))[0]
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text())
def test_any_text_of_a_verdict_gives_a_document_that_parses(tmp_path: Path, text: str):
    folder = tmp_path / "run"
    if not folder.exists():
        rehome().write(folder)
    told = read(
        folder, verdicts=[Verdict(check=text, status=Status.FAIL, summary=text, evidence=(Evidence(text=text),))]
    )
    assert ET.fromstring(junit(told)).find(".//failure") is not None


def test_verdicts_come_back_from_their_file_as_they_were(tmp_path: Path):
    judged(tmp_path, VERDICTS)
    rows = json.loads((tmp_path / "verdicts.json").read_text(encoding="utf-8"))["verdicts"]
    assert [verdict_of(row) for row in rows] == VERDICTS
    assert list(read(tmp_path).verdicts) == VERDICTS
