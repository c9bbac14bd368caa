"""The browser on a wire of its own: pages by URL, keys pressed, what it asks for and shows."""

from __future__ import annotations

import contextlib
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed import phone_xml as px
from testbed.browser.exchange import HOST_NOT_FOUND, HTTP_ERROR, NO_CONNECTION, Answer, BrowserSettings
from testbed.browser.keys import UnknownKey
from testbed.browser.machine import DIGIT_WAIT_S, MAX_HISTORY, Browser
from testbed.browser.model import MODELS
from testbed.browser.picture import png
from testbed.browser.read import PARSE_ERROR, UNSUPPORTED
from testbed.browser.screen import ROWS, Screen, draw

HOST = "http://h"
XML = {"content-type": "text/xml"}


class Wire:
    """A browser and the pages of one site; what is fetched is noted."""

    def __init__(self, pages: dict[str, object], **settings) -> None:
        self.pages, self.fetched, self.cookies, self.performed, self.now = pages, [], [], [], 100.0
        settings = {"device_name": "SEP1", "urls": {"services": f"{HOST}/menu"}} | settings
        self.browser = Browser(BrowserSettings(**settings))

    def settle(self) -> Screen:
        for _ in range(50):
            wanted = self.browser.to_fetch()
            if not wanted:
                break
            for one in wanted:
                self.fetched.append(one.url)
                self.cookies.append(one.cookie)
                self.answer(one.number, one.url)
        self.performed += map(str, self.browser.to_perform())
        return self.browser.screen()

    def answer(self, number: int, url: str) -> None:
        page = self.pages.get(url.removeprefix(HOST), 404)
        headers, cookies = dict(XML), ()
        if isinstance(page, tuple):
            page, more = page
            cookies = more.pop("set-cookie", ())
            headers |= more
        if isinstance(page, str):
            self.browser.failed(number, page, "why", self.now)
        else:
            status = page if isinstance(page, int) else 200
            body = page.to_xml() if isinstance(page, px.PhoneObject) else page if isinstance(page, bytes) else b""
            answer = Answer(url=url, status=status, headers=headers, body=body, set_cookies=tuple(cookies))
            self.browser.answered(number, answer, self.now)

    def press(self, *names: str) -> Screen:
        for name in names:
            self.browser.key(name, self.now)
            screen = self.settle()
        return screen

    def wait(self, seconds: float) -> Screen:
        self.now += seconds
        due = self.browser.next_timer()
        if due is not None and due <= self.now:
            self.browser.tick(self.now)
        return self.settle()


def menu(*paths: str, **more) -> px.Menu:
    return px.Menu(title="Menu", items=tuple(px.MenuItem(name=p, url=p and HOST + p) for p in paths), **more)


def text(title: str, **more) -> px.Text:
    return px.Text(title=title, text=f"text of {title}", **more)


def key(name: str, url: str, position: int = 1) -> px.SoftKey:
    return px.SoftKey(name=name, position=position, url=url)


def test_services_key_shows_the_menu_and_a_digit_chooses_its_item() -> None:
    wire = Wire({"/menu": menu("/a", "/b"), "/b": text("B")})
    screen = wire.press("Services")
    assert (screen.title, screen.lines, screen.cursor) == ("Menu", ("1 /a", "2 /b"), 0)
    assert [label for label in screen.soft_keys if label] == ["Select", "Exit"]
    assert wire.press("2").title == "B"
    assert wire.fetched == [f"{HOST}/menu", f"{HOST}/b"]


def test_arrows_move_the_cursor_to_the_ends_and_no_further_and_select_opens() -> None:
    wire = Wire({"/menu": menu("/a", "/b"), "/b": text("B")})
    assert wire.press("Services", "Down", "Down", "Down").cursor == 1
    assert wire.press("Select").title == "B"
    assert Wire(wire.pages).press("Services", "Up").cursor == 0


