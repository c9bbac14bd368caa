"""What a CiscoIPPhone document may hold (schema 3.3.4), as one table, and what in a document breaks it, with its place.

``findings`` is what ``lint-xml`` prints and what decides whether a phone takes a page: a finding that is not a warning
is a parse error on the phone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from testbed.bounded_xml import Element
from testbed.browser import uri
from testbed.browser.model import PhoneModel
from testbed.phone_xml import INPUT_FLAGS, KEY_NAMES, NAME_CHARS, TEXT_CHARS, URL_CHARS

_WHOLE = re.compile(r"[+-]?\d{1,9}", re.ASCII)
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing wrong, at ``line`` and ``column`` (from 1). A warning does not keep a phone from showing the page."""

    line: int
    column: int
    path: str
    message: str
    is_warning: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """Text of ``least`` to ``most`` characters; with ``is_url`` a page or a URI of the phone."""

    most: int
    least: int = 0
    is_url: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Whole:
    least: int
    most: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Hex:
    most_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    known: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """An element with children, in the schema's order, and attributes (name -> kind, whether it is required)."""

    fields: tuple[Field, ...] = ()
    attributes: Mapping[str, tuple[Words | Whole, bool]] = field(default_factory=lambda: MappingProxyType({}))


Kind = Words | Whole | Hex | Choice | Shape


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A child element, ``least`` to ``most`` times. ``is_lenient``: the first parser does without it."""

    name: str
    kind: Kind
    least: int = 0
    most: int = 1
    is_lenient: bool = False


def _words(name: str, most: int = NAME_CHARS, *, least: int = 0, **more: bool) -> Field:
    return Field(name=name, kind=Words(most=most, least=least), least=least, **more)


def _url(name: str = "URL", *, least: int = 0, **more: bool) -> Field:
    return Field(name=name, kind=Words(most=URL_CHARS, least=least, is_url=True), least=least, **more)


def _number(name: str, low: int, high: int, *, least: int = 0, **more: bool) -> Field:
    return Field(name=name, kind=Whole(least=low, most=high), least=least, **more)


def _bitmap(width: int, height: int, most_bytes: int, *, is_placed: bool = True) -> tuple[Field, ...]:
    place = (_number("LocationX", -1, width - 1), _number("LocationY", -1, height - 1)) if is_placed else ()
    return (
        *place,
        _number("Width", 1, width, least=1),
        _number("Height", 1, height, least=1),
        _number("Depth", 1, 2, least=1),
        Field(name="Data", kind=Hex(most_bytes=most_bytes)),
    )


def _items(name: str, most: int, *fields: Field, least: int = 0) -> Field:
    return Field(name=name, kind=Shape(fields=fields), least=least, most=most)


_FRAME = (
    _words("Title"),
    _words("Prompt"),
    _items(
        "SoftKeyItem", 8, _words("Name"), _number("Position", 1, 8, least=1, is_lenient=True), _url(), _url("URLDown")
    ),
    _items("KeyItem", 32, Field(name="Key", kind=Choice(known=KEY_NAMES), least=1), _url(), _url("URLDown")),
)
_MENU_ITEM = (_words("Name", 64), _url())
_ICON_MENU_ITEM = (*_MENU_ITEM, _number("IconIndex", 0, 9))
_INPUT_ITEM = (
    _words("DisplayName"),
    _words("QueryStringParam", least=1, is_lenient=True),
    Field(name="InputFlags", kind=Choice(known=INPUT_FLAGS), least=1),
    _words("DefaultValue"),
)
_ICON = (Field(name="Index", kind=Whole(least=0, most=9), least=1), *_bitmap(16, 10, 40, is_placed=False))
_TOUCH: dict[str, tuple[Words | Whole, bool]] = {
    name: (Whole(least=0, most=65535), True) for name in ("X1", "Y1", "X2", "Y2")
}
_TOUCH_AREA = Field(name="TouchArea", kind=Shape(attributes=MappingProxyType(_TOUCH)))
_FILE_PLACE = (_number("LocationX", -1, 297), _number("LocationY", -1, 167), _url(least=1))
_EXECUTE_ITEM: Mapping[str, tuple[Words | Whole, bool]] = MappingProxyType(
    {"Priority": (Whole(least=0, most=2), False), "URL": (Words(most=URL_CHARS, least=1, is_url=True), True)}
)
_RESPONSE_ITEM: Mapping[str, tuple[Words | Whole, bool]] = MappingProxyType(
    {
        "Status": (Whole(least=-32768, most=32767), True),
        "Data": (Words(most=NAME_CHARS), False),
        "URL": (Words(most=URL_CHARS), False),
    }
)
_STATUS = (_words("Text"), _number("Timer", 0, 65535))

OBJECTS: Mapping[str, Shape] = MappingProxyType(
    {
        "CiscoIPPhoneMenu": Shape(fields=(*_FRAME, _items("MenuItem", 100, *_MENU_ITEM))),
        "CiscoIPPhoneText": Shape(fields=(*_FRAME, _words("Text", TEXT_CHARS))),
        "CiscoIPPhoneInput": Shape(
            fields=(*_FRAME, _url(least=1, is_lenient=True), _items("InputItem", 5, *_INPUT_ITEM))
        ),
        "CiscoIPPhoneDirectory": Shape(
            fields=(*_FRAME, _items("DirectoryEntry", 32, _words("Name"), _words("Telephone")))
        ),
        "CiscoIPPhoneImage": Shape(fields=(*_FRAME, *_bitmap(133, 65, 2162))),
        "CiscoIPPhoneGraphicMenu": Shape(
            fields=(*_FRAME, *_bitmap(133, 65, 2162), _items("MenuItem", 12, *_MENU_ITEM))
        ),
        "CiscoIPPhoneIconMenu": Shape(
            fields=(*_FRAME, _items("MenuItem", 32, *_ICON_MENU_ITEM), _items("IconItem", 10, *_ICON))
        ),
        "CiscoIPPhoneImageFile": Shape(fields=(*_FRAME, *_FILE_PLACE)),
        "CiscoIPPhoneGraphicFileMenu": Shape(
            fields=(*_FRAME, *_FILE_PLACE, _items("MenuItem", 32, _words("Name"), _url(), _TOUCH_AREA))
        ),
        "CiscoIPPhoneIconFileMenu": Shape(
            fields=(
                *_FRAME,
                _items("MenuItem", 32, *_ICON_MENU_ITEM),
                _items("IconItem", 10, _number("Index", 0, 9, least=1), _words("URL", URL_CHARS, least=1)),
            )
        ),
        "CiscoIPPhoneStatus": Shape(fields=(*_STATUS, *_bitmap(106, 21, 557))),
        "CiscoIPPhoneStatusFile": Shape(
            fields=(*_STATUS, _number("LocationX", -1, 261), _number("LocationY", -1, 49), _url(least=1))
        ),
        "CiscoIPPhoneExecute": Shape(
            fields=(Field(name="ExecuteItem", kind=Shape(attributes=_EXECUTE_ITEM), least=1, most=3),)
        ),
        "CiscoIPPhoneResponse": Shape(
            fields=(Field(name="ResponseItem", kind=Shape(attributes=_RESPONSE_ITEM), least=1, most=3),)
        ),
        "CiscoIPPhoneError": Shape(attributes=MappingProxyType({"Number": (Whole(least=0, most=65535), True)})),
    }
)
"""By the name of the root element."""

_NO_PICTURES = frozenset({"CiscoIPPhoneImage", "CiscoIPPhoneGraphicMenu", "CiscoIPPhoneStatus"})


def is_supported(name: str, model: PhoneModel) -> bool:
    """Whether this model knows the object at all (otherwise it shows XML Error [5])."""
    if "File" in name:
        return model.has_picture_files
    return model.has_pictures or name not in _NO_PICTURES


def findings(root: Element, model: PhoneModel) -> list[Finding]:
    """What is wrong with a document, for this model, in the document's order."""
    shape = OBJECTS.get(root.name)
    if shape is None:
        return [_at(root, root.name, "no object of a phone: known are " + ", ".join(OBJECTS))]
    if not is_supported(root.name, model):
        return [_at(root, root.name, f"the {model.name} has no such object")]
    found = [*_shape(root, shape, root.name, model), *_display(root, model), *_execute(root)]
    return sorted(found, key=lambda finding: (finding.line, finding.column))


