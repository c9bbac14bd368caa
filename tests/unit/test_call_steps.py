"""Calls in scenarios: how they are written, who calls whom, when they are over, what is asked of the phones."""

from __future__ import annotations

import time
from typing import Any

import pytest
from call_stories import two_hosts
from test_live import event
from test_scenario import HEAD, refused, saved
from test_schedule import performed, steps_of
from test_steps import StandIn
from test_topology import topology

from testbed.call_plan import pairs
from testbed.errors import EngineError, ScenarioError, UsageError
from testbed.live import Facts, Recorder
from testbed.scenario import check_against, dump_scenario, load_scenario


def test_a_call_step_reads_and_round_trips(tmp_path):
    file = saved(tmp_path, HEAD + "steps:\n  - {call: {pairs: 2, for: 6s}}\n  - {after: hung-up}\n")
    scenario = load_scenario(file).scenario
    call, wait = scenario.steps
    assert (call.action, wait.action, wait.after) == ("call", "wait", "hung-up")
    assert call.call is not None
    assert (call.call.pairs, call.call.for_.seconds(scenario.timers)) == (2, 6.0)
    again = tmp_path / "again.scenario.yaml"
    again.write_text(dump_scenario(scenario), encoding="utf-8")
    assert load_scenario(again).scenario == scenario


@pytest.mark.parametrize(
    ("step", "path"),
    [
        ("{call: {pairs: 0, for: 6s}}", "steps.0.call.pairs"),
        ("{call: {pairs: 1001, for: 6s}}", "steps.0.call.pairs"),
        ("{call: {pairs: two, for: 6s}}", "steps.0.call.pairs"),
        ("{call: {pairs: 2}}", "steps.0.call.for"),
        ("{call: {pairs: 2, for: 0s}}", "steps.0.call.for"),
        ("{call: {pairs: 2, for: 1s, hold: 2s}}", "steps.0.call.hold"),
        ("{call: {pairs: 2, for: 1s}, press: services}", "steps.0"),
        ("{call: {pairs: 2, for: 1s}, for: 2s}", "steps.0"),
    ],
)
def test_a_wrong_call_is_refused_with_its_place(step, path):
    assert refused(HEAD + f"steps:\n  - {step}\n").path == path


def test_pairs_are_across_two_phones_hosts_and_no_phone_is_in_two():
    assert pairs(two_hosts(), 1) == (("SEP020000000001", "SEP020000000002"),)
    bed = topology(12)
    found = pairs(bed, 6)
    assert len({phone for pair in found for phone in pair}) == 12
    for pair in found:
        assert len({bed.host_of(bed.phone_address(phone)) for phone in pair}) == 2
    with pytest.raises(UsageError, match="7 pairs are more than this bed has: 6"):
        pairs(bed, 7)


def test_more_pairs_than_the_bed_has_are_refused_with_their_line(tmp_path):
    loaded = load_scenario(saved(tmp_path, HEAD + "steps:\n  - call: {pairs: 7, for: 6s}\n"))
    with pytest.raises(ScenarioError) as caught:
        check_against(loaded, topology(12))
    assert caught.value.path == "steps.0.call.pairs"
    assert "phones: 14" in (caught.value.hint or "")


CALL = "- {call: {pairs: 1, for: 2s}}\n"


def test_the_steps_are_over_when_the_phones_have_hung_up_or_can_have_no_more():
    assert performed(CALL, facts_at_s={"hung-up": 3.5}) == ["0 call 0", "3.5 over"]
    assert performed(CALL) == ["0 call 0", "7 over"]


def test_a_fault_without_an_end_lasts_until_the_calls_are_over():
    text = CALL + "- {after: talking, inject: {kill: ccm-1}}\n"
    log = performed(text, facts_at_s={"talking": 1.0, "hung-up": 4.0})
    assert log == ["0 call 0", "1 talking seen", "1 inject 1", "4 heal 1", "4 over"]


def test_hanging_up_is_awaited_for_as_long_as_the_calls_last():
    """5 s is how long this schedule waits for any fact; the talk alone takes longer."""
    text = "- {call: {pairs: 1, for: 20s}}\n- {after: hung-up}\n"
    assert performed(text, facts_at_s={"hung-up": 22.0})[1] == "22 hung-up seen"
    assert performed(text)[1] == "30 hung-up missed"


def test_talking_holds_while_every_phone_that_was_to_call_is_in_an_answered_call():
    recorder = Recorder()
    bed = topology(2)
    facts = Facts(bed, recorder)
    assert not facts.holds("talking")
    facts.mark_calling(bed.phones)
    assert not facts.holds("talking")
    assert not facts.holds("hung-up")
    recorder.add(event("CallConnected", bed.phones[0]))
    assert not facts.holds("talking"), "one of two"
    recorder.add(event("CallConnected", bed.phones[1]))
    assert facts.holds("talking")
    assert "2 of 2 in a call" in facts.seen()
    recorder.add(event("CallEnded", bed.phones[0], time_s=time.time()))
    assert not facts.holds("talking")
    assert not facts.holds("hung-up")
    recorder.add(event("CallEnded", bed.phones[1], time_s=time.time()))
    assert facts.holds("hung-up")


def test_a_call_that_ended_before_is_not_the_one_that_is_awaited():
    recorder = Recorder()
    bed = topology(2)
    facts = Facts(bed, recorder)
    for phone in bed.phones:
        recorder.add(event("CallEnded", phone, time_s=time.time() - 1))
    facts.mark_calling(bed.phones)
    assert not facts.holds("hung-up")


class Asked(StandIn):
    """A bed that notes what its phones are asked, and whose phones may not answer."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.asked: dict[str, dict[str, Any]] = {}
        self.fails = error

    def ask_all(self, requests: dict[str, dict[str, Any]]) -> None:
        self.asked |= requests
        if self.fails:
            raise self.fails
        for phone in self.topology.phones:
            self.facts._recorder.add(event("CallEnded", phone, time_s=time.time() + 1))


def test_each_caller_is_asked_at_its_own_host_to_dial_the_line_of_the_other():
    bed = Asked()
    assert steps_of(CALL)
    bed.perform(CALL)
    ((host, request),) = bed.asked.items()
    caller, called = pairs(bed.topology, 1)[0]
    assert host == bed.topology.host_of(bed.topology.phone_address(caller))
    assert request == {
        "op": "call",
        "talk_s": 2.0,
        "calls": [{"phone": caller, "number": f"10{int(called[-2:], 16):02d}"}],
    }


def test_phones_that_do_not_answer_are_on_record(monkeypatch):
    monkeypatch.setattr("testbed.schedule.CALL_SLACK_S", -1.9)
    bed = Asked(EngineError("phones-1 is gone"))
    assert bed.perform(CALL) == ["StepsStarted", "PressFailed", "StepsEnded"]
