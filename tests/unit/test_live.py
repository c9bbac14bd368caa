from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from recordings import bed
from test_topology import topology

from testbed.bed import Bed
from testbed.errors import EngineError
from testbed.faults import fault_of
from testbed.history import Event
from testbed.live import Facts, Recorder
from testbed.suite.beds import _is_at_rest
from testbed.topology import Host, Link, Role, Topology

PHONES = topology(2).phones


KILL_1, KILL_BK = fault_of("kill", "ccm-1"), fault_of("cut", "ccm-bk")
KILL_WEB = fault_of("kill", "web-1")


def with_web_hosts() -> Topology:
    links = {name: (Link(host=name, network="voice", address=f"172.26.1.11{name[-1]}"),) for name in ("web-1", "web-2")}
    hosts = [Host(name=name, role=Role.WEB_HOST, links=links[name], image="", rank=int(name[-1])) for name in links]
    return replace(topology(2), hosts=(*topology(2).hosts, *hosts))


def event(name: str, phone: str = PHONES[0], time_s: float = 1.0, **data: object) -> Event:
    return Event(time_s=time_s, host="phones-1", name=name, data={"phone": phone, **data})


def registered_everywhere(recorder: Recorder, at: str) -> None:
    for phone in PHONES:
        recorder.add(event("Registered", phone, at=at))


def answered(recorder: Recorder, by: str, time_s: float | None = None) -> None:
    at_s = time.time() if time_s is None else time_s
    recorder.add(Event(time_s=at_s, host="phones-1", name="UrlAnswered", data={"served_by": by}))


def test_every_fact_about_registration_holds_when_it_does_and_not_before():
    recorder = Recorder()
    facts = Facts(topology(2), recorder)
    assert not facts.holds("registered")
    registered_everywhere(recorder, "ccm-1")
    assert facts.holds("registered")
    assert facts.holds("returned")
    facts.mark_injected(0, KILL_1)
    assert not facts.holds("rehomed")
    recorder.add(event("CallControlLost", PHONES[0], at="ccm-1"))
    assert not facts.holds("registered")
    recorder.add(event("Registered", PHONES[0], at="ccm-bk"))
    assert not facts.holds("rehomed"), "one phone of two"
    recorder.add(event("Registered", PHONES[1], at="ccm-bk"))
    assert facts.holds("rehomed")
    assert not facts.holds("returned")
    facts.mark_healed(0)
    registered_everywhere(recorder, "ccm-1")
    assert facts.holds("returned")
    registered_everywhere(recorder, "ccm-bk")
    assert facts.seen() == "2 phones registered at ccm-bk"


def test_neither_returned_nor_restored_holds_while_a_fault_lasts_that_may_not_be_noticed_yet():
    recorder = Recorder()
    facts = Facts(with_web_hosts(), recorder)
    registered_everywhere(recorder, "ccm-1")
    answered(recorder, "web-1")
    facts.mark_injected(0, KILL_1)
    facts.mark_injected(1, KILL_WEB)
    assert not facts.holds("returned")
    assert not facts.holds("restored")
    facts.mark_healed(0)
    facts.mark_healed(1)
    assert facts.holds("returned")
    assert not facts.holds("restored"), "web-1 has not answered since"
    answered(recorder, "web-1")
    assert facts.holds("restored")


def test_a_fault_of_another_sort_that_overlaps_changes_no_fact():
    recorder = Recorder()
    facts = Facts(with_web_hosts(), recorder)
    registered_everywhere(recorder, "ccm-1")
    facts.mark_injected(0, KILL_1)
    registered_everywhere(recorder, "ccm-bk")
    facts.mark_injected(1, KILL_WEB)
    facts.mark_injected(2, fault_of("bleach", "ccm-1"))
    assert facts.holds("rehomed"), "kill web-1 took no phone's call control"
    answered(recorder, "web-2")
    facts.mark_healed(0)
    registered_everywhere(recorder, "ccm-1")
    assert facts.holds("returned"), "web-1 keeps no phone from its primary, nor does a changed mark"
    facts.mark_injected(3, KILL_1)
    assert facts.holds("redirected"), "kill ccm-1 is no fault of web-1"


