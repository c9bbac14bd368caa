from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from audit_reading import capture
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from recordings import Connection, Wire, sccp
from shared_data import shared_capture

from testbed.audit.html_report import comparison_page, moment_text, survey_page
from testbed.audit.judge import judge, nearest
from testbed.audit.ladder import Ladder, Ladders, Rung, shortened
from testbed.audit.markup import Markup, page, table, tag
from testbed.audit.survey import survey
from testbed.audit.timeline import Timekeeper
from testbed.cli import cli
from testbed.errors import UsageError
from testbed.packets.file import open_capture
from testbed.policy import policy

PHONE, CCM = ("10.0.0.1", 50_000), ("10.0.1.1", 2000)
HOSTILE = '<script>alert("x")</script> & \'\x1b[2J\udce9.pcap'
VOID = {"meta"}


class Reader(HTMLParser):
    """What a browser would see: every element must be closed in its place, and none may be one that runs or loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "img", "link", "iframe", "object", "a")
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("src", "href")]
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data + " "


def network(*, changes: bool = True) -> Wire:
    """Signalling whose mark changes, and voice."""
    wire = Wire()
    connection = Connection(wires=[wire], client=PHONE, server=CCM, client_tos=104, server_tos=104)
    connection.open(0.1)
    connection.send(0.2, sccp(0), up=True)
    connection.client_tos = 0 if changes else 104
    connection.send(0.3, sccp(0), up=True)
    for place in range(20):
        wire.udp(0.5 + place / 50, ("10.0.0.1", 20_000), ("10.0.0.2", 20_480), b"\x80" + bytes(171), tos=184)
    return wire


def described(wire: Wire, *, file: str = "x.pcap", policy_name: str = "", flows: bool = False) -> str:
    chosen = policy(policy_name) if policy_name else None
    found = survey([capture(wire.pcap(), file=file)], chosen, list_flows=flows, timekeeper=Timekeeper())
    likeness = None if chosen else nearest(found)
    return survey_page(found, judge(found) if chosen else [], likeness, policy=policy_name)


def test_verdicts_come_first_and_the_worst_before_the_others() -> None:
    text = Reader(described(network(), policy_name="srnd-strict")).text
    places = [
        text.index(words) for words in ("1 FAIL, 2 INCONCLUSIVE, 1 PASS", "marks sccp", "marks http", "marks rtp")
    ]
    assert places == sorted(places)
    assert places[-1] < text.index("Marks by class")


def test_without_a_policy_the_nearest_one_comes_first() -> None:
    text = Reader(described(network())).text
    assert text.index("nearest known policy: srnd-strict; 1 of 25 packets depart") < text.index("Marks by class")
    assert "Verdicts" not in text


def test_every_class_has_its_marks_in_numbers_and_its_bar() -> None:
    drawn = described(network())
    text = Reader(drawn).text
    assert "SCCP, up  4 packets" in text
    assert " AF31 3 75.0% " in text
    assert 'aria-label="AF31 3, default 1"' in drawn
    assert 'width="750"' in drawn


def test_a_change_within_a_flow_is_shown_with_its_frame() -> None:
    text = Reader(described(network())).text
    assert "Changes of marks within flows" in text
    assert "sccp up AF31 default 10.0.0.1:50000 to 10.0.1.1:2000 x.pcap 5 " in text
    assert "Changes of marks" not in Reader(described(network(changes=False))).text


def test_the_timeline_has_a_strip_for_each_mark() -> None:
    drawn = described(network())
    assert [mark for mark in ("EF: 20", "AF31: 4", "default: 1", "CS3") if mark in drawn] == [
        "EF: 20",
        "AF31: 4",
        "default: 1",
    ]


def test_what_was_not_read_is_told_and_so_is_that_nothing_was() -> None:
    assert "Nothing was skipped." in described(network())
    cut = survey([capture(network().pcap()[:-3])], None)
    assert "ends inside a record behind frame 24" in survey_page(cut, [], None, policy="")


def test_flows_are_listed_where_asked_for() -> None:
    assert "10.0.0.1:20000 to 10.0.0.2:20480" in Reader(described(network(), flows=True)).text.split("Flows")[1]


def test_names_in_a_capture_stay_names() -> None:
    reader = Reader(described(network(), file=HOSTILE, policy_name="srnd-strict"))
    assert '<script>alert("x")</script>' in reader.text
    assert "\x1b" not in reader.text
    assert reader.text.encode("utf-8")


@given(st.text(), st.text(), st.text())
def test_no_text_opens_an_element_or_leaves_an_attribute(title: str, cell: str, key: str) -> None:
    reader = Reader(page(title, table([{key: cell}], numbers=[cell]), tag("p", cell, class_=title)))
    words = "html head meta title style body main h1 div table thead tbody tr th td p"
    assert reader.seen == set(words.split())


@pytest.mark.parametrize("letter", ["\x1b", "\x85", "\x7f", "\u202e", "\ud800", "\uffff", "\0"])
def test_what_is_no_letter_is_shown_as_such(letter: str) -> None:
    assert tag("p", f"a{letter}b") == "<p>a\ufffdb</p>"


def test_markup_is_not_escaped_twice() -> None:
    assert tag("p", Markup("<b>&amp;</b>"), "&", title='"', width=0.5, height=1.0) == (
        '<p title="&quot;" width="0.5" height="1"><b>&amp;</b>&amp;</p>'
    )


def test_hops_have_loss_and_delay_and_every_capture_its_marks() -> None:
    from testbed.audit.compare import compare, judge_comparison

    files = []
    for name in "ab":
        wire = network(changes=False)
        if name == "b":
            wire.frames = [(at_s + 0.004, data[:15] + b"\0" + data[16:]) for at_s, data in wire.frames[:-1]]
        files.append(capture(wire.pcap(), file=f"{name}.pcap"))
    found = compare(files, policy("srnd-strict"), over_time=True)
    drawn = comparison_page(found, judge_comparison(found), policy="srnd-strict")
    text = Reader(drawn).text
    assert "19 go from EF to default between a.pcap (first frame 6) and b.pcap (frame 6)" in text
    assert " 4.0 " in text
    assert "%" in text.split("Hops")[1].split("At a.pcap")[0]
    assert [place in text for place in ("At a.pcap", "At b.pcap")] == [True, True]
    assert drawn.count("EF: 20 packets") == 2, "its title and its label, of the one capture that has it"


def test_a_time_that_no_calendar_has_is_a_number() -> None:
    assert moment_text(1_248_350_401.25) == "2009-07-23 12:00:01.250 UTC"
    assert moment_text(1e18) == "1e+18 s"
    assert moment_text(None) == ""


def invoke(*words: str) -> Result:
    return CliRunner().invoke(cli, ["audit", *words], standalone_mode=False)


def test_the_command_writes_it_beside_what_it_prints(tmp_path: Path) -> None:
    file, report = tmp_path / "x.pcap", tmp_path / "x.html"
    file.write_bytes(network().pcap())
    result = invoke(str(file), "--html", str(report), "--policy", "srnd-strict")
    assert (result.return_value, "FAIL" in result.output) == (1, True)
    assert Reader(report.read_text(encoding="utf-8")).seen > {"svg", "path"}
    assert invoke("--hops", str(file), str(file), "--html", str(report)).return_value == 0
    assert "Hops" in report.read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [["audit", "--html"], ["ladder", "--svg"]])
def test_a_capture_is_not_written_over(tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "x.pcap"
    file.write_bytes(network().pcap())
    again = str(tmp_path / ".." / tmp_path.name / "x.pcap")
    result = CliRunner().invoke(cli, [*words, again, str(file)], standalone_mode=False)
    assert isinstance(result.exception, UsageError)
    assert file.read_bytes() == network().pcap()


def test_packets_inside_vxlan_have_a_strip_too() -> None:
    outer = Wire()
    for at_s, frame in network().frames:
        outer.udp(at_s, ("192.0.2.1", 55_000), ("192.0.2.2", 4789), b"\x08" + bytes(7) + frame, tos=96)
    assert [f'aria-label="{words}' in described(outer) for words in ("CS3: 25 packets", "EF: 20 packets")] == [
        True,
        True,
    ]


def test_signalling_is_drawn_where_the_capture_can_be_read_twice(tmp_path: Path) -> None:
    file, report = tmp_path / "x.pcap", tmp_path / "x.html"
    file.write_bytes(network().pcap())
    invoke(str(file), "--html", str(report))
    text = Reader(report.read_text(encoding="utf-8")).text
    assert [words in text for words in ("SCCP, message by message", "SYN, ACK", "keepalives and answers")] == [True] * 3
    invoke("--follow", str(file), "--for", "100ms", "--html", str(report))
    assert "message by message" not in report.read_text(encoding="utf-8")


def test_of_very_many_messages_the_first_are_drawn_and_the_others_counted() -> None:
    rungs = tuple(Rung(time_s=float(place), frame=place, up=True, name=f"m{place}", details="") for place in range(400))
    every = [Ladder(phone=f"p{number}", call_control="c", device="", rungs=rungs) for number in range(3)]
    kept, left = shortened(every, messages=500)
    assert ([len(one.rungs) for one in kept], left) == ([400, 100], 700)
    found = survey([capture(network().pcap())])
    drawn = survey_page(found, [], None, policy="", ladders=Ladders(every=tuple(every), cut=False))
    assert "700 more are left out" in drawn
    assert drawn.count('d="M610') == 500
    assert "There is more SCCP" not in drawn
    assert "There is more SCCP" in survey_page(
        found, [], None, policy="", ladders=Ladders(every=tuple(every), cut=True)
    )


def test_what_is_drawn_is_chosen_when_all_files_were_read(tmp_path: Path) -> None:
    """A thousand keepalives come first, and every other packet is in the other file: the report has what follows, with its files."""
    wires = (Wire(), Wire())
    connection = Connection(wires=[wires[0]], client=PHONE, server=CCM)
    connection.open(0.0)
    for place in range(1000):
        connection.send(1 + place / 100, sccp(0), up=True)
        connection.send(1.001 + place / 100, sccp(0x0100), up=False)
    for place in range(600):
        connection.wires = [wires[place % 2]]
        connection.send(20 + place / 100, sccp(0x0111, bytes(24)), up=False)
    paths = [tmp_path / "a.pcap", tmp_path / "b.pcap"]
    for path, wire in zip(paths, wires, strict=True):
        path.write_bytes(wire.pcap())
    invoke(*map(str, paths), "--html", str(tmp_path / "x.html"))
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    drawn = text[text.index("message by message") :]
    # Two of the 500 are SYN and its answer.
    assert "The first 500 messages; 102 more are left out" in drawn
    assert drawn.count(">CallInfo<") + drawn.count(">CallState<") == 498
    assert [drawn.count(f">{path}</text>") for path in paths] == [251, 249]
    assert ">2004</text>" in drawn
    assert "file of the frame" in drawn


def test_a_file_that_cannot_be_written_is_wrong_usage(tmp_path: Path) -> None:
    file = tmp_path / "x.pcap"
    file.write_bytes(network().pcap())
    assert isinstance(invoke(str(file), "--html", str(tmp_path / "none" / "x.html")).exception, UsageError)


@pytest.mark.parametrize("name", ["ndpi-skinny.pcap", "ndpi-sccp_hw_conf_register.pcapng", "tcpdump-tftp.pcap"])
def test_reports_of_real_captures_are_whole(name: str) -> None:
    found = survey([open_capture(shared_capture(name))], list_flows=True, timekeeper=Timekeeper())
    assert found.timeline is not None
    assert Reader(survey_page(found, [], nearest(found), policy="")).seen > {"svg", "path", "table"}
