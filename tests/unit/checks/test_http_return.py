"""Whether HTTP flows again, by what captures show; and what a run watches while it goes on."""

from __future__ import annotations

from pathlib import Path

import plain_stories
import pytest
from plain_stories import BACK_S, Project, moments
from stories import BEGAN_S, END_S, HEALING_S

from testbed.checks import judge_expectation
from testbed.checks.http_return import returns, still
from testbed.checks.recovered import RecoveredParams
from testbed.document import parse_document, validated
from testbed.scenario_model import Scenario, registered_model
from testbed.verdict import Status, Verdict
from testbed.watching import HttpWatch


def recovered(project: Project, path: Path) -> Verdict:
    return judge_expectation(project.recording.write(path), "recovered", RecoveredParams())


@pytest.mark.parametrize("standby", [True, False])
@pytest.mark.parametrize("kind", ["kill", "cut"])
def test_pages_that_are_answered_again_as_before_are_recovery(kind: str, standby: bool, tmp_path: Path):
    verdict = recovered(plain_stories.shop(kind=kind, standby=standby), tmp_path)
    assert verdict.status is Status.PASS
    assert verdict.summary.startswith("4 hosts run, 3 hops answer as before")
    # Healed 50 ms after the command; the first good question to shop-1 comes 0.2 s after that command, and a little.
    assert verdict.figures["http_back_max_s"] == pytest.approx(BACK_S - 0.05 + 0.01, abs=0.01)


def never_back() -> Project:
    project = Project()
    project.recording.fault("kill", "shop-1", BEGAN_S, HEALING_S)
    for at_s in moments(1.0, END_S):
        project.ask(at_s, "client", "slb", "/", status=200 if at_s < BEGAN_S else 503)
    return project


def test_pages_that_go_on_failing_are_no_recovery(tmp_path: Path):
    verdict = recovered(never_back(), tmp_path)
    assert verdict.status is Status.FAIL
    assert verdict.summary == "not answered as before: client->slb"
    assert "client asks slb:80 GET /" in verdict.evidence[0].text


def test_pages_that_fail_again_after_a_while_are_no_recovery(tmp_path: Path):
    project = plain_stories.shop()
    project.ask(END_S - 0.05, "client", "slb", status=503)
    assert recovered(project, tmp_path).status is Status.FAIL


def test_an_error_that_was_usual_before_is_usual_afterwards(tmp_path: Path):
    project = plain_stories.shop()
    for at_s in moments(2.05, END_S - 0.1):
        project.ask(at_s, "client", "slb", "/favicon.ico", status=404)
    assert recovered(project, tmp_path).status is Status.PASS


