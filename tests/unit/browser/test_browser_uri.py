from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.browser.uri import BadUri, Stream, Uri, is_page, parse_uri, stream_of


@pytest.mark.parametrize(
    ("text", "stream"),
    [
        ("RTPRx:10.0.0.1:20480:50", Stream(scheme="RTPRx", address="10.0.0.1", port=20480, volume_percent=50)),
        ("RTPRx:10.0.0.1", Stream(scheme="RTPRx", address="10.0.0.1")),
        ("rtptx:10.0.0.1:32768", Stream(scheme="RTPTx", address="10.0.0.1", port=32768)),
        ("RTPMRx:239.1.1.1:20480", Stream(scheme="RTPMRx", address="239.1.1.1", port=20480)),
        ("RTPMTx:Stop", Stream(scheme="RTPMTx", is_stop=True)),
    ],
)
def test_streams_are_read(text: str, stream: Stream) -> None:
    assert stream_of(parse_uri(text)) == stream


@pytest.mark.parametrize(
    "text",
    [
        "RTPRx:10.0.0.1:20479",
        "RTPRx:10.0.0.1:20481",
        "RTPRx:10.0.0.1:32770",
        "RTPRx:10.0.0.1:20480:101",
        "RTPRx:host:20480",
        "RTPRx:239.1.1.1:20480",
        "RTPMRx:10.0.0.1:20480",
        "RTPTx:10.0.0.1",
        "RTPTx:10.0.0.1:20480:5",
        "RTPRx:",
        "Key:Nothing",
        "SoftKey:Nothing",
        "Init:Nothing",
        "Display:Dim",
        "Dial:",
        "Dial:one two",
        "Play:../a b",
        "Nothing:1",
        "Key",
        "Dial:" + "1" * 300,
    ],
)
def test_wrong_uris_are_refused(text: str) -> None:
    with pytest.raises(BadUri):
        parse_uri(text)


def test_scheme_is_kept_as_it_is_written_in_the_notes() -> None:
    assert str(parse_uri("dial:2001")) == "Dial:2001"
    assert parse_uri("Play:chime.raw") == Uri(scheme="Play", rest="chime.raw")


def test_what_is_no_uri_of_a_phone_is_a_page() -> None:
    assert is_page("http://h/")
    assert is_page("menu.xml")
    assert not is_page("RTPRx:Stop")


@given(st.text(max_size=80) | st.from_regex(r"(RTPRx|RTPTx|Key|Dial|Init):[0-9.:A-Za-z]{0,40}", fullmatch=True))
def test_no_text_raises_anything_but_bad_uri(text: str) -> None:
    with contextlib.suppress(BadUri):
        assert str(parse_uri(text)).lower() == text.strip().lower()
