"""The read transfer against the TFTP server of the bed's image, tftpd-hpa, as an ordinary process on 127.0.0.1."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.tftp import ReadTransfer

SERVER_PROGRAM = shutil.which("in.tftpd", path="/usr/sbin:/usr/bin:/sbin")
CLIENT_PROGRAM = shutil.which("tftp")
HOST = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Server:
    port: int
    folder: Path


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if SERVER_PROGRAM is None:
        pytest.skip("tftpd-hpa is not installed")
    folder = tmp_path_factory.mktemp("tftp")
    folder.parent.chmod(0o755)
    folder.chmod(0o755)
    rules = folder / "rules"
    rules.write_text(f"r ^[^/] {folder}/\\0\n")
    port = free_udp_port()
    process = subprocess.Popen(
        [SERVER_PROGRAM, "-L", "-a", f"{HOST}:{port}", "-u", getpass.getuser(), "-m", str(rules)]
    )
    try:
        _wait_for_answer(port)
        yield Server(port=port, folder=folder)
    finally:
        process.terminate()
        process.wait(10)


def _wait_for_answer(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if read("no-such-file", port, tries=1).error.code is not None:  # type: ignore[union-attr]
            return
    pytest.fail("tftpd-hpa gave no answer in 10 s")


def read(filename: str, port: int, *, tries: int = 5, block_bytes: int = 512) -> ReadTransfer:
    """A whole transfer over a real socket."""
    transfer = ReadTransfer(
        filename, server=(HOST, port), now=time.monotonic(), timeout_s=0.3, max_tries=tries, block_bytes=block_bytes
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        while not transfer.done:
            for packet, address in transfer.to_send():
                sock.sendto(packet, address)
            sock.settimeout(max(0.001, (transfer.next_timer() or 0) - time.monotonic()))
            try:
                packet, address = sock.recvfrom(65536)
                transfer.receive(packet, address, time.monotonic())
            except TimeoutError:
                transfer.tick(time.monotonic())
        for packet, address in transfer.to_send():
            sock.sendto(packet, address)
    return transfer


@pytest.mark.parametrize("size", [0, 511, 512, 3000, 300_000])
@pytest.mark.parametrize("block_bytes", [512, 1428])
def test_a_file_is_read_from_tftpd_hpa(server: Server, size: int, block_bytes: int) -> None:
    content = bytes(number % 253 for number in range(size))
    (server.folder / f"file-{size}").write_bytes(content)
    assert read(f"file-{size}", server.port, block_bytes=block_bytes).content == content


def test_a_missing_file_is_error_1(server: Server) -> None:
    error = read("SEP020000000001.cnf.xml", server.port).error
    assert error is not None
    assert error.is_file_not_found


def test_a_path_outside_the_folder_is_refused(server: Server) -> None:
    transfer = read("../../../../etc/hostname", server.port)
    assert transfer.content is None
    assert transfer.error is not None


@pytest.mark.skipif(CLIENT_PROGRAM is None, reason="tftp-hpa is not installed")
def test_the_reference_client_reads_the_same(server: Server, tmp_path: Path) -> None:
    content = b"<Default/>\n" * 500
    (server.folder / "XMLDefault.cnf.xml").write_bytes(content)
    got = tmp_path / "got"
    command = [str(CLIENT_PROGRAM), "-m", "binary", HOST, str(server.port), "-c", "get", "XMLDefault.cnf.xml", str(got)]
    subprocess.run(command, check=True, timeout=20)
    assert got.read_bytes() == content == read("XMLDefault.cnf.xml", server.port).content


def test_a_silent_server_is_given_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 0))
        error = read("a", silent.getsockname()[1], tries=2).error
    assert error is not None
    assert "no answer to 2 tries" in error.message