def _at(element: Element, path: str, message: str, *, is_warning: bool = False) -> Finding:
    return Finding(line=element.line, column=element.column, path=path, message=message, is_warning=is_warning)


def _shape(element: Element, shape: Shape, path: str, model: PhoneModel) -> Iterator[Finding]:
    yield from _attributes(element, shape, path)
    fields = {one.name: one for one in shape.fields}
    order, furthest, counts = list(fields), 0, dict.fromkeys(fields, 0)
    for child in element.children:
        known = fields.get(child.name)
        if known is None:
            yield _at(child, f"{path}/{child.name}", "not known here; a phone passes over it", is_warning=True)
            continue
        if order.index(child.name) < furthest:
            yield _at(child, f"{path}/{child.name}", "later than the schema's order has it", is_warning=True)
        furthest = max(furthest, order.index(child.name))
        counts[child.name] += 1
        if counts[child.name] == known.most + 1:
            yield _at(child, f"{path}/{child.name}", f"more than {known.most} of it")
        where = f"{path}/{child.name}" + (f"[{counts[child.name]}]" if known.most > 1 else "")
        yield from _child(child, known, where, model)
    for name, known in fields.items():
        if counts[name] < known.least:
            is_warning = known.is_lenient and not model.checks_schema
            yield _at(element, f"{path}/{name}", "missing", is_warning=is_warning)