def test_exit_goes_back_page_by_page_by_fetching_and_at_last_closes_services() -> None:
    wire = Wire({"/menu": menu("/a"), "/a": menu("/b"), "/b": text("B")})
    wire.press("Services", "1", "1")
    assert wire.press("Exit").lines == ("1 /b",)
    assert wire.press("Exit").lines == ("1 /a",)
    assert wire.fetched[3:] == [f"{HOST}/a", f"{HOST}/menu"]
    closed = wire.press("Exit")
    assert (closed.title, closed.object, closed.lines) == ("SEP1", "", ())
    assert wire.browser.is_idle


def test_a_page_that_expired_when_it_was_sent_is_not_come_back_to() -> None:
    for expires in ("-1", "Thu, 01 Jan 2026 00:00:00 GMT"):
        gone = (menu("/b"), {"expires": expires, "date": "Thu, 01 Jan 2026 00:00:00 GMT"})
        wire = Wire({"/menu": menu("/a"), "/a": gone, "/b": text("B")})
        assert wire.press("Services", "1", "1", "Exit").lines == ("1 /a",)
    kept = (menu("/b"), {"expires": "Thu, 01 Jan 2026 00:00:01 GMT", "date": "Thu, 01 Jan 2026 00:00:00 GMT"})
    assert Wire({"/menu": menu("/a"), "/a": kept, "/b": text("B")}).press("Services", "1", "1", "Exit").lines == (
        "1 /b",
    )


def test_history_is_bounded() -> None:
    wire = Wire({"/menu": menu("/menu")})
    wire.press("Services", *["1"] * (MAX_HISTORY + 20))
    wire.press(*["Exit"] * MAX_HISTORY)
    assert not wire.browser.is_idle
    wire.press("Exit")
    assert wire.browser.is_idle


def test_number_of_a_long_menu_takes_two_digits_or_a_pause() -> None:
    paths = tuple(f"/{n}" for n in range(1, 25))
    pages = {"/menu": menu(*paths)} | {path: text(path) for path in paths}
    wire = Wire(pages)
    assert wire.press("Services", "2").title == "Menu"
    assert wire.press("4").title == "/24"
    wire = Wire(pages)
    wire.press("Services", "2")
    assert wire.wait(DIGIT_WAIT_S - 0.1).title == "Menu"
    assert wire.wait(0.2).title == "/2"
    assert Wire(pages).press("Services", "3").title == "/3"
    assert Wire(pages).press("Services", "0").title == "Menu"


def test_form_is_filled_and_sent_as_a_query() -> None:
    form = px.Input(
        url=f"{HOST}/do?x=1",
        items=(
            px.InputItem(name="Name", parameter="n", flags="U", default="ab"),
            px.InputItem(name="Pin", parameter="p q", flags="NP"),
        ),
    )
    wire = Wire({"/menu": form})
    screen = wire.press("Services", "=c é&", "<<", "Down", "1", "=x2")
    assert screen.lines == ("Name: ABC _", "Pin: **_")
    wire.press("Submit")
    assert wire.fetched[-1] == f"{HOST}/do?x=1&n=ABC+&p+q=12"


@pytest.mark.parametrize(
    ("flags", "typed", "kept"),
    [
        ("A", "a Z9*é", "a Z9*"),
        ("T", "a9*#", "9*#"),
        ("N", "a9*", "9"),
        ("E", "1+2/x", "1+2/"),
        ("U", "aB1", "AB1"),
        ("L", "aB1", "ab1"),
        ("PA", "a", "a"),
    ],
)
def test_a_field_takes_what_its_flags_allow(flags: str, typed: str, kept: str) -> None:
    form = px.Input(url=f"{HOST}/do", items=(px.InputItem(name="F", parameter="f", flags=flags),))
    wire = Wire({"/menu": form})
    wire.press("Services", f"={typed}", "Submit")
    assert parse_qs(wire.fetched[-1].partition("?")[2]) == {"f": [kept]}


def test_form_without_a_url_finds_no_host() -> None:
    wire = Wire({"/menu": b"<CiscoIPPhoneInput><Title>F</Title></CiscoIPPhoneInput>"}, model=MODELS["7960"])
    assert wire.press("Services", "Submit").error == HOST_NOT_FOUND


