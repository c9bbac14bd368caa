from __future__ import annotations

from pathlib import Path

import pytest

from testbed.document import parse_document, validated
from testbed.errors import ScenarioError
from testbed.page import CLAIM_NAMES, CLAIMS
from testbed.page_matrix import document, failure_of, markdown, mutants, rows
from testbed.scenario import builtin_scenarios, load_scenario
from testbed.scenario_model import Scenario, registered_model

ROOT = Path(__file__).parents[2]
SCENARIOS = [load_scenario(name).scenario for name in builtin_scenarios()]


def scenario(name: str, inject: str, shows: str) -> Scenario:
    steps = f"steps:\n  - inject: {inject}\n" if inject else ""
    text = f"scenario: {name}\n{steps}shows: {shows}\n"
    return validated(parse_document(text.encode(), file="x.yaml"), registered_model())


def test_the_matrix_in_the_docs_is_the_one_made_now():
    assert (ROOT / "docs" / "page-matrix.md").read_text(encoding="utf-8") == document(), "make docs"


def test_every_claim_is_named_once():
    assert len(set(CLAIM_NAMES)) == len(CLAIMS)


@pytest.mark.parametrize("one", SCENARIOS, ids=lambda one: one.scenario)
def test_what_a_scenario_says_it_shows_it_holds_against_an_expectation(one: Scenario):
    expected = {item.kind for item in one.expect if item.params.claim == "page"}
    named = {claim.name: set(claim.checks) for claim in CLAIMS if claim.name in (*one.shows.holds, *one.shows.broken)}
    assert not [name for name, checks in named.items() if not checks & expected]
    assert bool(named) == bool(expected)
    assert not set(one.shows.holds) & set(one.shows.broken)


def test_every_claim_that_is_shown_has_a_test_that_catches_its_loss():
    shown = {name for one in SCENARIOS for name in one.shows.holds}
    caught = mutants(ROOT)
    assert shown <= set(caught)
    assert set(caught) <= set(CLAIM_NAMES)


def test_a_claim_has_a_row_for_every_way_to_fail_and_names_both_scenarios():
    scenarios = [
        scenario("with", "{kill: ccm-1}", "{holds: [slb-for-pages]}"),
        scenario("without", "{kill: ccm-1}", "{broken: [slb-for-pages]}"),
        scenario("frozen", "{freeze: ccm-1}", "{holds: [slb-for-pages]}"),
    ]
    found = [
        row for row in rows(scenarios, {"slb-for-pages": ["tests/t.py::test_x"]}) if row.claim.name == "slb-for-pages"
    ]
    assert "| kill ccm-1 | [with] | [without] | [x] |" in markdown(found)
    assert "[x]: ../tests/t.py\n" in markdown(found)
    assert [(row.failure, row.holds, row.broken, row.elsewhere, row.caught) for row in found] == [
        ("kill ccm-1", ("with",), ("without",), (), ("tests/t.py::test_x",)),
        ("freeze ccm-1", ("frozen",), (), ("without",), ("tests/t.py::test_x",)),
    ]


def test_a_claim_that_no_scenario_shows_has_a_row_that_says_so():
    assert [row.failure for row in rows([], {})] == ["no scenario yet"] * len(CLAIMS)
    assert "| rtp-unmarked-by-service | breaks | no scenario yet | — | — | — |" in markdown(rows([], {}))


@pytest.mark.parametrize(
    ("inject", "words"),
    [
        ("", "no fault"),
        ("{kill: ccm-1}", "kill ccm-1"),
        ('{cut: "1/3 of phones<->ccm-1"}', "cut 1/3 of phones<->ccm-1"),
        ("{reject: {at: ccm-1, by: icmp}}", "reject ccm-1, by icmp"),
        ("{reject: {at: ccm-1, by: rst}}", "reject ccm-1"),
    ],
)
def test_a_way_to_fail_is_told_in_the_words_of_the_scenario(inject: str, words: str):
    assert failure_of(scenario("x", inject, "{}")) == words


def test_tests_are_found_by_what_they_catch(tmp_path: Path):
    tests = tmp_path / "tests" / "unit"
    tests.mkdir(parents=True)
    (tests / "test_x.py").write_text(
        "import pytest\n@pytest.mark.catches('a', 'b')\n@pytest.mark.slow\ndef test_one(): ...\n"
        "@pytest.mark.parametrize('a', [])\ndef test_two(): ...\n"
    )
    assert mutants(tmp_path) == {name: ["tests/unit/test_x.py::test_one"] for name in ("a", "b")}


def test_an_unknown_claim_is_refused_with_the_known_ones():
    with pytest.raises(ScenarioError) as caught:
        scenario("x", "", "{holds: [phones-rehom]}")
    assert caught.value.hint.startswith("did you mean 'phones-rehome'? known: service-depends")