def _child(child: Element, known: Field, path: str, model: PhoneModel) -> Iterator[Finding]:
    if isinstance(known.kind, Shape):
        yield from _shape(child, known.kind, path, model)
    elif child.children:
        yield _at(child.children[0], f"{path}/{child.children[0].name}", "an element where text belongs")
    else:
        is_warning = known.is_lenient and not model.checks_schema and not child.text
        for message, is_doubt in _value(child.text, known.kind):
            yield _at(child, path, message, is_warning=is_warning or is_doubt)


def _attributes(element: Element, shape: Shape, path: str) -> Iterator[Finding]:
    for name, (kind, is_required) in shape.attributes.items():
        value = element.attributes.get(name)
        if value is None:
            if is_required:
                yield _at(element, f"{path}/@{name}", "missing")
            continue
        for message, is_doubt in _value(value, kind):
            yield _at(element, f"{path}/@{name}", message, is_warning=is_doubt)


def _value(text: str, kind: Words | Whole | Hex | Choice) -> Iterator[tuple[str, bool]]:
    """What is wrong with a value, and whether that is only a doubt."""
    match kind:
        case Words():
            if not kind.least <= len(text) <= kind.most:
                yield f"{len(text)} characters, allowed are {kind.least} to {kind.most}", False
            elif kind.is_url and text:
                yield from _url_doubts(text)
        case Whole():
            if not _WHOLE.fullmatch(text) or not kind.least <= int(text) <= kind.most:
                yield f"{text[:40]!r} is not a whole number from {kind.least} to {kind.most}", False
        case Hex():
            if not _HEX.fullmatch(text):
                yield "not pairs of hexadecimal digits without spaces", False
            elif len(text) > 2 * kind.most_bytes:
                yield f"{len(text) // 2} bytes, allowed are {kind.most_bytes}", False
        case Choice():
            if text not in kind.known:
                yield f"{text[:40]!r} is none of " + ", ".join(sorted(kind.known)), False


def _url_doubts(text: str) -> Iterator[tuple[str, bool]]:
    if not uri.is_page(text):
        try:
            uri.parse_uri(text)
        except uri.BadUri as error:
            yield error.message, True
    elif any(character.isspace() for character in text) or not text.isprintable():
        yield "a space or a control character in a URL", True
    elif not text.lower().startswith(("http://", "https://", "resource:")):
        yield "not a whole URL: first-generation phones do not resolve it against the page's", True


def _display(root: Element, model: PhoneModel) -> Iterator[Finding]:
    """Pictures that do not fit this display, and data that does not fit its picture."""
    pictures = [root] if root.find("Width") is not None else []
    for element in (*pictures, *(icon for icon in root.all("IconItem") if icon.find("Width") is not None)):
        values = {name: element.text_of(name) for name in ("Width", "Height", "Depth")}
        if not all(_WHOLE.fullmatch(text) and int(text) > 0 for text in values.values()):
            continue
        width, height, depth = (int(text) for text in values.values())
        place = element.find("Width") or element
        if element is root and (width > model.width or height > model.height):
            message = f"{width} x {height}: the {model.name} shows {model.width} x {model.height} of it"
            yield _at(place, f"{root.name}/Width", message, is_warning=True)
        if depth > model.depth:
            message = f"{depth} bits a pixel: the {model.name} shows {model.depth}"
            yield _at(place, f"{root.name}/Depth", message, is_warning=True)
        data = element.find("Data")
        wanted = (width * height * depth + 7) // 8
        if data is not None and _HEX.fullmatch(data.text) and len(data.text) != 2 * wanted:
            message = f"{len(data.text) // 2} bytes for {width} x {height} pixels of {depth} bits: {wanted} are needed"
            yield _at(data, f"{root.name}/Data", message, is_warning=True)


def _execute(root: Element) -> Iterator[Finding]:
    if root.name != "CiscoIPPhoneExecute":
        return
    items = [item for item in root.all("ExecuteItem") if item.attributes.get("URL")]
    pages = [item for item in items if uri.is_page(item.attributes["URL"])]
    for item in pages[1:]:
        yield _at(item, "CiscoIPPhoneExecute/ExecuteItem", "more than one page: at most one http URL")
    for item in items:
        if item.attributes["URL"].lower().startswith("softkey:"):
            yield _at(item, "CiscoIPPhoneExecute/ExecuteItem", "a SoftKey URI cannot be executed", is_warning=True)
