"""The pages a call manager serves its phones on port 80, at the product's paths."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from aiohttp import web

from testbed.phone_xml import Directory, DirectoryEntry, Input, InputItem, Menu, MenuItem, SoftKey, Text
from testbed.roles.page_faults import PageFaults
from testbed.roles.site import Emit, origin, site, xml

_BASE = "/CCMCIP"
_DEVICE_NAME = re.compile(r"SEP[0-9A-F]{12}")
_ENTRIES_SHOWN = 32
_EXIT = SoftKey(name="Exit", position=3, url="SoftKey:Exit")
_SELECT = SoftKey(name="Select", position=1, url="SoftKey:Select")

SAMPLE_ENTRIES = tuple(DirectoryEntry(name=f"Phone {n}", telephone=str(1000 + n)) for n in range(1, 41))


@dataclass(frozen=True, kw_only=True, slots=True)
class Subscriptions:
    """What this call control knows about its users.

    ``services_url``: base address of the phone services that the menu lists. ``users``: name -> password, for the
    authentication URL (that is how a push to a phone is let through). ``directory``: of the whole company.
    """

    services_url: str
    users: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({"testbed": "testbed"}))
    directory: Sequence[DirectoryEntry] = SAMPLE_ENTRIES


def app(host: str, *, subscriptions: Subscriptions, emit: Emit, faults: PageFaults | None = None) -> web.Application:
    """The site; ``host`` is what X-Served-By says, ``emit`` gets the PageServed events (health page excluded)."""
    pages = _Pages(host, subscriptions)
    application = site(host, emit, faults)
    application.add_routes(
        [
            web.get(f"{_BASE}/getservicesmenu.asp", pages.services),
            web.get(f"{_BASE}/xmldirectory.asp", pages.directories),
            web.get(f"{_BASE}/xmldirectoryinput.asp", pages.directory_search),
            web.get(f"{_BASE}/xmldirectorylist.asp", pages.directory_list),
            web.get(f"{_BASE}/GetTelecasterHelpText.asp", pages.information),
            web.get(f"{_BASE}/messages.asp", pages.messages),
            web.get(f"{_BASE}/authenticate.asp", pages.authenticate),
        ]
    )
    return application


class _Pages:
    def __init__(self, host: str, subscriptions: Subscriptions) -> None:
        self._host, self._subscriptions = host, subscriptions

    async def services(self, _request: web.Request) -> web.Response:
        base = self._subscriptions.services_url.rstrip("/")
        services = {
            "Menu": "/",
            "News": "/text",
            "Calculator": "/input",
            "Colleagues": "/directory",
            "Clock": "/refresh",
        }
        items = tuple(MenuItem(name=name, url=base + path) for name, path in services.items())
        return xml(Menu(title="Services", prompt="Choose a service", soft_keys=(_SELECT, _EXIT), items=items))

    async def directories(self, request: web.Request) -> web.Response:
        search = MenuItem(name="Corporate Directory", url=f"{origin(request)}{_BASE}/xmldirectoryinput.asp")
        return xml(Menu(title="Directories", prompt="Choose a directory", soft_keys=(_SELECT, _EXIT), items=(search,)))

    async def directory_search(self, request: web.Request) -> web.Response:
        fields = (
            InputItem(name="Name", parameter="n", flags="A"),
            InputItem(name="Number", parameter="t", flags="T"),
        )
        url = f"{origin(request)}{_BASE}/xmldirectorylist.asp"
        return xml(Input(title="Directory Search", prompt="Enter search criteria", url=url, items=fields))

    async def directory_list(self, request: web.Request) -> web.Response:
        """Entries whose name holds ``n`` and whose number begins with ``t``."""
        name, number = request.query.get("n", "").lower(), request.query.get("t", "")
        found = [
            entry
            for entry in self._subscriptions.directory
            if name in entry.name.lower() and entry.telephone.startswith(number)
        ]
        shown = tuple(found[:_ENTRIES_SHOWN])
        prompt = f"Records {min(1, len(shown))} to {len(shown)} of {len(found)}"
        dial = SoftKey(name="Dial", position=1, url="SoftKey:Dial")
        return xml(Directory(title="Directory Search", prompt=prompt, soft_keys=(dial, _EXIT), entries=shown))

    async def information(self, _request: web.Request) -> web.Response:
        return xml(
            Text(title="Information", text=f"Press a key to learn about it.\nThis page comes from {self._host}.")
        )

    async def messages(self, _request: web.Request) -> web.Response:
        return xml(Text(title="Messages", text="No new messages."))

    async def authenticate(self, request: web.Request) -> web.Response:
        """A phone asks whether a push may pass; the answer is one word in text/html."""
        query = request.query
        password = self._subscriptions.users.get(query.get("UserID", ""))
        is_known = password is not None and password == query.get("Password")
        is_device = _DEVICE_NAME.fullmatch(query.get("devicename", "")) is not None
        return web.Response(text="AUTHORIZED" if is_known and is_device else "UN-AUTHORIZED", content_type="text/html")
