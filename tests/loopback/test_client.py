"""The browsing client as a process, against a server that answers, errs, hangs, cuts its answers short, or is not there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from role_processes import Role, free_port

from testbed.errors import UsageError
from testbed.roles.client import ClientSettings

ADDRESS = "127.0.1.100"


class Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    connections: set[tuple[str, int]] = set()  # noqa: RUF012

    def do_GET(self) -> None:
        Pages.connections.add(self.client_address)
        if self.path == "/hang":
            threading.Event().wait(1.5)
        body = b"ok"
        self.send_response(503 if self.path == "/error" else 200)
        self.send_header("Content-Length", "50" if self.path == "/short" else str(len(body)))
        self.send_header("X-Served-By", "shop-1")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.path == "/short"

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer((ADDRESS, 0), Pages)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join(10)
    server.server_close()


def client(folder: Path, *urls: str, **environment: str) -> Role:
    settings = {"TESTBED_INTERVAL_MS": "50", "TESTBED_TIMEOUT_MS": "400", **environment}
    return Role("client", "client", folder / "client.sock", TESTBED_URLS=" ".join(urls), **settings)


OUTCOMES = {
    "/": ("PageFetched", None),
    "/error": ("PageFailed", "HTTP 503"),
    "/hang": ("PageFailed", "timeout: 0.4 s"),
    "/short": ("PageFailed", None),
}


@pytest.mark.parametrize("path", OUTCOMES)
def test_what_comes_of_a_request_is_reported(path: str, port: int, tmp_path: Path):
    name, error = OUTCOMES[path]
    role = client(tmp_path, f"http://{ADDRESS}:{port}{path}")
    try:
        event = role.await_events(2, name)[0]
        assert event["url"].endswith(path)
        assert error is None or event["error"] == error
        assert 0 <= event["elapsed_s"] < 2
        assert role.end() == 0
    finally:
        role.kill()


def test_urls_are_asked_for_in_turn_and_nobody_waits_for_one_that_hangs(port: int, tmp_path: Path):
    role = client(tmp_path, *(f"http://{ADDRESS}:{port}{path}" for path in ("/", "/hang")))
    try:
        role.await_events(2, "PageFailed", error="timeout: 0.4 s")
        assert len(role.seen("PageFetched")) >= 4
    finally:
        role.kill()


def test_a_refused_connection_and_a_name_that_is_not_the_beds_are_failures(tmp_path: Path):
    role = client(tmp_path, f"http://{ADDRESS}:{free_port()}/", "http://www.example.com/", "http://nowhere/")
    try:
        failed = role.await_events(9, "PageFailed")
        by_url = {event["url"].split("/")[2].split(":")[0]: event["error"] for event in failed}
        assert by_url[ADDRESS] == "connection refused"
        assert by_url["www.example.com"] == by_url["nowhere"] == "no such host"
    finally:
        role.kill()


@pytest.mark.parametrize(("keep_alive", "most"), [("0", 99), ("1", 2)])
def test_connections_are_used_again_where_asked_for(keep_alive: str, most: int, port: int, tmp_path: Path):
    Pages.connections.clear()
    role = client(tmp_path, f"http://{ADDRESS}:{port}/", TESTBED_KEEP_ALIVE=keep_alive)
    try:
        fetched = role.await_events(8, "PageFetched")
        assert {event["served_by"] for event in fetched} == {"shop-1"}
        assert (len(Pages.connections) >= 8) if keep_alive == "0" else (len(Pages.connections) <= most)
    finally:
        role.kill()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"TESTBED_URLS": "  "},
        {"TESTBED_URLS": "https://shop/"},
        {"TESTBED_URLS": "http:///x"},
        {"TESTBED_URLS": "shop"},
        {"TESTBED_URLS": "http://shop:99999/"},
        {"TESTBED_URLS": "http://shop/", "TESTBED_INTERVAL_MS": "1"},
        {"TESTBED_URLS": "http://shop/", "TESTBED_INTERVAL_MS": "often"},
        {"TESTBED_URLS": "http://shop/", "TESTBED_TIMEOUT_MS": "-1"},
        {"TESTBED_URLS": "http://shop/", "TESTBED_KEEP_ALIVE": "2"},
    ],
)
def test_wrong_settings_are_named(environment: dict[str, str]):
    with pytest.raises(UsageError, match="TESTBED_"):
        ClientSettings.read(environment)
