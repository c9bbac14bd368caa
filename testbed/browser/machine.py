"""The browser of one phone, sans-IO: keys and answers in, requests, the phone's own acts and the screen out.

The shell fetches what ``to_fetch`` names and hands the result to ``answered`` or ``failed``; it calls ``tick`` when
``next_timer`` is due, and carries out ``to_perform``: what is for the phone, not for its browser.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from testbed import phone_xml as px
from testbed.browser import http, keys, picture
from testbed.browser.exchange import HOST_NOT_FOUND, HTTP_ERROR, Answer, BrowserSettings, Fetch
from testbed.browser.page import Page, with_query
from testbed.browser.read import UNSUPPORTED, PageError, read_page
from testbed.browser.screen import Screen
from testbed.browser.uri import BadUri, Uri, is_page, parse_uri

MAX_HISTORY = 32
MAX_WAITING = 8
"""Pushed pages that wait for the phone to be idle; more push the oldest out."""
MAX_DEPTH = 4
"""Keys that press keys."""
DIGIT_WAIT_S = 1.5
"""For another digit of an item's number."""
MAX_NOTICES = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wanted:
    """The page under way: ``hops`` redirects and executed pages so far; ``is_back``: an earlier page again."""

    number: int
    url: str
    hops: int = 0
    replaces: bool = False
    is_back: bool = False


