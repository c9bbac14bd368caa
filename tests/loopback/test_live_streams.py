"""Streams that a service starts on a live phone, on real sockets: both directions, by multicast too, and their marks on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from xml.etree import ElementTree as ET

import pytest
import requests
from role_processes import Bed
from test_live_push import ask_page, data_of, push

from testbed.errors import UsageError
from testbed.roles.media import Media
from testbed.roles.pusher import Pusher
from testbed.roles.streamer import PHONE_PORT, Streamer
from testbed.rtp import Sender

SERVICE = "127.0.1.111"


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    bed = Bed(tmp_path_factory.mktemp("streams"), phones=1, idle_s=3600)
    try:
        yield bed, *bed.all_roles()
    finally:
        bed.close()


@contextlib.contextmanager
def listening(address):
    """A UDP port on an even number that says with which octet packets came."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 24680))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        sock.settimeout(5)
        yield sock


def tos_of(ancillary):
    return [data[0] for level, kind, data in ancillary if (level, kind) == (socket.IPPROTO_IP, socket.IP_TOS)]


def stream(bed, scheme, duration_s=0.6, **more):
    events = []

    def report(name, /, **data):
        events.append({"name": name, **data})

    pusher = Pusher(report, timeout_s=8, port=bed.phone_port)
    request = {"to": {bed.names[0]: "127.1.0.1"}, "scheme": scheme, "duration_s": duration_s, **more}
    return asyncio.run(Streamer(report, pusher, SERVICE).stream(request))["results"], events


def test_phone_sends_where_a_push_says_unmarked_and_stops_when_told(standing):
    bed, _, _, phones = standing
    with listening(SERVICE) as sock:
        assert data_of(push(bed, f"RTPTx:{SERVICE}:24680")) == ["Success"]
        packets = [sock.recvmsg(2048, 64) for _ in range(20)]
        assert {(len(data), data[0], *tos_of(ancillary)) for data, ancillary, _, _ in packets} == {(172, 0x80, 0)}
        page = ET.fromstring(ask_page(bed, "StreamingStatisticsX").content)
        assert (page.findtext("StreamStatus"), page.findtext("RemoteAddr")) == ("Active", f"{SERVICE}/24680")
        assert int(page.findtext("SenderPackets", "0")) >= 20
        assert data_of(push(bed, "RTPTx:Stop")) == ["Success"]
        stopped = phones.await_events(1, "ServiceStreamStopped", scheme="RTPTx")[-1]
        sock.settimeout(0.3)
        received = 20
        with contextlib.suppress(TimeoutError):
            while sock.recv(2048):
                received += 1
        assert received == stopped["sent"]
        assert ET.fromstring(ask_page(bed, "StreamingStatisticsX").content).findtext("StreamStatus") == "Not Ready"


def test_phone_chooses_a_port_where_the_push_names_none_and_says_so(standing):
    bed, _, _, phones = standing
    assert data_of(push(bed, f"RTPRx:{SERVICE}")) == [str(PHONE_PORT)]
    assert data_of(push(bed, "RTPRx:Stop")) == ["Success"]
    assert phones.await_events(1, "ServiceStreamStopped", scheme="RTPRx")[-1]["received"] == 0


def test_a_port_that_is_taken_is_a_failure_and_costs_the_phone_nothing(standing):
    bed, _, _, phones = standing
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.1.0.1", 24690))
        response = push(bed, f"RTPRx:{SERVICE}:24690", "Play:a")
        assert data_of(response) == ["Failure: no port", "Success"]
        assert [item.attrib["Status"] for item in ET.fromstring(response.content)] == ["1", "0"]
        # However the push spells the scheme; each item has its own answer.
        assert data_of(push(bed, f"rtprx:{SERVICE}:24690", "PLAY:a")) == ["Failure: no port", "Success"]
        twice = data_of(push(bed, f"RTPRx:{SERVICE}", f"RTPRx:{SERVICE}:24690"))
        assert twice == [str(PHONE_PORT), "Failure: no port"]
    assert phones.await_events(1, "ServiceStreamFailed")
    assert {row["registered_at"] for row in phones.ask(op="ls")["phones"]} == {"ccm-1"}


@pytest.mark.parametrize("scheme", ["RTPRx", "RTPMRx"])
def test_service_streams_to_the_phone_which_hears_all_of_it(standing, scheme):
    bed, _, _, phones = standing
    before = len(phones.seen("ServiceStreamStopped", scheme=scheme))
    results, events = stream(bed, scheme, tos=184)
    heard = phones.await_events(before + 1, "ServiceStreamStopped", scheme=scheme)[-1]
    assert results[0]["sent"] == pytest.approx(30, abs=4)
    assert (heard["received"], heard["lost"]) == (pytest.approx(results[0]["sent"], abs=1), 0)
    assert [event["urls"] for event in events if event["name"] == "PushAnswered"][-1] == [f"{scheme}:Stop"]


@pytest.mark.parametrize("scheme", ["RTPTx", "RTPMTx"])
def test_phone_streams_to_the_service_which_hears_all_of_it(standing, scheme):
    bed, _, _, phones = standing
    before = len(phones.seen("ServiceStreamStopped", scheme=scheme))
    results, _ = stream(bed, scheme)
    sent = phones.await_events(before + 1, "ServiceStreamStopped", scheme=scheme)[-1]["sent"]
    assert sent == pytest.approx(30, abs=4)
    assert (results[0]["received"], results[0]["lost"]) == (pytest.approx(sent, abs=1), 0)


def test_the_mark_of_what_the_service_sends_is_the_applications():
    with listening("127.1.0.9") as sock:
        for tos in (0, 184):
            asyncio.run(_sent_to(sock, tos))
            _, ancillary, _, _ = sock.recvmsg(2048, 64)
            assert tos_of(ancillary) == [tos]


async def _sent_to(sock, tos):
    media = Media()
    port = media.open(SERVICE)
    port.start(Sender(ssrc=1, sequence=1, timestamp=1, now=time.monotonic()), sock.getsockname(), tos)
    await asyncio.sleep(0.01)
    media.close()


def test_wrong_wishes_are_refused(standing):
    bed, *_ = standing
    for wrong in ({"scheme": "RTPx"}, {"scheme": "RTPRx", "duration_s": 3600}, {"scheme": "RTPRx", "tos": 256}):
        with pytest.raises(UsageError):
            stream(bed, **({"scheme": "RTPRx"} | wrong))


def test_wrong_uris_are_told_apart_from_those_that_ran(standing):
    bed, *_ = standing
    assert data_of(push(bed, f"RTPRx:{SERVICE}:20481", "RTPTx:Stop")) == ["Invalid URI", "Success"]
    assert requests.get(f"http://127.1.0.1:{bed.phone_port}/StreamingStatistics", timeout=5).status_code == 200
