from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.report.markup import Html, clean, escaped, joined, table, tag


class Reader(HTMLParser):
    """What a browser would see: elements with their attributes, and texts."""

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text())
def test_any_text_comes_back_as_text_and_as_attribute_and_makes_no_element(text: str):
    read = Reader(tag("p", text, title=text))
    assert read.elements == [("p", {"title": clean(text)})]
    assert read.text == clean(text).replace("\r", "\n")


@given(st.text(), st.text())
def test_what_is_added_to_markup_is_a_text_again(one: str, other: str):
    added = tag("b", one) + other
    assert not isinstance(added, Html)
    assert [name for name, _ in Reader(tag("p", added)).elements] == ["p"]


@pytest.mark.parametrize("letter", ["\x00", "\x1b", "\x7f", "\x85", "\u202e", "\u2066", "\u200f", "\ud800", "\ufffe"])
def test_what_cannot_be_seen_is_shown_as_a_mark_that_something_was_there(letter: str):
    assert clean(f"SEP{letter}1") == "SEP\ufffd1"


def test_tabs_line_breaks_and_other_scripts_stay():
    assert clean("a\tb\nc ünïcode 電話") == "a\tb\nc ünïcode 電話"


def test_children_may_be_nested_lists_numbers_and_nothing():
    assert tag("td", ["a<", [1, None, 2.5], tag("b", "x")]) == "<td>a&lt;12.5<b>x</b></td>"


def test_attributes_that_are_none_or_false_are_left_out_and_true_has_no_value():
    assert (
        tag("details", class_=None, open=True, hidden=False, aria_label='"')
        == '<details open aria-label="&quot;"></details>'
    )


@pytest.mark.parametrize("name", ["p onclick", "<p", "", "1p"])
def test_a_text_is_no_name_of_an_element(name: str):
    with pytest.raises(ValueError, match="no name of an element"):
        tag(name)


def test_tables_have_heads_for_columns_and_rows_and_scroll_by_keys():
    read = Reader(table(("a", "b"), [("x", 1)], caption="c"))
    assert ("th", {"scope": "col"}) in read.elements
    assert ("th", {"scope": "row"}) in read.elements
    assert ("div", {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": "c"}) in read.elements


def test_joined_and_escaped_are_markup():
    assert isinstance(joined("<", escaped("&")), Html)
    assert joined("<", escaped("&")) == "&lt;&amp;"
