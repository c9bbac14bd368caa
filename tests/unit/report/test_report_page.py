from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stories import rehome, standby, urls_without_slb
from test_report_markup import Reader

from testbed.cli import cli
from testbed.judge import judge, write_verdicts
from testbed.recording import Run
from testbed.report import keep as keeping
from testbed.report.keep import keep
from testbed.report.page import PARTS, page
from testbed.report.reading import read
from testbed.verdict import Evidence, Status, Verdict

STORIES = {"rehome": rehome, "standby": standby, "urls": urls_without_slb}
BROKEN = "could not be drawn"
VERDICT_LIKE = '{"verdicts": [1, {"status": "PASS"}]}'
READABLE = {("versions.json", VERDICT_LIKE), ("scenario.yaml", VERDICT_LIKE)}
"""Odd, but nothing says that these are not what was recorded."""


def whole(path: Path, story: str = "rehome") -> Run:
    """A run folder that has everything, judged."""
    run = STORIES[story]().write(path)
    (path / "versions.json").write_text(
        json.dumps({"testbed": "0.1.0", "engine": {"version": "20.10"}}), encoding="utf-8"
    )
    write_verdicts(run, judge(run, []))
    return run


@pytest.mark.parametrize("story", STORIES)
def test_of_a_whole_run_every_part_is_drawn_and_nothing_is_missing(tmp_path: Path, story: str):
    whole(tmp_path, story)
    told = read(tmp_path)
    assert not told.missing
    text = page(told)
    assert BROKEN not in text
    assert "What is missing" not in text


def test_verdicts_come_first_the_worst_of_them_before_all_others_with_links_to_their_events(tmp_path: Path):
    run = rehome().write(tmp_path)
    verdicts = [
        Verdict(check="good", status=Status.PASS, summary="yes"),
        Verdict(check="bad", status=Status.FAIL, summary="no", evidence=(Evidence(text="late", event=7),)),
        Verdict(check="open", status=Status.INCONCLUSIVE, summary="who knows"),
    ]
    text = page(read(tmp_path, run=run, verdicts=verdicts))
    assert PARTS[0].anchor == "verdicts"
    assert text.index("<strong>bad") < text.index("<strong>open") < text.index("<strong>good") < text.index('id="bed"')
    assert 'href="#event-7"' in text
    assert "<title>FAIL: by-hand</title>" in text


