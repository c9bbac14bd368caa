"""The phone-service site and the call manager's pages, asked by curl and by the phone's own client."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from served_sites import DEVICE, HOST, REPOSITORY, Site, serving, validate
from yarl import URL

from testbed import phone_xml as px
from testbed.errors import UsageError
from testbed.roles import pages, web_host
from testbed.roles.common import HostEnvironment
from testbed.roles.site import listener
from testbed.roles.web_lookup import ASK_TIMEOUT_S, CallManager

CCMCIP = "/CCMCIP"


@pytest.fixture(scope="module")
def services() -> Iterator[Site]:
    with serving(lambda site: web_host.app("web-1", emit=site.emit)) as site:
        yield site


@pytest.fixture(scope="module")
def call_manager() -> Iterator[Site]:
    subscriptions = pages.Subscriptions(services_url="http://172.26.1.2/")
    with serving(lambda site: pages.app("ccm-1", subscriptions=subscriptions, emit=site.emit)) as site:
        yield site


SERVICE_PAGES = {
    "/": "CiscoIPPhoneMenu",
    "/text": "CiscoIPPhoneText",
    "/input": "CiscoIPPhoneInput",
    "/answer?a=2&b=3": "CiscoIPPhoneText",
    "/directory": "CiscoIPPhoneDirectory",
    "/image": "CiscoIPPhoneImage",
    "/refresh": "CiscoIPPhoneText",
    "/idle": "CiscoIPPhoneText",
    "/slow?s=0": "CiscoIPPhoneText",
}
CALL_MANAGER_PAGES = {
    f"{CCMCIP}/getservicesmenu.asp": "CiscoIPPhoneMenu",
    f"{CCMCIP}/xmldirectory.asp": "CiscoIPPhoneMenu",
    f"{CCMCIP}/xmldirectoryinput.asp": "CiscoIPPhoneInput",
    f"{CCMCIP}/xmldirectorylist.asp?n=phone": "CiscoIPPhoneDirectory",
    f"{CCMCIP}/GetTelecasterHelpText.asp": "CiscoIPPhoneText",
    f"{CCMCIP}/messages.asp": "CiscoIPPhoneText",
}


@pytest.mark.parametrize(("path", "root"), SERVICE_PAGES.items())
def test_every_service_page_is_a_phone_object_and_says_who_served_it(services: Site, path: str, root: str) -> None:
    response = services.get(path)
    assert (response.status, response.headers["content-type"], response.served_by) == (200, "text/xml", "web-1")
    assert px.root_of(response.body) == root


@pytest.mark.parametrize(("path", "root"), CALL_MANAGER_PAGES.items())
def test_every_call_manager_page_is_a_phone_object_and_says_who_served_it(
    call_manager: Site, path: str, root: str
) -> None:
    response = call_manager.get(path)
    assert (response.status, response.headers["content-type"], response.served_by) == (200, "text/xml", "ccm-1")
    assert px.root_of(response.body) == root


@pytest.mark.parametrize("path", SERVICE_PAGES)
def test_service_pages_follow_the_schema(services: Site, path: str) -> None:
    validate(services.get(path).body)


@pytest.mark.parametrize("path", CALL_MANAGER_PAGES)
def test_call_manager_pages_follow_the_schema(call_manager: Site, path: str) -> None:
    validate(call_manager.get(path).body)


KEY = px.SoftKey(name="Dial", position=8, url="SoftKey:Dial")
BITMAP = px.Bitmap(width=106, height=21, data=bytes(557), x=-1, y=-1)


@pytest.mark.parametrize(
    "made",
    [
        px.Menu(
            title="t" * 32,
            prompt="ü<&>",
            soft_keys=(KEY,) * 8,
            items=(px.MenuItem(name="a" * 64, url="b" * 256),) * 100,
        ),
        px.Text(text="x" * 4000),
        px.Text(text=""),
        px.Input(url="http://a/", items=(px.InputItem(name="n", parameter="q", flags="PN", default="d"),) * 5),
        px.Directory(entries=(px.DirectoryEntry(name="n" * 32, telephone="1" * 32),) * 32),
        px.Image(bitmap=px.Bitmap(width=133, height=65, data=bytes(2162), x=132, y=64)),
        px.GraphicMenu(bitmap=BITMAP, items=(px.MenuItem(name="a", url="b"),) * 12),
        px.IconMenu(
            items=(px.MenuItem(name="a", url="b", icon=9),) * 32,
            icons=(px.Icon(index=9, bitmap=px.Bitmap(width=16, height=10, data=bytes(40))),) * 10,
        ),
        px.ImageFile(url="http://a/", x=-1, y=167, keys=(px.KeyItem(key="NavUp", url="Dial:1"),) * 32),
        px.Execute(items=(px.ExecuteItem(url="http://a/", priority=2), *[px.ExecuteItem(url="Key:Services")] * 2)),
        px.Error(number=4),
        px.Status(bitmap=BITMAP, text="t" * 32, timer_s=60),
    ],
    ids=lambda made: type(made).__name__,
)
def test_objects_at_their_limits_follow_the_schema(made: px.Menu) -> None:
    validate(made.to_xml())


def test_the_menus_links_work(services: Site) -> None:
    links = [line.split("</URL>")[0] for line in services.get("/").body.decode().split("<URL>")[1:]]
    assert len(links) == 5
    assert all(services.get(link.removeprefix(services.url)).status == 200 for link in links)


def test_the_services_menu_points_to_the_phone_services(call_manager: Site) -> None:
    assert b"<URL>http://172.26.1.2/text</URL>" in call_manager.get(f"{CCMCIP}/getservicesmenu.asp").body


def test_the_form_is_answered(services: Site) -> None:
    assert b"<Text>5</Text>" in services.get("/answer?a=2&b=3").body
    for query in ("", "?a=x&b=1", "?a=1&b=" + "9" * 1000, "?a=²&b=1"):
        assert b"Two whole numbers" in services.get("/answer" + query).body


@contextmanager
def looking_up(call_manager: CallManager | None) -> Iterator[Site]:
    with serving(lambda site: web_host.app("web-1", emit=site.emit, call_manager=call_manager)) as site:
        yield site


def test_the_lookup_asks_the_call_manager_and_says_who_answered(call_manager: Site) -> None:
    with looking_up(CallManager(url=URL(f"{call_manager.url}{CCMCIP}/xmldirectorylist.asp"))) as site:
        response = site.get("/lookup?n=phone+4")
    assert (response.status, response.served_by) == (200, "web-1")
    assert px.root_of(response.body) == "CiscoIPPhoneText"
    assert b"2 in the directory of ccm-1." in response.body
    assert call_manager.events[-1]["path"] == f"{CCMCIP}/xmldirectorylist.asp"
    validate(response.body)


@pytest.mark.parametrize("path", [f"{CCMCIP}/xmldirectory.asp", "/nothing"])
def test_the_lookup_fails_where_the_call_manager_gives_no_directory(call_manager: Site, path: str) -> None:
    with looking_up(CallManager(url=URL(call_manager.url + path))) as site:
        assert site.get("/lookup").status == 502


def test_the_lookup_fails_at_once_where_the_call_manager_refuses_and_in_time_where_it_is_silent() -> None:
    silent = listener(HOST, 0)
    for port, within_s in ((1, 0.5), (silent.getsockname()[1], ASK_TIMEOUT_S + 1)):
        with looking_up(CallManager(url=URL(f"http://{HOST}:{port}/"))) as site:
            response = site.get("/lookup")
        assert response.status == 502
        assert response.elapsed_s < within_s
    silent.close()


def test_a_host_without_a_call_manager_says_so(services: Site) -> None:
    assert services.get("/lookup").status == 503


def test_a_call_manager_is_a_host_of_the_bed() -> None:
    bed = HostEnvironment.read("web-host", {"TESTBED_HOSTS": '{"ccm-1": "172.26.1.100"}'})
    assert CallManager.read({}, bed) is None
    assert CallManager.read({"TESTBED_CALL_MANAGER_URL": "http://ccm-1/x"}, bed) == CallManager(
        url=URL("http://172.26.1.100/x")
    )
    for url in ("http://203.0.113.9/x", "https://ccm-1/", "http://elsewhere/", "ccm-1", "http://ccm-1:x/"):
        with pytest.raises(UsageError, match="TESTBED_CALL_MANAGER_URL"):
            CallManager.read({"TESTBED_CALL_MANAGER_URL": url}, bed)


def test_refresh_asks_for_the_same_page_every_ten_seconds(services: Site) -> None:
    assert services.get("/refresh").refresh == (10.0, f"{services.url}/refresh")


def test_a_post_is_read(services: Site) -> None:
    assert b"<Text>5 bytes</Text>" in services.get("/post", method="POST", body=b"XML=a").body
    assert services.get("/post").status == 405
    assert services.get("/post", method="POST", body=bytes(100_000)).status == 413


@pytest.mark.parametrize("delay", ["31", "-1", "nan", "inf", "x"])
def test_a_slow_page_has_a_limit(services: Site, delay: str) -> None:
    assert services.get(f"/slow?s={delay}").status == 400


def test_bulk_is_as_large_as_asked_for(services: Site) -> None:
    assert len(services.get("/bulk?kb=3").body) == 3000


@pytest.mark.parametrize("size", ["0", "2001", "-1", "1.5", "x", "٣"])
def test_bulk_has_a_limit(services: Site, size: str) -> None:
    assert services.get(f"/bulk?kb={quote(size)}").status == 400


def test_errors_are_signed_too(services: Site) -> None:
    response = services.get("/no-such-page")
    assert (response.status, response.served_by) == (404, "web-1")


def test_the_directory_is_searched_by_name_and_number(call_manager: Site) -> None:
    page = f"{CCMCIP}/xmldirectorylist.asp"
    everyone = call_manager.get(page).body
    assert everyone.count(b"<DirectoryEntry>") == 32
    assert b"Records 1 to 32 of 40" in everyone
    found = call_manager.get(f"{page}?n=PHONE&t=1007").body
    assert found.count(b"<DirectoryEntry>") == 1
    assert b"<Telephone>1007</Telephone>" in found
    assert b"Records 0 to 0 of 0" in call_manager.get(f"{page}?n=nobody").body


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        (f"UserID=testbed&Password=testbed&devicename={DEVICE}", b"AUTHORIZED"),
        (f"UserID=testbed&Password=wrong&devicename={DEVICE}", b"UN-AUTHORIZED"),
        (f"UserID=nobody&Password=testbed&devicename={DEVICE}", b"UN-AUTHORIZED"),
        ("UserID=testbed&Password=testbed&devicename=other", b"UN-AUTHORIZED"),
        (f"UserID=nobody&devicename={DEVICE}", b"UN-AUTHORIZED"),
        ("", b"UN-AUTHORIZED"),
    ],
)
def test_a_push_is_authorized_by_name_password_and_device(call_manager: Site, query: str, answer: bytes) -> None:
    response = call_manager.get(f"{CCMCIP}/authenticate.asp?{query}")
    assert (response.status, response.body) == (200, answer)
    assert response.headers["content-type"].startswith("text/html")


def test_pages_are_reported_without_their_query_and_health_not_at_all(call_manager: Site) -> None:
    call_manager.events.clear()
    assert call_manager.get("/health").body == b"ok"
    call_manager.get(f"{CCMCIP}/authenticate.asp?Password=secret")
    (event,) = call_manager.events
    assert event == {
        "name": "PageServed",
        "client": "127.0.16.1",
        "method": "GET",
        "path": f"{CCMCIP}/authenticate.asp",
        "status": 200,
        "forwarded_for": None,
    }


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def curl(*arguments: str) -> str:
    return subprocess.run(["curl", "-s", "-m", "5", *arguments], check=True, capture_output=True, text=True).stdout


@needs_curl
def test_curl_sees_status_type_and_signature(services: Site) -> None:
    head = curl("-D", "-", "-o", "/dev/null", services.url + "/text").replace("\r", "")
    assert head.startswith("HTTP/1.1 200 OK\n")
    assert "\nContent-Type: text/xml\n" in head
    assert "\nX-Served-By: web-1\n" in head


@needs_curl
def test_links_use_the_address_that_was_asked_for(services: Site) -> None:
    assert "<URL>http://172.26.1.2/text</URL>" in curl("-H", "Host: 172.26.1.2", services.url + "/")
    status = curl("-o", "/dev/null", "-w", "%{http_code}", "-H", "Host: <b>", services.url + "/")
    assert status == "400"


@needs_curl
def test_the_forwarded_address_is_reported(services: Site) -> None:
    services.events.clear()
    curl("-H", "X-Forwarded-For: 172.26.16.1", services.url + "/idle")
    assert services.events[0]["forwarded_for"] == "172.26.16.1"


def test_the_web_host_runs_marks_and_ends_in_order() -> None:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = str(probe.getsockname()[1])
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "TESTBED_HOST": "web-1",
        "TESTBED_ADDRESS": HOST,
        "TESTBED_HTTP_PORT": port,
        "TESTBED_RESPONSE_DSCP": "AF31",
    }
    command = [sys.executable, "-m", "testbed.roles.web_host"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        assert (started["name"], started["host"], started["role"]) == ("RoleStarted", "web-1", "web-host")
        assert Site(int(port)).get("/text").status == 200
        assert json.loads(process.stdout.readline())["name"] == "PageServed"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


@pytest.mark.parametrize(
    ("variable", "value"),
    [("TESTBED_RESPONSE_DSCP", "AF99"), ("TESTBED_HTTP_PORT", "web"), ("TESTBED_ADDRESS", "192.0.2.1")],
)
def test_a_wrong_setting_ends_the_web_host_with_one_line(variable: str, value: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TESTBED_ADDRESS": HOST, "TESTBED_HTTP_PORT": "0"}
    command = [sys.executable, "-m", "testbed.roles.web_host"]
    done = subprocess.run(command, env={**environment, variable: value}, capture_output=True, text=True, timeout=20)
    assert done.returncode != 0
    assert done.stderr.startswith("web-host: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_marked_listener_gives_its_mark_to_connections() -> None:
    with listener(HOST, 0, tos=104) as sock, socket.create_connection(sock.getsockname()):
        connection, _ = sock.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 104
