"""XML from a peer, read within bounds of size, depth and number; no DOCTYPE, hence no entities and no outside files.

Prefixes are part of a name (``xsi:type``) and need no declaration: CallManager 4.1 emits ``xsi:type`` without one,
which a namespace-aware parser refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from testbed.errors import PeerProtocolError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_ELEMENTS = 10_000

_XSI_ATTRIBUTE = re.compile(rb"""[ \t\r\n]xsi:[A-Za-z]{1,64}=(?:"[^"<]*"|'[^'<]*')""")


class XmlError(PeerProtocolError):
    """Not XML, or XML out of bounds; the message says what is wrong, on which line and in which column (from 1)."""


@dataclass(slots=True)
class Element:
    """An element: name with its prefix, attributes, text of its own (ends stripped), children in order, place (from 1)."""

    name: str
    attributes: dict[str, str]
    text: str = ""
    children: list[Element] = field(default_factory=list)
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)

    def find(self, path: str) -> Element | None:
        """The first element down this path of names (``a/b/c``)."""
        element: Element | None = self
        for name in path.split("/"):
            element = next((child for child in element.children if child.name == name), None) if element else None
        return element

    def all(self, name: str) -> Iterator[Element]:
        """Children of this name."""
        return (child for child in self.children if child.name == name)

    def text_of(self, path: str) -> str:
        """Text of the first element down this path; "" where it is missing or empty."""
        element = self.find(path)
        return element.text if element else ""


def parse_xml(content: bytes, *, max_bytes: int = MAX_BYTES, only_root: bool = False) -> Element:
    """The root of a whole document; with ``only_root`` its children are checked but not kept. Raises XmlError."""
    if len(content) > max_bytes:
        raise XmlError(f"{len(content)} bytes, more than the {max_bytes} allowed")
    return _Reader(only_root).read(_without_xsi(content))


def _without_xsi(content: bytes) -> bytes:
    """Blank out ``xsi:`` attributes: nothing here reads them, and files exist that repeat one within a tag."""
    return _XSI_ATTRIBUTE.sub(lambda match: b" " * len(match[0]), content)


class _Reader:
    def __init__(self, only_root: bool) -> None:
        self._only_root = only_root
        self._open: list[Element] = []
        self._root: Element | None = None
        self._count = 0
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._on_start
        self._parser.EndElementHandler = self._on_end
        self._parser.CharacterDataHandler = self._on_text
        self._parser.StartDoctypeDeclHandler = self._on_doctype

    def read(self, content: bytes) -> Element:
        try:
            self._parser.Parse(content, True)
        except expat.ExpatError as error:
            text = expat.errors.messages.get(error.code, str(error))
            raise XmlError(f"line {error.lineno}, column {error.offset + 1}: {text}") from None
        except (LookupError, ValueError) as error:  # an encoding that Python does not know, or not for this use
            raise XmlError(f"line 1: {error}") from None
        assert self._root is not None  # expat refuses a document without a root
        return self._root

    def _on_start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) >= MAX_DEPTH:
            raise self._error(f"elements nested more than {MAX_DEPTH} deep")
        if self._count > MAX_ELEMENTS:
            raise self._error(f"more than {MAX_ELEMENTS} elements")
        line, column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
        element = Element(name, attributes, line=line, column=column)
        if not self._open:
            self._root = element
        elif not self._only_root:
            self._open[-1].children.append(element)
        self._open.append(element)

    def _on_end(self, name: str) -> None:
        element = self._open.pop()
        element.text = element.text.strip()

    def _on_text(self, text: str) -> None:
        if not self._only_root:
            self._open[-1].text += text

    def _on_doctype(self, name: str, *_: object) -> None:
        raise self._error("DOCTYPE is not allowed")

    def _error(self, message: str) -> XmlError:
        return XmlError(
            f"line {self._parser.CurrentLineNumber}, column {self._parser.CurrentColumnNumber + 1}: {message}"
        )
