from __future__ import annotations

import re
from pathlib import Path

import pytest
from call_stories import Talk, call
from recordings import PHONES, Recording
from stories import BEGAN_S, HEALING_S, rehome, standby, urls_without_slb
from test_report_markup import Reader

from testbed.report.ladder_part import phones, sccp
from testbed.report.mark_part import marks
from testbed.report.media_part import media
from testbed.report.reading import Told, read
from testbed.report.rehome_part import groups, rehomes, slowest
from testbed.report.request_part import requests
from testbed.report.timeline_part import timeline
from testbed.verdict import Evidence, Status, Verdict


def told_of(path: Path, recording: Recording, *verdicts: Verdict) -> Told:
    recording.write(path)
    return read(path, verdicts=list(verdicts))


def titles(markup: str | None) -> list[str]:
    return re.findall(r"<title>(.*?)</title>", markup or "", re.DOTALL)


def test_the_timeline_has_a_lane_for_every_host_and_the_fault_as_commanded_and_as_shown(tmp_path: Path):
    told = told_of(tmp_path, rehome("kill"))
    drawn = timeline(told)
    assert drawn is not None
    for host in told.run.topology.hosts:
        assert f">{host.name}</text>" in drawn
    band = next(title for title in titles(drawn) if title.startswith("kill ccm-1"))
    # Steps began at 2 s.
    assert f"commanded {BEGAN_S - 2:.3f} s, healed {HEALING_S - 2 + 0.05:.3f} s" in band
    assert drawn.count('class="told"') == 1
    assert drawn.count('class="shown"') == ("shown in effect" in band)


def test_a_fault_that_packets_do_not_show_has_no_filled_band(tmp_path: Path):
    recording = rehome("kill")
    recording.wires.clear()
    drawn = timeline(told_of(tmp_path, recording))
    assert drawn is not None
    assert 'class="shown"' not in drawn
    assert "not shown to have begun" in drawn


def test_a_fault_that_was_never_healed_lasts_to_the_end_of_the_drawing(tmp_path: Path):
    recording = rehome("kill")
    recording.drop("FaultHealed")
    drawn = timeline(told_of(tmp_path, recording))
    assert drawn is not None
    assert "never healed" in drawn


def test_marks_tell_registrations_losses_rehomes_and_http_errors_by_their_titles(tmp_path: Path):
    found = "\n".join(titles(timeline(told_of(tmp_path, urls_without_slb()))))
    for word in ("Registered", "CallControlLost", "Rehomed", "UrlFailed"):
        assert word in found


def test_events_that_prove_a_verdict_are_rows_that_links_reach(tmp_path: Path):
    proof = Verdict(
        check="x", status=Status.FAIL, summary="", evidence=(Evidence(text="", event=0), Evidence(text="", event=10**6))
    )
    drawn = timeline(told_of(tmp_path, rehome(), proof))
    assert drawn is not None
    assert 'id="event-0"' in drawn
    assert 'id="event-1000000"' not in drawn


def test_bars_show_where_phones_are_registered(tmp_path: Path):
    drawn = timeline(told_of(tmp_path, rehome()))
    assert drawn is not None
    # Nowhere before they registered, at ccm-1, at ccm-bk while the fault lasted.
    assert {'class="nowhere"', 'class="c0"', 'class="c1"'} <= set(re.findall(r'class="(?:nowhere|c\d)"', drawn))


def test_of_every_phone_that_rehomed_there_is_a_bar_with_its_parts(tmp_path: Path):
    told = told_of(tmp_path, rehome())
    assert [(name, len(done), missing) for name, done, missing in groups(told)] == [
        ("failover, kill ccm-1", 2, 0),
        ("fallback, kill ccm-1", 2, 0),
    ]
    found = [title for title in titles(rehomes(told)) if title.startswith(PHONES[0])]
    assert len(found) == 2
    assert "detection" in found[0]
    assert "token" in found[1]


def test_requests_that_failed_are_drawn_otherwise_than_those_that_were_answered(tmp_path: Path):
    good = requests(told_of(tmp_path / "good", standby()))
    bad = requests(told_of(tmp_path / "bad", urls_without_slb()))
    assert good is not None
    assert bad is not None
    assert "0 failed" in good
    assert 'class="error"' not in good
    assert "10 failed" in bad
    assert 'class="error"' in bad


def test_marks_are_counted_by_class_hop_and_where_they_were_seen(tmp_path: Path):
    drawn = marks(told_of(tmp_path, standby()))
    found = titles(drawn)
    assert any(title.startswith("sccp phones-1 → ccm-1, at phones-1: AF31 ") for title in found)
    assert any(title.startswith("http slb → web-2, at slb: default ") for title in found)


def test_a_remarked_packet_has_its_own_piece_of_the_bar(tmp_path: Path):
    recording = rehome()
    connection = next(iter(recording.wires.values()))
    connection.udp(5.0, ("172.26.16.1", 69), ("172.26.1.10", 69), b"", tos=184)
    assert any("EF 1" in title for title in titles(marks(told_of(tmp_path, recording))) if title.startswith("tftp"))


def test_a_pause_of_a_stream_is_drawn_where_it_was_and_none_where_there_was_none(tmp_path: Path):
    whole = media(told_of(tmp_path / "whole", call(Talk(), Talk())))
    holed = media(told_of(tmp_path / "holed", call(Talk(lost=range(100, 110)), Talk())))
    assert whole is not None
    assert holed is not None
    assert 'class="gap"' not in whole
    assert holed.count('class="gap"') == 1
    assert any("10 lost" in title for title in titles(holed))


def test_ladders_are_of_phones_that_verdicts_name_and_then_of_the_slowest(tmp_path: Path):
    failing = Verdict(check="x", status=Status.FAIL, summary=f"{PHONES[1]} is late")
    told = told_of(tmp_path, rehome(), failing)
    assert phones(told)[0] == PHONES[1]
    assert set(phones(told)) == {PHONES[1], *slowest(told, 2)}
    drawn = sccp(told)
    assert drawn is not None
    text = Reader(drawn).text
    assert text.index(PHONES[1]) < text.index(PHONES[0])
    assert "Register" in text
    assert "KeepAlive" not in text
    assert "kill ccm-1" in text


def test_a_phone_that_stayed_where_it_was_has_a_ladder_where_a_verdict_names_it(tmp_path: Path):
    failing = Verdict(
        check="x", status=Status.INCONCLUSIVE, summary="", evidence=(Evidence(text=f"{PHONES[1]} got no page"),)
    )
    drawn = sccp(told_of(tmp_path, standby(), failing))
    assert drawn is not None
    assert PHONES[1] in drawn
    assert PHONES[0] not in drawn


def test_a_phone_that_passes_only_and_did_not_rehome_has_no_ladder(tmp_path: Path):
    passing = Verdict(check="x", status=Status.PASS, summary=f"{PHONES[1]} is fine")
    assert sccp(told_of(tmp_path, standby(), passing)) is None


@pytest.mark.parametrize("part", [rehomes, requests, marks, media, sccp])
def test_what_a_run_has_nothing_of_has_no_part(tmp_path: Path, part):
    recording = Recording()
    recording.event(1.0, "testbed", "StepsStarted")
    assert part(told_of(tmp_path, recording)) is None