def test_own_soft_keys_take_the_place_of_the_phones() -> None:
    page = text("A", soft_keys=(key("More", f"{HOST}/more", 2), key("Leave", "SoftKey:Exit", 4)))
    wire = Wire({"/menu": page, "/more": text("More")})
    screen = wire.press("Services")
    assert screen.soft_keys == ("", "More", "", "Leave")
    assert "no key Update now" in wire.press("Update").detail
    assert wire.press("more").title == "More"
    assert Wire(wire.pages).press("Services", "Soft4").object == ""


def test_query_string_parameter_joins_soft_key_and_item_either_way_round() -> None:
    items = (px.MenuItem(name="1", url="QueryStringParam:m=1"), px.MenuItem(name="2", url=f"{HOST}/two?a=b"))
    keys = (key("Read", f"{HOST}/read", 1), key("Mark", "QueryStringParam:mark=yes", 2))
    wire = Wire({"/menu": px.Menu(items=items, soft_keys=keys)})
    wire.press("Services", "Read")
    wire.press("Down", "Mark")
    assert wire.fetched[1:] == [f"{HOST}/read?m=1", f"{HOST}/two?a=b&mark=yes"]


def test_directory_dials_the_chosen_entry() -> None:
    entries = (px.DirectoryEntry(name="a", telephone="2001"), px.DirectoryEntry(name="b", telephone="2002"))
    wire = Wire({"/menu": px.Directory(entries=entries)})
    wire.press("Services", "Down", "Dial", "EditDial", "1")
    assert wire.performed == ["Dial:2002", "EditDial:2002", "Dial:2001"]


def test_key_items_of_a_page_take_the_key() -> None:
    page = text("A", keys=(px.KeyItem(key="KeyPad5", url=f"{HOST}/five"), px.KeyItem(key="NavUp", url="Dial:1")))
    wire = Wire({"/menu": page, "/five": text("Five")})
    wire.press("Services", "Up")
    assert wire.performed == ["Dial:1"]
    assert wire.press("5").title == "Five"


def test_page_refreshes_by_itself_and_takes_no_place_in_the_history() -> None:
    wire = Wire({"/menu": (text("A"), {"refresh": "10; url=/b"}), "/b": (text("B"), {"refresh": "10; url=/b"})})
    assert wire.press("Services").title == "A"
    assert wire.wait(9.9).title == "A"
    assert wire.wait(0.2).title == "B"
    assert wire.wait(10).title == "B"
    assert wire.fetched == [f"{HOST}/menu", f"{HOST}/b", f"{HOST}/b"]
    assert wire.press("Exit").object == ""
    assert wire.browser.next_timer() is None


def test_refresh_of_zero_waits_for_the_key_and_next_is_its_name_where_it_leads_elsewhere() -> None:
    wire = Wire({"/menu": (text("A"), {"refresh": "0; url=http://h/b"}), "/b": (text("B"), {"refresh": "0"})})
    screen = wire.press("Services")
    assert wire.browser.next_timer() is None
    assert screen.soft_keys[0] == "Next"
    screen = wire.press("Next")
    assert (screen.title, screen.soft_keys[0]) == ("B", "Update")
    wire.press("Update")
    assert wire.fetched[-2:] == [f"{HOST}/b", f"{HOST}/b"]


def test_a_refresh_that_fails_says_so_keeps_the_page_and_is_tried_again() -> None:
    wire = Wire({"/menu": (text("A"), {"refresh": "10"})})
    wire.press("Services")
    wire.pages["/menu"] = NO_CONNECTION
    screen = wire.wait(10)
    assert (screen.title, screen.error) == ("A", NO_CONNECTION)
    wire.pages["/menu"] = text("C")
    assert (wire.wait(10).title, wire.browser.screen().error) == ("C", "")


