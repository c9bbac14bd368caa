"""Several faults in one run, overlapping or one after the other: each is judged by what is its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import stories
from recordings import ADDRESSES, PHONES, Connection, Recording
from stories import BEGAN_S, HEALING_S, PAGE, VIP

from testbed.checks import judge_expectation
from testbed.checks.episodes import episodes
from testbed.checks.facts import fault_windows
from testbed.checks.redirect import RedirectedParams
from testbed.checks.rehome import RehomedParams
from testbed.verdict import Status, Verdict

FAILOVER = {"from": "ccm-1", "to": "ccm-bk"}
FALLBACK = {"from": "ccm-bk", "to": "ccm-1", "direction": "fallback"}


def judged(recording: Recording, path: Path, kind: str, **params: object) -> Verdict:
    models = {"redirected": RedirectedParams, "rehomed": RehomedParams}
    return judge_expectation(recording.write(path), kind, models[kind].model_validate(params))


def twice(second: str = "cut") -> Recording:
    """web-1 is killed from 4 to 6 s and broken again from 8 to 10 s; the SLB sends it requests again a second after each healing."""
    recording = stories.booted()
    recording.fault("kill", "web-1", 4.0, 6.0)
    recording.fault(second, "web-1", 8.0, 10.0)
    for phone in range(len(PHONES)):
        stories.session(recording, phone, "ccm-1", 50_000 + phone, 0.9, stories.END_S - 1)
        for tenth in range(25, 125, 5):
            at_s = tenth / 10 + 0.02 + phone * 0.1
            stories.browse(recording, at_s, phone, "web-2" if 4 <= at_s < 7 or 8 <= at_s < 11 else "web-1")
    return recording


def redirected(recording: Recording, path: Path) -> Verdict:
    return judged(recording, path, "redirected", **{"from": "web-1", "to": "web-2"})


def test_a_web_host_that_fails_twice_is_judged_each_time_for_itself(tmp_path: Path) -> None:
    verdict = redirected(twice(), tmp_path)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.summary.startswith("2 times: 14 requests answered by web-2, 0 failed")


def test_a_request_that_fails_during_the_second_fault_alone_is_seen(tmp_path: Path) -> None:
    recording = twice()
    stories.failed(recording, 9.5, PHONES[0], "page", PAGE, "HTTP 503")
    assert redirected(recording, tmp_path).status is Status.FAIL


def test_a_standby_that_still_answers_once_the_web_host_is_back_between_two_faults_fails(tmp_path: Path) -> None:
    recording = twice()
    stories.answered(recording, 7.9, PHONES[0], "page", PAGE, "web-2")
    assert "answered by the wrong host" in redirected(recording, tmp_path / "by phones").summary
    recording = twice()
    asked = Connection(wires=[recording.wires["slb"]], client=(VIP, 20_000), server=(ADDRESSES["web-2"], 80))
    asked.open(7.8)
    asked.send(7.81, b"GET /text HTTP/1.1\r\n\r\n", up=True)
    assert "web-2 was asked before the fault" in redirected(recording, tmp_path / "by packets").summary


def test_a_web_host_that_was_not_back_before_it_failed_again_shows_nothing_the_second_time(tmp_path: Path) -> None:
    recording = twice()
    for event in [e for e in recording.events if e.get("served_by") == "web-1" and 6 < e.time_s - stories.T0 < 8]:
        recording.events.remove(event)
    verdict = redirected(recording, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert "no request was answered by web-1 before cut web-1" in verdict.summary


def test_faults_of_one_host_that_overlap_are_one_episode(tmp_path: Path) -> None:
    recording = stories.standby("cut")
    recording.fault("freeze", "web-1", 6.0, 8.0)
    verdict = redirected(recording, tmp_path)
    assert verdict.status is Status.PASS, verdict.summary
    run = stories.standby("cut").write(tmp_path / "one")
    [episode] = episodes(fault_windows(run), lambda healed_s: healed_s + 1)
    assert (episode.since_s, episode.until_s) == (float("-inf"), float("inf"))


def test_a_changed_mark_takes_no_web_host_away(tmp_path: Path) -> None:
    recording = stories.standby("kill")
    recording.fault("bleach", "web-1", 3.0, 3.5)
    assert redirected(recording, tmp_path).status is Status.PASS


def test_a_fault_of_another_host_that_begins_meanwhile_does_not_cut_a_return_short(tmp_path: Path) -> None:
    recording = stories.rehome("cut")
    recording.fault("kill", "web-1", BEGAN_S + 1, HEALING_S + 1, hosts=("web-1",))
    for params in (FAILOVER, FALLBACK):
        verdict = judged(recording, tmp_path / params["to"], "rehomed", **params)
        assert verdict.status is Status.PASS, verdict.summary


def test_of_two_faults_of_one_call_control_the_first_takes_the_phones_and_the_last_gives_them_back(
    tmp_path: Path,
) -> None:
    recording = stories.rehome("cut")
    recording.fault("kill", "ccm-1", BEGAN_S + 3, HEALING_S - 1, hosts=("ccm-1",))
    for params in (FAILOVER, FALLBACK):
        verdict = judged(recording, tmp_path / params["to"], "rehomed", **params)
        assert verdict.status is Status.PASS, verdict.summary
    recording.drop("Registered", at="ccm-1", phone=PHONES[1])
    stories.registered(recording, 1.0, PHONES[1], "ccm-1", 0)
    assert judged(recording, tmp_path / "mutant", "rehomed", **FALLBACK).status is Status.FAIL


def test_a_phone_may_notice_either_of_two_faults(tmp_path: Path) -> None:
    """A freeze is noticed after two seconds at the soonest, the kill that follows it at once."""
    recording = stories.rehome("kill")
    recording.fault("freeze", "ccm-1", BEGAN_S - 0.2, HEALING_S, hosts=("ccm-1",))
    verdict = judged(recording, tmp_path / "both", "rehomed", **FAILOVER)
    assert verdict.status is Status.PASS, verdict.summary
    recording.drop("FaultConfirmed", kind="kill")
    verdict = judged(recording, tmp_path / "freeze alone", "rehomed", **FAILOVER)
    assert verdict.status is Status.FAIL
    assert "out of time" in verdict.summary


@pytest.mark.parametrize(("began_s", "status"), [(7.0, Status.PASS), (9.5, Status.FAIL)])
def test_a_phone_stays_until_a_fault_takes_its_new_call_control_too(
    began_s: float, status: Status, tmp_path: Path
) -> None:
    recording = stories.rehome("kill")
    recording.fault("stop", "ccm-bk", began_s, began_s + 1, hosts=("ccm-bk",))
    recording.event(7.02, "phones-1", "CallControlLost", phone=PHONES[0], at="ccm-bk", cause="closed", state="active")
    assert judged(recording, tmp_path, "rehomed", **FAILOVER).status is status


def test_a_fault_that_leaves_a_phone_nowhere_to_go_asks_for_no_rehome(tmp_path: Path) -> None:
    recording = stories.rehome("kill")
    recording.fault("stop", "ccm-bk", 7.0, 8.0, hosts=("ccm-bk",))
    verdict = judged(recording, tmp_path, "rehomed", **{"from": "ccm-bk"})
    assert verdict.status is Status.INCONCLUSIVE
    assert "everywhere they could go" in verdict.summary
