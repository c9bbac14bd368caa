"""CiscoIPPhone objects: what a phone service sends to a phone. Schema 3.3.4 gives names, order and limits.

An object that breaks a limit cannot be built: LocalProtocolError names the field and the limit. ``to_xml()`` gives
ASCII bytes, characters beyond it as references, so that no phone's idea of the character set matters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar
from xml.etree import ElementTree as ET

from testbed.bounded_xml import parse_xml
from testbed.errors import LocalProtocolError

CONTENT_TYPE = "text/xml"
URL_CHARS = 256
NAME_CHARS = 32
TEXT_CHARS = 4000
INPUT_FLAGS = frozenset(a + b for letter in "ATNEUL" for a, b in ((letter, ""), (letter, "P"), ("P", letter)))
"""Plain ASCII, telephone number, numeric, equation, upper case, lower case; P hides what is typed."""
KEY_NAMES = frozenset(
    (
        *(f"KeyPad{digit}" for digit in (*range(10), "Star", "Pound")),
        *("NavUp", "NavDown", "NavLeft", "NavRight", "NavSelect", "NavBack", "PushToTalk"),
    )
)
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def root_of(content: bytes) -> str:
    """Name of the root element (``CiscoIPPhoneMenu``) of a whole, well-formed document; raises bounded_xml.XmlError."""
    return parse_xml(content, max_bytes=1 << 20, only_root=True).name


class _Item:
    """Part of an object; built once on construction, so that a wrong one does not come to exist."""

    _tag: ClassVar[str]

    def __post_init__(self) -> None:
        self._element()

    def _element(self) -> ET.Element:
        raise NotImplementedError


class PhoneObject(_Item):
    """A whole object: what a page or a push is."""

    def to_xml(self) -> bytes:
        """The document."""
        document: bytes = ET.tostring(self._element(), encoding="us-ascii")
        return document


@dataclass(frozen=True, kw_only=True, slots=True)
class SoftKey(_Item):
    """``position`` 1-8; ``url`` an http URL or a URI such as ``SoftKey:Exit``; ``url_down`` a URI for when it goes down."""

    _tag = "SoftKeyItem"
    name: str
    position: int
    url: str
    url_down: str = ""

    def _element(self) -> ET.Element:
        element = ET.Element(self._tag)
        _text(element, "Name", self.name, NAME_CHARS)
        _whole(element, "Position", self.position, 1, 8)
        _text(element, "URL", self.url, URL_CHARS)
        _text(element, "URLDown", self.url_down, URL_CHARS)
        return element


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyItem(_Item):
    """What a key of ``KEY_NAMES`` does while the page shows."""

    _tag = "KeyItem"
    key: str
    url: str

    def _element(self) -> ET.Element:
        element = ET.Element(self._tag)
        _choice(element, "Key", self.key, KEY_NAMES)
        _text(element, "URL", self.url, URL_CHARS)
        return element


@dataclass(frozen=True, kw_only=True, slots=True)
class Displayable(PhoneObject):
    """What shows on the services pane; without soft keys of its own it gets the phone's."""

    title: str = ""
    prompt: str = ""
    soft_keys: tuple[SoftKey, ...] = ()
    keys: tuple[KeyItem, ...] = ()

    def _frame(self) -> ET.Element:
        element = ET.Element(self._tag)
        _text(element, "Title", self.title, NAME_CHARS)
        _text(element, "Prompt", self.prompt, NAME_CHARS)
        _items(element, self.soft_keys, 8)
        _items(element, self.keys, 32)
        return element


@dataclass(frozen=True, kw_only=True, slots=True)
class MenuItem(_Item):
    """``icon`` (0-9): of an IconMenu only."""

    _tag = "MenuItem"
    name: str
    url: str
    icon: int | None = None

    def _element(self) -> ET.Element:
        element = ET.Element(self._tag)
        _text(element, "Name", self.name, 64)
        _text(element, "URL", self.url, URL_CHARS)
        if self.icon is not None:
            _whole(element, "IconIndex", self.icon, 0, 9)
        return element


@dataclass(frozen=True, kw_only=True, slots=True)
class Menu(Displayable):
    """Up to 100 items."""

    _tag = "CiscoIPPhoneMenu"
    items: tuple[MenuItem, ...] = ()

    def _element(self) -> ET.Element:
        element = self._frame()
        _items(element, self.items, 100)
        return element


@dataclass(frozen=True, kw_only=True, slots=True)
class Text(Displayable):
    """Up to 4000 characters."""

    _tag = "CiscoIPPhoneText"
    text: str

    def _element(self) -> ET.Element:
        element = self._frame()
        _text(element, "Text", self.text, TEXT_CHARS, keep=True)
        return element


