from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from recordings import Wire

from testbed.audit.junit import junit
from testbed.cli import cli
from testbed.errors import UsageError
from testbed.verdict import Evidence, Status, Verdict

SCHEMA: dict[str, tuple[set[str], set[str], tuple[str, ...]]] = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, ("testsuite",)),
    "testsuite": (
        {"name", "tests"},
        {"failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package"},
        ("properties", "testcase", "system-out", "system-err"),
    ),
    "testcase": ({"name"}, {"classname", "time"}, ("skipped", "error", "failure", "system-out", "system-err")),
    "failure": (set(), {"message", "type"}, ()),
    "error": (set(), {"message", "type"}, ()),
    "system-out": (set(), set(), ()),
}
"""Attributes that must be and may be, and elements within, as Jenkins' junit-10.xsd has them (xunit plug-in)."""


def assert_valid(element: ElementTree.Element) -> None:
    needed, further, children = SCHEMA[element.tag]
    assert needed <= set(element.attrib) <= needed | further
    for child in element:
        assert child.tag in children
        assert_valid(child)


def verdict(status: Status, **words: str) -> Verdict:
    return Verdict(check=words.get("check", "marks rtp"), status=status, summary=words.get("summary", "said"))


def read(*verdicts: Verdict) -> ElementTree.Element:
    root = ElementTree.fromstring(junit(verdicts, suite="audit").encode("utf-8"))
    assert_valid(root)
    return root


@pytest.mark.parametrize(
    ("status", "outcome"), [(Status.PASS, "system-out"), (Status.FAIL, "failure"), (Status.INCONCLUSIVE, "error")]
)
def test_unknown_is_no_success(status: Status, outcome: str) -> None:
    (case,) = read(verdict(status)).iter("testcase")
    assert [child.tag for child in case] == [outcome]


def test_the_suite_counts_its_cases() -> None:
    (suite,) = read(verdict(Status.FAIL), verdict(Status.INCONCLUSIVE), verdict(Status.FAIL), verdict(Status.PASS))
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["4", "2", "1", "0"]


def test_a_failure_has_the_evidence() -> None:
    proof = Evidence(text="10.0.0.1 to 10.0.0.2 is marked CS3", capture="x.pcap", frame=7)
    (failure,) = read(Verdict(check="marks", status=Status.FAIL, summary="one", evidence=(proof,))).iter("failure")
    assert failure.get("message") == "one"
    assert failure.text == "one\n10.0.0.1 to 10.0.0.2 is marked CS3"


@given(st.text(), st.text(), st.sampled_from(Status))
def test_any_text_is_xml(check: str, summary: str, status: Status) -> None:
    assert len(list(read(verdict(status, check=check, summary=summary)).iter("testcase"))) == 1


def invoke(*words: str) -> Result:
    return CliRunner().invoke(cli, ["audit", *words, "--output", "junit"], standalone_mode=False)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path, wire = tmp_path / "<&>.pcap", Wire()
    wire.udp(0.1, ("10.0.0.1", 20_000), ("10.0.0.2", 20_480), b"\x80" + bytes(171), tos=0)
    path.write_bytes(wire.pcap())
    return str(path)


def test_the_command_prints_nothing_else(file: str) -> None:
    for words in (["--hops", file, file], [file]):
        result = invoke(*words, "--policy", "srnd-strict")
        assert result.return_value == 1
        root = ElementTree.fromstring(result.stdout.encode("utf-8"))
        assert_valid(root)
        assert "<&>.pcap frame 1" in "".join(root.itertext())


def test_without_a_policy_there_is_nothing_to_print(file: str) -> None:
    error = invoke(file).exception
    assert isinstance(error, UsageError)
    assert "--policy" in error.hint
