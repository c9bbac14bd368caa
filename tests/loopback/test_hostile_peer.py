"""Whoever sends nonsense loses the own connection and nothing else."""

from __future__ import annotations

import contextlib
import socket
import struct

import pytest
from role_processes import CCM_1, Bed

from testbed.roles.phone_link import Endpoint, phone_socket

KEEPALIVE, KEEPALIVE_ACK = struct.pack("<III", 4, 0, 0), struct.pack("<III", 4, 0, 0x100)


@pytest.fixture(scope="module")
def control(tmp_path_factory):
    bed = Bed(tmp_path_factory.mktemp("hostile"))
    try:
        role = bed.call_control("ccm-1")
        role.await_events(1, "RoleStarted")
        yield role, bed.sccp_port
    finally:
        bed.close()


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"GET / HTTP/1.1\r\nHost: ccm-1\r\n\r\n", "length"),
        (struct.pack("<III", 2**32 - 1, 0, 1), "length"),
        (struct.pack("<III", 4, 9, 0), "version"),
        (struct.pack("<III", 4, 0, 0x0E), "ButtonTemplateReq before registration"),
        (struct.pack("<III", 4, 0, 0x100), "not a phone's to send"),
        (struct.pack("<III", 28, 0, 0x2E) + struct.pack("<5I", 0, 0, 0, 0, 9999) + b"tail", "announces 9999 bytes"),
    ],
    ids=["http", "length", "version", "before-registration", "direction", "announced-data"],
)
def test_hostile_client_is_reported_and_loses_its_connection_and_nobody_else_does(control, data, error):
    role, port = control
    before = len(role.seen("PeerRejected"))
    with socket.create_connection((CCM_1, port), timeout=5) as honest:
        with socket.create_connection((CCM_1, port), timeout=5) as hostile:
            hostile.sendall(data)
            assert hostile.recv(100) == b""
        event = role.await_events(before + 1, "PeerRejected")[-1]
        assert event["peer"] == "127.0.0.1"
        assert error in event["error"]
        honest.sendall(KEEPALIVE)
        assert honest.recv(100) == KEEPALIVE_ACK


def test_client_that_sends_and_never_reads_is_cut_off(control):
    role, port = control
    with socket.socket() as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.settimeout(5)
        greedy.connect((CCM_1, port))
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                greedy.sendall(KEEPALIVE * 20_000)
    role.await_events(1, "PeerRejected", error="sends and does not read")


def test_signalling_socket_is_marked_before_its_first_packet():
    endpoint = Endpoint(source="127.1.0.1", address=CCM_1, port=2000, tos=104, give_up_s=0.75)
    with phone_socket(endpoint) as sock:
        assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 104
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 750
        assert sock.getsockname()[0] == "127.1.0.1"
