"""Pushes to a live phone: who may, what it does, what it answers; its own pages; whoever sends nonsense."""

from __future__ import annotations

import contextlib
import socket
import time
from xml.etree import ElementTree as ET

import pytest
import requests
from role_processes import Bed
from served_sites import validate

from testbed import phone_xml as px
from testbed.bounded_xml import parse_xml
from testbed.browser.limits import findings
from testbed.browser.model import DEFAULT_MODEL
from testbed.roles.phone_server import MAX_CONNECTIONS

GOOD = ("testbed", "testbed")


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    bed = Bed(tmp_path_factory.mktemp("push"), phones=1, idle_s=3600)
    try:
        yield bed, *bed.all_roles()
    finally:
        bed.close()


def push(bed, *urls, auth=GOOD, priority=0):
    body = px.Execute(items=tuple(px.ExecuteItem(url=url, priority=priority) for url in urls)).to_xml()
    return post(bed, data={"XML": body.decode()}, auth=auth)


def post(bed, **more):
    return requests.post(f"http://127.1.0.1:{bed.phone_port}/CGI/Execute", timeout=15, **more)


def data_of(response):
    return [item.attrib["Data"] for item in ET.fromstring(response.content)]


def ask_page(bed, path):
    return requests.get(f"http://127.1.0.1:{bed.phone_port}/{path}", auth=GOOD, timeout=15)


def test_authorised_push_is_executed_after_the_authentication_url_was_asked(standing):
    bed, first, _, phones = standing
    asked = len(first.seen("PageServed", path="/CCMCIP/authenticate.asp"))
    url = f"http://{'127.0.1.100'}:{bed.http_port}/CCMCIP/messages.asp"
    response = push(bed, url, "Play:chime.raw", "Key:VolUp")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == 'text/xml; charset="utf-8"'
    assert data_of(response) == ["Success"] * 3
    assert len(first.seen("PageServed", path="/CCMCIP/authenticate.asp")) == asked + 1
    event = phones.await_events(1, "PushExecuted", phone=bed.names[0])[0]
    assert event["items"] == [url, "Play:chime.raw", "Key:VolUp"]
    phones.await_events(1, "UrlAnswered", url_name="page")
    assert [e["uri"] for e in phones.seen("UriPerformed")] == ["Play:chime.raw", "Key:VolUp"]
    deadline = time.monotonic() + 5
    while phones.ask(op="screen", phone=bed.names[0])["screen"]["title"] != "Messages":
        assert time.monotonic() < deadline


def test_wrong_password_is_error_4_and_nothing_is_executed(standing):
    bed, _, _, phones = standing
    executed, refused = len(phones.seen("PushExecuted")), len(phones.seen("PushRefused"))
    response = push(bed, "Play:666", auth=("testbed", "wrong"))
    assert (response.status_code, response.content) == (200, b'<CiscoIPPhoneError Number="4" />')
    event = phones.await_events(refused + 1, "PushRefused")[-1]
    assert (event["error"], event["reason"]) == (4, "authentication URL: not authorized")
    assert len(phones.seen("PushExecuted")) == executed
    assert "Play:666" not in [e["uri"] for e in phones.seen("UriPerformed")]


def test_push_without_credentials_is_asked_for_them(standing):
    bed, *_ = standing
    for headers in ({}, {"Authorization": "Basic %%%"}, {"Authorization": "Bearer x"}):
        response = post(bed, data={"XML": "<a/>"}, headers=headers)
        assert (response.status_code, response.headers["WWW-Authenticate"][:5]) == (401, "Basic")


