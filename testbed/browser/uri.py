"""What a key or a push can name besides a page: the phone's own URIs, read and checked.

Forms as in Cisco's Services Application Development Notes; RTP ports are even, from 20480 to 32768.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from testbed.errors import PeerProtocolError

MAX_CHARS = 256
RTP_PORTS = range(20480, 32769, 2)
MAX_VOLUME_PERCENT = 100

SOFT_KEYS = ("Back", "Cancel", "Exit", "Next", "Search", "Select", "Submit", "Update", "Dial", "EditDial", "<<")
KEYS = (
    *(f"KeyPad{digit}" for digit in (*range(10), "Star", "Pound")),
    *(f"Soft{place}" for place in range(1, 6)),
    *(f"Line{number}" for number in range(1, 35)),
    *("VolDwn", "VolUp", "Headset", "Speaker", "Mute", "Info", "Messages", "Services", "Directories", "Settings"),
    *("AppMenu", "Hold", "NavUp", "NavDwn", "NavDown", "NavLeft", "NavRight", "NavSelect", "NavBack", "PushToTalk"),
)
INIT = ("CallHistory", "Services", "Messages", "Directories", "AppStatus")
DISPLAY = ("Off", "On", "Default")

_NUMBER = re.compile(r"[0-9*#A-Da-d+,.() -]{1,64}(:[0-9]{1,3})?(:[A-Za-z0-9/]{1,64})?")
_FILE = re.compile(r"[A-Za-z0-9._/-]{1,128}")
_VOLUME = re.compile(r"[0-9]{1,3}")


class BadUri(PeerProtocolError):
    """Not a page and not a URI of a phone, or one with a wrong value; the message says which."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Uri:
    """A phone's own URI: ``Key`` and ``Services`` of ``Key:Services``."""

    scheme: str
    rest: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.rest}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stream:
    """Audio that a service starts or stops. ``port`` 0: the phone chooses (RTPRx only)."""

    scheme: str
    address: str = ""
    port: int = 0
    volume_percent: int | None = None
    is_stop: bool = False

    @property
    def sends(self) -> bool:
        """Whether the phone sends it, rather than plays it."""
        return self.scheme in ("RTPTx", "RTPMTx")

    @property
    def is_multicast(self) -> bool:
        return self.scheme.startswith("RTPM")


_RTP = ("RTPRx", "RTPTx", "RTPMRx", "RTPMTx")
SCHEMES = ("Key", "SoftKey", "Dial", "EditDial", "Play", "Init", "Notify", "Display", "QueryStringParam", *_RTP)
_BY_LOWER = {scheme.lower(): scheme for scheme in SCHEMES}


def is_page(url: str) -> bool:
    """Whether the phone fetches it, rather than acts on it: anything that is not one of its own URIs."""
    return url.partition(":")[0].lower() not in _BY_LOWER


def parse_uri(text: str) -> Uri:
    """One of the phone's own URIs, its values checked; raises BadUri. The scheme's case does not matter."""
    scheme, colon, rest = text.strip().partition(":")
    known = _BY_LOWER.get(scheme.lower())
    if known is None or not colon:
        raise BadUri(f"{text[:60]!r} is no URI of a phone", hint="known: " + ", ".join(SCHEMES))
    if len(text) > MAX_CHARS:
        raise BadUri(f"{known}: {len(text)} characters, allowed are {MAX_CHARS}")
    uri = Uri(scheme=known, rest=rest)
    if known in _RTP:
        stream_of(uri)
    elif known in _WORDS:
        _one_of(known, rest, _WORDS[known])
    elif known in _PATTERNS and not _PATTERNS[known].fullmatch(rest):
        raise BadUri(f"{known}: not a value it takes: {rest[:60]!r}")
    return uri


_WORDS = {"Key": KEYS, "SoftKey": SOFT_KEYS, "Init": INIT, "Display": DISPLAY}
_PATTERNS = {"Dial": _NUMBER, "EditDial": _NUMBER, "Play": _FILE}


def stream_of(uri: Uri) -> Stream:
    """``RTPRx:i:p:v``, ``RTPTx:i:p``, ``RTPMRx:i:p:v``, ``RTPMTx:i:p`` or their ``Stop`` forms; raises BadUri."""
    parts = uri.rest.split(":")
    if parts[0].lower() == "stop" and len(parts) == 1:
        return Stream(scheme=uri.scheme, is_stop=True)
    plays = uri.scheme in ("RTPRx", "RTPMRx")
    if len(parts) > (3 if plays else 2):
        raise BadUri(f"{uri}: too many parts")
    address, port, volume = (*parts, "", "")[:3]
    return Stream(
        scheme=uri.scheme,
        address=_address(uri, address),
        port=_port(uri, port, may_choose=uri.scheme == "RTPRx"),
        volume_percent=_volume(uri, volume) if volume else None,
    )


def _address(uri: Uri, text: str) -> str:
    try:
        address = IPv4Address(text)
    except AddressValueError:
        raise BadUri(f"{uri}: {text[:40]!r} is no IPv4 address") from None
    if address.is_multicast != uri.scheme.startswith("RTPM"):
        raise BadUri(f"{uri}: {'no' if uri.scheme.startswith('RTPM') else 'a'} multicast address: {text}")
    return str(address)


def _port(uri: Uri, text: str, *, may_choose: bool) -> int:
    if not text and may_choose:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) in RTP_PORTS):
        raise BadUri(f"{uri}: port {text[:20]!r} is not an even number from {RTP_PORTS[0]} to {RTP_PORTS[-1]}")
    return int(text)


def _volume(uri: Uri, text: str) -> int:
    if not _VOLUME.fullmatch(text) or int(text) > MAX_VOLUME_PERCENT:
        raise BadUri(f"{uri}: volume {text[:20]!r} is not from 0 to {MAX_VOLUME_PERCENT}")
    return int(text)


def _one_of(scheme: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise BadUri(f"{scheme}: no {value[:40]!r}", hint="known: " + ", ".join(known))
