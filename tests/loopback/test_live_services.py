"""Phones with their call control as processes: keys over the control socket, screens, pages that hurt, the idle page."""

from __future__ import annotations

import base64
import time

import pytest
from hostile_site import Hostile
from role_processes import Bed
from served_sites import serving

from testbed.roles import web_host

PHONES = 2
AILMENTS = {"/": "/large", "/text": "/endless", "/input": "/doctype", "/directory": "/deep", "/refresh": "/heads"}
"""What the call control's services menu links to, in its order, and what it gets there."""


@pytest.fixture(scope="module")
def hostile():
    return Hostile(AILMENTS)


@pytest.fixture(scope="module")
def standing(tmp_path_factory, hostile):
    bed = Bed(tmp_path_factory.mktemp("services"), phones=PHONES, idle_s=3600)
    try:
        yield bed, *bed.all_roles(TESTBED_SERVICES_URL=hostile.url)
    finally:
        bed.close()


def screen_of(reply):
    return {key: reply["screen"][key] for key in ("title", "object", "error")}


def test_screen_of_a_phone_nobody_uses_says_its_line_and_where_it_is_registered(standing):
    bed, _, _, phones = standing
    reply = phones.ask(op="screen", phone=bed.names[1])
    assert reply["screen"]["title"] == bed.names[1]
    assert reply["screen"]["lines"][1] == "registered at ccm-1"
    assert reply["screen"]["lines"][0].startswith("Line ")
    assert reply["picture"] is None


def test_feature_keys_fetch_what_the_configuration_file_names(standing):
    bed, first, _, phones = standing
    for key, title in (("Services", "Services"), ("Directories", "Directories"), ("Messages", "Messages")):
        reply = phones.ask(op="keys", phone=bed.names[0], keys=[key])
        assert screen_of(reply)["title"] == title
        assert reply["results"][0]["ok"]
    before = len(first.seen("PageServed"))
    reply = phones.ask(op="keys", phone=bed.names[0], keys=["Settings"])
    assert f"Device: {bed.names[0]}" in reply["screen"]["lines"]
    assert len(first.seen("PageServed")) == before


def test_form_of_the_directory_is_filled_in_and_its_entry_dialled(standing):
    bed, _, _, phones = standing
    keys = ["Directories", "1", "=phone 3", "Down", "=103", "Submit", "Down", "Dial"]
    reply = phones.ask(op="keys", phone=bed.names[0], keys=keys)
    assert screen_of(reply) == {"title": "Directory Search", "object": "CiscoIPPhoneDirectory", "error": ""}
    assert reply["screen"]["lines"][1] == "2 Phone 31  1031"
    event = phones.await_events(1, "UriPerformed", phone=bed.names[0])[0]
    assert event["uri"] == "Dial:1031"
    phones.await_events(1, "KeyPressed", phone=bed.names[0], key="Dial")
    assert [e["key"] for e in phones.seen("KeyPressed", phone=bed.names[0])][-8:] == keys
    phones.await_events(1, "CallBegun", phone=bed.names[0], direction="out")
    phones.ask(op="keys", phone=bed.names[0], keys=["on-hook"])


@pytest.mark.parametrize(
    ("digit", "error"),
    [
        ("1", "Data too large!"),
        ("2", "HTTP Error [10]: Connection Failed"),
        ("3", "XML Error [4]: Parse Error"),
        ("4", "XML Error [4]: Parse Error"),
        ("5", "HTTP Error [10]: Connection Failed"),
    ],
)
def test_a_page_that_hurts_is_an_error_on_the_screen_and_the_phone_keeps_its_registration(standing, digit, error):
    bed, _, _, phones = standing
    registered = len(phones.seen("Registered"))
    began_s = time.monotonic()
    reply = phones.ask(op="keys", phone=bed.names[0], keys=["Services", digit])
    assert time.monotonic() - began_s < 8
    assert screen_of(reply) == {"title": "Services", "object": "CiscoIPPhoneMenu", "error": error}
    assert reply["screen"]["detail"]
    rows = phones.ask(op="ls")["phones"]
    assert {row["registered_at"] for row in rows} == {"ccm-1"}
    assert len(phones.seen("Registered")) == registered


def test_wrong_keys_are_named_and_press_nothing(standing):
    bed, _, _, phones = standing
    assert "no key 'Selekt'" in phones.ask(op="keys", phone=bed.names[0], keys=["Selekt"])["error"]
    assert "a list of 1 to 20" in phones.ask(op="keys", phone=bed.names[0], keys=[])["error"]
    assert "no phone" in phones.ask(op="screen", phone="SEP000000000000")["error"]


def test_a_reset_phone_has_forgotten_its_page(standing):
    bed, first, _, phones = standing
    phone = bed.names[1]
    phones.ask(op="keys", phone=phone, keys=["Messages"])
    registered = len(phones.seen("Registered", phone=phone))
    first.ask(op="reset", phones=[phone])
    phones.await_events(registered + 1, "Registered", phone=phone)
    assert screen_of(phones.ask(op="screen", phone=phone)) == {"title": phone, "object": "", "error": ""}


def test_idle_page_shows_until_a_key_is_pressed(tmp_path):
    bed = Bed(tmp_path, phones=1, idle_s=1)
    try:
        _, _, phones = bed.all_roles()
        phones.await_events(1, "UrlAnswered", url_name="idle")
        deadline = time.monotonic() + 5
        while phones.ask(op="screen", phone=bed.names[0])["screen"]["title"] != "Messages":
            assert time.monotonic() < deadline
        reply = phones.ask(op="keys", phone=bed.names[0], keys=["Down"])
        assert reply["screen"]["title"] == bed.names[0]
    finally:
        bed.close()


def test_picture_comes_with_the_screen(tmp_path):
    with serving(lambda site: web_host.app("web-1", emit=site.emit)) as site:
        bed = Bed(tmp_path, phones=1)
        try:
            _, _, phones = bed.all_roles(TESTBED_SERVICES_URL=site.url)
            reply = phones.ask(op="keys", phone=bed.names[0], keys=["Services", "1", "4"])
            assert reply["screen"]["has_picture"]
            assert base64.b64decode(reply["picture"])[:4] == b"\x89PNG"
        finally:
            bed.close()
