"""HTTP judged from captures alone: each sort of failure is told, and each way to be fooled is closed."""

from __future__ import annotations

from pathlib import Path

import plain_stories
import pytest
from plain_stories import Project, moments
from pydantic import ValidationError
from recordings import RST
from stories import BEGAN_S, END_S, HEALING_S

from testbed.checks import judge_expectation
from testbed.checks.http import HttpParams
from testbed.errors import UsageError
from testbed.judge import judge
from testbed.verdict import Status, Verdict

HOP = {"hop": "client->slb"}


def http(project: Project, folder: Path, /, **params: object) -> Verdict:
    return judge_expectation(project.recording.write(folder), "http", HttpParams.model_validate(params))


@pytest.mark.parametrize("when", ["before", "during", "after", "always"])
def test_requests_that_are_all_answered_pass_in_every_part(when: str, tmp_path: Path):
    verdict = http(plain_stories.shop(), tmp_path, **HOP, when=when)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures["failed"] == 0
    assert verdict.figures["answered"] == verdict.figures["requests"] > 4
    assert verdict.figures["answer_max_s"] == pytest.approx(0.01, abs=0.001)
    assert verdict.evidence[0].capture == "client.pcap"


def test_parts_do_not_overlap(tmp_path: Path):
    run = plain_stories.shop().recording.write(tmp_path)
    parts = {
        when: judge_expectation(run, "http", HttpParams.model_validate({**HOP, "when": when})).figures["requests"]
        for when in ("before", "during", "after")
    }
    # Before: from the steps' beginning at 2 s. After: from the step at 11 s.
    assert parts == {"before": 10, "during": 25, "after": 15}


def test_without_a_standby_requests_fail_while_the_shop_is_gone_and_only_then(tmp_path: Path):
    run = plain_stories.shop(standby=False).recording.write(tmp_path)
    verdicts = {
        when: judge_expectation(run, "http", HttpParams.model_validate({**HOP, "when": when}))
        for when in ("before", "during", "after", "always")
    }
    assert {when: verdict.status.name for when, verdict in verdicts.items()} == {
        "before": "PASS",
        "during": "FAIL",
        "after": "PASS",
        "always": "FAIL",
    }
    assert verdicts["during"].figures["status_503"] == 25
    assert "client asks slb:80 GET /: HTTP 503" in verdicts["during"].evidence[0].text


@pytest.mark.parametrize(("allowed", "status"), [(25, Status.PASS), (24, Status.FAIL)])
def test_as_many_may_fail_as_are_allowed(allowed: int, status: Status, tmp_path: Path):
    assert http(plain_stories.shop(standby=False), tmp_path, **HOP, when="during", failed=allowed).status is status


def test_one_lost_request_is_found(tmp_path: Path):
    project = plain_stories.shop()
    project.ask(BEGAN_S + 1.05, "client", "slb", status=None)
    verdict = http(project, tmp_path, **HOP, when="during")
    assert (verdict.status, verdict.figures["failed"]) == (Status.FAIL, 1)
    assert "reset" in verdict.evidence[0].text


def test_a_request_that_the_fault_overtakes_belongs_to_the_fault(tmp_path: Path):
    project = plain_stories.shop()
    project.ask(BEGAN_S - 0.01, "client", "slb", status=None, took_s=0.03)
    run = project.recording.write(tmp_path)
    for when, status in (("before", Status.PASS), ("during", Status.FAIL)):
        verdict = judge_expectation(run, "http", HttpParams.model_validate({**HOP, "when": when}))
        assert verdict.status is status, f"{when}: {verdict.summary}"


def test_a_connection_that_is_refused_is_a_failure_whatever_page_it_was_meant_for(tmp_path: Path):
    project = plain_stories.shop()
    project.refuse(BEGAN_S + 1.05, "client", "slb")
    for place, params in enumerate(({}, {"path": "/"}, {"work": ["/"]})):
        verdict = http(project, tmp_path / str(place), **HOP, when="during", **params)
        assert verdict.status is Status.FAIL
        assert "asks slb:80 for a connection: refused" in verdict.evidence[0].text


def test_a_connection_to_a_port_that_was_never_asked_for_a_page_is_no_http(tmp_path: Path):
    project = plain_stories.shop()
    one = project.connection("client", "slb")
    one.server = (one.server[0], 5432)
    one.packet(BEGAN_S + 1, up=True, flags=2)
    assert http(project, tmp_path, **HOP, when="during").status is Status.PASS


