"""Reassembly: from a byte stream to messages. They lie back to back in a segment and may span segments."""

from __future__ import annotations

from typing import Final

from testbed.errors import PeerProtocolError
from testbed.sccp.messages import HEADER, LENGTH_EXTRA_BYTES

VERSIONS: Final = frozenset({0, 0x0A, 0x0B, *range(0x0F, 0x17)})
"""Header versions that Wireshark's dissector takes for SCCP; 0 stands for every protocol below 10."""
MIN_LENGTH = 4
"""The message id alone."""
MAX_LENGTH = 4 + 4096
"""The longest defined message has 2040 bytes (UserToDeviceDataVersion1); twice that leaves room for newer ones and keeps a
peer from making us hold more than one such message in memory."""


class FrameReader:
    """Collects bytes of one direction of one connection."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """Messages completed by these bytes, in order: (header version, message id, body).

        Raises PeerProtocolError at the first header that cannot be one; the connection is of no use after that.
        """
        buffer = self._rest + data if self._rest else data
        messages, start = [], 0
        while len(buffer) - start >= HEADER.size:
            length, version, message_id = HEADER.unpack_from(buffer, start)
            _check(length, version)
            end = start + LENGTH_EXTRA_BYTES + length
            if end > len(buffer):
                break
            messages.append((version, message_id, buffer[start + HEADER.size : end]))
            start = end
        self._rest = buffer[start:]
        return messages


def _check(length: int, version: int) -> None:
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        raise PeerProtocolError(f"SCCP length {length} is not from {MIN_LENGTH} to {MAX_LENGTH}")
    if version not in VERSIONS:
        raise PeerProtocolError(f"SCCP header version 0x{version:X} does not exist")