class Browser:
    """One phone's services."""

    def __init__(self, settings: BrowserSettings) -> None:
        self.settings = settings
        self.is_busy = False
        """Set by the phone while a call is up: pushes of priority 1 and 2 then find it not idle."""
        self._page: Page | None = None
        self._idle_page: Page | None = None
        self._history: list[str] = []
        self._cookies: dict[str, dict[str, str]] = {}
        self._wanted: _Wanted | None = None
        self._number = self._depth = self._executed = 0
        self._to_fetch: list[Fetch] = []
        self._to_perform: list[Uri] = []
        self._waiting: deque[str] = deque(maxlen=MAX_WAITING)
        self._refresh_at: float | None = None
        self._digit_at: float | None = None
        self._error = self._detail = ""
        self._notices: deque[str] = deque(maxlen=MAX_NOTICES)
        self._is_on = True
        self._picture: tuple[Page, bytes] | None = None
        self._picture_for: tuple[int, Page] | None = None
        """The fetch of a picture file under way, and the page that it belongs to."""

    # -- what the shell asks

    def to_fetch(self) -> list[Fetch]:
        """Requests to send now; each once."""
        found, self._to_fetch = self._to_fetch, []
        return found

    def to_perform(self) -> list[Uri]:
        """Dial, Play, RTP … for the phone; each once."""
        found, self._to_perform = self._to_perform, []
        return found

    def next_timer(self) -> float | None:
        """When to call ``tick``."""
        return min((due for due in (self._refresh_at, self._digit_at) if due is not None), default=None)

    @property
    def is_idle(self) -> bool:
        """Whether nobody uses the phone: no page, none under way, no call."""
        return self._page is None and self._wanted is None and not self.is_busy

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is due."""
        return self._wanted is not None

    def screen(self) -> Screen:
        """The display as it stands."""
        page, model = self._page or self._idle_page, self.settings.model
        common = {
            "error": self._error,
            "detail": self._detail,
            "is_busy": self._wanted is not None,
            "is_on": self._is_on,
            "notices": tuple(self._notices),
        }
        if page is None:
            return Screen(title=self.settings.device_name, **common)  # type: ignore[arg-type]
        labels = page.soft_keys()
        return Screen(
            title=page.content.title,
            lines=page.lines(),
            cursor=page.cursor if page.choices and not isinstance(page.content, px.GraphicMenu) else None,
            prompt=page.content.prompt,
            soft_keys=tuple(labels[n].label if n in labels else "" for n in range(1, max(labels, default=0) + 1)),
            url=page.url,
            object=page.content._tag,
            has_picture=page.png is not None or (page.bitmap is not None and model.has_pictures),
            **common,  # type: ignore[arg-type]
        )

    def picture(self) -> bytes | None:
        """The display's picture as PNG, where the page has one."""
        page, model = self._page or self._idle_page, self.settings.model
        if page is not None and page.png is not None:
            return page.png
        if page is None or page.bitmap is None or not model.has_pictures:
            return None
        if self._picture is None or self._picture[0] is not page:
            self._picture = page, picture.png(picture.on_display(page.bitmap, model.width, model.height))
        return self._picture[1]

    # -- what happens

    def key(self, name: str, now: float) -> None:
        """A key, a soft key by its label or place (``Soft1``), or ``=text`` typed. Raises UnknownKey."""
        self._is_on, self._idle_page = True, None
        self._error = self._detail = ""
        if name.startswith("="):
            self._type(name[1:])
        elif (known := keys.known_key(name, self._labels())) is not None:
            self._press(known, now)
        else:
            self._detail = f"no key {name} now: " + (
                ", ".join(filter(None, self._labels().values())) or "no page shows"
            )
        self._after()

    def open(self, url: str, now: float) -> None:
        """As if the user had chosen this URL or URI."""
        self._error = self._detail = ""
        self._act(url, now)
        self._after()

    def execute(self, pushed: px.Execute, now: float) -> tuple[px.ResponseItem, ...]:
        """A push: URIs at once, a page when its priority allows; one answer for each item, in order."""
        answers = tuple(self._execute_item(item, now) for item in pushed.items)
        self._after()
        return answers

    def push(self, pushed: px.PhoneObject, now: float) -> tuple[px.ResponseItem, ...]:
        """An Execute is executed; a page shows at once, over what shows now; a Status is noted."""
        if isinstance(pushed, px.Execute):
            return self.execute(pushed, now)
        if isinstance(pushed, px.Displayable):
            self._leave()
            self._page, self._wanted, self._error, self._detail = Page(pushed, ""), None, "", ""
            self._refresh_at = self._digit_at = None
            if isinstance(pushed, px.ImageFile):
                self._fetch_picture(self._page, pushed.url)
        elif isinstance(pushed, px.Status):
            self._notices.append(f"status: {pushed.text}")
        return (px.ResponseItem(url="", data="Success"),)

    def show_idle(self, answer: Answer) -> None:
        """The idle URL's page: it shows while no other page does, until a key is pressed; one that cannot be read does not."""
        try:
            content = read_page(answer.body, answer.headers.get("content-type", ""), self.settings.model)
        except PageError as error:
            self._idle_page, self._detail = None, f"idle page: {error.message}"
        else:
            self._idle_page = Page(content, answer.url) if isinstance(content, px.Displayable) else None

    def answered(self, number: int, answer: Answer, now: float) -> None:
        """The response to the fetch of this number; one for an earlier page is passed over."""
        wanted = self._wanted
        if self._picture_for is not None and self._picture_for[0] == number:
            self._take_picture(self._picture_for[1], answer)
        if wanted is None or wanted.number != number:
            return
        self._keep_cookies(answer)
        location = answer.headers.get("location", "")
        if answer.status in (301, 302, 303, 307, 308) and location:
            self._follow(wanted, http.joined(answer.url, location), "redirects")
        elif answer.status >= 400:
            self._fail(HTTP_ERROR, f"HTTP {answer.status} from {answer.url}", now)
        else:
            self._show(wanted, answer, now)
        self._after()

    def failed(self, number: int, shown: str, detail: str, now: float) -> None:
        """No response: ``shown`` on the prompt line (HOST_NOT_FOUND, NO_CONNECTION …), ``detail`` for the developer."""
        if self._picture_for is not None and self._picture_for[0] == number:
            self._picture_for, self._error, self._detail = None, shown, detail
        if self._wanted is not None and self._wanted.number == number:
            self._fail(shown, detail, now)
            self._after()

    def tick(self, now: float) -> None:
        """A timer is due: the page refreshes, or an item's number is complete."""
        if self._digit_at is not None and self._digit_at <= now:
            self._choose_typed(now)
        if self._refresh_at is not None and self._refresh_at <= now:
            self._refresh_at = None
            if self._page is not None and self._page.refresh is not None and self._wanted is None:
                self._fetch(self._page.refresh[1], replaces=True)
        self._after()

    # -- keys

    def _labels(self) -> dict[int, str]:
        return {place: key.label for place, key in self._page.soft_keys().items()} if self._page is not None else {}

    def _press(self, key: keys.Key, now: float) -> None:
        page = self._page
        if key.kind == "feature":
            self._feature(key.value)
        elif page is None:
            self._detail = "" if key.kind == "digit" else "no page shows"
        elif (own := next((k.url for k in page.content.keys if k.key == key.as_item), "")) != "":
            self._act(own, now)
        elif key.kind == "soft":
            self._soft(page, key.value, now)
        elif key.kind == "digit":
            self._digit(page, key.value, now)
        else:
            self._navigate(page, key.value, now)

    def _feature(self, name: str) -> None:
        self._close()
        if name == "settings":
            self._page = Page(self._settings_page(), "")
        elif not self.settings.urls.get(name):
            self._error, self._detail = "Services Unavailable", f"no URL is set for the key {name}"
        else:
            self._fetch(self.settings.urls[name])

    def _settings_page(self) -> px.Text:
        model = self.settings.model
        known = [f"{name}: {url}" for name, url in self.settings.urls.items() if url]
        text = "\n".join((f"Device: {self.settings.device_name}", f"Model: {model.product}", *known))
        return px.Text(title="Settings", text=text[: px.TEXT_CHARS])

    def _soft(self, page: Page, place: str, now: float) -> None:
        key = page.soft_keys().get(int(place))
        if key is None:
            self._detail = f"no soft key {place} on this page"
            return
        url, chosen = key.url, page.chosen_url
        if not url:
            return
        if is_page(url) and not is_page(chosen) and chosen.lower().startswith("querystringparam:"):
            url = with_query(url, chosen.partition(":")[2])
        elif url.lower().startswith("querystringparam:") and chosen and is_page(chosen):
            url = with_query(chosen, url.partition(":")[2])
        self._act(url, now)

    def _digit(self, page: Page, digit: str, now: float) -> None:
        if page.fields:
            page.type_text(digit)
            return
        count = len(page.items) or len(page.entries)
        number = page.typed_number + digit
        if not number.isdigit() or not 1 <= int(number) <= count:
            page.typed_number, self._digit_at = "", None
            return
        page.typed_number, page.cursor = number, int(number) - 1
        if int(number) * 10 <= count:
            self._digit_at = now + DIGIT_WAIT_S
        else:
            self._choose_typed(now)

    def _choose_typed(self, now: float) -> None:
        self._digit_at = None
        if self._page is not None:
            self._page.typed_number = ""
            self._do("Select", now)

    def _navigate(self, page: Page, where: str, now: float) -> None:
        if where in ("NavUp", "NavDown"):
            page.move(-1 if where == "NavUp" else 1)
        elif where == "NavBack":
            self._back()
        elif where == "NavSelect":
            self._do("Submit" if isinstance(page.content, px.Input) else "Select", now)
        elif where == "NavLeft":
            page.rub_out()

    def _type(self, text: str) -> None:
        if self._page is None or not self._page.fields:
            self._detail = "no form shows: nothing to type into"
        else:
            self._page.type_text(text)

    # -- acts

    def _act(self, url: str, now: float) -> None:
        """A page is fetched; a URI is for the browser or for the phone."""
        if is_page(url):
            self._fetch(http.joined(self._page.url, url) if self._page is not None else url)
        elif self._depth >= MAX_DEPTH:
            self._detail = "keys that press each other"
        else:
            self._depth += 1
            try:
                self._act_on(parse_uri(url), now)
            except BadUri as error:
                self._detail = error.message
            finally:
                self._depth -= 1

    def _act_on(self, uri: Uri, now: float) -> None:
        if uri.scheme == "SoftKey":
            self._do(uri.rest, now)
        elif uri.scheme == "Key":
            try:
                known = keys.known_key(uri.rest, self._labels())
            except keys.UnknownKey:  # one that is not for pages: a line, the volume
                known = None
            if known is not None:
                self._press(known, now)
            else:
                self._perform(uri)
        elif uri.scheme == "Init" and uri.rest.lower() in keys.FEATURES:
            self._close()
        elif uri.scheme == "Display":
            self._is_on = uri.rest != "Off"
        elif uri.scheme == "QueryStringParam":
            self._detail = "a QueryStringParam needs a soft key or an item with a page"
        else:
            self._perform(uri)

    def _perform(self, uri: Uri) -> None:
        self._to_perform.append(uri)
        self._notices.append(str(uri))

    def _do(self, name: str, now: float) -> None:
        """What a soft key of the phone's own does."""
        page = self._page
        if page is None:
            return
        self._digit_at, page.typed_number = None, ""
        if name in ("Exit", "Back", "Cancel"):
            self._back()
        elif name in ("Update", "Next"):
            self._fetch(page.refresh[1] if page.refresh is not None else page.url, replaces=True)
        elif name in ("Select", "Dial") and page.chosen_url:
            self._act(page.chosen_url, now)
        elif name == "EditDial" and page.entries and page.chosen_url:
            self._act(f"Edit{page.chosen_url}", now)
        elif name in ("Submit", "Search") and isinstance(page.content, px.Input):
            self._submit(page)
        elif name == "<<":
            page.rub_out()

    def _submit(self, page: Page) -> None:
        assert isinstance(page.content, px.Input)
        url = page.submit_url()
        if not page.content.url.strip() or not is_page(url) or not http.host_of(http.joined(page.url, url)):
            self._error, self._detail = HOST_NOT_FOUND, f"the form's URL is {url[:80]!r}"
        else:
            self._fetch(http.joined(page.url, url))

    def _execute_item(self, item: px.ExecuteItem, now: float) -> px.ResponseItem:
        if is_page(item.url):
            data = "Success"
            if item.priority == 0 or self.is_idle:
                self._fetch(item.url)
            elif item.priority == 1:
                self._waiting.append(item.url)
            else:
                return px.ResponseItem(url=item.url, data="Failure: not idle", status=1)
            return px.ResponseItem(url=item.url, data=data)
        try:
            uri = parse_uri(item.url)
        except BadUri:
            return px.ResponseItem(url=item.url, data="Invalid URI", status=1)
        if uri.scheme in ("SoftKey", "QueryStringParam"):
            return px.ResponseItem(url=item.url, data="Not in an Execute", status=1)
        self._act(item.url, now)
        return px.ResponseItem(url=item.url, data="Success")

    # -- pages

    def _fetch(self, url: str, *, replaces: bool = False, is_back: bool = False, hops: int = 0) -> None:
        hops = max(hops, self._executed)
        if hops > http.MAX_REDIRECTS:
            self._wanted = None
            self._error, self._detail = HTTP_ERROR, f"more than {http.MAX_REDIRECTS} executed pages"
            return
        self._number += 1
        url = url.replace("#DEVICENAME#", self.settings.device_name)
        self._wanted = _Wanted(number=self._number, url=url, hops=hops, replaces=replaces, is_back=is_back)
        self._digit_at = None
        cookie = http.cookie_header(self._cookies.get(http.host_of(url), {}))
        self._to_fetch = [Fetch(number=self._number, url=url, cookie=cookie)]

    def _follow(self, wanted: _Wanted, url: str, what: str) -> None:
        if wanted.hops >= http.MAX_REDIRECTS:
            self._wanted = None
            self._error, self._detail = HTTP_ERROR, f"more than {http.MAX_REDIRECTS} {what}"
        else:
            self._fetch(url, replaces=wanted.replaces, is_back=wanted.is_back, hops=wanted.hops + 1)

    def _keep_cookies(self, answer: Answer) -> None:
        if answer.set_cookies:
            host = http.host_of(answer.url)
            self._cookies[host] = http.with_cookies(self._cookies.get(host, {}), answer.set_cookies)

    def _fail(self, shown: str, detail: str, now: float) -> None:
        """The page that shows stays; one that refreshes itself tries again."""
        self._wanted = None
        self._error, self._detail = shown, detail
        if self._page is not None:
            self._set_refresh(self._page, now)

    def _show(self, wanted: _Wanted, answer: Answer, now: float) -> None:
        kind = answer.headers.get("content-type", "")
        try:
            content = read_page(answer.body, kind, self.settings.model)
            if not isinstance(content, px.Displayable | px.Execute):
                raise PageError(f"{content._tag} cannot be fetched, only pushed", shown=UNSUPPORTED)
        except PageError as error:
            self._fail(error.shown, f"{error.message} ({answer.url})", now)
            return
        self._wanted = None
        self._error = self._detail = ""
        if isinstance(content, px.Execute):
            self._run(wanted, content, now)
            return
        if wanted.is_back:
            self._history = self._history[:-1]
        elif not wanted.replaces:
            self._leave()
        refresh = http.refresh_of(answer.headers.get("refresh", ""), answer.url)
        self._page = Page(content, answer.url, refresh=refresh, keeps_history=not http.is_expired(answer.headers))
        if isinstance(content, px.Text) and "xml" not in kind.lower():
            self._detail = f"Content-Type is {kind[:40] or 'missing'}, not text/xml: shown as it came"
        self._set_refresh(self._page, now)
        if isinstance(content, px.ImageFile):
            self._fetch_picture(self._page, content.url)

    def _fetch_picture(self, page: Page, url: str) -> None:
        self._number += 1
        self._picture_for = self._number, page
        url = http.joined(page.url, url)
        cookie = http.cookie_header(self._cookies.get(http.host_of(url), {}))
        self._to_fetch = [Fetch(number=self._number, url=url, cookie=cookie)]

    def _take_picture(self, page: Page, answer: Answer) -> None:
        """The file of the page that still shows; anything but a PNG is an error, and the page stays without it."""
        self._picture_for = None
        if page is not self._page:
            return
        if answer.status >= 400:
            self._error, self._detail = HTTP_ERROR, f"HTTP {answer.status} from {answer.url}"
        elif not picture.is_png(answer.body):
            self._error, self._detail = UNSUPPORTED, f"{answer.url} is no PNG file"
        else:
            page.png = answer.body

    def _run(self, wanted: _Wanted, content: px.Execute, now: float) -> None:
        """A page that is an Execute: its items run, what shows stays. A page that it asks for by a key is one more executed page."""
        self._executed = wanted.hops + 1
        try:
            for item in content.items:
                if is_page(item.url):
                    self._follow(wanted, http.joined(wanted.url, item.url), "executed pages")
                else:
                    self._execute_item(item, now)
        finally:
            self._executed = 0

    def _leave(self) -> None:
        """The page that shows gives way to another, and can be come back to unless it expired or has no address."""
        if self._page is not None and self._page.keeps_history and self._page.url:
            self._history = [*self._history, self._page.url][-MAX_HISTORY:]

    def _set_refresh(self, page: Page, now: float) -> None:
        self._refresh_at = now + page.refresh[0] if page.refresh is not None and page.refresh[0] > 0 else None

    def _back(self) -> None:
        if self._wanted is not None and self._page is not None:
            self._wanted, self._to_fetch = None, []
        elif self._history:
            self._fetch(self._history[-1], is_back=True)
        else:
            self._close()

    def _close(self) -> None:
        self._page, self._history, self._wanted, self._to_fetch = None, [], None, []
        self._refresh_at = self._digit_at = None

    def _after(self) -> None:
        """A pushed page that waited comes up once the phone is idle."""
        if self._waiting and self.is_idle:
            self._fetch(self._waiting.popleft())