def test_the_file_is_of_one_piece_and_nothing_but_its_own_script_may_run(tmp_path: Path):
    whole(tmp_path)
    read_back = Reader(page(read(tmp_path)))
    for name, attributes in read_back.elements:
        assert not ({"src", "srcset", "style"} | {word for word in attributes if word.startswith("on")}) & set(
            attributes
        ), name
        assert (attributes.get("href") or "#").startswith("#"), name
    policy = next(a["content"] for n, a in read_back.elements if n == "meta" and a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


def test_the_host_where_the_fault_was_is_marked_in_the_drawing(tmp_path: Path):
    whole(tmp_path)
    text = page(read(tmp_path))
    assert text.count('class="box hit"') == 1
    assert "Faults: kill ccm-1 at ccm-1." in text


def test_the_commands_are_those_that_one_types_with_the_folder_quoted(tmp_path: Path):
    folder = tmp_path / "a run; rm"
    whole(folder)
    text = Reader(page(read(folder))).text
    assert f"testbed judge '{folder}'" in text
    assert f"testbed run '{folder}/scenario.yaml'" in text


@pytest.mark.parametrize("name", ["scenario.yaml", "topology.json", "history.jsonl", "verdicts.json", "versions.json"])
@pytest.mark.parametrize("content", [None, "", "{", "[1]", "\x00\xff", VERDICT_LIKE])
def test_a_file_that_is_missing_or_broken_is_named_and_everything_else_is_drawn(
    tmp_path: Path, name: str, content: str | None
):
    whole(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(content, encoding="utf-8")
    result = CliRunner().invoke(cli, ["report", str(tmp_path)], catch_exceptions=False, standalone_mode=False)
    assert result.return_value == 0
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    if (name, content) not in READABLE:
        assert name in text[text.index("What is missing") : text.index("</ul>", text.index("What is missing"))]
    assert "</html>" in text


def test_a_capture_that_is_gone_or_damaged_is_named(tmp_path: Path):
    whole(tmp_path)
    (tmp_path / "captures/slb.pcap").unlink()
    (tmp_path / "captures/phones-1.pcap").write_bytes(b"no capture")
    told = read(tmp_path)
    assert [line.partition(" ")[0] for line in told.missing] == ["captures/phones-1.pcap", "captures/slb.pcap"]
    assert "captures/slb.pcap is not there" in page(told)


def test_a_history_that_is_cut_short_hides_no_capture_that_is(tmp_path: Path):
    whole(tmp_path)
    history = (tmp_path / "history.jsonl").read_bytes()
    (tmp_path / "history.jsonl").write_bytes(history[:40])
    capture = (tmp_path / "captures/slb.pcap").read_bytes()
    (tmp_path / "captures/slb.pcap").write_bytes(capture[:-3])
    told = read(tmp_path)
    assert "captures/slb.pcap ends inside a record" in told.missing
    assert "history.jsonl holds no event" in told.missing
    assert "</html>" in page(told)


def test_a_folder_that_is_no_run_is_refused_with_what_to_do(tmp_path: Path):
    with pytest.raises(Exception, match="is no run folder"):
        CliRunner().invoke(cli, ["report", str(tmp_path)], catch_exceptions=False, standalone_mode=False)


def test_o_names_another_file(tmp_path: Path):
    whole(tmp_path / "run")
    CliRunner().invoke(cli, ["report", str(tmp_path / "run"), "-o", str(tmp_path / "x.html")], catch_exceptions=False)
    assert (tmp_path / "x.html").is_file()
    assert not (tmp_path / "run/report.html").exists()


def test_judging_writes_report_and_junit_into_the_run_folder(tmp_path: Path):
    rehome().write(tmp_path)
    CliRunner().invoke(cli, ["judge", str(tmp_path)], catch_exceptions=False)
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (tmp_path / "junit.xml").read_text(encoding="utf-8").startswith("<?xml")


def test_a_report_that_cannot_be_drawn_takes_no_verdict_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(_: object) -> str:
        raise ZeroDivisionError("of a drawing")

    monkeypatch.setattr(keeping, "page", broken)
    run = rehome().write(tmp_path)
    assert keep(run, judge(run, [])) == ["report.html was not written: ZeroDivisionError: of a drawing"]
    assert (tmp_path / "junit.xml").is_file()
    result = CliRunner().invoke(cli, ["judge", str(tmp_path)], standalone_mode=False)
    assert (tmp_path / "verdicts.json").is_file()
    assert result.return_value == 3


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path: Path):
    run = rehome().write(tmp_path)
    (tmp_path / "report.html").mkdir()
    assert [line.partition(":")[0] for line in keep(run, [])] == ["report.html was not written"]


EVIL = st.text(alphabet=st.sampled_from("<>&\"'/=`!-x \n\u202e\x00"), min_size=1, max_size=12)
ELEMENTS = """
    html head meta title style body a header h1 span p code nav ul li main section h2 h3 ol div strong details summary table
    caption thead tbody tr th td svg g rect line text path circle figure figcaption dl dt dd pre script polyline polygon
"""


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=EVIL)
def test_no_text_of_a_device_a_host_a_label_or_a_description_becomes_markup(
    tmp_path_factory: pytest.TempPathFactory, text: str
):
    evil = f"{text}<zz onload=1>{text}"
    folder = tmp_path_factory.mktemp("evil") / "run"
    recording = urls_without_slb()
    for phone in ("SEP020000000001",):
        recording.change("UrlFailed", where={"phone": phone}, error=evil, url=evil)
        recording.change("Rehomed", where={"phone": phone}, to=evil)
    recording.event(3.0, "slb", "LinePrinted", line=evil)
    recording.event(3.0, evil, evil, phone=evil, at=evil)
    recording.event(3.0, "phones-1", "Registered", phone=evil, at=evil)
    recording.scenario = json.dumps(
        {"scenario": evil, "description": evil, "bed": [evil], "profile": evil, "phones": evil}
    )
    run = recording.write(folder)
    (folder / "versions.json").write_text(json.dumps({evil: {evil: [evil]}}), encoding="utf-8")
    text_of_topology = (folder / "topology.json").read_text(encoding="utf-8")
    record = json.loads(text_of_topology)
    for host in record["hosts"]:
        host["image"] = evil
        for link in host["links"]:
            link["network"] = evil
    record["hosts"][-2]["name"] = evil
    (folder / "topology.json").write_text(json.dumps(record), encoding="utf-8")
    verdict = Verdict(
        check=evil,
        status=Status.FAIL,
        summary=f"{evil} SEP020000000001",
        claim=evil,
        evidence=(Evidence(text=evil, capture=evil, frame=1, event=3),),
        figures={evil: 1.0},
    )
    run = Run(folder)
    document = page(read(folder, run=run, verdicts=[verdict]))
    assert BROKEN not in document
    read_back = Reader(document)
    assert {name for name, _ in read_back.elements} <= set(ELEMENTS.split())
    assert not [word for _, attributes in read_back.elements for word in attributes if word.startswith("on")]
    assert "zz onload" in read_back.text
