"""Run folders that were cut short, copied badly or tampered with: a message or a verdict, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import stories
from recordings import Recording

from testbed.checks import KINDS
from testbed.checks.facts import fault_windows
from testbed.checks.fetches import fetches
from testbed.errors import BedError, UsageError
from testbed.history import History, parse_event
from testbed.judge import judge, judge_run
from testbed.recording import Run

ALL = [
    ("registered", {"at": "ccm-1"}),
    ("registered", {"at": "ccm-1", "when": "after"}),
    ("rehomed", {"from": "ccm-1", "to": "ccm-bk"}),
    ("rehomed", {"from": "ccm-bk", "to": "ccm-1", "direction": "fallback"}),
    ("urls", {"derive": True}),
    ("urls", {"derive": True, "when": "after"}),
    ("config-kept", {}),
    ("redirected", {"from": "web-1", "to": "web-2", "call-control": "kept"}),
    ("restored", {"from": "web-2", "to": "web-1"}),
    ("out-of-service", {}),
    ("call-control-kept", {}),
    ("packets", {"class": "sccp", "policy": "srnd-strict", "when": "during", "want": "fail", "cause": "marked"}),
    ("packets", {"class": "sccp", "policy": "srnd-strict"}),
    ("recovered", {}),
]
"""Every kind of expectation, so that every reader of events runs."""


def everything(run: Run) -> None:
    """Judge it by all kinds; a traceback is the failure."""
    judge(run, [(kind, KINDS[kind].params.model_validate(params)) for kind, params in ALL])


def folder(path: Path) -> Path:
    stories.rehome().write(path)
    return path


def without(key: str) -> dict[str, Any]:
    record: dict[str, Any] = stories.booted().topology.to_json()
    del record[key]
    return record


def with_host(**values: Any) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(json.dumps(stories.booted().topology.to_json()))
    record["hosts"][0] |= values
    return record


TOPOLOGIES = {
    "not JSON": "{",
    "empty": "",
    "a list": "[]",
    "a word": '"bed"',
    "nested too deeply": "[" * 100_000,
    "no hosts": json.dumps(without("hosts")),
    "no profile": json.dumps(without("profile")),
    "an unknown profile": json.dumps({**stories.booted().topology.to_json(), "profile": "slow"}),
    "an unknown key": json.dumps({**stories.booted().topology.to_json(), "colour": "red"}),
    "hosts that are a number": json.dumps({**stories.booted().topology.to_json(), "hosts": 3}),
    "an unknown role": json.dumps(with_host(role="king")),
    "no address": json.dumps(with_host(addresses=["nowhere"])),
    "no block": json.dumps(with_host(phone_prefix="everywhere")),
    "phones that are no number": json.dumps(with_host(phones="many")),
    "a rank that is no number": json.dumps(with_host(role="web-host", rank="first")),
}


@pytest.mark.parametrize("text", TOPOLOGIES.values(), ids=TOPOLOGIES.keys())
def test_a_damaged_topology_is_refused_with_its_file_and_a_hint(text: str, tmp_path: Path) -> None:
    (folder(tmp_path) / "topology.json").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        _ = Run.open(tmp_path).topology
    assert "topology.json" in caught.value.message
    assert "the run folder is damaged" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"- a list", b"[" * 5000, b"scenario: [x]", b"capture: 5"])
def test_a_damaged_scenario_is_refused_with_its_file(content: bytes, tmp_path: Path) -> None:
    (folder(tmp_path) / "scenario.yaml").write_bytes(content)
    with pytest.raises(BedError) as caught:
        judge_run(Run.open(tmp_path))
    assert "scenario.yaml" in caught.value.message


@pytest.mark.parametrize(
    "content", [b"scenario: x\ncapture: 5\nsteps: 7\n", b"capture: [[1], {}]\nsteps: [1, [], {inject: 3}]"]
)
def test_a_scenario_with_odd_values_is_judged_without_a_traceback(content: bytes, tmp_path: Path) -> None:
    (folder(tmp_path) / "scenario.yaml").write_bytes(content)
    everything(Run.open(tmp_path))


DEEP = "[" * 200_000


@pytest.mark.parametrize(
    "line",
    [
        '{"time_s": 1, "host": "x", "name": "y", "data": ' + DEEP,
        '{"a":' * 100_000,
        '{"time_s": NaN, "host": "x", "name": "y"}',
        '{"time_s": Infinity, "host": "x", "name": "y"}',
        '{"time_s": 1' + "0" * 400 + ', "host": "x", "name": "y"}',
        '{"time_s": [1], "host": "x", "name": "y"}',
    ],
    ids=["deep list", "deep mapping", "NaN", "infinity", "beyond float", "a list"],
)
def test_a_line_that_holds_no_event_is_passed_over(line: str) -> None:
    assert parse_event(line) is None


def test_a_history_that_cannot_be_read_is_refused_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> History:
        raise PermissionError(13, "Permission denied", str(path))

    run = stories.rehome().write(tmp_path)
    monkeypatch.setattr(History, "read", refuse)
    with pytest.raises(UsageError, match=r"history\.jsonl cannot be read: Permission denied"):
        _ = run.history


ODD: list[Any] = [[1], {"a": [1]}, "soon", None, True, -5, float("inf"), 10**400, "\ud800", [[["x"]]]]


def spoilt(recording: Recording, odd: Any) -> Recording:
    """Every particular of every second event of each name has this value."""
    counts: dict[str, int] = {}
    for index, event in enumerate(recording.events):
        counts[event.name] = counts.get(event.name, 0) + 1
        if counts[event.name] % 2:
            data = dict.fromkeys(event.data, odd)
            recording.events[index] = type(event)(time_s=event.time_s, host=event.host, name=event.name, data=data)
    return recording


@pytest.mark.parametrize("story", [stories.rehome, stories.standby, stories.urls_with_slb])
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: ascii(odd)[:12])
def test_odd_values_everywhere_are_judged_without_a_traceback(story: Any, odd: Any, tmp_path: Path) -> None:
    everything(spoilt(story(), odd).write(tmp_path))


@pytest.mark.parametrize("story", [stories.standby, stories.urls_with_slb])
@pytest.mark.parametrize("odd", [[1], {"a": [1]}, 10**400, "\ud800"], ids=lambda odd: ascii(odd)[:12])
def test_one_odd_particular_at_a_time_is_judged_without_a_traceback(story: Any, odd: Any, tmp_path: Path) -> None:
    keys = sorted({key for event in story().events for key in event.data} - {"when"})
    recording = story()
    run = recording.write(tmp_path)
    for key in keys:
        events = [
            type(event)(time_s=event.time_s, host=event.host, name=event.name, data={**event.data, key: odd})
            if key in event.data
            else event
            for event in recording.events
        ]
        run.history = History(events)
        everything(run)


def test_times_that_are_no_numbers_count_as_absent(tmp_path: Path) -> None:
    recording = stories.standby()
    recording.change("FaultConfirmed", began_s="soon", effect_s=[4.0], fault={"at": ["web-1"]})
    recording.change("UrlAnswered", elapsed_s={"s": 1})
    run = recording.write(tmp_path)
    window = fault_windows(run)[0]
    assert window.began_s == window.effect_s == window.confirmed.time_s
    assert {fetch.elapsed_s for fetch in fetches(run)} == {0.0}


def test_half_a_surrogate_pair_gets_into_the_verdicts_file_and_out_again(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.event(8.0, "testbed", "FactMissed", fact="\ud800", last_seen="nobody")
    verdicts = judge_run(recording.write(tmp_path))
    written = json.loads((tmp_path / "verdicts.json").read_text(encoding="utf-8"))
    assert written["verdicts"] == [verdict.to_json() for verdict in verdicts]


@pytest.mark.parametrize("name", ["../../elsewhere", "x" * 5000, "slb\0", "/etc/slb"])
def test_a_capture_is_looked_for_in_its_folder_only(name: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.pcap").write_bytes(b"")
    run = stories.rehome().write(tmp_path / "run")
    assert run.capture_path("slb") == tmp_path / "run" / "captures" / "slb.pcap"
    assert run.capture_path(name) is None