def test_a_connection_that_nobody_answers_is_slow_once_it_has_waited_so_long(tmp_path: Path):
    project = plain_stories.shop()
    project.knock(BEGAN_S + 1.05, "client", "slb")
    verdict = http(project, tmp_path / "a", **HOP, when="during")
    assert (verdict.status, verdict.figures["slow"]) == (Status.FAIL, 1)
    verdict = http(project, tmp_path / "b", **HOP, when="during", slowest="30s")
    assert (verdict.status, verdict.figures["open"]) == (Status.PASS, 1)


def test_requests_that_are_open_when_the_capture_ends_show_nothing(tmp_path: Path):
    project = Project()
    for at_s in moments(END_S - 1.5, END_S - 1):
        project.knock(at_s, "client", "slb")
    assert http(project, tmp_path, **HOP).status is Status.INCONCLUSIVE


@pytest.mark.parametrize(("took_s", "status"), [(0.9, Status.PASS), (1.1, Status.FAIL)])
def test_a_slow_answer_is_found(took_s: float, status: Status, tmp_path: Path):
    project = plain_stories.shop()
    project.ask(BEGAN_S + 1.05, "client", "slb", took_s=took_s)
    verdict = http(project, tmp_path, **HOP, when="during", slowest="1s")
    assert verdict.status is status
    assert verdict.figures["answer_max_s"] == pytest.approx(took_s, abs=0.01)


def test_what_the_client_gets_is_read_at_the_client(tmp_path: Path):
    """The SLB sends an answer that never arrives: seen at the SLB all is well."""
    for captured, status in ((("client", "slb"), Status.FAIL), (("slb",), Status.PASS)):
        project = plain_stories.shop(captured=captured)
        one = project.connection("client", "slb")
        one.open(BEGAN_S + 1)
        one.send(BEGAN_S + 1.001, b"GET /lost HTTP/1.1\r\n\r\n", up=True)
        one.wires = [project.recording.wires["slb"]]
        one.send(BEGAN_S + 1.01, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", up=False)
        verdict = http(project, tmp_path / captured[0], **HOP, when="during")
        assert verdict.status is status, verdict.summary
        assert verdict.evidence[0].capture == f"{captured[0]}.pcap"


def test_requests_to_a_host_are_those_of_anybody_seen_there(tmp_path: Path):
    run = plain_stories.shop().recording.write(tmp_path)
    counts = {
        when: judge_expectation(run, "http", HttpParams.model_validate({"at": "shop-2", "path": "/", "when": when}))
        for when in ("before", "during")
    }
    assert counts["before"].status is Status.INCONCLUSIVE
    assert counts["during"].figures["requests"] == 25


@pytest.mark.parametrize(
    ("when", "params", "status"),
    [
        ("before", {"most": 0}, Status.PASS),
        ("during", {"most": 0}, Status.FAIL),
        ("during", {"most": 25, "fewest": 25}, Status.PASS),
        ("during", {"fewest": 26}, Status.FAIL),
        ("before", {"fewest": 1}, Status.FAIL),
    ],
)
def test_how_many_requests_there_are_can_be_demanded(when: str, params: dict[str, int], status: Status, tmp_path: Path):
    assert http(plain_stories.shop(), tmp_path, at="shop-2", path="/", when=when, **params).status is status


def test_a_part_in_which_nobody_asked_shows_nothing(tmp_path: Path):
    assert http(plain_stories.shop(), tmp_path, **HOP, path="/nowhere").status is Status.INCONCLUSIVE


def test_a_run_without_a_fault_has_no_during_and_no_after(tmp_path: Path):
    project = plain_stories.shop()
    for name in ("FaultIntended", "FaultConfirmed", "FaultHealed"):
        project.recording.drop(name)
    run = project.recording.write(tmp_path)
    for when, status in (("during", "INCONCLUSIVE"), ("after", "INCONCLUSIVE"), ("before", "PASS"), ("always", "PASS")):
        params = HttpParams.model_validate({**HOP, "when": when})
        assert judge_expectation(run, "http", params).status.name == status


def test_a_hop_that_nothing_captured_shows_nothing(tmp_path: Path):
    verdict = http(plain_stories.shop(captured=("shop-1", "shop-2")), tmp_path, **HOP)
    assert (verdict.status, verdict.summary) == (Status.INCONCLUSIVE, "nothing was captured at slb")


def test_a_capture_that_cannot_be_relied_on_makes_no_pass(tmp_path: Path):
    project = plain_stories.shop()
    project.recording.change("CaptureStopped", where={"capture": "client"}, dropped=3)
    verdicts = judge(project.recording.write(tmp_path), [("http", HttpParams.model_validate(HOP))])
    assert verdicts[-1].status is Status.INCONCLUSIVE


def pages(project: Project, dead: str = "/pay") -> Project:
    """Two more pages, one of which the SLB answers with 502 while the fault lasts."""
    for at_s in moments(2.05, 12.05):
        gone = BEGAN_S + 0.1 <= at_s < HEALING_S
        for path in ("/pay", "/cart"):
            project.ask(at_s, "client", "slb", path, status=502 if gone and path == dead else 200)
    return project


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"work": ["/cart", "/"], "fail": ["/pay"]}, Status.PASS),
        ({"work": ["/c*"], "fail": ["/pay"]}, Status.PASS),
        ({"fail": ["/pay"]}, Status.PASS),
        ({"work": ["/pay"]}, Status.FAIL),
        ({"fail": ["/pay", "/cart"]}, Status.FAIL),
        ({"fail": ["*"]}, Status.FAIL),
        ({"work": ["/nowhere"], "fail": ["/pay"]}, Status.INCONCLUSIVE),
        ({"fail": ["/pay", "/nowhere"]}, Status.INCONCLUSIVE),
        ({}, Status.FAIL),
    ],
)
def test_pages_work_and_fail_as_listed(params: dict[str, list[str]], status: Status, tmp_path: Path):
    verdict = http(pages(plain_stories.shop()), tmp_path, **HOP, when="during", **params)
    assert verdict.status is status, verdict.summary


