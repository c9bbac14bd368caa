from __future__ import annotations

import re
import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest
from audit_reading import capture
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from recordings import Connection, Wire, sccp
from shared_data import shared_capture

from testbed.audit.ladder import Ladder, Rung, ladders, lines
from testbed.audit.ladder_svg import document
from testbed.cli import cli
from testbed.packets.file import open_capture

SVG = "{http://www.w3.org/2000/svg}"


def network() -> Wire:
    wire = Wire()
    for number, server in enumerate(("10.0.1.1", "10.0.1.2")):
        connection = Connection(wires=[wire], client=("10.0.0.1", 50_000 + number), server=(server, 2000))
        connection.open(number * 10.0)
        connection.send(number * 10.0 + 0.5, sccp(0), up=True)
        connection.send(number * 10.0 + 0.7, sccp(0x0081, struct.pack("<I", 30) + bytes(16)) + sccp(0x0100), up=False)
    return wire


def found(wire: Wire) -> tuple[Ladder, ...]:
    return ladders(capture(wire.pcap())).every


def read(every: tuple[Ladder, ...], *, keepalives: bool = True) -> ElementTree.Element:
    return ElementTree.fromstring(document(every, keepalives=keepalives).encode("utf-8"))


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


def tips(root: ElementTree.Element) -> list[bool]:
    """Of each arrow whether it points to the right, and so ends there."""
    heads = [re.fullmatch(r"M(\d+) \d+l(-?\d+) -4v8Z", path.get("d", "")) for path in root.iter(f"{SVG}path")]
    places = [(int(head[1]), int(head[2])) for head in heads if head]
    assert {x > 400 for x, back in places if back < 0} <= {True}
    assert {x > 400 for x, back in places if back > 0} <= {False}
    return [back < 0 for _, back in places]


@pytest.mark.parametrize("keepalives", [True, False])
def test_it_has_every_word_of_the_terminal_in_its_order(keepalives: bool) -> None:
    every = found(network())
    drawn = texts(read(every, keepalives=keepalives))
    at = 0
    for ladder in every:
        shown = ladder.shown(keepalives=keepalives)
        for rung in shown:
            for word in (f"{rung.time_s - ladder.rungs[0].time_s:.4f}", str(rung.frame), rung.name, rung.details):
                at = drawn.index(word, at) if word else at
        assert ladder.call_control in drawn
        hidden = [line.strip() for line in lines(ladder, keepalives=keepalives) if line.strip().startswith("and ")]
        assert set(hidden) <= set(drawn)
        assert bool(hidden) is not keepalives


def test_arrows_point_as_messages_go() -> None:
    every = found(network())
    assert tips(read(every)) == [rung.up for ladder in every for rung in ladder.rungs]


def test_nothing_lies_outside_of_the_picture() -> None:
    root = read(found(network()))
    _, _, width, height = map(int, root.get("viewBox", "").split())
    for element in root.iter():
        for name, most in (("x", width), ("x1", width), ("x2", width), ("y", height), ("y1", height), ("y2", height)):
            assert 0 <= int(element.get(name, "0")) <= most


@given(st.text(), st.text(), st.text())
def test_any_text_in_a_message_is_text_in_the_picture(device: str, name: str, details: str) -> None:
    rung = Rung(time_s=1.0, frame=1, up=True, name=name, details=details)
    root = read((Ladder(phone="a", call_control="b", device=device, rungs=(rung,)),))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg",
        "style",
        "g",
        "text",
        "tspan",
        "line",
        "path",
    }


def invoke(*words: str) -> Result:
    return CliRunner().invoke(cli, ["ladder", *words], standalone_mode=False)


def test_the_command_writes_it_beside_what_it_prints(tmp_path: Path) -> None:
    file, drawn = tmp_path / "x.pcap", tmp_path / "x.svg"
    file.write_bytes(network().pcap())
    result = invoke(str(file), "--svg", str(drawn))
    assert (result.return_value, result.output.count("seconds")) == (0, 2)
    assert ElementTree.parse(drawn).getroot().tag == f"{SVG}svg"
    file.write_bytes(Wire().pcap())
    assert invoke(str(file), "--svg", str(drawn)).return_value == 5
    assert ElementTree.parse(drawn).getroot().tag == f"{SVG}svg"


@pytest.mark.parametrize("name", ["ndpi-skinny.pcap", "ndpi-sccp_hw_conf_register.pcapng"])
def test_real_captures_are_drawn(name: str) -> None:
    every = ladders(open_capture(shared_capture(name))).every
    assert len(tips(read(every))) == sum(len(ladder.rungs) for ladder in every)
