from __future__ import annotations

import json
from pathlib import Path

import pytest
import stories
from recordings import Recording, Wire

from testbed.checks import judge_expectation
from testbed.checks.capture import CapturesParams, soundness
from testbed.checks.marking import PacketsParams
from testbed.checks.registration import RegisteredParams, SteadyParams
from testbed.checks.rehome import RehomedParams
from testbed.errors import UsageError
from testbed.history import Event
from testbed.judge import exit_code, judge, judge_run
from testbed.verdict import Status, Verdict


def captures(recording: Recording, path: Path) -> Verdict:
    return judge_expectation(recording.write(path), "captures", CapturesParams())


def test_whole_captures_are_sound(tmp_path: Path) -> None:
    verdict = captures(stories.rehome(), tmp_path)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures["captures"] == 2


def test_a_dropped_packet_is_unsound(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.change("CaptureStopped", where={"capture": "slb"}, dropped=1)
    verdict = captures(recording, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert "slb: 1 packets dropped" in verdict.summary


@pytest.mark.parametrize(("off", "status"), [(0, Status.PASS), (1, Status.INCONCLUSIVE), (-1, Status.INCONCLUSIVE)])
def test_a_file_that_does_not_hold_what_was_captured_is_unsound(off: int, status: Status, tmp_path: Path) -> None:
    recording = stories.rehome()
    held = len(recording.wires["slb"].frames)
    recording.change("CaptureStopped", where={"capture": "slb"}, captured=held + off)
    verdict = captures(recording, tmp_path)
    assert verdict.status is status
    assert off == 0 or f"slb: {held + off} packets were captured, the file holds {held}" in verdict.summary


def test_a_capture_of_which_nobody_says_how_many_packets_it_should_hold_is_unsound(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.change("CaptureStopped", where={"capture": "slb"}, captured=None)
    verdict = captures(recording, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert "slb: nobody says how many packets were captured" in verdict.summary


@pytest.mark.parametrize("place", ["begin", "end"])
def test_a_lost_canary_is_unsound(place: str, tmp_path: Path) -> None:
    recording = stories.rehome()
    wire = recording.wires["phones-1"]
    wire.frames = [item for item in wire.frames if f'"{place}"'.encode() not in item[1]]
    verdict = captures(recording, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert f"the canary of the {place} is lost" in verdict.summary


def test_the_canary_of_another_host_does_not_count(tmp_path: Path) -> None:
    recording = stories.rehome()
    wire = recording.wires["phones-1"]
    wire.frames = [item for item in wire.frames if b'"end"' not in item[1]]
    wire.canary(14.0, "slb", "end")
    assert captures(recording, tmp_path).status is Status.INCONCLUSIVE


def test_a_capture_that_began_after_the_steps_is_unsound(tmp_path: Path) -> None:
    recording = stories.rehome()
    wire = recording.wires["phones-1"]
    wire.frames = [item for item in wire.frames if b'"begin"' not in item[1]]
    wire.canary(3.0, "phones-1", "begin")
    assert captures(recording, tmp_path).status is Status.INCONCLUSIVE


def test_a_capture_that_was_not_stopped_or_has_no_file_is_unsound(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.drop("CaptureStopped", capture="slb")
    assert captures(recording, tmp_path / "1").status is Status.INCONCLUSIVE
    del recording.wires["slb"]
    verdict = captures(recording, tmp_path / "2")
    assert "its file is not there" in verdict.summary


@pytest.mark.parametrize("spoiled", [b"", b"\xd4\xc3\xb2\xa1", b"no capture at all, whatever its name"])
def test_an_empty_or_foreign_file_is_unsound_and_no_traceback(spoiled: bytes, tmp_path: Path) -> None:
    run = stories.rehome().write(tmp_path, pcap=lambda host, wire: spoiled if host == "slb" else wire.pcap())
    verdict = judge_expectation(run, "captures", CapturesParams())
    assert verdict.status is Status.INCONCLUSIVE
    assert not soundness(run).sound


def test_a_file_cut_short_is_unsound(tmp_path: Path) -> None:
    run = stories.rehome().write(tmp_path, pcap=lambda host, wire: wire.pcap()[:-1])
    assert "ends inside a record" in judge_expectation(run, "captures", CapturesParams()).summary


def test_nothing_captured_is_inconclusive_where_captures_are_asked_for(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.drop("CaptureStarted")
    recording.wires.clear()
    assert captures(recording, tmp_path).status is Status.INCONCLUSIVE


REHOMED = ("rehomed", RehomedParams.model_validate({"from": "ccm-1", "to": "ccm-bk"}))
MARKED = ("packets", PacketsParams.model_validate({"class": "sccp", "policy": "srnd-strict", "claim": "page"}))
REGISTERED = ("registered", RegisteredParams(at="ccm-1"))


def test_a_good_run_passes_with_its_implied_verdicts(tmp_path: Path) -> None:
    verdicts = judge(stories.rehome().write(tmp_path), [REHOMED, MARKED, REGISTERED])
    assert [verdict.check.split()[0] for verdict in verdicts] == [
        "steady",
        "steps",
        "captures",
        "effects",
        "rehomed",
        "packets",
        "registered",
    ]
    assert {verdict.status for verdict in verdicts} == {Status.PASS}
    assert [verdict.claim for verdict in verdicts][4:] == ["requirement", "page", "requirement"]
    assert exit_code(verdicts) == 0


def test_an_unsound_capture_takes_the_pass_of_what_rests_on_packets(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.change("CaptureStopped", where={"capture": "phones-1"}, dropped=7)
    verdicts = judge(recording.write(tmp_path), [REHOMED, MARKED, REGISTERED])
    statuses = {verdict.check.split()[0]: verdict.status for verdict in verdicts}
    assert statuses["rehomed"] is statuses["packets"] is statuses["captures"] is Status.INCONCLUSIVE
    assert statuses["registered"] is Status.PASS
    assert exit_code(verdicts) == 3


def test_an_unsound_capture_does_not_excuse_a_failure(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.change("CaptureStopped", where={"capture": "phones-1"}, dropped=7)
    stories.signalling(recording, 0, "ccm-1", 60_000).packet(12.0, up=True, tos=0)
    verdicts = judge(recording.write(tmp_path), [MARKED])
    assert verdicts[-1].status is Status.FAIL
    assert exit_code(verdicts) == 1


def test_a_bed_without_phones_and_captures_can_pass(tmp_path: Path) -> None:
    recording = stories.booted(phones=0)
    recording.drop("CaptureStarted")
    recording.wires.clear()
    verdicts = judge(recording.write(tmp_path), [("steady", SteadyParams())])
    assert [verdict.check for verdict in verdicts] == ["steps", "steady"]
    assert exit_code(verdicts) == 0


def test_a_scenario_that_expects_nothing_is_inconclusive(tmp_path: Path) -> None:
    verdicts = judge_run(stories.rehome().write(tmp_path))
    assert verdicts[-1].check == "expectations"
    assert verdicts[-1].summary == "the scenario expects nothing"
    assert exit_code(verdicts) == 3


def test_a_capture_that_the_scenario_asks_for_and_nobody_started_is_unsound(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.scenario += "capture: [phones-1, slb, ccm-1]\n"
    verdicts = {verdict.check.split()[0]: verdict for verdict in judge(recording.write(tmp_path), [REHOMED])}
    assert "ccm-1: no capture was ever started" in verdicts["captures"].summary
    assert verdicts["captures"].status is verdicts["rehomed"].status is Status.INCONCLUSIVE


def test_captures_are_judged_where_the_scenario_asks_for_them_and_there_are_none(tmp_path: Path) -> None:
    recording = stories.booted(phones=0)
    recording.drop("CaptureStarted")
    recording.wires.clear()
    recording.scenario += "capture: [slb]\n"
    verdicts = {verdict.check: verdict.status for verdict in judge(recording.write(tmp_path), [])}
    assert verdicts["captures"] is Status.INCONCLUSIVE


def test_a_capture_file_that_nobody_started_is_unsound(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.drop("CaptureStarted", capture="slb")
    assert captures(recording, tmp_path).status is Status.INCONCLUSIVE


def test_nothing_judged_is_not_a_success() -> None:
    assert exit_code([]) == 5


def test_a_run_is_judged_by_its_own_scenario_and_again_to_the_same_verdicts(tmp_path: Path) -> None:
    run = stories.rehome().write(tmp_path)
    scenario = "scenario: by-hand\nexpect:\n- rehomed: {from: ccm-1, to: ccm-bk, claim: page}\n- recovered: {}\n"
    (tmp_path / "scenario.yaml").write_text(scenario, encoding="utf-8")
    first = [verdict.to_json() for verdict in judge_run(run)]
    written = json.loads((tmp_path / "verdicts.json").read_text(encoding="utf-8"))
    assert written == {"status": "PASS", "verdicts": first}
    assert [verdict.to_json() for verdict in judge_run(type(run).open(tmp_path))] == first


def test_an_unknown_kind_is_refused_with_the_closest_known_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'rehomed'"):
        judge_expectation(stories.booted().write(tmp_path), "rehome", CapturesParams())


def test_evidence_points_at_the_event_it_speaks_of(tmp_path: Path) -> None:
    run = stories.rehome().write(tmp_path)
    verdict = judge(run, [REHOMED])[-1]
    events: list[Event] = [run.history.events[item.event] for item in verdict.evidence if item.event is not None]
    assert [event.name for event in events] == ["Registered", "FaultConfirmed"]


def test_a_foreign_frame_is_no_canary() -> None:
    wire = Wire()
    wire.canary(1.0, "phones-1", "begin")
    at_s, frame = wire.frames[0]
    wire.frames.append((at_s, frame.replace(b"testbed-canary", b"testbed-kanary")))
    wire.frames.append((at_s, frame.replace(b'{"host"', b'{"host')))
    from testbed.packets import parse_capture

    assert len(parse_capture(wire.pcap(), file="x.pcap").canaries()) == 1
