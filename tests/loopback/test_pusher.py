"""The pusher against phones that answer, refuse, are silent, or are no phones."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web
from hostile_site import Hostile
from served_sites import serving

from testbed import phone_xml as px
from testbed.errors import UsageError
from testbed.roles.pusher import Pusher
from testbed.roles.site import site

PHONE = "SEP020000000001"


def push(url: str, **request: object) -> tuple[dict, list[tuple[str, dict]]]:
    events: list[tuple[str, dict]] = []
    address, port = url.removeprefix("http://").split(":")
    pusher = Pusher(lambda name, /, **data: events.append((name, data)), timeout_s=1.0, port=int(port))
    asked = {"to": {PHONE: address}, "urls": ["Play:a"], **request}
    return asyncio.run(pusher.push(asked)), events


def phone_that_answers(answer: px.PhoneObject, seen: list[str]):
    async def execute(request: web.Request) -> web.Response:
        seen.append(f"{request.headers['Authorization']} {(await request.post())['XML']}")
        return web.Response(body=answer.to_xml(), content_type="text/xml")

    def build(of):
        application = site("phone", of.emit)
        application.add_routes([web.post("/CGI/Execute", execute)])
        return application

    return build


def test_what_the_phone_answers_is_on_record() -> None:
    seen: list[str] = []
    answer = px.Response(items=(px.ResponseItem(url="Play:a", data="Success"),))
    with serving(phone_that_answers(answer, seen)) as phone:
        reply, events = push(phone.url, priority=2)
    assert [(name, data["answers"]) for name, data in events] == [("PushAnswered", ["Success"])]
    assert reply["results"][0]["ok"]
    assert seen[0].startswith('Basic dGVzdGJlZDp0ZXN0YmVk <CiscoIPPhoneExecute><ExecuteItem Priority="2"')


def test_a_phones_error_is_named_by_its_number() -> None:
    with serving(phone_that_answers(px.Error(number=4), [])) as phone:
        _, events = push(phone.url)
    assert [(name, data["error"]) for name, data in events] == [("PushFailed", "CiscoIPPhoneError 4")]


def test_what_is_no_phone_is_told_in_bounded_time() -> None:
    hostile = Hostile({"/CGI/Execute": "/silent"})
    began = time.monotonic()
    assert push(hostile.url)[1][0][1]["error"] == "timeout"
    assert time.monotonic() - began < 3
    for path, error in (("/large", "no answer of a phone"), ("/loop", "HTTP 302"), ("/doctype", "DOCTYPE")):
        name, data = push(Hostile({"/CGI/Execute": path}).url)[1][0]
        assert (name, error in data["error"]) == ("PushFailed", True), data


@pytest.mark.parametrize(
    "request_",
    [
        {"to": {}},
        {"to": "all"},
        {"urls": []},
        {"urls": ["a"] * 4},
        {"urls": [1]},
        {"priority": 3},
        {"urls": ["x" * 300]},
    ],
)
def test_a_wrong_request_is_refused(request_: dict) -> None:
    with pytest.raises(UsageError):
        push("http://127.0.0.1:1", **request_)
