from __future__ import annotations

import struct

import pytest
from call_stories import LOST_S, TALKERS, Talk, call
from recordings import T0, Wire

from testbed.packets import parse_capture
from testbed.packets.classes import class_mask
from testbed.packets.rtp import StopOrder, order_of, rtp_streams, start_orders
from testbed.packets.sccp import sccp_messages
from testbed.rtp import RtpPacket


def capture(wire: Wire):
    return parse_capture(wire.pcap(), file="x.pcap")


@pytest.mark.parametrize(
    ("port", "is_rtp"),
    [(16384, False), (20479, False), (20480, True), (20481, True), (32767, True), (32768, True), (32769, False)],
)
def test_the_class_is_the_range_of_the_table_and_rtcp_in_it_is_judged_like_it(port, is_rtp):
    wire = Wire()
    wire.udp(1.0, (TALKERS[0], 20480), (TALKERS[1], port), b"\x80\xc8" + bytes(26), tos=184)
    wire.udp(
        1.1, (TALKERS[0], 20480), (TALKERS[1], port), RtpPacket(sequence=1, timestamp=0, ssrc=1, payload=b"x").encode()
    )
    packets = capture(wire)
    assert class_mask(packets, "rtp").tolist() == [is_rtp, is_rtp]
    assert [len(stream) for stream in rtp_streams(packets)] == [1] * is_rtp  # RTCP is no stream


def test_streams_are_told_apart_and_their_numbers_go_on_over_the_wrap():
    recording = call(Talk(lost=[50, 51]), Talk())
    streams = rtp_streams(capture(recording.wires["phones-2"]))
    assert [(len(s), s.lost, int(s.sequence[-1] - s.sequence[0])) for s in streams] == [(300, 0, 299), (298, 2, 299)]
    assert streams[0].packets_per_s == pytest.approx(50)
    assert max(streams[1].gaps_s) == pytest.approx(0.06)
    assert streams[0].jitter_s == pytest.approx(0, abs=1e-5)


def test_a_stream_is_tied_to_the_latest_order_before_it_for_its_own_sender_and_destination():
    packets = capture(call().wires["phones-1"])
    orders = start_orders(sccp_messages(packets))
    (order,) = orders
    mine, other = rtp_streams(packets)
    assert order_of(mine, orders) is order
    assert order_of(other, orders) is None
    assert order.tos == 184
    assert order.frame < packets.frame[mine.index[0]]


@pytest.mark.parametrize(
    ("stopped_s", "call_offset", "is_cause"), [(2.995, 0, False), (3.5, 0, True), (2.995, 1, True)]
)
def test_an_order_that_was_taken_back_is_no_cause_of_what_begins_later(
    stopped_s: float, call_offset: int, is_cause: bool
):
    packets = capture(call().wires["phones-1"])
    orders = start_orders(sccp_messages(packets))
    stop = StopOrder(phone=orders[0].phone, call=orders[0].call + call_offset, time_s=T0 + stopped_s)
    assert (order_of(rtp_streams(packets)[0], orders, [stop]) is not None) is is_cause


def test_an_order_that_comes_after_the_stream_began_is_not_its_cause():
    packets = capture(call(Talk(told_at_s=LOST_S), Talk()).wires["phones-1"])
    streams, orders = rtp_streams(packets), start_orders(sccp_messages(packets))
    assert len(orders) == 1
    assert [order_of(stream, orders) for stream in streams] == [None, None]


def test_another_message_of_the_same_size_is_no_order():
    wire = call().wires["phones-1"]
    wire.frames = [
        (t, f.replace(struct.pack("<III", 120, 0, 0x8A), struct.pack("<III", 120, 0, 0x8A)[:8] + b"\x8b\0\0\0"))
        for t, f in wire.frames
    ]
    assert start_orders(sccp_messages(capture(wire))) == []


def test_a_capture_without_media_has_no_streams():
    assert rtp_streams(capture(Wire())) == []
