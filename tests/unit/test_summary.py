from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from testbed.summary import markdown

WORDS = st.sampled_from(["ERROR", "FAIL", "FLAKY", "INCONCLUSIVE", "PASS"])


def row(scenario: str, status: str, summary: str = "as told") -> dict[str, str]:
    return {"scenario": scenario, "status": status, "passed": "1 of 1", "check": "rehomed", "summary": summary}


def test_the_worst_comes_first_and_what_did_not_pass_says_why() -> None:
    text = markdown(
        "night", [row("a", "PASS"), row("b", "FAIL")], [row("a", "PASS"), row("b", "FAIL", "2 phones stay")]
    )
    lines = text.splitlines()
    assert lines[0] == "## Test-bed: night"
    assert lines[2] == "2 scenarios: 1 FAIL, 1 PASS"
    assert lines[6:8] == ["| FAIL | b | 1 of 1 |", "| PASS | a | 1 of 1 |"]
    assert "| FAIL | b | rehomed | 2 phones stay |" in lines


def test_where_all_passed_nothing_else_is_said() -> None:
    assert "did not pass" not in markdown("", [row("a", "PASS")], [row("a", "PASS")])


@given(st.lists(st.tuples(st.text(max_size=20), WORDS, st.text(max_size=60)), max_size=5))
def test_no_text_breaks_the_table(found: list[tuple[str, str, str]]) -> None:
    rows = [row(scenario, status, summary) for scenario, status, summary in found]
    for line in markdown("x", rows, rows).split("\n"):
        if line.startswith("|"):
            bare = line.replace("\\\\", "").replace("\\|", "")
            assert bare.count("|") in (4, 5)
            assert bare.endswith("|")
