"""What goes into a phone's browser and comes out of it: settings, requests, answers, and what its prompt line says of failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from testbed.browser.model import DEFAULT_MODEL, PhoneModel

HOST_NOT_FOUND = "Host Not Found"
NO_CONNECTION = "HTTP Error [10]: Connection Failed"
HTTP_ERROR = "HTTP Error [8]: Unknown HTTP Error"
"""Prompt lines, as Cisco's notes list them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BrowserSettings:
    """``urls``: feature key (``services`` …) -> URL, as the configuration file gives them."""

    device_name: str
    model: PhoneModel = DEFAULT_MODEL
    urls: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetch:
    """A GET to send; ``number`` names it. ``cookie``: value of the Cookie header, "" for none."""

    number: int
    url: str
    cookie: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came: ``headers`` with lower-case names, ``set_cookies`` each Set-Cookie's value, ``url`` where it came from."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    set_cookies: tuple[str, ...] = ()