@pytest.mark.parametrize(
    "body",
    [
        b"XML=",
        b"XML=%3CCiscoIPPhoneExecute/%3E",
        b"nothing=here",
        b"XML=<!DOCTYPE a [<!ENTITY a 'b'>]><CiscoIPPhoneExecute/>",
        b"XML=" + b"<a>" * 1000,
        b'XML=<CiscoIPPhoneExecute><ExecuteItem URL="http://a/"/><ExecuteItem URL="http://b/"/></CiscoIPPhoneExecute>',
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_push_is_error_1(standing, body):
    bed, *_ = standing
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert post(bed, data=body, auth=GOOD, headers=headers).content == b'<CiscoIPPhoneError Number="1" />'


def test_a_push_too_large_or_never_whole_costs_the_phone_nothing(standing):
    bed, _, _, phones = standing
    assert post(bed, data=b"XML=" + b"x" * 200_000, auth=GOOD).status_code == 413
    head = b"POST /CGI/Execute HTTP/1.1\r\nHost: a\r\nAuthorization: Basic dGVzdGJlZDp0ZXN0YmVk\r\nContent-Length: 100\r\n\r\nX"
    with socket.create_connection(("127.1.0.1", bed.phone_port), timeout=10) as slow:
        slow.sendall(head)
        assert b" 408 " in slow.recv(1000)
    assert {row["registered_at"] for row in phones.ask(op="ls")["phones"]} == {"ccm-1"}


def test_bare_xml_and_a_page_pushed_as_it_is_are_taken_too(standing):
    bed, _, _, phones = standing
    page = px.Text(title="Alert", text="Fire drill").to_xml()
    assert data_of(post(bed, data=b"XML=" + page, auth=GOOD, headers={"Content-Type": "text/xml"})) == ["Success"]
    assert phones.ask(op="screen", phone=bed.names[0])["screen"]["title"] == "Alert"
    status = px.Status(text="busy", bitmap=px.Bitmap(width=4, height=1, data=b"\x2d")).to_xml()
    assert data_of(post(bed, data={"XML": status.decode()}, auth=GOOD)) == ["Success"]
    assert "status: busy" in phones.ask(op="screen", phone=bed.names[0])["screen"]["notices"]


def test_priority_2_is_refused_while_a_page_shows_and_1_waits_for_the_end_of_it(standing):
    bed, _, _, phones = standing
    url = f"http://127.0.1.100:{bed.http_port}/CCMCIP/getservicesmenu.asp"
    phones.ask(op="keys", phone=bed.names[0], keys=["Settings"])
    assert data_of(push(bed, url, priority=2)) == ["Failure: not idle"]
    assert data_of(push(bed, url, priority=1)) == ["Success"]
    assert phones.ask(op="screen", phone=bed.names[0])["screen"]["title"] == "Settings"
    assert phones.ask(op="keys", phone=bed.names[0], keys=["Exit"])["screen"]["title"] == "Services"
    phones.ask(op="keys", phone=bed.names[0], keys=["Exit"])


def test_screenshot_is_an_image_of_the_display_that_follows_the_schema(standing):
    bed, _, _, phones = standing
    phones.ask(op="keys", phone=bed.names[0], keys=["Settings"])
    shown = ask_page(bed, "CGI/Screenshot")
    root = parse_xml(shown.content)
    assert root.name == "CiscoIPPhoneImage"
    assert findings(root, DEFAULT_MODEL) == []
    pixels = bytes.fromhex(root.text_of("Data"))
    phones.ask(op="keys", phone=bed.names[0], keys=["Exit"])
    assert bytes.fromhex(parse_xml(ask_page(bed, "CGI/Screenshot").content).text_of("Data")) != pixels
    assert requests.get(f"http://127.1.0.1:{bed.phone_port}/CGI/Screenshot", timeout=5).status_code == 401
    validate(shown.content)


def test_pages_about_the_phone_say_what_it_is_and_what_it_read(standing):
    bed, *_ = standing
    device = ET.fromstring(ask_page(bed, "DeviceInformationX").content)
    assert (device.findtext("HostName"), device.findtext("modelNumber")) == (bed.names[0], "CP-7941G")
    network = ET.fromstring(ask_page(bed, "NetworkConfigurationX").content)
    assert (network.findtext("IPAddress"), network.findtext("CallManager2")) == ("127.1.0.1", "127.0.1.101")
    assert network.findtext("AuthenticationURL", "").endswith("/CCMCIP/authenticate.asp")
    assert ET.fromstring(ask_page(bed, "StreamingStatisticsX").content).findtext("StreamStatus") == "Not Ready"
    assert bed.names[0] in ask_page(bed, "DeviceInformation").text
    assert ask_page(bed, "nothing").status_code == 404


def test_push_dies_with_the_authentication_url_though_phone_and_sender_live(tmp_path):
    bed = Bed(tmp_path, phones=1)
    try:
        first, _, phones = bed.all_roles()
        assert data_of(push(bed, "Play:1")) == ["Success"]
        first.kill()
        phones.await_events(1, "Rehomed", to="ccm-bk")
        began = time.monotonic()
        assert push(bed, "Play:2").content == b'<CiscoIPPhoneError Number="4" />'
        assert time.monotonic() - began < 6
        event = phones.await_events(1, "PushRefused")[0]
        assert "authentication URL: connection refused" in event["reason"]
        assert phones.seen("UrlFailed", url_name="authentication")
    finally:
        bed.close()


def test_connections_that_ask_for_nothing_are_few_and_end(standing):
    bed, _, _, phones = standing
    asked, page = requests.Session(), f"http://127.1.0.1:{bed.phone_port}/DeviceInformationX"
    assert asked.get(page, timeout=15).status_code == 200
    silent = [socket.create_connection(("127.1.0.1", bed.phone_port), timeout=15) for _ in range(MAX_CONNECTIONS)]
    try:
        silent[0].sendall(b"POST /CGI/Execute HTTP/1.1\r\n")
        with pytest.raises(requests.ConnectionError):
            push(bed, "Play:a")
        assert [_rest(sock) for sock in silent] == [b""] * len(silent)
        assert data_of(push(bed, "Play:a")) == ["Success"]
        # Who asked before goes on with its connection.
        before = asked.adapters["http://"].poolmanager.connection_from_url(page).num_connections
        assert asked.get(page, timeout=15).status_code == 200
        assert asked.adapters["http://"].poolmanager.connection_from_url(page).num_connections == before
    finally:
        for sock in [asked, *silent]:
            sock.close()
    assert {row["registered_at"] for row in phones.ask(op="ls")["phones"]} == {"ccm-1"}


def _rest(sock):
    with contextlib.suppress(ConnectionResetError):
        return sock.recv(100)
    return b""


def test_a_push_dials_and_pages_for_an_idle_phone_wait_for_the_end_of_the_call(tmp_path):
    bed = Bed(tmp_path, phones=2)
    try:
        _, _, phones = bed.all_roles()
        assert data_of(push(bed, "Dial:1002")) == ["Success"]
        phones.await_events(2, "CallConnected")
        url = f"http://127.0.1.100:{bed.http_port}/CCMCIP/messages.asp"
        assert data_of(push(bed, url, "Dial:1002", "RTPTx:127.0.0.1:24000")) == [
            "Success",
            "Failure: cannot dial",
            "Failure: in a call",
        ]
        phones.await_events(1, "UrlAnswered", url_name="page")
        phones.ask(op="keys", phone=bed.names[0], keys=["Exit"])
        assert data_of(push(bed, url, priority=2)) == ["Failure: not idle"]
        assert data_of(push(bed, url, priority=1)) == ["Success"]
        shown = phones.ask(op="screen", phone=bed.names[0])["screen"]
        assert (shown["object"], len(phones.seen("UrlAnswered", url_name="page"))) == ("Call", 1)
        phones.ask(op="keys", phone=bed.names[0], keys=["on-hook"])
        phones.await_events(2, "UrlAnswered", url_name="page")
    finally:
        bed.close()
