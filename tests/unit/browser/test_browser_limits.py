"""The table of limits: each one exactly at its edge, the place of what is wrong, and what differs between models."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed import phone_xml as px
from testbed.bounded_xml import XmlError, parse_xml
from testbed.browser.limits import OBJECTS, findings
from testbed.browser.model import MODELS, model_named
from testbed.browser.read import PARSE_ERROR, TOO_LARGE, UNSUPPORTED, PageError, read_object, read_page
from testbed.errors import UsageError

FIRST, STRICT = MODELS["7960"], MODELS["7941"]
ITEM = "<MenuItem><Name>{}</Name><URL>{}</URL></MenuItem>"
IMAGE = "<Width>{}</Width><Height>{}</Height><Depth>{}</Depth><Data>{}</Data>"
URL = "http://h/" + "x" * 247


def document(kind: str, inside: str, attributes: str = "") -> bytes:
    return f"<CiscoIPPhone{kind}{attributes}>{inside}</CiscoIPPhone{kind}>".encode()


def problems(content: bytes, model=STRICT) -> list[str]:
    return [f"{f.path}: {f.message}" for f in findings(parse_xml(content), model) if not f.is_warning]


AT_AND_OVER = {
    "title": ("Menu", "<Title>{}</Title>", "x" * 32, "x" * 33),
    "prompt": ("Menu", "<Prompt>{}</Prompt>", "x" * 32, "x" * 33),
    "menu items": ("Menu", "{}", ITEM.format("a", "") * 100, ITEM.format("a", "") * 101),
    "menu name": ("Menu", ITEM.format("{}", ""), "x" * 64, "x" * 65),
    "menu url": ("Menu", ITEM.format("a", "{}"), URL, URL + "x"),
    "text": ("Text", "<Text>{}</Text>", "x" * 4000, "x" * 4001),
    "entries": ("Directory", "{}", "<DirectoryEntry/>" * 32, "<DirectoryEntry/>" * 33),
    "telephone": ("Directory", "<DirectoryEntry><Telephone>{}</Telephone></DirectoryEntry>", "1" * 32, "1" * 33),
    "position": (
        "Text",
        "<SoftKeyItem><Name>a</Name><Position>{}</Position></SoftKeyItem>",
        "8",
        "9",
    ),
    "soft keys": (
        "Text",
        "{}",
        "<SoftKeyItem><Position>1</Position></SoftKeyItem>" * 8,
        "<SoftKeyItem><Position>1</Position></SoftKeyItem>" * 9,
    ),
    "fields": (
        "Input",
        "<URL>http://h/</URL>{}",
        "<InputItem><QueryStringParam>a</QueryStringParam><InputFlags>A</InputFlags></InputItem>" * 5,
        "<InputItem><QueryStringParam>a</QueryStringParam><InputFlags>A</InputFlags></InputItem>" * 6,
    ),
    "flags": (
        "Input",
        "<URL>http://h/</URL><InputItem><QueryStringParam>a</QueryStringParam><InputFlags>{}</InputFlags></InputItem>",
        "PU",
        "X",
    ),
    "width": ("Image", IMAGE.format("{}", 1, 1, ""), "133", "134"),
    "height": ("Image", IMAGE.format(1, "{}", 1, ""), "65", "66"),
    "depth": ("Image", IMAGE.format(1, 1, "{}", ""), "2", "3"),
    "data": ("Image", IMAGE.format(133, 65, 2, "{}"), "00" * 2162, "00" * 2163),
    "hex": ("Image", IMAGE.format(4, 1, 2, "{}"), "2d", "2 d"),
    "x": ("Image", "<LocationX>{}</LocationX>" + IMAGE.format(1, 1, 1, ""), "-1", "-2"),
    "graphic items": ("GraphicMenu", IMAGE.format(1, 1, 1, "") + "{}", "<MenuItem/>" * 12, "<MenuItem/>" * 13),
    "icon items": ("IconMenu", "{}", "<MenuItem/>" * 32, "<MenuItem/>" * 33),
    "icons": (
        "IconMenu",
        "{}",
        ("<IconItem><Index>1</Index>" + IMAGE.format(16, 10, 2, "00" * 40) + "</IconItem>") * 10,
        ("<IconItem><Index>1</Index>" + IMAGE.format(16, 10, 2, "00" * 40) + "</IconItem>") * 11,
    ),
    "icon width": ("IconMenu", "<IconItem><Index>1</Index>" + IMAGE.format("{}", 1, 1, "") + "</IconItem>", "16", "17"),
    "icon index": ("IconMenu", "<MenuItem><IconIndex>{}</IconIndex></MenuItem>", "9", "10"),
    "execute items": ("Execute", "{}", '<ExecuteItem URL="Key:Info"/>' * 3, '<ExecuteItem URL="Key:Info"/>' * 4),
    "priority": ("Execute", '<ExecuteItem URL="Key:Info" Priority="{}"/>', "2", "3"),
    "pages": ("Execute", '<ExecuteItem URL="http://h/"/>{}', "", '<ExecuteItem URL="http://h/b"/>'),
    "status width": ("Status", IMAGE.format("{}", 1, 1, ""), "106", "107"),
    "status data": ("Status", IMAGE.format(106, 21, 2, "{}"), "00" * 557, "00" * 558),
}


@pytest.mark.parametrize("case", AT_AND_OVER)
def test_a_limit_holds_exactly_at_its_edge(case: str) -> None:
    kind, inside, at, over = AT_AND_OVER[case]
    assert problems(document(kind, inside.replace("{}", at))) == []
    assert len(problems(document(kind, inside.replace("{}", over)))) == 1


def test_the_table_knows_every_object_of_the_schema() -> None:
    assert len(OBJECTS) == 15
    for kind in ("Menu", "Text", "Input", "Directory", "Image", "GraphicMenu", "IconMenu", "Execute", "Response"):
        assert f"CiscoIPPhone{kind}" in OBJECTS


def test_a_finding_names_line_and_column_of_the_element_it_is_about() -> None:
    content = b"<CiscoIPPhoneMenu>\n <MenuItem>\n  <Name>" + b"x" * 65 + b"</Name>\n </MenuItem>\n</CiscoIPPhoneMenu>"
    (finding,) = findings(parse_xml(content), STRICT)
    assert (finding.line, finding.column, finding.path) == (3, 3, "CiscoIPPhoneMenu/MenuItem[1]/Name")


def test_what_the_first_parser_lets_pass_is_an_error_for_those_that_check_the_schema() -> None:
    soft_key = document("Text", "<SoftKeyItem><Name>a</Name><URL>SoftKey:Exit</URL></SoftKeyItem><Text>a</Text>")
    assert problems(soft_key, FIRST) == []
    assert problems(soft_key, STRICT) == ["CiscoIPPhoneText/SoftKeyItem[1]/Position: missing"]
    form = document("Input", "<Title>a</Title>")
    assert problems(form, FIRST) == []
    assert problems(form, STRICT) == ["CiscoIPPhoneInput/URL: missing"]


def test_models_differ_in_the_objects_they_know() -> None:
    image = document("Image", IMAGE.format(4, 1, 2, "2D"))
    file = document("ImageFile", "<URL>http://h/a.png</URL>")
    assert (problems(image, FIRST), problems(file, STRICT)) == ([], [])
    for content, model in ((image, MODELS["7912"]), (file, FIRST)):
        assert "has no such object" in problems(content, model)[0]
        with pytest.raises(PageError) as caught:
            read_object(content, model)
        assert caught.value.shown == UNSUPPORTED


def test_doubts_are_warnings_and_keep_no_phone_from_showing_the_page() -> None:
    content = document(
        "Menu", ITEM.format("a", "RTPRx:10.0.0.1:20481") + ITEM.format("b", "page.xml") + "<Colour/><Title>t</Title>"
    )
    found = findings(parse_xml(content), STRICT)
    assert [f.is_warning for f in found] == [True] * 4
    assert "even number" in found[0].message
    assert isinstance(read_object(content, STRICT), px.Menu)


def test_picture_larger_than_the_display_or_than_its_data_is_doubted() -> None:
    content = document("Image", IMAGE.format(133, 65, 2, "00"))
    messages = [f.message for f in findings(parse_xml(content), MODELS["7920"])]
    assert [m.split(":")[0] for m in messages] == [
        "133 x 65",
        "2 bits a pixel",
        "1 bytes for 133 x 65 pixels of 2 bits",
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE a [<!ENTITY a 'b'>]><CiscoIPPhoneText><Text>&a;</Text></CiscoIPPhoneText>",
        b"<CiscoIPPhoneText>" * 40,
        b"<CiscoIPPhoneMenu>" + b"<MenuItem/>" * 10_001 + b"</CiscoIPPhoneMenu>",
        b"<html/>",
        b"<CiscoIPPhoneText><Text><b>bold</b></Text></CiscoIPPhoneText>",
        b"<ciscoipphonetext/>",
        b"\xff\xfe",
        b"",
    ],
    ids=["doctype", "deep", "many", "html", "markup", "case", "bytes", "empty"],
)
def test_what_is_no_object_is_a_parse_error(content: bytes) -> None:
    with pytest.raises(PageError) as caught:
        read_page(content, "text/xml", STRICT)
    assert caught.value.shown == PARSE_ERROR


def test_a_page_of_the_largest_size_is_read_and_one_byte_more_is_not() -> None:
    assert isinstance(read_page(b"a" * 196_608, "text/plain", STRICT), px.Text)
    with pytest.raises(PageError) as caught:
        read_page(b"a" * 196_609, "text/xml", STRICT)
    assert caught.value.shown == TOO_LARGE


def test_other_text_shows_as_it_came_and_anything_else_is_an_error() -> None:
    page = read_page(b"<html>\x1b[2J</html>", "text/html; charset=utf-8", STRICT)
    assert isinstance(page, px.Text)
    assert page.text == "<html>?[2J</html>"
    for kind in ("image/png", "application/octet-stream", ""):
        with pytest.raises(PageError, match="neither XML nor text"):
            read_page(b"<CiscoIPPhoneText/>", kind, STRICT)


WORDS = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=32)
KEYS = st.lists(st.builds(lambda n, u: px.SoftKey(name=n, position=3, url=u), WORDS, WORDS), max_size=8).map(tuple)
FRAME = {"title": WORDS, "prompt": WORDS, "soft_keys": KEYS}
BITMAPS = st.builds(px.Bitmap, width=st.integers(1, 16), height=st.integers(1, 10), data=st.binary(max_size=40))
ITEMS = st.lists(st.builds(px.MenuItem, name=WORDS, url=WORDS), max_size=12).map(tuple)
PAGES = st.one_of(
    st.builds(px.Menu, items=ITEMS, **FRAME),
    st.builds(px.Text, text=WORDS, **FRAME),
    st.builds(px.Image, bitmap=BITMAPS, **FRAME),
    st.builds(px.GraphicMenu, bitmap=BITMAPS, items=ITEMS, **FRAME),
    st.builds(
        px.IconMenu,
        items=ITEMS,
        icons=st.lists(st.builds(px.Icon, index=st.integers(0, 9), bitmap=BITMAPS), max_size=10).map(tuple),
        **FRAME,
    ),
    st.builds(
        px.Directory,
        entries=st.lists(st.builds(px.DirectoryEntry, name=WORDS, telephone=WORDS), max_size=32).map(tuple),
        **FRAME,
    ),
    st.builds(
        px.Input,
        url=WORDS.filter(bool),
        items=st.lists(
            st.builds(
                px.InputItem, name=WORDS, parameter=WORDS.filter(bool), flags=st.sampled_from(sorted(px.INPUT_FLAGS))
            ),
            max_size=5,
        ).map(tuple),
        **FRAME,
    ),
)


@given(PAGES)
def test_whatever_we_emit_comes_back_as_it_was(page: px.Displayable) -> None:
    assert read_object(page.to_xml(), STRICT) == page


NAMES = [
    *OBJECTS,
    *("MenuItem", "Name", "URL", "Width", "Height", "Depth", "Data", "IconItem", "Index", "Title", "SoftKeyItem"),
    *("Position", "InputItem", "InputFlags", "ExecuteItem", "Text", "KeyItem", "Key"),
]
TREES = st.recursive(
    st.sampled_from(["", "a", "1", "-1", "00", "Key:Info", "http://h/", "9" * 9, "²"]),
    lambda inside: st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            inside,
        ),
        max_size=6,
    ).map(lambda pairs: "".join(f'<{name} URL="{len(text)}">{text}</{name}>' for name, text in pairs)),
    max_leaves=12,
)


@given(st.sampled_from(sorted(OBJECTS)), TREES, st.sampled_from(sorted(MODELS)))
def test_no_document_makes_a_phone_raise_anything_but_its_error(name: str, inside: str, model: str) -> None:
    content = f"<{name}>{inside}</{name}>".encode()
    with contextlib.suppress(PageError):
        read_object(content, MODELS[model])
    with contextlib.suppress(XmlError):
        findings(parse_xml(content), MODELS[model])


@given(st.binary(max_size=300), st.sampled_from(["text/xml", "text/html", "image/png", ""]))
def test_no_bytes_make_a_phone_raise_anything_but_its_error(content: bytes, kind: str) -> None:
    with contextlib.suppress(PageError):
        read_page(content, kind, FIRST)


def test_a_model_is_known_by_its_number_however_written() -> None:
    assert model_named("CP-7960G") is model_named("7960") is MODELS["7960"]
    with pytest.raises(UsageError, match="7800"):
        model_named("7800")
