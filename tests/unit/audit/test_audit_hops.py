from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from audit_reading import capture
from click.testing import CliRunner
from recordings import Connection, Wire, sccp

from testbed.audit.compare import Comparison, compare, judge_comparison
from testbed.audit.hops import Hop
from testbed.audit.report import apart_lines
from testbed.cli import cli
from testbed.errors import UsageError
from testbed.policy import policy
from testbed.verdict import Status

PHONE, CCM, PEER = ("10.0.0.1", 50_000), ("10.0.1.1", 2000), "10.0.0.2"
Frame = tuple[float, bytes]
Alter = Callable[[int, Frame], Frame | None]


def at_the_phone() -> Wire:
    """Ten seconds of signalling, and of voice in both directions."""
    wire = Wire()
    connection = Connection(wires=[wire], client=PHONE, server=CCM, client_tos=104, server_tos=104)
    connection.open(0.1)
    for second in range(10):
        connection.send(second + 0.5, sccp(0), up=True)
        connection.send(second + 0.6, sccp(0x100), up=False)
    for place in range(500):
        head = struct.pack(">BBHII", 0x80, 0, place, place * 160, 7)
        wire.udp(place / 50, (PHONE[0], 20_480), (PEER, 20_482), head + bytes(160), tos=184)
    wire.frames.sort(key=lambda frame: frame[0])
    return wire


def remarked(frame: bytes, tos: int) -> bytes:
    return frame[:15] + bytes([tos]) + frame[16:]


def routed(frame: bytes) -> bytes:
    return frame[:22] + bytes([frame[22] - 1]) + frame[23:]


def is_voice(frame: bytes) -> bool:
    return frame[23] == 17


def is_down(frame: bytes) -> bool:
    return frame[26:30] == bytes([10, 0, 1, 1])


def behind(wire: Wire, alter: Alter) -> Wire:
    found = (alter(place, frame) for place, frame in enumerate(wire.frames))
    return Wire(frames=[frame for frame in found if frame])


def delayed(_: int, frame: Frame) -> Frame:
    """5 ms on; what comes from call control was here before."""
    at_s, data = frame
    return (at_s - 0.005, data) if is_down(data) else (at_s + 0.005, data)


def compared(*wires: Wire, policy_name: str | None = None) -> Comparison:
    files = [capture(wire.pcap(), file=f"{name}.pcap") for name, wire in zip("abc", wires, strict=False)]
    return compare(files, policy(policy_name) if policy_name else None)


def by_class(hops: list[Hop]) -> dict[str, Hop]:
    return {f"{hop.traffic} {hop.way} {hop.source[0]}{hop.target[0]}".replace("  ", " "): hop for hop in hops}


def test_packets_are_matched_by_what_no_hop_changes_and_go_the_way_the_clocks_say() -> None:
    one = at_the_phone()
    found = by_class(compared(one, behind(one, delayed)).hops)
    assert {name: (hop.matched, hop.lost, hop.changed) for name, hop in found.items()} == {
        "rtp ab": (500, 0, 0),
        "sccp up ab": (12, 0, 0),
        "sccp down ba": (11, 0, 0),
    }
    assert found["rtp ab"].delay_s == pytest.approx((0.005, 0.005, 0.005), abs=1e-5)


def test_the_hop_that_remarks_is_named_with_its_first_frame() -> None:
    one = at_the_phone()
    two = behind(one, delayed)

    def bleach(place: int, frame: Frame) -> Frame:
        at_s, data = delayed(place, frame)
        return at_s, remarked(data, 0) if is_voice(data) and place > 100 else data

    found = compared(one, two, behind(two, bleach), policy_name="srnd-strict")
    (hop,) = [hop for hop in found.hops if hop.changed]
    assert (hop.source, hop.target, hop.traffic) == ("b.pcap", "c.pcap", "rtp")
    (remark,) = hop.remarks
    assert (remark.before, remark.after) == (46, 0)
    assert remark.packets == sum(is_voice(data) for _, data in two.frames[101:])
    verdicts = {verdict.check: verdict.status for verdict in judge_comparison(found)}
    assert verdicts["marks kept a.pcap - b.pcap"] is Status.PASS
    assert verdicts["marks kept b.pcap - c.pcap"] is Status.FAIL
    assert [verdicts[f"marks rtp at {name}.pcap"].name for name in "abc"] == ["PASS", "PASS", "FAIL"]