@dataclass(frozen=True, kw_only=True, slots=True)
class InputItem(_Item):
    """A field of a form: ``flags`` of ``INPUT_FLAGS``."""

    _tag = "InputItem"
    name: str
    parameter: str
    flags: str = "A"
    default: str = ""

    def _element(self) -> ET.Element:
        element = ET.Element(self._tag)
        _text(element, "DisplayName", self.name, NAME_CHARS)
        _text(element, "QueryStringParam", self.parameter, NAME_CHARS, least=1)
        _choice(element, "InputFlags", self.flags, INPUT_FLAGS)
        _text(element, "DefaultValue", self.default, NAME_CHARS, keep=True)
        return element


@dataclass(frozen=True, kw_only=True, slots=True)
class Input(Displayable):
    """A form of up to five fields; the phone fetches ``url`` with the fields as its query."""

    _tag = "CiscoIPPhoneInput"
    url: str
    items: tuple[InputItem, ...] = ()

    def _element(self) -> ET.Element:
        element = self._frame()
        _text(element, "URL", self.url, URL_CHARS, least=1)
        _items(element, self.items, 5)
        return element


@dataclass(frozen=True, kw_only=True, slots=True)
class DirectoryEntry(_Item):
    """A name and the number dialled for it."""

    _tag = "DirectoryEntry"
    name: str
    telephone: str

    def _element(self) -> ET.Element:
        element = ET.Element(self._tag)
        _text(element, "Name", self.name, NAME_CHARS)
        _text(element, "Telephone", self.telephone, NAME_CHARS)
        return element


@dataclass(frozen=True, kw_only=True, slots=True)
class Directory(Displayable):
    """Up to 32 entries."""

    _tag = "CiscoIPPhoneDirectory"
    entries: tuple[DirectoryEntry, ...] = ()

    def _element(self) -> ET.Element:
        element = self._frame()
        _items(element, self.entries, 32)
        return element


