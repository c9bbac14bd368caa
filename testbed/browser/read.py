"""From the bytes of an answer to the object a phone shows, or to the error it shows instead."""

from __future__ import annotations

from collections.abc import Callable

from testbed import phone_xml as px
from testbed.bounded_xml import Element, XmlError, parse_xml
from testbed.browser.limits import findings, is_supported
from testbed.browser.model import PhoneModel
from testbed.errors import LocalProtocolError, PeerProtocolError

MAX_PAGE_BYTES = 196_608
"""The only published figure: what the 6900 phones take; more is ``Data too large!``."""

PARSE_ERROR = "XML Error [4]: Parse Error"
UNSUPPORTED = "XML Error [5]: Unsupported Object"
TOO_LARGE = "Data too large!"
"""As Cisco's notes list them, for the prompt line."""


class PageError(PeerProtocolError):
    """A page the phone cannot show: ``shown`` is what its prompt line says, the message why."""

    def __init__(self, message: str, *, shown: str = PARSE_ERROR) -> None:
        super().__init__(message)
        self.shown = shown


def read_page(content: bytes, content_type: str, model: PhoneModel) -> px.PhoneObject:
    """The object; raises PageError. Text of any type but XML shows as its characters, as a phone shows it."""
    if len(content) > MAX_PAGE_BYTES:
        raise PageError(f"{len(content)} bytes, more than {MAX_PAGE_BYTES}", shown=TOO_LARGE)
    kind = content_type.partition(";")[0].strip().lower()
    if "xml" not in kind and not kind.startswith("x-ciscoipphone/"):
        return _plain(content, kind)
    return read_object(content, model)


def read_object(content: bytes, model: PhoneModel) -> px.PhoneObject:
    """An object as XML; raises PageError naming the first thing that is wrong, with its line."""
    try:
        root = parse_xml(content)
    except XmlError as error:
        raise PageError(error.message) from None
    wrong = next((finding for finding in findings(root, model) if not finding.is_warning), None)
    builder = _BUILDERS.get(root.name)
    if wrong is not None or builder is None:
        is_object = root.name in _BUILDERS or "CiscoIPPhone" in root.name
        is_strange = is_object and (builder is None or not is_supported(root.name, model))
        text = f"line {wrong.line}: {wrong.path}: {wrong.message}" if wrong else f"no {root.name} is drawn here"
        raise PageError(text, shown=UNSUPPORTED if is_strange else PARSE_ERROR)
    try:
        return builder(root)
    except LocalProtocolError as error:
        raise PageError(error.message) from None


def _plain(content: bytes, kind: str) -> px.Text:
    if not kind.startswith("text/"):
        raise PageError(f"Content-Type {kind[:60]!r}: neither XML nor text")
    text = content.decode("utf-8", "replace")
    shown = "".join(character if character.isprintable() or character in "\n\t" else "?" for character in text)
    return px.Text(title="", text=shown[: px.TEXT_CHARS])


def _frame(root: Element) -> dict[str, object]:
    soft_keys = tuple(
        px.SoftKey(
            name=item.text_of("Name"),
            position=int(item.text_of("Position") or min(8, place)),
            url=item.text_of("URL"),
            url_down=item.text_of("URLDown"),
        )
        for place, item in enumerate(root.all("SoftKeyItem"), start=1)
    )
    keys = tuple(px.KeyItem(key=item.text_of("Key"), url=item.text_of("URL")) for item in root.all("KeyItem"))
    return {"title": root.text_of("Title"), "prompt": root.text_of("Prompt"), "soft_keys": soft_keys, "keys": keys}


def _menu_items(root: Element) -> tuple[px.MenuItem, ...]:
    return tuple(
        px.MenuItem(
            name=item.text_of("Name"),
            url=item.text_of("URL"),
            icon=int(item.text_of("IconIndex")) if item.text_of("IconIndex") else None,
        )
        for item in root.all("MenuItem")
    )


def _bitmap(element: Element) -> px.Bitmap:
    return px.Bitmap(
        width=int(element.text_of("Width")),
        height=int(element.text_of("Height")),
        depth=int(element.text_of("Depth")),
        data=bytes.fromhex(element.text_of("Data")),
        x=int(element.text_of("LocationX") or 0),
        y=int(element.text_of("LocationY") or 0),
    )


def _input(root: Element) -> px.Input:
    items = tuple(
        px.InputItem(
            name=item.text_of("DisplayName"),
            parameter=item.text_of("QueryStringParam") or " ",
            flags=item.text_of("InputFlags"),
            default=item.text_of("DefaultValue"),
        )
        for item in root.all("InputItem")
    )
    return px.Input(**_frame(root), url=root.text_of("URL") or " ", items=items)  # type: ignore[arg-type]


def _directory(root: Element) -> px.Directory:
    entries = tuple(
        px.DirectoryEntry(name=entry.text_of("Name"), telephone=entry.text_of("Telephone"))
        for entry in root.all("DirectoryEntry")
    )
    return px.Directory(**_frame(root), entries=entries)  # type: ignore[arg-type]


def _icon_menu(root: Element) -> px.IconMenu:
    icons = tuple(px.Icon(index=int(icon.text_of("Index")), bitmap=_bitmap(icon)) for icon in root.all("IconItem"))
    return px.IconMenu(**_frame(root), items=_menu_items(root), icons=icons)  # type: ignore[arg-type]


def _image_file(root: Element) -> px.ImageFile:
    x, y = int(root.text_of("LocationX") or 0), int(root.text_of("LocationY") or 0)
    return px.ImageFile(**_frame(root), url=root.text_of("URL"), x=x, y=y)  # type: ignore[arg-type]


def _graphic_menu(root: Element) -> px.GraphicMenu:
    return px.GraphicMenu(**_frame(root), bitmap=_bitmap(root), items=_menu_items(root))  # type: ignore[arg-type]


def _execute(root: Element) -> px.Execute:
    return px.Execute(
        items=tuple(
            px.ExecuteItem(url=item.attributes["URL"], priority=int(item.attributes.get("Priority", "0")))
            for item in root.all("ExecuteItem")
        )
    )


def _response(root: Element) -> px.Response:
    return px.Response(
        items=tuple(
            px.ResponseItem(
                url=item.attributes.get("URL", ""),
                data=item.attributes.get("Data", ""),
                status=int(item.attributes["Status"]),
            )
            for item in root.all("ResponseItem")
        )
    )


def _status(root: Element) -> px.Status:
    return px.Status(text=root.text_of("Text"), timer_s=int(root.text_of("Timer") or 0), bitmap=_bitmap(root))


_BUILDERS: dict[str, Callable[[Element], px.PhoneObject]] = {
    "CiscoIPPhoneMenu": lambda root: px.Menu(**_frame(root), items=_menu_items(root)),  # type: ignore[arg-type]
    "CiscoIPPhoneText": lambda root: px.Text(**_frame(root), text=root.text_of("Text")),  # type: ignore[arg-type]
    "CiscoIPPhoneInput": _input,
    "CiscoIPPhoneDirectory": _directory,
    "CiscoIPPhoneImage": lambda root: px.Image(**_frame(root), bitmap=_bitmap(root)),  # type: ignore[arg-type]
    "CiscoIPPhoneGraphicMenu": _graphic_menu,
    "CiscoIPPhoneIconMenu": _icon_menu,
    "CiscoIPPhoneImageFile": _image_file,
    "CiscoIPPhoneExecute": _execute,
    "CiscoIPPhoneResponse": _response,
    "CiscoIPPhoneError": lambda root: px.Error(number=int(root.attributes["Number"])),
    "CiscoIPPhoneStatus": _status,
}
