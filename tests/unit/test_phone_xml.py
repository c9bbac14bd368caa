"""CiscoIPPhone objects: limits, escaping, and the root element of hostile documents."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed import phone_xml as px
from testbed.bounded_xml import XmlError
from testbed.errors import LocalProtocolError

ITEM = px.MenuItem(name="a", url="http://a/")
PAGE = px.ExecuteItem(url="http://a/")
URI = px.ExecuteItem(url="Key:Services")


@pytest.mark.parametrize(
    "build",
    [
        lambda: px.Menu(title="x" * 33),
        lambda: px.Menu(prompt="x" * 33),
        lambda: px.Menu(items=(ITEM,) * 101),
        lambda: px.MenuItem(name="x" * 65, url=""),
        lambda: px.MenuItem(name="", url="x" * 257),
        lambda: px.MenuItem(name="", url="", icon=10),
        lambda: px.SoftKey(name="a", position=9, url=""),
        lambda: px.Menu(soft_keys=(px.SoftKey(name="a", position=1, url=""),) * 9),
        lambda: px.Text(text="x" * 4001),
        lambda: px.Text(text="bell \a"),
        lambda: px.Input(url=""),
        lambda: px.InputItem(name="a", parameter=""),
        lambda: px.InputItem(name="a", parameter="a", flags="Q"),
        lambda: px.Input(url="http://a/", items=(px.InputItem(name="a", parameter="a"),) * 6),
        lambda: px.Directory(entries=(px.DirectoryEntry(name="a", telephone="1"),) * 33),
        lambda: px.DirectoryEntry(name="a", telephone="1" * 33),
        lambda: px.Image(bitmap=px.Bitmap(width=134, height=1, data=b"")),
        lambda: px.Image(bitmap=px.Bitmap(width=1, height=66, data=b"")),
        lambda: px.Image(bitmap=px.Bitmap(width=1, height=1, depth=3, data=b"")),
        lambda: px.Image(bitmap=px.Bitmap(width=1, height=1, data=bytes(2163))),
        lambda: px.GraphicMenu(bitmap=px.Bitmap(width=1, height=1, data=b""), items=(ITEM,) * 13),
        lambda: px.Execute(items=()),
        lambda: px.Execute(items=(URI,) * 4),
        lambda: px.Execute(items=(PAGE, PAGE)),
        lambda: px.ExecuteItem(url="Key:Services", priority=3),
        lambda: px.Response(items=(px.ResponseItem(url="x" * 257),)),
        lambda: px.Error(number=-1),
        lambda: px.Status(bitmap=px.Bitmap(width=107, height=1, data=b"")),
    ],
)
def test_an_object_beyond_its_limits_cannot_be_built(build: Callable[[], object]) -> None:
    with pytest.raises(LocalProtocolError, match=r"allowed|cannot stand|more than|'Q'"):
        build()


def test_an_object_at_its_limits_can_be_built() -> None:
    menu = px.Menu(title="x" * 32, items=(px.MenuItem(name="x" * 64, url="x" * 256),) * 100)
    assert px.root_of(menu.to_xml()) == "CiscoIPPhoneMenu"
    assert px.root_of(px.Text(text="x" * 4000).to_xml()) == "CiscoIPPhoneText"
    assert px.root_of(px.Execute(items=(PAGE, URI, URI)).to_xml()) == "CiscoIPPhoneExecute"


def test_markup_and_other_alphabets_come_back_as_they_were() -> None:
    document = px.Menu(title="<Zoë & Ω>", items=(px.MenuItem(name="a", url='http://a/?b="1"&c=2'),)).to_xml()
    assert document.isascii()
    parsed = ET.fromstring(document)
    assert parsed.findtext("Title") == "<Zoë & Ω>"
    assert parsed.findtext("MenuItem/URL") == 'http://a/?b="1"&c=2'


def test_execute_and_response_items_are_attributes() -> None:
    assert px.Execute(items=(PAGE,)).to_xml() == (
        b'<CiscoIPPhoneExecute><ExecuteItem Priority="0" URL="http://a/" /></CiscoIPPhoneExecute>'
    )
    assert px.Response(items=(px.ResponseItem(url="Key:Services", data="Success"),)).to_xml() == (
        b'<CiscoIPPhoneResponse><ResponseItem Status="0" Data="Success" URL="Key:Services" /></CiscoIPPhoneResponse>'
    )
    assert px.Error(number=4).to_xml() == b'<CiscoIPPhoneError Number="4" />'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html><br></html>",
        b"<a/><b/>",
        b"<!DOCTYPE a><a/>",
        b"<a>" * 1000,
        b"x" * 2_000_000,
        b"\xff\xfe\0",
        b"<a b='1' b='2'/>",
    ],
)
def test_garbage_has_no_root(content: bytes) -> None:
    with pytest.raises(XmlError):
        px.root_of(content)


@given(st.binary(max_size=200))
def test_no_bytes_make_root_of_raise_anything_else(content: bytes) -> None:
    with contextlib.suppress(XmlError):
        assert px.root_of(content)