@dataclass(frozen=True, kw_only=True, slots=True)
class Bitmap:
    """``depth`` bits for each pixel (1 or 2), packed into ``data`` row by row; ``x`` and ``y``: -1 is centred."""

    width: int
    height: int
    data: bytes
    depth: int = 2
    x: int = 0
    y: int = 0

    def _append_to(self, element: ET.Element, *, most_width: int, most_height: int, most_bytes: int) -> None:
        _whole(element, "LocationX", self.x, -1, most_width - 1)
        _whole(element, "LocationY", self.y, -1, most_height - 1)
        _whole(element, "Width", self.width, 1, most_width)
        _whole(element, "Height", self.height, 1, most_height)
        _whole(element, "Depth", self.depth, 1, 2)
        _text(element, "Data", self.data.hex().upper(), 2 * most_bytes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Image(Displayable):
    """At most 133 x 65 pixels, 2162 bytes of data."""

    _tag = "CiscoIPPhoneImage"
    bitmap: Bitmap

    def _element(self) -> ET.Element:
        element = self._frame()
        self.bitmap._append_to(element, most_width=133, most_height=65, most_bytes=2162)
        return element


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphicMenu(Displayable):
    """An image with up to 12 items, chosen by their number."""

    _tag = "CiscoIPPhoneGraphicMenu"
    bitmap: Bitmap
    items: tuple[MenuItem, ...] = ()

    def _element(self) -> ET.Element:
        element = self._frame()
        self.bitmap._append_to(element, most_width=133, most_height=65, most_bytes=2162)
        _items(element, self.items, 12)
        return element


@dataclass(frozen=True, kw_only=True, slots=True)
class Icon(_Item):
    """The picture a menu item's ``icon`` names by ``index``: at most 16 x 10 pixels; the bitmap's place means nothing."""

    _tag = "IconItem"
    index: int
    bitmap: Bitmap

    def _element(self) -> ET.Element:
        element = ET.Element(self._tag)
        _whole(element, "Index", self.index, 0, 9)
        _whole(element, "Width", self.bitmap.width, 1, 16)
        _whole(element, "Height", self.bitmap.height, 1, 10)
        _whole(element, "Depth", self.bitmap.depth, 1, 2)
        _text(element, "Data", self.bitmap.data.hex().upper(), 2 * 40)
        return element


@dataclass(frozen=True, kw_only=True, slots=True)
class IconMenu(Displayable):
    """Up to 32 items, each with the icon (of up to ten) that its ``icon`` names."""

    _tag = "CiscoIPPhoneIconMenu"
    items: tuple[MenuItem, ...] = ()
    icons: tuple[Icon, ...] = ()

    def _element(self) -> ET.Element:
        element = self._frame()
        _items(element, self.items, 32)
        _items(element, self.icons, 10)
        return element


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFile(Displayable):
    """A PNG file that the phone fetches from ``url``; for models whose displays are larger than a bitmap can be."""

    _tag = "CiscoIPPhoneImageFile"
    url: str
    x: int = 0
    y: int = 0

    def _element(self) -> ET.Element:
        element = self._frame()
        _whole(element, "LocationX", self.x, -1, 297)
        _whole(element, "LocationY", self.y, -1, 167)
        _text(element, "URL", self.url, URL_CHARS, least=1)
        return element


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecuteItem(_Item):
    """``priority``: 0 at once, 1 when idle, 2 only if idle (http URLs only; URIs run at once)."""

    _tag = "ExecuteItem"
    url: str
    priority: int = 0

    def _element(self) -> ET.Element:
        holder = ET.Element(self._tag)
        _text(holder, "URL", self.url, URL_CHARS, least=1)
        _whole(holder, "Priority", self.priority, 0, 2)
        return ET.Element(self._tag, {"Priority": str(self.priority), "URL": self.url})

    @property
    def is_page(self) -> bool:
        """Whether the phone fetches it, rather than acts on it."""
        return self.url.lower().startswith(("http:", "https:"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Execute(PhoneObject):
    """One to three items, at most one of them an http URL."""

    _tag = "CiscoIPPhoneExecute"
    items: tuple[ExecuteItem, ...]

    def _element(self) -> ET.Element:
        element = ET.Element(self._tag)
        _items(element, self.items, 3, least=1)
        if sum(item.is_page for item in self.items) > 1:
            raise LocalProtocolError(f"{self._tag}: more than one http URL")
        return element


@dataclass(frozen=True, kw_only=True, slots=True)
class ResponseItem(_Item):
    """What became of one ExecuteItem; attributes, as phones send it (the schema has elements)."""

    _tag = "ResponseItem"
    url: str
    data: str = ""
    status: int = 0

    def _element(self) -> ET.Element:
        holder = ET.Element(self._tag)
        _text(holder, "URL", self.url, URL_CHARS)
        _text(holder, "Data", self.data, NAME_CHARS)
        _whole(holder, "Status", self.status, -32768, 32767)
        return ET.Element(self._tag, {"Status": str(self.status), "Data": self.data, "URL": self.url})


@dataclass(frozen=True, kw_only=True, slots=True)
class Response(PhoneObject):
    """A phone's answer to an Execute."""

    _tag = "CiscoIPPhoneResponse"
    items: tuple[ResponseItem, ...]

    def _element(self) -> ET.Element:
        element = ET.Element(self._tag)
        _items(element, self.items, 3, least=1)
        return element


@dataclass(frozen=True, kw_only=True, slots=True)
class Error(PhoneObject):
    """A phone's refusal: 1 parse error, 2 framing the response, 3 internal file error, 4 authentication error."""

    _tag = "CiscoIPPhoneError"
    number: int

    def _element(self) -> ET.Element:
        holder = ET.Element(self._tag)
        _whole(holder, "Number", self.number, 0, 65535)
        return ET.Element(self._tag, {"Number": str(self.number)})


@dataclass(frozen=True, kw_only=True, slots=True)
class Status(PhoneObject):
    """A strip over the call display, at most 106 x 21 pixels; by push only. ``timer_s`` 0 keeps it."""

    _tag = "CiscoIPPhoneStatus"
    bitmap: Bitmap
    text: str = ""
    timer_s: int = 0

    def _element(self) -> ET.Element:
        element = ET.Element(self._tag)
        _text(element, "Text", self.text, NAME_CHARS)
        _whole(element, "Timer", self.timer_s, 0, 65535)
        self.bitmap._append_to(element, most_width=106, most_height=21, most_bytes=557)
        return element


def _text(parent: ET.Element, name: str, value: str, most: int, *, least: int = 0, keep: bool = False) -> None:
    """Append ``value``; an empty one only with ``keep``."""
    if not least <= len(value) <= most:
        raise LocalProtocolError(f"{parent.tag}/{name}: {len(value)} characters, allowed are {least} to {most}")
    if match := _NOT_XML.search(value):
        raise LocalProtocolError(f"{parent.tag}/{name}: {match[0]!r} cannot stand in XML")
    if value or keep:
        ET.SubElement(parent, name).text = value


def _whole(parent: ET.Element, name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise LocalProtocolError(f"{parent.tag}/{name}: {value}, allowed are {least} to {most}")
    ET.SubElement(parent, name).text = str(value)


def _choice(parent: ET.Element, name: str, value: str, known: frozenset[str]) -> None:
    if value not in known:
        raise LocalProtocolError(f"{parent.tag}/{name}: {value!r}", hint="known: " + ", ".join(sorted(known)))
    ET.SubElement(parent, name).text = value


def _items(parent: ET.Element, items: Iterable[_Item], most: int, *, least: int = 0) -> None:
    elements = [item._element() for item in items]
    if not least <= len(elements) <= most:
        what = elements[0].tag if elements else "item"
        raise LocalProtocolError(f"{parent.tag}: {len(elements)} of {what}, allowed are {least} to {most}")
    parent.extend(elements)
