"""A push, without sockets: what a POST to ``/CGI/Execute`` holds, whom the phone asks whether it may pass, what it answers."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote_to_bytes, urlencode

from testbed import phone_xml as px
from testbed.browser.model import PhoneModel
from testbed.browser.page import with_query
from testbed.browser.read import PageError, read_object

MAX_PUSH_BYTES = 64 * 1024
PARSE_ERROR, AUTHENTICATION_ERROR = 1, 4
"""Numbers of a CiscoIPPhoneError."""
AUTHORISED = "AUTHORIZED"
_FIELD = b"XML="


def pushed_object(body: bytes, content_type: str, model: PhoneModel) -> px.PhoneObject:
    """What is pushed: an Execute, a Status, or a page. Raises PageError.

    The body is a form field ``XML``, url-encoded; senders that call it text/xml leave it unencoded, and are read too.
    """
    if not body.startswith(_FIELD):
        if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
            raise PageError("no field XML in the form")
        return _known(read_object(body, model))
    value = body[len(_FIELD) :]
    if not value.lstrip().startswith(b"<"):
        value = unquote_to_bytes(value.partition(b"&")[0].replace(b"+", b" "))
    return _known(read_object(value, model))


def _known(found: px.PhoneObject) -> px.PhoneObject:
    if isinstance(found, px.Execute | px.Status | px.Displayable):
        return found
    raise PageError(f"{found._tag} cannot be pushed")


def credentials(header: str) -> tuple[str, str] | None:
    """User and password of an ``Authorization: Basic`` header; None for anything else."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic" or len(encoded) > 1024:
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("latin-1")
    except (binascii.Error, ValueError):
        return None
    user, colon, password = text.partition(":")
    return (user, password) if colon else None


def authentication_url(url: str, user: str, password: str, device_name: str) -> str:
    """What the phone fetches to learn whether a push by this user may pass."""
    return with_query(url, urlencode({"UserID": user, "Password": password, "devicename": device_name}))


def is_authorised(status: int, body: bytes) -> bool:
    """Whether the authentication URL's answer lets the push pass: its one word, nothing else."""
    return status == 200 and body[:256].strip() == AUTHORISED.encode()