def test_redirects_are_followed_to_a_bound_and_cookies_go_along() -> None:
    wire = Wire({"/menu": (302, {"location": "/b", "set-cookie": ["s=1; path=/", "t=2"]}), "/b": text("B")})
    assert wire.press("Services").title == "B"
    assert wire.cookies == ["", "s=1; t=2"]
    loop = Wire({"/menu": (302, {"location": "/menu"})})
    screen = loop.press("Services")
    assert (screen.error, len(loop.fetched)) == (HTTP_ERROR, 6)


def test_cookies_go_to_their_own_host_only_and_can_be_taken_back() -> None:
    elsewhere = px.Menu(items=(px.MenuItem(name="x", url="http://other/x"), px.MenuItem(name="b", url=f"{HOST}/b")))
    wire = Wire({"/menu": (elsewhere, {"set-cookie": ["s=1"]}), "/b": (text("B"), {"set-cookie": ["s=; Max-Age=0"]})})
    wire.press("Services", "1", "2", "Update")
    assert wire.cookies == ["", "", "s=1", ""]


def test_device_name_is_filled_in() -> None:
    wire = Wire({}, urls={"services": f"{HOST}/menu?name=#DEVICENAME#"})
    wire.press("Services")
    assert wire.fetched == [f"{HOST}/menu?name=SEP1"]


@pytest.mark.parametrize(
    ("page", "error"),
    [
        (404, HTTP_ERROR),
        (503, HTTP_ERROR),
        (NO_CONNECTION, NO_CONNECTION),
        (b"<CiscoIPPhoneMenu>", PARSE_ERROR),
        (b"<CiscoIPPhoneImageFile><URL>http://h/</URL></CiscoIPPhoneImageFile>", UNSUPPORTED),
        (px.Error(number=4), UNSUPPORTED),
        (px.Status(bitmap=px.Bitmap(width=1, height=1, data=b"")), UNSUPPORTED),
    ],
)
def test_what_cannot_be_shown_is_said_on_the_prompt_line_and_the_page_stays(page: object, error: str) -> None:
    wire = Wire({"/menu": menu("/a"), "/a": page}, model=MODELS["7960"])
    screen = wire.press("Services", "1")
    assert (screen.error, screen.title) == (error, "Menu")
    assert screen.detail
    assert wire.press("Down").error == ""


def test_key_without_a_url_says_services_unavailable() -> None:
    wire = Wire({})
    assert wire.press("Messages").error == "Services Unavailable"
    assert wire.fetched == []


def test_settings_are_the_phones_own_and_nothing_is_fetched() -> None:
    wire = Wire({})
    screen = wire.press("Settings")
    assert screen.lines[:2] == ("Device: SEP1", "Model: CP-7941G")
    assert wire.press("Exit").object == ""
    assert wire.fetched == []


def test_html_without_a_content_type_of_xml_shows_as_its_source() -> None:
    wire = Wire({"/menu": (b"<p>hello</p>", {"content-type": "text/html"})})
    screen = wire.press("Services")
    assert screen.lines == ("<p>hello</p>",)
    assert "Content-Type is text/html" in screen.detail


def test_answer_that_comes_after_the_user_left_changes_nothing() -> None:
    wire = Wire({"/menu": menu("/a"), "/a": text("A")})
    wire.press("Services")
    wire.browser.key("1", wire.now)
    (late,) = wire.browser.to_fetch()
    assert wire.browser.screen().is_busy
    wire.press("Exit")
    wire.answer(late.number, late.url)
    assert wire.browser.screen().title == "Menu"


def test_picture_is_drawn_for_a_display_that_can_show_it() -> None:
    image = px.Image(title="P", bitmap=px.Bitmap(width=4, height=1, data=b"\x2d"))
    wire = Wire({"/menu": image}, model=MODELS["7960"])
    assert wire.press("Services").has_picture
    assert (wire.browser.picture() or b"")[:8] == b"\x89PNG\r\n\x1a\n"
    assert Wire({"/menu": text("A")}).press("Services").has_picture is False


