"""What the call controls of one bed tell each other, one JSON object a line. Sans-IO.

This protocol is ours: how a real cluster's members signal to each other (over TCP port 8002, the port we use too) is proprietary and
in no source we have. A line has a ``kind``, the fields of that kind and no others; a line that has not is the sender's fault.

Calls are numbered for each connection: whoever dialled the connection begins calls with odd numbers, the other one with even ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from ipaddress import AddressValueError, IPv4Address
from types import MappingProxyType
from typing import Any, Final

from testbed.errors import PeerProtocolError
from testbed.sccp.leg import LegInput

MAX_LINE_BYTES = 4096
NUMBERS_A_LINE = 90
"""Of at most 24 digits each, with a time of at most 16: they fit into a line."""
MAX_U32 = 0xFFFFFFFF
MAX_MS = 1 << 53
"""The largest whole number that every reader of JSON keeps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """Are you there? Every keepalive interval, from both sides."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Here:
    """The answer to Ask."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Registered:
    """Directory numbers of phones at the sender, and since when each is there, in milliseconds since 1970: of two call controls that
    have a number, it is where it registered later."""

    numbers: tuple[str, ...]
    since_ms: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Gone:
    """Numbers whose phones are at the sender no longer."""

    numbers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """A phone of the sender's (``device``, ``number``, the reference of its leg) calls the number ``called`` of the receiver's."""

    call: int
    called: str
    device: str
    number: str
    reference: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Happened:
    """To the sender's side of a call; ``what`` is a key of ``HAPPENINGS``. Who that side is by now: a transfer changes it, and empty
    and 0 say that there is nobody any more."""

    call: int
    what: str
    device: str = ""
    number: str = ""
    reference: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Media:
    """Where the phone of the sender's side receives: address and port of its OpenReceiveChannelAck."""

    call: int
    address: str
    port: int


ClusterMessage = Ask | Here | Registered | Gone | Setup | Happened | Media

HAPPENINGS: Final[Mapping[str, LegInput]] = MappingProxyType(
    {
        "rings": LegInput.ROUTED,
        "busy": LegInput.BUSY,
        "unknown": LegInput.UNKNOWN,
        "answers": LegInput.OTHER_ANSWERED,
        "holds": LegInput.OTHER_HOLDS,
        "resumes": LegInput.OTHER_RESUMED,
        "rings after transfer": LegInput.OTHER_RINGS,
        "is another": LegInput.OTHER_CHANGED,
        "hangs up": LegInput.OTHER_LEFT,
        "is lost": LegInput.OTHER_GONE,
    }
)
"""What can happen to one side of a call, and what it is to the leg at the other side."""
ENDINGS: Final = frozenset({LegInput.BUSY, LegInput.UNKNOWN, LegInput.OTHER_LEFT, LegInput.OTHER_GONE})
"""After these there is no such call between the two any more."""

_KINDS: Final[Mapping[str, type[Any]]] = MappingProxyType(
    {
        "ask": Ask,
        "here": Here,
        "registered": Registered,
        "gone": Gone,
        "setup": Setup,
        "happened": Happened,
        "media": Media,
    }
)
_NAMES: Final = MappingProxyType({kind: name for name, kind in _KINDS.items()})


def encode(message: ClusterMessage) -> bytes:
    """Its line, with the end of line."""
    values = {field.name: getattr(message, field.name) for field in fields(message)}
    line = json.dumps({"kind": _NAMES[type(message)], **values}, separators=(",", ":")).encode()
    assert len(line) < MAX_LINE_BYTES
    return line + b"\n"


def decode(line: bytes) -> ClusterMessage:
    """Raises PeerProtocolError for whatever ``encode`` does not make."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise PeerProtocolError("a line that is no JSON") from None
    kind = _KINDS.get(_text(found.pop("kind", None), _WORD)) if isinstance(found, dict) else None
    if kind is None:
        raise PeerProtocolError("a line of no known kind")
    names = {field.name for field in fields(kind)}
    if names != set(found):
        raise PeerProtocolError(f"{_NAMES[kind]} has the fields {', '.join(sorted(names)) or '(none)'}")
    message: ClusterMessage = kind(**{name: _FIELDS[name](value) for name, value in found.items()})
    if isinstance(message, Registered) and len(message.numbers) != len(message.since_ms):
        raise PeerProtocolError(f"{len(message.numbers)} numbers, {len(message.since_ms)} times")
    return message


class LineReader:
    """Collects bytes of one direction of one connection."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[ClusterMessage]:
        """Messages completed by these bytes, in order. Raises PeerProtocolError; the connection is of no use after that."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            _check_length(line)
            yield decode(line)
        _check_length(self._rest)


def _check_length(line: bytes) -> None:
    if len(line) >= MAX_LINE_BYTES:
        raise PeerProtocolError(f"a line of more than {MAX_LINE_BYTES} bytes")


# -- fields

_WORD = re.compile(r"[a-z ]{1,32}")
_NUMBER = re.compile(r"[0-9*]{1,24}")
_NUMBER_OR_NONE = re.compile(r"[0-9*]{0,24}")
_DEVICE = re.compile(r"[ -~]{0,16}")


def _text(value: object, form: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise PeerProtocolError(f"{form.pattern} is needed")
    return value


def _whole(value: object, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise PeerProtocolError(f"a whole number from {least} to {most} is needed")
    return value


def _numbers(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > NUMBERS_A_LINE:
        raise PeerProtocolError(f"at most {NUMBERS_A_LINE} numbers are needed")
    return tuple(_text(one, _NUMBER) for one in value)


def _times(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > NUMBERS_A_LINE:
        raise PeerProtocolError(f"at most {NUMBERS_A_LINE} times are needed")
    return tuple(_whole(one, 0, MAX_MS) for one in value)


def _address(value: object) -> str:
    try:
        return str(IPv4Address(value if isinstance(value, str) else ""))
    except AddressValueError:
        raise PeerProtocolError("an IPv4 address is needed") from None


def _happening(value: object) -> str:
    word = _text(value, _WORD)
    if word not in HAPPENINGS:
        raise PeerProtocolError(f"{word}: nothing that can happen to a call")
    return word


_FIELDS: Final[Mapping[str, Callable[[object], Any]]] = MappingProxyType(
    {
        "numbers": _numbers,
        "since_ms": _times,
        "call": lambda value: _whole(value, 0, MAX_U32),
        "called": lambda value: _text(value, _NUMBER),
        "device": lambda value: _text(value, _DEVICE),
        "number": lambda value: _text(value, _NUMBER_OR_NONE),
        "reference": lambda value: _whole(value, 0, MAX_U32),
        "what": _happening,
        "address": _address,
        "port": lambda value: _whole(value, 1, 65535),
    }
)