def test_nobody_who_asks_afterwards_shows_nothing(tmp_path: Path):
    project = Project()
    project.recording.fault("cut", "shop-1", BEGAN_S, HEALING_S)
    for at_s in moments(1.0, BEGAN_S):
        project.ask(at_s, "client", "slb", "/")
    verdict = recovered(project, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert "client->slb" in verdict.summary


@pytest.mark.parametrize(("kind", "status"), [("kill", Status.PASS), ("cut", Status.INCONCLUSIVE)])
def test_without_a_page_running_hosts_show_recovery_from_what_stopped_them_alone(
    kind: str, status: Status, tmp_path: Path
):
    project = Project(captured=())
    project.recording.fault(kind, "shop-1", BEGAN_S, HEALING_S)
    project.recording.topology = plain_stories.bed()
    project.recording.event(
        13.3, "testbed", "SlbState", slb="slb", when="after", backend="b", server="other", status="UP"
    )
    verdict = recovered(project, tmp_path)
    assert verdict.status is status, verdict.summary


def test_servers_that_the_slb_finds_well_show_recovery_of_the_way_to_them(tmp_path: Path):
    project = Project(captured=())
    project.recording.fault("cut", "shop-1", BEGAN_S, HEALING_S)
    particulars = {"slb": "slb", "when": "after", "backend": "shops", "server": "shop-1"}
    project.recording.event(13.3, "testbed", "SlbState", **particulars, status="UP")
    project.recording.change("FaultConfirmed", hosts=["shop-1"])
    assert recovered(project, tmp_path / "up").status is Status.PASS
    project.recording.change("SlbState", status="DOWN")
    assert recovered(project, tmp_path / "down").status is Status.FAIL


def test_a_host_that_does_not_run_again_is_no_recovery(tmp_path: Path):
    project = Project(captured=())
    project.recording.fault("kill", "shop-1", BEGAN_S, HEALING_S)
    project.recording.drop("SteadyStateReached", when="after")
    project.recording.event(13.2, "testbed", "SteadyStateMissed", when="after", detail="shop-1 exited")
    verdict = recovered(project, tmp_path)
    assert (verdict.status, verdict.summary) == (Status.FAIL, "not steady: shop-1 exited")


def test_a_fault_that_was_not_healed_shows_no_recovery(tmp_path: Path):
    project = plain_stories.shop()
    project.recording.drop("FaultHealed")
    run = project.recording.write(tmp_path)
    assert returns(run) == []
    assert judge_expectation(run, "recovered", RecoveredParams()).status is Status.INCONCLUSIVE


def until(at_s: float, *, status: int = 200) -> Project:
    """Captures that end here, as a run in progress has them; asked five times a second from second 1 on."""
    project = Project()
    for moment in moments(1.0, at_s):
        project.ask(moment, "client", "slb", status=status)
    for wire in project.recording.wires.values():
        wire.frames = [(when, frame) for when, frame in wire.frames if when <= at_s]
    return project


@pytest.mark.parametrize(
    ("project", "missing"),
    [
        (until(0.5), "client->slb: no answer"),
        (until(1.5), "client->slb: answered, but not for 1 s yet"),
        (until(2.6), ""),
        (until(2.6, status=503), "client->slb: client asks slb:80 GET /, HTTP 503"),
    ],
)
def test_a_hop_is_steady_once_it_has_had_nothing_but_answers_for_so_long(
    project: Project, missing: str, tmp_path: Path
):
    assert still(project.recording.write(tmp_path), ["client->slb"], 1.0) == missing


def test_what_was_answered_before_the_healing_counts_no_more(tmp_path: Path):
    project = plain_stories.shop()
    for wire in project.recording.wires.values():
        wire.frames = [(when, frame) for when, frame in wire.frames if when <= HEALING_S + 0.5]
    assert still(project.recording.write(tmp_path), ["client->slb"], 1.0).endswith("not for 1 s yet")


def scenario(text: str = "") -> Scenario:
    document = parse_document(f"scenario: s\nphones: 0\n{text}".encode(), file="s.yaml")
    return validated(document, registered_model())


def test_a_run_waits_for_what_its_scenario_declares(tmp_path: Path):
    until(1.5).recording.write(tmp_path)
    assert HttpWatch(tmp_path, scenario(), ()).missing("before") == ""
    assert "not for 1 s yet" in HttpWatch(tmp_path, scenario("steady: {http: client->slb}"), ()).missing("before")
    assert HttpWatch(tmp_path, scenario("steady: {http: [client->slb], for: 200ms}"), ()).missing("before") == ""


def test_a_run_without_phones_waits_until_pages_are_answered_as_before(tmp_path: Path):
    never_back().recording.write(tmp_path)
    assert HttpWatch(tmp_path, scenario(), ()).missing("after") == "client->slb: not answered as before yet"
    assert HttpWatch(tmp_path, scenario(), ("SEP020000000001",)).missing("after") == ""
    assert HttpWatch(tmp_path, scenario(), ()).missing("before") == ""


def test_a_capture_that_has_only_begun_is_waited_for_and_none_at_all_is_not(tmp_path: Path):
    until(2.6).recording.write(tmp_path)
    watch = HttpWatch(tmp_path, scenario("steady: {http: client->slb}"), ())
    (tmp_path / "captures" / "client.pcap").write_bytes(b"")
    assert watch.missing("before") != ""
    for capture in (tmp_path / "captures").glob("*.pcap"):
        capture.unlink()
    assert watch.missing("before") == ""