PNG = png([[0, 255]])


@pytest.mark.parametrize(
    ("file", "error"),
    [(PNG, ""), (404, HTTP_ERROR), (NO_CONNECTION, NO_CONNECTION), (b"GIF89a", UNSUPPORTED), (PNG[:10], UNSUPPORTED)],
)
def test_picture_file_is_fetched_and_shown_and_the_page_stays_without_it(file: object, error: str) -> None:
    wire = Wire({"/menu": px.ImageFile(title="P", url="p.png"), "/p.png": file})
    screen = wire.press("Services")
    assert wire.fetched == [f"{HOST}/menu", f"{HOST}/p.png"]
    assert (screen.title, screen.error, screen.has_picture) == ("P", error, error == "")
    assert wire.browser.picture() == (PNG if error == "" else None)
    assert screen.lines == (() if error == "" else ("picture file p.png",))


def test_pushed_picture_file_is_fetched_too() -> None:
    wire = Wire({"/p.png": PNG})
    wire.browser.push(px.ImageFile(title="P", url=f"{HOST}/p.png"), wire.now)
    assert (wire.settle().title, wire.browser.picture()) == ("P", PNG)


def test_picture_that_comes_after_its_page_was_left_is_passed_over() -> None:
    wire = Wire({"/menu": px.ImageFile(title="P", url="p.png"), "/p.png": PNG})
    wire.browser.key("Services", wire.now)
    (page,) = wire.browser.to_fetch()
    wire.answer(page.number, page.url)
    (late,) = wire.browser.to_fetch()
    wire.press("Settings")
    wire.answer(late.number, late.url)
    assert (wire.browser.screen().title, wire.browser.picture()) == ("Settings", None)


def test_execute_runs_uris_at_once_and_pages_by_priority() -> None:
    wire = Wire({"/menu": text("M"), "/p": text("P"), "/q": text("Q")})

    def push(url: str, priority: int) -> str:
        (answer,) = wire.browser.execute(px.Execute(items=(px.ExecuteItem(url=url, priority=priority),)), wire.now)
        wire.settle()
        return f"{answer.status} {answer.data}"

    assert push(f"{HOST}/p", 2) == "0 Success"
    assert wire.browser.screen().title == "P"
    assert push(f"{HOST}/q", 2) == "1 Failure: not idle"
    assert push(f"{HOST}/q", 1) == "0 Success"
    assert wire.browser.screen().title == "P"
    assert wire.press("Exit").title == "Q"
    assert push(f"{HOST}/menu", 0) == "0 Success"
    assert wire.browser.screen().title == "M"
    assert (push("Dial:1", 2), push("SoftKey:Exit", 0)) == ("0 Success", "1 Not in an Execute")
    assert push("RTPRx:10.0.0.1:20481", 0) == "1 Invalid URI"


def test_pushed_page_waits_for_the_end_of_a_call() -> None:
    wire = Wire({"/p": text("P")})
    wire.browser.is_busy = True
    wire.browser.execute(px.Execute(items=(px.ExecuteItem(url=f"{HOST}/p", priority=1),)), wire.now)
    assert wire.settle().object == ""
    wire.browser.is_busy = False
    wire.browser.tick(wire.now)
    assert wire.settle().title == "P"


def test_execute_as_a_page_runs_and_one_that_names_itself_ends() -> None:
    again = px.Execute(items=(px.ExecuteItem(url=f"{HOST}/menu"), px.ExecuteItem(url="Play:chime.raw")))
    wire = Wire({"/menu": again})
    screen = wire.press("Services")
    assert (len(wire.fetched), screen.error) == (6, HTTP_ERROR)
    assert wire.performed == ["Play:chime.raw"] * 6