def test_with_both_call_controls_in_turn_phones_have_rehomed_when_they_found_their_way_around_all_that_lasts():
    recorder = Recorder()
    facts = Facts(topology(2), recorder)
    registered_everywhere(recorder, "ccm-1")
    facts.mark_injected(0, KILL_1)
    registered_everywhere(recorder, "ccm-bk")
    facts.mark_injected(1, KILL_BK)
    assert facts.holds("rehomed", 0)
    assert not facts.holds("rehomed", 1)
    assert not facts.holds("rehomed")
    facts.mark_healed(0)
    registered_everywhere(recorder, "ccm-1")
    assert facts.holds("rehomed")
    assert facts.holds("returned"), "the fault of ccm-bk keeps nobody from the primary"


def test_a_fault_that_comes_again_is_one_from_its_first_time_on():
    recorder = Recorder()
    facts = Facts(topology(2), recorder)
    registered_everywhere(recorder, "ccm-1")
    facts.mark_injected(0, KILL_1)
    facts.mark_healed(0)
    registered_everywhere(recorder, "ccm-bk")
    facts.mark_injected(0, KILL_1)
    assert facts.holds("rehomed", 0)
    registered_everywhere(recorder, "ccm-1")
    assert not facts.holds("returned")


def test_losing_a_standby_connection_is_no_loss_of_registration():
    recorder = Recorder()
    registered_everywhere(recorder, "ccm-1")
    recorder.add(event("CallControlLost", at="ccm-bk", state="standby"))
    assert recorder.registered[PHONES[0]] == "ccm-1"


def test_an_unknown_fact_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="no fact"):
        Facts(topology(2), Recorder()).holds("happy")


def test_the_history_has_every_event_and_nothing_after_closing(tmp_path: Path):
    file = tmp_path / "history.jsonl"
    recorder = Recorder(file)
    recorder.add(event("Registered", at="ccm-1"))
    recorder.close()
    recorder.add(event("Registered", at="ccm-bk"))
    [line] = file.read_text().splitlines()
    assert json.loads(line) == {
        "time_s": 1.0,
        "host": "phones-1",
        "name": "Registered",
        "phone": PHONES[0],
        "at": "ccm-1",
    }


def test_a_rehome_is_awaited_of_the_phones_that_the_fault_concerns():
    recorder = Recorder()
    facts = Facts(bed(), recorder)
    registered_everywhere(recorder, "ccm-1")
    facts.mark_injected(0, fault_of("cut", f"{PHONES[1]}<->ccm-1"))
    recorder.add(event("Registered", PHONES[0], at="ccm-bk"))
    assert not facts.holds("rehomed"), "it does not concern this one"
    registered_everywhere(recorder, "ccm-1")
    recorder.add(event("Registered", PHONES[1], at="ccm-bk"))
    assert facts.holds("rehomed")


def test_a_rehome_is_awaited_of_all_phones_where_the_fault_concerns_none():
    recorder = Recorder()
    facts = Facts(bed(), recorder)
    registered_everywhere(recorder, "ccm-1")
    facts.mark_injected(0, fault_of("cut", "slb<->ccm-1"))
    recorder.add(event("Registered", PHONES[1], at="ccm-bk"))
    assert not facts.holds("rehomed")
    registered_everywhere(recorder, "ccm-1")
    facts.mark_injected(1, fault_of("bleach", "ccm-1"))
    registered_everywhere(recorder, "ccm-bk")
    assert facts.holds("rehomed")


