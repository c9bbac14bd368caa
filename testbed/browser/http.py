"""What a phone says and understands in HTTP headers: who it is, Refresh, Location, cookies, Expires."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

from testbed.browser.model import PhoneModel

MAX_REDIRECTS = 5
MAX_COOKIES = 20
MAX_COOKIE_CHARS = 4096

_REFRESH = re.compile(r"\s*(\d{1,6})(?:\.\d*)?\s*(?:;\s*(?:url=)?(.*))?", re.IGNORECASE)


def request_headers(model: PhoneModel) -> dict[str, str]:
    """As in a request of a real CP-7941G (a 2009 capture), with the model's own name and display."""
    return {
        "Accept": "x-CiscoIPPhone/*, text/*,image/png,*/*",
        "Accept-Language": "en",
        "Accept-Charset": "iso-8859-1",
        "User-Agent": "Allegro-Software-WebClient/4.34",
        "x-CiscoIPPhoneModelName": model.product,
        "x-CiscoIPPhoneSDKVersion": "5.0.4",
        "x-CiscoIPPhoneDisplay": model.display,
        "Connection": "close",
    }


def refresh_of(header: str, url: str) -> tuple[float, str] | None:
    """``10; url=menu.xml`` as seconds and an absolute URL; without a url the same page. None for anything else."""
    match = _REFRESH.fullmatch(header)
    if match is None:
        return None
    return float(match[1]), joined(url, (match[2] or "").strip())


def joined(base: str, url: str) -> str:
    """``url`` as the page at ``base`` means it; as it stands where it is no URL."""
    try:
        return urljoin(base, url)
    except ValueError:
        return url


def host_of(url: str) -> str:
    """Host and port, what a cookie belongs to; "" for what is no URL."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


def with_cookies(cookies: Mapping[str, str], set_cookies: Iterable[str]) -> dict[str, str]:
    """Name -> value after these ``Set-Cookie`` values; attributes (path, expiry) are not kept, ``max-age=0`` removes."""
    kept = dict(cookies)
    for text in set_cookies:
        first, *attributes = text.split(";")
        name, equals, value = first.strip().partition("=")
        if not name or not equals or len(text) > MAX_COOKIE_CHARS:
            continue
        kept.pop(name, None)
        if not any(attribute.strip().lower() == "max-age=0" for attribute in attributes):
            kept[name] = value
    return dict(list(kept.items())[-MAX_COOKIES:])


def cookie_header(cookies: Mapping[str, str]) -> str:
    """The value of the Cookie header; "" for none."""
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def is_expired(headers: Mapping[str, str]) -> bool:
    """Whether ``Expires`` lies before the answer's own ``Date`` (or is no date, as ``-1``): the page leaves no history."""
    expires = headers.get("expires", "").strip()
    if not expires:
        return False
    try:
        return parsedate_to_datetime(expires) <= parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return not re.search(r"\d\d:\d\d", expires)
