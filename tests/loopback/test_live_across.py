"""Calls between phones of two real call-control processes: found over the link, heard both ways, alive without it."""

from __future__ import annotations

import contextlib
import signal
import socket

import pytest
from role_processes import CCM_1, CCM_BK, Bed, Role, free_port, wait_until

from testbed.roles.cluster_links import ClusterSettings
from testbed.roles.common import HostEnvironment

TALK_S = 2.0
LONGEST_PAUSE_S = 0.5
"""Media that stopped would be silent for seconds; a busy machine makes pauses of its own, which are not what is looked for here."""


class Cluster:
    """Two call controls that know each other; phones 1 and 2 at ccm-1, 3 and 4 at ccm-bk."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.port = free_port()
        self.first, self.backup = self.start("ccm-1"), self.start("ccm-bk")
        for control in (self.first, self.backup):
            control.await_events(1, "RoleStarted")
        self.phones = bed.phones()
        self.phones.await_events(4, "CallControlConnected", state="standby")
        for control in (self.first, self.backup):
            control.await_events(1, "CallControlJoined")

    def start(self, host: str) -> Role:
        more = {"TESTBED_CALL_CONTROLS": "ccm-1 ccm-bk", "TESTBED_CLUSTER_PORT": str(self.port)}
        return self.bed.call_control(host, **more)

    def call(self, caller: str, number: str, talk_s: float | None = TALK_S) -> bool:
        calls = [{"phone": caller, "number": number}]
        (result,) = self.phones.ask(op="call", calls=calls, talk_s=talk_s)["results"]
        return bool(result["ok"])


@pytest.fixture
def cluster(tmp_path):
    bed = Bed(tmp_path, phones=4, is_split=True)
    try:
        yield Cluster(bed)
    finally:
        bed.close()


def test_a_call_across_is_heard_both_ways_and_each_phone_is_told_by_its_own_call_control(cluster):
    a, c = cluster.bed.names[0], cluster.bed.names[2]
    assert cluster.first.ask(op="ls")["phones"][0]["phone"] == a
    assert [row["phone"] for row in cluster.backup.ask(op="ls")["phones"]] == cluster.bed.names[2:]
    assert cluster.call(a, "1003")
    started = cluster.phones.await_events(2, "StreamStarted")
    assert {event["tos"] for event in started} == {184}
    ended = cluster.phones.await_events(2, "CallEnded")
    for event in ended:
        assert event["lost"] == event["invalid"] == 0
        assert event["sent"] == pytest.approx(TALK_S * 50, abs=6)
        assert event["received"] == pytest.approx(event["sent"], abs=4)
        assert event["largest_gap_s"] < LONGEST_PAUSE_S
    assert cluster.first.await_events(1, "MediaStarted")[0]["phone"] == a
    assert cluster.backup.await_events(1, "MediaStarted")[0]["phone"] == c
    assert cluster.first.await_events(1, "CallRouted")[0]["to"] == c
    assert cluster.backup.await_events(1, "CallAnswered")[0]["from"] == a


def test_busy_across_and_unknown_everywhere(cluster):
    a, b = cluster.bed.names[:2]
    assert cluster.call(a, "1003", talk_s=None)
    cluster.phones.await_events(2, "CallConnected")
    assert cluster.call(b, "1003")
    cluster.phones.await_events(1, "CallEnded", phone=b)
    assert cluster.call(b, "4711")
    cluster.phones.await_events(2, "CallEnded", phone=b)
    assert [event["cause"] for event in cluster.first.seen("CallNotRouted")] == ["busy", "unknown number"]


@pytest.mark.parametrize("loss", ["kill", "freeze"])
def test_media_go_on_when_the_other_call_control_is_lost_and_it_is_found_again(cluster, loss):
    a, c = cluster.bed.names[0], cluster.bed.names[2]
    assert cluster.call(a, "1003", talk_s=6.0)
    cluster.phones.await_events(2, "StreamStarted")
    if loss == "kill":
        cluster.backup.kill()
    else:
        cluster.backup.send(signal.SIGSTOP)
    cluster.first.await_events(1, "CallControlParted")
    cluster.first.await_events(1, "CallStranded", phone=a)
    ended = cluster.phones.await_events(2, "CallEnded")
    assert {event["phone"] for event in ended} == {a, c}
    for event in ended:
        assert event["lost"] == 0
        assert event["sent"] > 240
        assert event["largest_gap_s"] < LONGEST_PAUSE_S
    if loss == "kill":
        cluster.backup = cluster.start("ccm-bk")
    else:
        cluster.backup.send(signal.SIGCONT)
    cluster.first.await_events(2, "CallControlJoined")


def test_a_stranger_is_turned_away_and_nonsense_ends_a_link_that_comes_back(cluster):
    with contextlib.closing(socket.create_connection((CCM_BK, cluster.port), source_address=("127.0.9.9", 0))) as sock:
        sock.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(100) == b""
    cluster.backup.await_events(1, "PeerRejected", peer="127.0.9.9")
    with contextlib.closing(socket.create_connection((CCM_BK, cluster.port), source_address=(CCM_1, 0))) as sock:
        sock.settimeout(5)
        sock.sendall(b"\0garbage\n" * 100)
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(10_000):
                pass
    cluster.backup.await_events(1, "PeerRejected", peer=CCM_1, error="a line that is no JSON")
    wait_until(lambda: len(cluster.first.seen("CallControlJoined")) >= 2, "a new link", cluster.first)
    assert cluster.call(cluster.bed.names[2], "1001", talk_s=0.5)
    cluster.phones.await_events(2, "StreamStarted")


def test_who_dials_whom_goes_by_the_order_of_the_list():
    hosts = '{"a": "172.26.1.1", "b": "172.26.1.2", "c": "172.26.1.3"}'
    environment = {"TESTBED_HOST": "b", "TESTBED_HOSTS": hosts, "TESTBED_CALL_CONTROLS": "a, b c gone"}
    host = HostEnvironment.read("call-control", environment)
    settings = ClusterSettings.read(host, environment, 104)
    assert (settings.address, settings.earlier, settings.later) == ("172.26.1.2", ("172.26.1.1",), ("172.26.1.3",))
    alone = ClusterSettings.read(host, {}, 104)
    assert (alone.earlier, alone.later) == ((), ())