def test_a_history_that_begins_anew_says_how_things_stand_and_nothing_that_is_over(tmp_path: Path):
    recorder = Recorder(tmp_path / "first.jsonl")
    recorder.add(Event(time_s=0.5, host="ccm-1", name="RoleStarted", data={}))
    recorder.add(event("ConfigRead", PHONES[0], time_s=1.0, urls={}))
    recorder.add(Event(time_s=1.5, host="slb", name="LogUnreadable", data={"error": "a full disk"}))
    recorder.add(event("Registered", PHONES[0], time_s=2.0, at="ccm-1"))
    recorder.add(event("Registered", PHONES[1], time_s=2.5, at="ccm-1"))
    recorder.add(event("CallControlLost", PHONES[1], time_s=3.0, at="ccm-1"))
    recorder.add(event("Registered", PHONES[0], time_s=4.0, at="ccm-bk"))
    recorder.write_to(tmp_path / "second.jsonl")
    recorder.add(event("UrlFailed", PHONES[0], time_s=5.0))
    recorder.close()
    written = [json.loads(line) for line in (tmp_path / "second.jsonl").read_text().splitlines()]
    assert [(one["name"], one["time_s"]) for one in written] == [
        ("RoleStarted", 0.5),
        ("ConfigRead", 1.0),
        ("LogUnreadable", 1.5),
        ("Registered", 4.0),
        ("UrlFailed", 5.0),
    ]
    assert len((tmp_path / "first.jsonl").read_text().splitlines()) == 7
    assert recorder.registered == {PHONES[0]: "ccm-bk"}
    assert recorder.unreadable == {"slb": "a full disk"}


def test_an_event_that_cannot_be_written_is_told_to_whoever_adds_the_next_one_even_when_there_is_room_again(
    tmp_path: Path,
):
    """One that follows a log adds it, and has nobody to tell."""
    recorder = Recorder(Path("/dev/full"))
    with pytest.raises(OSError, match="No space left"):
        recorder.add(event("UrlFailed"))
    recorder._file = (tmp_path / "roomy.jsonl").open("a", encoding="utf-8")
    with pytest.raises(OSError, match="No space left"):
        recorder.add(event("StepsEnded"))
    recorder.write_to(tmp_path / "another.jsonl")
    recorder.add(event("UrlAnswered"))
    recorder.close()
    assert "UrlAnswered" in (tmp_path / "another.jsonl").read_text()


@pytest.mark.parametrize(
    "data",
    [
        {"phone": PHONES[0]},
        {"phone": PHONES[0], "at": None},
        {"phone": [PHONES[0]], "at": "ccm-1"},
        {"phone": {}, "at": {}},
        {"served_by": {}},
        {"error": 7},
        {},
    ],
)
def test_whatever_a_program_prints_as_an_event_is_taken_and_breaks_nothing(data: dict[str, object]):
    """Programs of others print events too."""
    recorder = Recorder()
    for name in (
        "Registered",
        "CallControlLost",
        "CallConnected",
        "CallEnded",
        "UrlAnswered",
        "RoleStarted",
        "LogUnreadable",
    ):
        recorder.add(Event(time_s=1.0, host="own", name=name, data=data))
    assert not recorder.registered
    assert not recorder.last_served


def test_a_bed_of_which_something_was_not_heard_is_not_handed_on():
    recorder = Recorder()
    bed = SimpleNamespace(
        recorder=recorder, states=lambda: {"ccm-1": "running"}, facts=SimpleNamespace(holds=lambda fact: True)
    )
    assert _is_at_rest(cast(Bed, bed))
    recorder.add(Event(time_s=1.0, host="ccm-1", name="LogUnreadable", data={"error": "a full disk"}))
    assert not _is_at_rest(cast(Bed, bed))


def test_a_bed_of_which_a_log_cannot_be_read_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch):
    """Its phones may be registered for long; nobody would ever hear of it."""
    monkeypatch.setattr(Bed, "_refuse_dead_hosts", lambda self: None)
    bed = Bed(topology(2), Recorder(), lambda line: None)
    bed.recorder.add(Event(time_s=1.0, host="phones-1", name="LogUnreadable", data={"error": "Error grabbing logs"}))
    with pytest.raises(EngineError, match="cannot read what phones-1 prints: Error grabbing logs"):
        bed.wait_ready(timeout_s=0.2)
