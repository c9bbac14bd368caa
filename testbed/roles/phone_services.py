"""The services planes of a process's phones: a browser for each phone that was ever used, its requests, its screen."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from testbed import phone_xml as px
from testbed.browser.exchange import HOST_NOT_FOUND, NO_CONNECTION, Answer, BrowserSettings, Fetch
from testbed.browser.machine import Browser
from testbed.browser.model import DEFAULT_MODEL, PhoneModel
from testbed.browser.read import TOO_LARGE
from testbed.browser.screen import Screen
from testbed.browser.screenshot import screenshot
from testbed.browser.uri import Uri
from testbed.errors import UsageError
from testbed.roles.common import Reporter
from testbed.roles.phone_http import PhoneResponse
from testbed.roles.phone_streams import SCHEMES, PhoneStreams
from testbed.roles.phone_timers import NEVER
from testbed.roles.phone_web import Errand, PhoneWeb
from testbed.sccp.call_codes import KEYPAD
from testbed.sccp.phone_calls import MAX_NUMBER

if TYPE_CHECKING:
    from testbed.roles.phone_fleet import Seat

URL_NAME = "page"
"""What events call the pages that are looked at key by key."""
_SHOWN_FOR = (("unknown host", HOST_NOT_FOUND), ("not an http URL", HOST_NOT_FOUND), ("larger than", TOO_LARGE))


class PhoneServices:
    """Browsers by the phone's place in the fleet; ``rearm`` is called when a phone's next timer may have changed."""

    def __init__(
        self,
        web: PhoneWeb,
        report: Reporter,
        rearm: Callable[[Seat], None],
        *,
        dial: Callable[[Seat, str], bool],
        interface: str = "",
        stream_tos: int = 0,
    ) -> None:
        """``dial``: False where the phone cannot now; ``interface``: the host's own address, by which multicast goes;
        ``stream_tos``: what phones mark the streams of services with."""
        self._web, self._report, self._rearm, self._dial = web, report, rearm, dial
        self._streams = PhoneStreams(report, interface=interface, tos=stream_tos)
        self._browsers: dict[int, Browser] = {}
        self._tasks: dict[int, set[asyncio.Task[None]]] = {}

    def browser(self, seat: Seat) -> Browser:
        """The phone's, made when first needed; raises UsageError while the phone has no configuration."""
        if seat.config is None:
            raise UsageError(f"{seat.device_name} has no configuration yet", hint="`testbed phone ls` shows its state")
        if seat.index not in self._browsers:
            urls = seat.config.sep_file.urls
            settings = BrowserSettings(
                device_name=seat.device_name,
                urls={
                    "services": urls.services,
                    "directories": urls.directory,
                    "messages": urls.messages,
                    "information": urls.information,
                },
            )
            self._browsers[seat.index] = Browser(settings)
        return self._browsers[seat.index]

    def model(self, seat: Seat) -> PhoneModel:
        """What kind of phone it is."""
        browser = self._browsers.get(seat.index)
        return browser.settings.model if browser is not None else DEFAULT_MODEL

    def stream_figures(self, seat: Seat) -> dict[str, str]:
        """Of the stream a service started last; as the phone's page names them."""
        return self._streams.figures(seat)

    def screenshot(self, seat: Seat) -> px.Image:
        """The display as pixels."""
        return screenshot(Screen.from_json(self.screen(seat, ())["screen"]))

    def forget(self, seat: Seat) -> None:
        """The phone restarts: its pages and cookies are gone, what is under way is broken off."""
        self._streams.forget(seat)
        self._browsers.pop(seat.index, None)
        for task in self._tasks.pop(seat.index, set()):
            task.cancel()

    async def close(self) -> None:
        """Break off what is under way."""
        self._streams.close()
        tasks = [task for own in self._tasks.values() for task in own]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- keys and screens

    async def press(self, seat: Seat, key: str) -> dict[str, Any]:
        """Press a key, wait for the page it asks for; what the screen shows then. Raises UnknownKey."""
        browser = self.browser(seat)
        browser.key(key, time.monotonic())
        await self.settle(seat)
        screen = browser.screen()
        seen = {"object": screen.object, "title": screen.title, "error": screen.error}
        self._report("KeyPressed", phone=seat.device_name, key=key, **seen)
        return {"phone": seat.device_name, "key": key, "ok": not screen.error, **seen}

    async def settle(self, seat: Seat) -> None:
        """Until the phone waits for no page; each answer has a time-out, redirects a bound."""
        self.pump(seat)
        while tasks := self._tasks.get(seat.index):
            await asyncio.wait(tasks)

    def screen(self, seat: Seat, lines: tuple[str, ...]) -> dict[str, Any]:
        """The display and its picture (PNG in base64, or None); ``lines``: what the phone shows where no page does."""
        browser = self.browser(seat)
        screen, picture = browser.screen(), browser.picture()
        if not screen.object and not screen.lines:
            screen = replace(screen, lines=lines)
        encoded = base64.b64encode(picture).decode() if picture is not None else None
        return {"screen": screen.to_json(), "picture": encoded}

    def show_idle(self, seat: Seat, response: PhoneResponse | None) -> None:
        """The idle page came; it shows while no other page does."""
        if response is not None and response.status < 400:
            self.browser(seat).show_idle(_answer(response))

    # -- timers and requests

    def next_timer(self, index: int) -> float:
        """When ``tick`` is due; NEVER for a phone without a page."""
        browser = self._browsers.get(index)
        due = browser.next_timer() if browser is not None else None
        return NEVER if due is None else due

    def tick(self, seat: Seat, now: float) -> None:
        """A page refreshes."""
        if self.next_timer(seat.index) <= now:
            self._browsers[seat.index].tick(now)
            self.pump(seat)

    def pump(self, seat: Seat) -> list[tuple[str, str]]:
        """Do what the browser asks for; each URI, in order, with what the phone says of it: "" for done, or other words."""
        browser = self.browser(seat)
        for wanted in browser.to_fetch():
            task = asyncio.get_running_loop().create_task(self._fetch(seat, browser, wanted))
            own = self._tasks.setdefault(seat.index, set())
            own.add(task)
            task.add_done_callback(own.discard)
        outcomes = [(str(uri), self._perform(seat, uri)) for uri in browser.to_perform()]
        self._rearm(seat)
        return outcomes

    def _perform(self, seat: Seat, uri: Uri) -> str:
        self._report("UriPerformed", phone=seat.device_name, uri=str(uri))
        if uri.scheme == "Dial":
            number = uri.rest.partition(":")[0]
            return (
                "" if set(number) <= set(KEYPAD) and self._dial(seat, number[:MAX_NUMBER]) else "Failure: cannot dial"
            )
        return self._streams.perform(seat, uri) if uri.scheme in SCHEMES else ""

    def note_call(self, seat: Seat, is_up: bool) -> None:
        """While a call is up the phone is not idle: pages that were pushed for later wait for its end."""
        browser = self._browsers.get(seat.index)
        if browser is not None and browser.is_busy != is_up:
            browser.is_busy = is_up
            browser.tick(time.monotonic())
            self.pump(seat)

    async def _fetch(self, seat: Seat, browser: Browser, wanted: Fetch) -> None:
        assert seat.config is not None
        errand = Errand(
            device_name=seat.device_name,
            address=seat.address,
            url_name=URL_NAME,
            url=wanted.url,
            cookie=wanted.cookie,
        )
        result, response = await self._web.start(errand, seat.config.sep_file)
        if self._browsers.get(seat.index) is not browser:
            return
        if response is not None:
            browser.answered(wanted.number, _answer(response), time.monotonic())
        else:
            shown = next((shown for word, shown in _SHOWN_FOR if word in result["error"]), NO_CONNECTION)
            browser.failed(wanted.number, shown, f"{wanted.url}: {result['error']}", time.monotonic())
        self.pump(seat)


def _answer(response: PhoneResponse) -> Answer:
    """With the cookies as they are after all redirects."""
    headers: Mapping[str, str] = response.headers
    cookies = tuple(response.cookie.split("; ")) if response.cookie else ()
    return Answer(url=response.url, status=response.status, headers=headers, body=response.body, set_cookies=cookies)