def test_a_page_that_is_expected_to_fail_and_is_answered_once_fails(tmp_path: Path):
    project = pages(plain_stories.shop())
    project.ask(BEGAN_S + 2.05, "client", "slb", "/pay")
    verdict = http(project, tmp_path, **HOP, when="during", fail=["/pay"])
    assert verdict.status is Status.FAIL
    assert "GET /pay: HTTP 200, expected to fail" in verdict.evidence[0].text


def test_an_answer_under_way_when_the_fault_came_is_no_answer_of_a_page_that_fails(tmp_path: Path):
    project = pages(plain_stories.shop())
    project.ask(BEGAN_S - 0.005, "client", "slb", "/pay")
    assert http(project, tmp_path, **HOP, when="during", fail=["/pay"]).status is Status.PASS


def test_a_page_that_hangs_until_the_healing_has_failed(tmp_path: Path):
    project = plain_stories.shop()
    project.ask(BEGAN_S + 1, "client", "slb", "/pay", took_s=HEALING_S - BEGAN_S)
    assert http(project, tmp_path, **HOP, when="during", fail=["/pay"]).status is Status.PASS


def test_statuses_that_are_wanted_can_be_named(tmp_path: Path):
    project = plain_stories.shop(standby=False)
    assert http(project, tmp_path / "a", **HOP, when="during", statuses=[503]).status is Status.PASS
    assert http(project, tmp_path / "b", **HOP, when="during", statuses=[200, 503]).status is Status.PASS
    assert http(project, tmp_path / "c", **HOP, when="before", statuses=[503]).status is Status.FAIL


def test_a_client_that_is_out_of_patience_has_not_been_answered(tmp_path: Path):
    project = plain_stories.shop()
    one = project.connection("client", "slb")
    one.open(BEGAN_S + 1)
    one.send(BEGAN_S + 1.001, b"GET / HTTP/1.1\r\n\r\n", up=True)
    one.packet(BEGAN_S + 2, up=True, flags=RST)
    verdict = http(project, tmp_path, **HOP, when="during")
    assert verdict.status is Status.FAIL
    assert "given up" in verdict.evidence[0].text


def test_role_words_are_sides_of_a_hop_and_unknown_hosts_are_refused(tmp_path: Path):
    run = plain_stories.shop().recording.write(tmp_path)
    by_role = judge_expectation(run, "http", HttpParams.model_validate({"hop": "slb->other", "path": "/"}))
    assert by_role.figures["requests"] > 40
    with pytest.raises(UsageError, match="shop-9"):
        judge_expectation(run, "http", HttpParams.model_validate({"hop": "slb->shop-9"}))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {**HOP, "at": "slb"},
        {"hop": "client"},
        {**HOP, "failed": -1},
        {**HOP, "slowest": "0s"},
        {**HOP, "slowest": 3},
        {**HOP, "path": "text"},
        {**HOP, "path": "/a b"},
        {**HOP, "method": "get"},
        {**HOP, "port": 0},
        {**HOP, "statuses": [99]},
        {**HOP, "work": ["/a"], "fail": ["/a"]},
        {**HOP, "fewest": 3, "most": 2},
        {**HOP, "when": "sometimes"},
        {**HOP, "hopp": "x"},
    ],
)
def test_absurd_parameters_are_refused(params: dict[str, object]):
    with pytest.raises(ValidationError):
        HttpParams.model_validate(params)
