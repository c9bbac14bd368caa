"""A narrow uplink in a network namespace of its own, with the kernel's own queues; packets of the test go from one end of a pair to the other."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from testbed.roles.uplink import HANDLE, batch

BIT_S = 2_000_000

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("tc"),
    reason="needs root, unshare and tc for a network namespace of its own",
)

# A namespace with a pair of interfaces; packets sent into one end count at the class they were queued in.
SCRIPT = r"""
set -e
sysctl -qw net.ipv6.conf.default.disable_ipv6=1
ip link add near type veth peer name far
ip address add 192.0.2.1/24 dev near
ip link set near up
ip link set far up
ip neighbour add 192.0.2.2 lladdr 02:00:00:00:00:02 dev near
ip link set dev near gso_max_segs 1
tc -b -
python3 - <<'END'
import socket
for tos, count in ((0xB8, 5), (0xBA, 2), (0x68, 3), (0x60, 4), (0, 6), (0x28, 1)):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos & 0xFC)
    for _ in range(count):
        sock.sendto(bytes(100), ("192.0.2.2", 9))
END
sleep 0.3
tc -s class show dev near
"""


def packets_by_class(queues: str) -> dict[str, int]:
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", SCRIPT],
        input=batch("near", BIT_S, queues),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = re.findall(r"class htb (\S+).*\n Sent \d+ bytes (\d+) pkt", done.stdout)
    return {handle: int(count) for handle, count in found if handle != f"{HANDLE}1"}


def test_voice_signalling_and_all_else_have_a_queue_each():
    assert packets_by_class("dscp") == {"7e60:10": 7, "7e60:20": 7, "7e60:30": 7}


def test_a_link_that_looks_at_no_marks_has_one():
    assert packets_by_class("fifo") == {"7e60:30": 21}