def test_what_is_lost_on_the_way_is_counted() -> None:
    one = at_the_phone()
    two = behind(one, lambda place, frame: None if is_voice(frame[1]) and place % 10 == 0 else delayed(place, frame))
    hop = by_class(compared(one, two).hops)["rtp ab"]
    dropped = sum(is_voice(data) for place, (at_s, data) in enumerate(one.frames) if place % 10 == 0 and 1 < at_s < 9)
    assert abs(hop.lost - dropped) <= 2
    assert dropped > 30


def test_a_router_between_tells_the_way_even_with_clocks_that_disagree() -> None:
    one = at_the_phone()

    def slow_clock(_: int, frame: Frame) -> Frame:
        at_s, data = frame
        return (at_s - 2, data) if is_down(data) else (at_s - 2, routed(data))

    two = behind(one, slow_clock)
    one.frames = [(at_s, routed(data) if is_down(data) else data) for at_s, data in one.frames]
    assert set(by_class(compared(one, two).hops)) == {"rtp ab", "sccp up ab", "sccp down ba"}


def test_a_packet_that_is_captured_twice_is_matched_once_each() -> None:
    one = at_the_phone()
    twice = Wire(frames=[frame for frame in one.frames for _ in "12"])
    assert by_class(compared(twice, twice).hops)["rtp ab"].matched == 1000
    assert by_class(compared(one, twice).hops)["rtp ab"].matched == 500


def test_captures_of_other_traffic_prove_nothing() -> None:
    other = Wire()
    other.udp(0.1, ("10.9.9.9", 20_480), (PEER, 20_482), b"\x80" + bytes(171), tos=184)
    found = compared(at_the_phone(), other, policy_name="srnd-strict")
    assert found.hops == []
    assert judge_comparison(found)[-1].status is Status.INCONCLUSIVE


def test_flows_that_never_arrive_are_named_as_seen_at_one_point_only() -> None:
    one = at_the_phone()
    two = behind(one, lambda place, frame: None if is_voice(frame[1]) else delayed(place, frame))
    found = compared(one, two)
    assert "rtp ab" not in by_class(found.hops)
    (apart,) = found.apart
    assert (apart.file, apart.other, apart.traffic, apart.flows) == ("a.pcap", "b.pcap", "rtp", 1)
    assert 350 < apart.packets <= 500
    assert list(apart_lines([apart])) == [f"only at a.pcap, not at b.pcap: rtp {apart.packets} of 1 flow"]
    assert compared(one, one).apart == ()


def test_an_empty_capture_is_compared_too() -> None:
    assert compared(at_the_phone(), Wire()).hops == []
    assert compared(Wire(), Wire()).hops == []


def test_the_command_shows_hops_and_says_by_its_status_what_they_do(tmp_path: Path) -> None:
    one = at_the_phone()
    two = behind(one, lambda place, frame: (frame[0] + 0.001, remarked(frame[1], 0)))
    files = []
    for name, wire in (("a", one), ("b", two)):
        (tmp_path / name).write_bytes(wire.pcap())
        files.append(str(tmp_path / name))
    run = CliRunner().invoke
    described = run(cli, ["audit", "--hops", *files], standalone_mode=False)
    assert described.return_value == 0
    assert "500 go from EF to default between" in described.output
    judged = run(
        cli, ["audit", "--hops", *files, "--policy", "srnd-strict", "--output", "jsonl"], standalone_mode=False
    )
    assert judged.return_value == 1
    hops = [line for line in map(json.loads, judged.stdout.splitlines()) if line["kind"] == "hop"]
    assert {hop["class"] for hop in hops} == {"rtp", "sccp"}
    with pytest.raises(UsageError):
        run(cli, ["audit", "--hops", files[0]], standalone_mode=False, catch_exceptions=False)
