"""Encoding and decoding by the one table of messages; its rows lie in the modules imported here."""

from __future__ import annotations

import struct

# These modules fill the table when they are imported.
from testbed.sccp import (  # noqa: F401
    call_messages,
    configuration_messages,
    media_messages,
    registration_messages,
    user_data_messages,
)
from testbed.sccp.message import BASIC_VERSION, TABLE, Message, Row, Unknown

__all__ = [
    "TABLE",
    "Message",
    "Row",
    "Unknown",
    "call_messages",
    "decode",
    "encode",
    "name_of",
    "registration_messages",
]

HEADER = struct.Struct("<III")
"""Length (number of bytes after offset 8), header version, message id."""
LENGTH_EXTRA_BYTES = 8
"""Bytes on the wire = length + 8."""

_ROWS: dict[int, list[Row]] = {}
for _row in sorted(TABLE, key=lambda row: -row.since):
    _ROWS.setdefault(_row.message_id, []).append(_row)


def encode(message: Message) -> bytes:
    """The message as it goes on the wire; raises LocalProtocolError where a value does not fit."""
    body = message.encode()
    return HEADER.pack(4 + len(body), BASIC_VERSION, message.message_id) + body


def decode(message_id: int, body: bytes, header_version: int = BASIC_VERSION) -> Message | Unknown:
    """A body as a message, in the layout of its header version; an id that is not in the table gives Unknown.

    Raises PeerProtocolError where a message contradicts itself (announced and present data).
    """
    for row in _ROWS.get(message_id, ()):
        if row.since <= header_version:
            return row.layout.decode(body)
    return Unknown(message_id=message_id, body=body)


def name_of(message_id: int) -> str:
    """``0x81 -> "RegisterAck"``; an unknown id is written in hexadecimal."""
    rows = _ROWS.get(message_id)
    return rows[-1].layout.__name__ if rows else f"0x{message_id:04X}"
