"""Layouts: how the fields of a message lie in its body.

A layout is a class whose annotations are field kinds, in the order of the wire; it becomes a frozen, keyword-only dataclass.
All numbers are little-endian, addresses are in network order, texts and tables have a fixed size.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self, dataclass_transform, get_type_hints

from testbed.errors import LocalProtocolError, PeerProtocolError


class Kind:
    """How one field is written: a code of the struct module, and the way from value to wire and back."""

    code: str

    def to_wire(self, value: Any) -> Any:
        return value

    def from_wire(self, raw: Any) -> Any:
        return raw


class Integer(Kind):
    """Unsigned, 1, 2 or 4 bytes (struct codes B, H, I)."""

    def __init__(self, code: str) -> None:
        self.code = code


class Octets(Kind):
    """A fixed area of bytes; trailing zeros are no part of the value."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.code = f"{size}s"

    def to_wire(self, value: bytes) -> bytes:
        if len(value) > self.size:
            raise LocalProtocolError(f"{len(value)} bytes do not fit a field of {self.size}")
        return value

    def from_wire(self, raw: bytes) -> bytes:
        return raw.rstrip(b"\0")


class Text(Octets):
    """NUL-padded. Real products leave stack garbage after the NUL, so a text ends at its first NUL.

    One byte is one character (ISO 8859-1): label codes (0x80 + code) pass through unchanged.
    """

    def to_wire(self, value: str) -> bytes:  # type: ignore[override]
        try:
            raw = value.encode("latin-1")
        except UnicodeEncodeError as error:
            raise LocalProtocolError(f"{value!r} has characters outside ISO 8859-1") from error
        if b"\0" in raw:
            raise LocalProtocolError(f"{value!r} holds a NUL")
        return super().to_wire(raw)

    def from_wire(self, raw: bytes) -> str:  # type: ignore[override]
        return raw.split(b"\0", 1)[0].decode("latin-1")


class Address(Kind):
    """An IPv4 address, dotted."""

    code = "4s"

    def to_wire(self, value: str) -> bytes:
        try:
            return ipaddress.IPv4Address(value).packed
        except ValueError as error:
            raise LocalProtocolError(f"{value!r} is no IPv4 address") from error

    def from_wire(self, raw: bytes) -> str:
        return "{}.{}.{}.{}".format(*raw)


class Numbers(Kind):
    """``count`` numbers of one size; trailing zeros are no part of the value."""

    def __init__(self, code: str, count: int) -> None:
        self.packed = struct.Struct(f"<{count}{code}")
        self.count = count
        self.code = f"{self.packed.size}s"

    def to_wire(self, value: tuple[int, ...]) -> bytes:
        if len(value) > self.count:
            raise LocalProtocolError(f"{len(value)} numbers do not fit a table of {self.count}")
        return self.packed.pack(*value, *(0,) * (self.count - len(value)))

    def from_wire(self, raw: bytes) -> tuple[int, ...]:
        numbers = self.packed.unpack(raw)
        used = self.count
        while used and not numbers[used - 1]:
            used -= 1
        return numbers[:used]


class Records(Kind):
    """A table of ``count`` slots of one layout; trailing slots that hold ``unused`` are no part of the value."""

    def __init__(self, layout: type[Layout], count: int, unused: bytes | None = None) -> None:
        self.layout, self.count = layout, count
        self.unused = bytes(layout.size) if unused is None else unused
        self.code = f"{layout.size * count}s"

    def to_wire(self, value: tuple[Layout, ...]) -> bytes:
        if len(value) > self.count:
            raise LocalProtocolError(f"{len(value)} records do not fit a table of {self.count}")
        return b"".join([record.encode() for record in value]) + self.unused * (self.count - len(value))

    def from_wire(self, raw: bytes) -> tuple[Layout, ...]:
        size, used = self.layout.size, self.count
        while used and raw[(used - 1) * size : used * size] == self.unused:
            used -= 1
        return tuple(self.layout.decode(raw[i * size : (i + 1) * size]) for i in range(used))


class Tail(Kind):
    """Bytes up to the end of the message; the number of them that count is in another field. Padded to words."""

    code = ""

    def __init__(self, most: int, length_field: str) -> None:
        self.most, self.length_field = most, length_field


U32 = Annotated[int, Integer("I")]
U16 = Annotated[int, Integer("H")]
U8 = Annotated[int, Integer("B")]
IPv4 = Annotated[str, Address()]
Text4 = Annotated[str, Text(4)]
Text6 = Annotated[str, Text(6)]
Text16 = Annotated[str, Text(16)]
Text24 = Annotated[str, Text(24)]
Text25 = Annotated[str, Text(25)]
Text32 = Annotated[str, Text(32)]
Text40 = Annotated[str, Text(40)]
Text48 = Annotated[str, Text(48)]
Text80 = Annotated[str, Text(80)]
Text256 = Annotated[str, Text(256)]
Octets3 = Annotated[bytes, Octets(3)]
NO_ADDRESS = "0.0.0.0"


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Layout:
    """Base of everything with fields on the wire."""

    kinds: ClassVar[tuple[tuple[str, Kind], ...]] = ()
    tail: ClassVar[tuple[str, Tail] | None] = None
    packed: ClassVar[struct.Struct] = struct.Struct("<")
    size: ClassVar[int] = 0

    def __init_subclass__(cls) -> None:
        hints = get_type_hints(cls, include_extras=True)
        kinds = [
            (name, kind)
            for name in cls.__annotations__
            for kind in getattr(hints[name], "__metadata__", ())
            if isinstance(kind, Kind)
        ]
        tails = [(name, kind) for name, kind in kinds if isinstance(kind, Tail)]
        cls.tail = tails[0] if tails else None
        cls.kinds = tuple((name, kind) for name, kind in kinds if not isinstance(kind, Tail))
        cls.packed = struct.Struct("<" + "".join(kind.code for _, kind in cls.kinds))
        cls.size = cls.packed.size
        dataclass(frozen=True, kw_only=True)(cls)

    def encode(self) -> bytes:
        """The body; raises LocalProtocolError where a value does not fit its field."""
        try:
            body = self.packed.pack(*[kind.to_wire(getattr(self, name)) for name, kind in self.kinds])
        except struct.error as error:
            raise LocalProtocolError(f"{type(self).__name__}: {error}") from error
        return body if self.tail is None else body + self._tail_to_wire(*self.tail)

    def _tail_to_wire(self, name: str, kind: Tail) -> bytes:
        data: bytes = getattr(self, name)
        if len(data) > kind.most or getattr(self, kind.length_field) != len(data):
            raise LocalProtocolError(
                f"{type(self).__name__}: {len(data)} bytes of data, at most {kind.most} and as announced"
            )
        return data + bytes(-len(data) % 4)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Shorter bodies are filled with zeros, longer ones cut: old and new products differ in length only."""
        size = cls.size
        fixed = body if len(body) == size else body[:size].ljust(size, b"\0")
        values = {
            name: kind.from_wire(raw) for (name, kind), raw in zip(cls.kinds, cls.packed.unpack(fixed), strict=True)
        }
        if cls.tail is not None:
            name, tail = cls.tail
            length = values[tail.length_field]
            if length > tail.most or length > max(len(body) - size, 0):
                raise PeerProtocolError(
                    f"{cls.__name__} announces {length} bytes of data and has {max(len(body) - size, 0)}"
                )
            values[name] = body[size : size + length]
        return cls(**values)
