"""The phone on the desk against sites that behave and sites that do not: bounded in time and memory, an error on its screen."""

from __future__ import annotations

import os
import pty
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hostile_site import Hostile
from served_sites import REPOSITORY, Site, serving

from testbed.browser.exchange import HOST_NOT_FOUND, HTTP_ERROR, NO_CONNECTION, BrowserSettings
from testbed.browser.model import DEFAULT_MODEL
from testbed.browser.read import PARSE_ERROR, TOO_LARGE
from testbed.cli import cli
from testbed.desk import Desk, FetchFailed, fetch
from testbed.desk_session import split_keys
from testbed.roles import web_host

TIMEOUT_S = 0.6


@pytest.fixture(scope="module")
def hostile() -> Hostile:
    return Hostile()


@pytest.fixture(scope="module")
def services() -> Iterator[Site]:
    with serving(lambda site: web_host.app("web-1", emit=site.emit)) as site:
        yield site


def desk(**more: float) -> Desk:
    return Desk(BrowserSettings(device_name="SEP020000000001"), **more)


@pytest.mark.parametrize(
    ("path", "error", "detail"),
    [
        ("/large", TOO_LARGE, "196608"),
        ("/endless", NO_CONNECTION, "within"),
        ("/slow-head", NO_CONNECTION, "within"),
        ("/silent", NO_CONNECTION, "within"),
        ("/short", NO_CONNECTION, "more expected"),
        ("/closed", NO_CONNECTION, ""),
        ("/rubbish", NO_CONNECTION, ""),
        ("/heads", NO_CONNECTION, ""),
        ("/packed", PARSE_ERROR, "line 1"),
        ("/doctype", PARSE_ERROR, "DOCTYPE"),
        ("/deep", PARSE_ERROR, "32 deep"),
        ("/png", PARSE_ERROR, "image/png"),
        ("/loop", HTTP_ERROR, "5 redirects"),
        ("/away", HOST_NOT_FOUND, "not an http URL"),
    ],
)
def test_a_hostile_answer_is_an_error_on_the_screen_in_bounded_time_and_memory(
    hostile: Hostile, path: str, error: str, detail: str
) -> None:
    phone = desk(timeout_s=TIMEOUT_S)
    tracemalloc.start()
    began = time.monotonic()
    try:
        phone.open(hostile.url + path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < TIMEOUT_S + 2
    assert peak < 8_000_000
    screen = phone.browser.screen()
    assert screen.error == error
    assert detail in screen.detail


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a site at 127.0.0.1, with its key, signed by itself."""
    path = tmp_path_factory.mktemp("tls") / "site.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        ["openssl", *words.split(), "-keyout", f"{path}.key", "-out", f"{path}"], check=True, capture_output=True
    )
    return path


@pytest.mark.parametrize("path", ["/endless", "/slow-head", "/silent"])
def test_over_https_too_an_answer_ends_when_its_time_is_over(
    path: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, f"{certificate}.key")
    site = Hostile(tls=context)
    began = time.monotonic()
    with pytest.raises(FetchFailed) as caught:
        fetch(site.url + path, DEFAULT_MODEL, timeout_s=TIMEOUT_S)
    assert time.monotonic() - began < TIMEOUT_S + 2
    assert f"no whole answer within {TIMEOUT_S:g} s" in caught.value.message
    assert site.requests


def test_no_thread_is_left_by_answers_that_never_end(hostile: Hostile) -> None:
    before = threading.active_count()
    for path in ("/endless", "/slow-head"):
        desk(timeout_s=0.2).open(hostile.url + path)
    servers = 2  # the hostile side's own, which notice when they next write
    assert threading.active_count() <= before + servers


def test_a_refused_connection_an_unknown_host_and_another_scheme_are_told_apart() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        for url, shown in (
            (f"http://127.0.0.1:{port}/", NO_CONNECTION),
            ("http://host.invalid/", HOST_NOT_FOUND),
            ("ftp://127.0.0.1/", HOST_NOT_FOUND),
            ("http://[/", HOST_NOT_FOUND),
        ):
            with pytest.raises(FetchFailed) as caught:
                fetch(url, DEFAULT_MODEL, timeout_s=3)
            assert caught.value.shown == shown, url


def test_the_request_is_a_phones_and_this_machines_proxy_has_no_part_in_it(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    fetch(f"{hostile.url}/png", DEFAULT_MODEL, cookie="a=1")
    request = hostile.requests[-1].decode()
    for line in ("Host: 127.0.0.1", "x-CiscoIPPhoneModelName: CP-7941G", "x-CiscoIPPhoneDisplay: 298,144,3,G"):
        assert line in request
    assert "Cookie: a=1" in request
    assert "gzip" not in request
    assert "python" not in request.lower()


def browse(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["phone", "browse", *arguments], standalone_mode=False)
    assert done.exception is None, done.output
    return int(done.return_value), done.output


def test_browse_shows_our_own_services_key_by_key(services: Site, tmp_path: Path) -> None:
    picture = tmp_path / "p.png"
    code, text = browse(f"{services.url}/", "--keys", "2 =12 Down =30 Submit Exit Cancel 4", "--picture", str(picture))
    screens = text.split("\n\n")
    assert code == 0
    assert len(screens) == 9
    assert "| 42 " in screens[5]
    assert "> 2 Form" not in screens[7]
    assert f"[picture: {picture}"[:30] in screens[8]
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_browse_as_json_ends_with_1_where_the_phone_shows_an_error(services: Site) -> None:
    code, text = browse(f"{services.url}/nothing", "--keys", "", "--output", "json")
    assert (code, '"error": "HTTP Error [8]' in text) == (1, True)
    code, text = browse(f"{services.url}/text", "--keys", "", "--output", "jsonl", "--model", "7960")
    assert (code, '"title": "News"' in text) == (0, True)


def test_a_page_refreshes_while_nobody_presses_a_key(services: Site) -> None:
    phone = desk()
    phone.open(f"{services.url}/refresh")
    first = phone.browser.screen().lines
    assert not phone.tick()
    due = phone.browser.next_timer()
    assert due is not None
    phone.browser.tick(due)
    phone.settle()
    assert phone.browser.screen().lines != first


def test_keys_are_words_and_typed_text_ends_at_its_semicolon() -> None:
    assert split_keys("2 Select =two words; Exit") == ["2", "Select", "=two words", "Exit"]
    assert split_keys("  1  =a ") == ["1", "=a"]
    assert split_keys("") == []


def lint(*arguments: str) -> tuple[int, list[str]]:
    done = CliRunner().invoke(cli, ["lint-xml", *arguments], standalone_mode=False)
    assert done.exception is None, done.output
    return int(done.return_value), done.stdout.splitlines()


def test_lint_says_where_and_for_which_models_a_page_is_wrong(tmp_path: Path) -> None:
    page = tmp_path / "page.xml"
    page.write_text("<CiscoIPPhoneText>\n <Title>" + "x" * 33 + "</Title>\n <Text/>\n</CiscoIPPhoneText>\n")
    code, lines = lint(str(page))
    assert code == 1
    assert lines == [
        f"{page}:2:2: error: CiscoIPPhoneText/Title: 33 characters, allowed are 0 to 32 "
        "[7912, 7920, 7940, 7960, 7941, 7961, 7970]"
    ]
    page.write_text("<CiscoIPPhoneImageFile>\n <URL>http://h/</URL></CiscoIPPhoneImageFile>")
    assert lint(str(page), "--model", "7970") == (0, [])
    assert lint(str(page), "--model", "7960")[0] == 1
    page.write_text("<CiscoIPPhoneText>\n<Text>")
    assert lint(str(page), "--model", "7960")[1] == [f"{page}:2:7: error: no element found [7960]"]


def test_lint_of_a_url_looks_at_the_answer_too(services: Site, hostile: Hostile) -> None:
    assert lint(f"{services.url}/input") == (0, [])
    code, lines = lint(f"{hostile.url}/png", "--model", "7960")
    assert code == 1
    assert "Content-Type is image/png" in lines[0]
    assert lint(f"{services.url}/nothing", "--model", "7960")[0] == 1


def read_until(terminal: int, wanted: str, within_s: float = 15.0) -> str:
    text, deadline = "", time.monotonic() + within_s
    while wanted not in text and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            text += os.read(terminal, 65536).decode("utf-8", "replace")
    assert wanted in text, text
    return text


def test_keys_come_from_a_terminal_one_by_one(services: Site) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "testbed", "phone", "browse", f"{services.url}/"],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.STDOUT,
        env=os.environ | {"TERM": "dumb"},
    )
    try:
        os.close(theirs)
        read_until(ours, "Ctrl-D ends")
        pressed: list[tuple[bytes, str]] = [
            (b"\x1b[B", "> 2 Form"),
            (b"\r", "First number: _"),
            (b"1", "First number: 1_"),
            (b"\x1b[B", "> Second: _"),
            (b"2", "Second: 2_"),
            (b"\x1bOP", "| 3 "),
            (b"\x1bOR", "First number: _"),
        ]
        for data, shown in pressed:
            os.write(ours, data)
            read_until(ours, shown)
        os.write(ours, b"\x04")
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_the_example_of_the_guide_is_a_service_that_shows(tmp_path: Path) -> None:
    guide = (REPOSITORY / "docs" / "develop-a-phone-service.md").read_text(encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = guide.split("```python\n")[1].split("```")[0].replace('("", 8000)', f'("127.0.0.1", {port})')
    service = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        url, deadline = f"http://127.0.0.1:{port}/", time.monotonic() + 10
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < deadline:
            time.sleep(0.05)
        code, text = browse(url, "--keys", "1 =Alice Submit")
        assert code == 0
        assert "| Hello, Alice! " in text
        assert text.splitlines()[:14] == guide.split("8000/\n```\n\n```\n")[1].split("\n```")[0].splitlines()
        assert lint(url) == (0, [])
    finally:
        service.kill()
        service.wait()


def test_what_runs_on_the_desk_needs_no_aiohttp_and_no_docker() -> None:
    """A plain install has neither aiohttp nor a reason to load the engine's client."""
    code = (
        "import sys; sys.modules['aiohttp'] = None; sys.modules['docker'] = None\n"
        "import testbed.desk_session, testbed.lint_xml, testbed.cli"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