@pytest.mark.parametrize(
    ("pages", "keys", "count"), [(("/menu", "/e"), ("Services", "again"), 7), (("/menu",), ("Services",), 6)]
)
def test_an_execute_that_presses_the_key_it_came_by_ends(
    pages: tuple[str, ...], keys: tuple[str, ...], count: int
) -> None:
    menu_page = text("A", soft_keys=(key("again", f"{HOST}/e", 1),))
    presses = px.Execute(items=(px.ExecuteItem(url="Key:Soft1" if len(pages) > 1 else "Key:Services"),))
    wire = Wire({"/menu": menu_page, "/e": presses} if len(pages) > 1 else {"/menu": presses})
    screen = wire.press(*keys)
    assert (len(wire.fetched), screen.error, screen.detail) == (count, HTTP_ERROR, "more than 5 executed pages")
    assert not screen.is_busy


def test_keys_that_press_each_other_end() -> None:
    page = text("A", soft_keys=(key("a", "Key:Soft2", 1), key("b", "Key:Soft1", 2)))
    assert Wire({"/menu": page}).press("Services", "a").detail == "keys that press each other"


def test_unknown_key_names_those_there_are() -> None:
    wire = Wire({"/menu": menu("/a")})
    wire.press("Services")
    with pytest.raises(UnknownKey) as caught:
        wire.press("Selekt")
    assert "Select" in caught.value.hint


def test_drawing_is_of_one_width_and_keeps_the_cursor_in_sight() -> None:
    wire = Wire({"/menu": menu(*(f"/{n}" for n in range(30)))})
    screen = wire.press("Services", *["Down"] * 20)
    lines = draw(screen)
    assert len({len(line) for line in lines}) == 1
    assert any("> 21 /20" in line for line in lines)
    assert sum(" /" in line for line in lines) == ROWS
    assert Screen.from_json(screen.to_json()) == screen


def test_nothing_a_page_says_reaches_the_terminal_as_a_command() -> None:
    screen = Screen(title="a\x1b[2Jb", lines=("c\x07\x9b1m",), soft_keys=("\x1b",), prompt="\r")
    assert all(line.isprintable() for line in draw(screen))


KEYS = st.sampled_from(
    [
        "1",
        "2",
        "0",
        "*",
        "Up",
        "Down",
        "Left",
        "Select",
        "Exit",
        "Back",
        "Update",
        "Submit",
        "<<",
        "Soft1",
        "Soft3",
        "Services",
        "Messages",
        "Settings",
        "=text",
        "Dial",
        "Enter",
    ]
)
URLS = st.sampled_from(
    [
        "",
        "/menu",
        "/form",
        "/text",
        "http://[",
        "Key:Soft1",
        "Key:Services",
        "SoftKey:Exit",
        "Dial:1",
        "RTPRx:x",
        "QueryStringParam:a",
        "Init:Services",
        "Display:Off",
        "Key:Line1",
        "//",
        "http://h:x/",
    ]
)
SITES = st.builds(
    lambda items, keys, form, refresh, location: {
        "/menu": (
            px.Menu(
                items=tuple(px.MenuItem(name=url, url=url) for url in items),
                soft_keys=tuple(px.SoftKey(name=url[:9], url=url, position=n) for n, url in enumerate(keys, start=1)),
            ),
            {"refresh": refresh},
        ),
        "/form": px.Input(url=form or "x", items=(px.InputItem(name="a", parameter="a"),)),
        "/text": (px.Text(text="a"), {"refresh": f"1; url={location}"}),
        "/": (302, {"location": location}),
    },
    st.lists(URLS, max_size=12),
    st.lists(URLS, max_size=4),
    URLS,
    st.sampled_from(["", "5", "0; url=/text", "x"]),
    URLS,
)


@settings(max_examples=60, deadline=None)
@given(SITES, st.lists(KEYS, max_size=25))
def test_no_site_and_no_keys_stop_a_phone(site: dict[str, object], names: list[str]) -> None:
    wire = Wire(site)
    for name in ("Services", *names):
        with contextlib.suppress(UnknownKey):
            wire.press(name)
        wire.wait(1)
        assert len({len(line) for line in draw(wire.browser.screen()) if line[0] in "+|"}) == 1
    assert len(wire.fetched) <= 12 * (len(names) + 1)
