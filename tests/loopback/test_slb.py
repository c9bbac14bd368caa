"""The bed's own haproxy.cfg under HAProxy as an ordinary process, with two web hosts, on 127.0.0.0/8."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from testbed.roles.phone_http import HttpFailure, PhoneRequest, PhoneResponse, fetch

REPOSITORY = Path(__file__).parents[2]
HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
PREFIX = "127.26"
VIP = f"{PREFIX}.1.2"
SERVERS = {"web-1": f"{PREFIX}.1.111", "web-2": f"{PREFIX}.1.112"}
SLOWEST_S = 3.0

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")


def rendered(folder: Path, port: int) -> Path:
    """The configuration on unprivileged ports, with its socket in ``folder``."""
    text = (REPOSITORY / "compose/slb/haproxy.cfg").read_text().replace("${BED_PREFIX}", PREFIX)
    text = re.sub(r"(\d\.\d+):80\b", rf"\1:{port}", text).replace("/run/haproxy", str(folder))
    path = folder / "haproxy.cfg"
    path.write_text(text)
    return path


class Slb:
    """HAProxy and its web hosts, as processes."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind((VIP, 0))
            self.port = int(probe.getsockname()[1])
        self.socket = folder / "admin.sock"
        self.logs = {name: folder / f"{name}.log" for name in SERVERS}
        self.processes = {name: self._web_host(name, address) for name, address in SERVERS.items()}
        with (folder / "haproxy.log").open("w") as log:
            command = [str(HAPROXY), "-db", "-f", str(rendered(folder, self.port))]
            self.processes["slb"] = subprocess.Popen(command, stdout=log, stderr=log)

    def _web_host(self, name: str, address: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "TESTBED_HOST": name,
            "TESTBED_ADDRESS": address,
            "TESTBED_HTTP_PORT": str(self.port),
        }
        with self.logs[name].open("w") as log:
            return subprocess.Popen([sys.executable, "-m", "testbed.roles.web_host"], env=environment, stdout=log)

    def fetch(self, path: str = "/text", method: str = "GET") -> PhoneResponse:
        request = PhoneRequest(
            url=f"http://{VIP}:{self.port}{path}",
            device_name="SEP020000000001",
            source_address=f"{PREFIX}.16.1",
            bed_prefix=IPv4Network(f"{PREFIX}.0.0/16"),
            timeout_s=8,
            method=method,
            body=b"x" if method == "POST" else None,
        )
        return asyncio.run(fetch(request))

    def post_in_one_packet(self) -> bytes:
        """Head and body in one packet: only a request that it has whole could HAProxy send twice."""
        with socket.create_connection((VIP, self.port), timeout=8) as sock:
            sock.sendall(b"POST /post HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx")
            return sock.recv(4096)

    def state_of(self, server: str) -> str:
        """As the admin socket has it: UP, DOWN …"""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.socket))
            sock.sendall(b"show stat\n")
            text = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
        rows = [line.split(",") for line in text.splitlines() if line.startswith("phone-services," + server)]
        return rows[0][17]

    def await_state(self, server: str, state: str) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self.socket.exists() and self.state_of(server).startswith(state) and self.has_started(server):
                return
            time.sleep(0.05)
        pytest.fail(f"{server} is not {state} after 10 s")

    def has_started(self, server: str) -> bool:
        return "RoleStarted" in self.logs[server].read_text()

    def posts_seen_by(self, server: str) -> int:
        return self.logs[server].read_text().count('"path": "/post"')

    def close(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(10)


@pytest.fixture
def slb() -> Iterator[Slb]:
    # Not pytest's own folder: the path of a Unix socket has at most 107 bytes.
    with TemporaryDirectory(prefix="slb-") as folder:
        made = Slb(Path(folder))
        try:
            for server in SERVERS:
                made.await_state(server, "UP")
            yield made
        finally:
            made.close()


def test_haproxy_accepts_the_configuration(tmp_path: Path) -> None:
    done = subprocess.run([str(HAPROXY), "-c", "-f", str(rendered(tmp_path, 8080))], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_placeholder_is_left_once_the_block_is_filled_in(tmp_path: Path) -> None:
    assert "${" not in rendered(tmp_path, 80).read_text()


def test_the_primary_serves_and_learns_the_phones_address(slb: Slb) -> None:
    assert {slb.fetch().served_by for _ in range(5)} == {"web-1"}
    assert f'"forwarded_for": "{PREFIX}.16.1"' in slb.logs["web-1"].read_text()


@pytest.mark.parametrize("fault", [signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP])
def test_the_standby_answers_for_a_dead_primary(slb: Slb, fault: signal.Signals) -> None:
    slb.processes["web-1"].send_signal(fault)
    response = slb.fetch()
    assert (response.status, response.served_by) == (200, "web-2")
    assert response.elapsed_s < SLOWEST_S
    slb.await_state("web-1", "DOWN")
    assert slb.fetch().elapsed_s < 0.5


def test_a_thawed_primary_serves_again(slb: Slb) -> None:
    slb.processes["web-1"].send_signal(signal.SIGSTOP)
    slb.await_state("web-1", "DOWN")
    slb.processes["web-1"].send_signal(signal.SIGCONT)
    slb.await_state("web-1", "UP")
    assert slb.fetch().served_by == "web-1"


def test_a_post_in_flight_is_never_sent_twice(slb: Slb) -> None:
    slb.processes["web-1"].send_signal(signal.SIGSTOP)
    assert slb.post_in_one_packet().startswith(b"HTTP/1.1 504 ")
    assert slb.posts_seen_by("web-2") == 0
    slb.await_state("web-1", "DOWN")
    assert slb.fetch("/post", "POST").served_by == "web-2"


def test_a_standby_that_died_first_is_not_used(slb: Slb) -> None:
    slb.processes["web-2"].kill()
    slb.await_state("web-2", "DOWN")
    assert slb.fetch().served_by == "web-1"
    slb.processes["web-1"].kill()
    slb.await_state("web-1", "DOWN")
    assert slb.fetch().status == 503


def test_a_dead_slb_is_a_failure(slb: Slb) -> None:
    slb.processes["slb"].kill()
    slb.processes["slb"].wait(10)
    with pytest.raises(HttpFailure, match="connection refused"):
        slb.fetch()
