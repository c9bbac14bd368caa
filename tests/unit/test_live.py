from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from recordings import bed
from test_topology import topology

from testbed.history import Event
from testbed.live import Facts, Recorder
from testbed.topology import Host, Role, Topology

PHONES = topology(2).phones


def config_with_web_hosts() -> Topology:
    hosts = [Host(name=f"web-{rank + 1}", role=Role.WEB_HOST, links=(), image="", rank=rank) for rank in range(2)]
    return replace(topology(2), hosts=(*topology(2).hosts, *hosts))


def event(name: str, phone: str = PHONES[0], time_s: float = 1.0, **data: object) -> Event:
    return Event(time_s=time_s, host="phones-1", name=name, data={"phone": phone, **data})


def registered_everywhere(recorder: Recorder, at: str) -> None:
    for phone in PHONES:
        recorder.add(event("Registered", phone, at=at))


def test_every_fact_about_registration_holds_when_it_does_and_not_before():
    recorder = Recorder()
    facts = Facts(topology(2), recorder)
    assert not facts.holds("registered")
    registered_everywhere(recorder, "ccm-1")
    assert facts.holds("registered")
    assert facts.holds("returned")
    facts.mark_injected()
    assert not facts.holds("rehomed")
    recorder.add(event("CallControlLost", PHONES[0], at="ccm-1"))
    assert not facts.holds("registered")
    recorder.add(event("Registered", PHONES[0], at="ccm-bk"))
    assert not facts.holds("rehomed"), "one phone of two"
    recorder.add(event("Registered", PHONES[1], at="ccm-bk"))
    assert facts.holds("rehomed")
    assert not facts.holds("returned")
    facts.mark_healed()
    registered_everywhere(recorder, "ccm-1")
    assert facts.holds("returned")
    registered_everywhere(recorder, "ccm-bk")
    assert facts.seen() == "2 phones registered at ccm-bk"


def test_neither_returned_nor_restored_holds_while_a_fault_lasts():
    recorder = Recorder()
    facts = Facts(config_with_web_hosts(), recorder)
    registered_everywhere(recorder, "ccm-1")
    recorder.add(Event(time_s=5.0, host="phones-1", name="UrlAnswered", data={"served_by": "web-1"}))
    facts.mark_injected()
    assert not facts.holds("returned")
    assert not facts.holds("restored")
    facts.mark_healed()
    assert facts.holds("returned")
    assert not facts.holds("restored"), "web-1 has not answered since"


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
    facts.mark_injected(f"{PHONES[1]}<->ccm-1")
    recorder.add(event("Registered", PHONES[0], at="ccm-bk"))
    assert not facts.holds("rehomed"), "it does not concern this one"
    registered_everywhere(recorder, "ccm-1")
    recorder.add(event("Registered", PHONES[1], at="ccm-bk"))
    assert facts.holds("rehomed")


def test_a_rehome_is_awaited_of_all_phones_where_the_fault_concerns_none():
    recorder = Recorder()
    facts = Facts(bed(), recorder)
    registered_everywhere(recorder, "ccm-1")
    facts.mark_injected("slb<->ccm-1")
    recorder.add(event("Registered", PHONES[1], at="ccm-bk"))
    assert not facts.holds("rehomed")
    registered_everywhere(recorder, "ccm-1")
    facts.mark_injected("nonsense <->")
    registered_everywhere(recorder, "ccm-bk")
    assert facts.holds("rehomed")
