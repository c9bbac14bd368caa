"""TFTP read transfer, client side: RFC 1350 with the ``blksize`` option of RFC 2347/2348. Sans-IO: no socket, no clock.

The owner sends what ``to_send()`` gives, from one UDP socket, hands every datagram of that socket to ``receive()`` and
calls ``tick()`` when ``next_timer()`` comes. When ``done``, either ``content`` or ``error`` is set.
"""

from __future__ import annotations

import struct

from testbed.errors import BedError, LocalProtocolError

Address = tuple[str, int]
"""IPv4 address and UDP port (the port is RFC 1350's TID)."""

PORT = 69
BLOCK_BYTES = 512
"""Data bytes of a block unless blksize is agreed on; a shorter block ends the transfer (RFC 1350 section 2)."""
MAX_BYTES = 1 << 20
"""No file a phone of this bed reads is larger; also keeps a server that never ends from filling memory."""
MAX_TRIES = 5
"""How often one packet is sent before the server counts as silent."""
DEADLINE_S = 60.0
"""The whole transfer, so that a server dripping one block just before every timeout comes to an end too."""

FILE_NOT_FOUND = 1
_ALLOCATION_EXCEEDED, _ILLEGAL_OPERATION, _UNKNOWN_TID, _OPTION_REFUSED = 3, 4, 5, 8
_RRQ, _DATA, _ACK, _ERROR, _OACK = 1, 3, 4, 5, 6
_ERROR_NAMES = {
    0: "not defined",
    1: "file not found",
    2: "access violation",
    3: "disk full or allocation exceeded",
    4: "illegal TFTP operation",
    5: "unknown transfer ID",
    6: "file already exists",
    7: "no such user",
    8: "option refused",
}


class TftpError(BedError):
    """The file could not be read. ``code``: the server's error packet (RFC 1350 section 5), None where it sent none."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code

    @property
    def is_file_not_found(self) -> bool:
        return self.code == FILE_NOT_FOUND


class ReadTransfer:
    """One file read in mode octet. Raises LocalProtocolError for a name or block size that cannot be asked for."""

    def __init__(
        self,
        filename: str,
        *,
        server: Address,
        now: float,
        timeout_s: float = 1.0,
        max_bytes: int = MAX_BYTES,
        max_tries: int = MAX_TRIES,
        deadline_s: float = DEADLINE_S,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        """``block_bytes`` other than 512 asks for that blksize (8-65464); the server may lower it or ignore it."""
        self.filename, self.server = filename, server
        self.content: bytes | None = None
        self.error: TftpError | None = None
        self._request = _read_request(filename, block_bytes)
        self._asked_bytes = block_bytes
        self._block_bytes = BLOCK_BYTES
        self._timeout_s, self._max_bytes, self._max_tries = timeout_s, max_bytes, max_tries
        self._started, self._deadline = now, now + deadline_s
        self._peer: Address | None = None
        self._data = bytearray()
        self._block = 0
        self._outbox: list[tuple[bytes, Address]] = []
        self._last, self._last_sent, self._tries = b"", now, 0
        self._send(self._request, now)

    @property
    def done(self) -> bool:
        return self.content is not None or self.error is not None

    def to_send(self) -> list[tuple[bytes, Address]]:
        """Datagrams to send now, each with its destination; asked a second time, none."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def next_timer(self) -> float | None:
        """When ``tick`` is due, on the clock of ``now``; None once done."""
        return None if self.done else min(self._last_sent + self._timeout_s, self._deadline)

    def tick(self, now: float) -> None:
        """Send the last packet again where its answer is overdue; give up after ``max_tries`` or at the deadline."""
        due = self.next_timer()
        if due is None or now < due:
            return
        if now >= self._deadline:
            self._fail(f"not complete after {now - self._started:.1f} s ({len(self._data)} bytes came)")
        elif self._tries >= self._max_tries:
            self._fail(f"no answer to {self._tries} tries, {self._timeout_s:g} s each ({len(self._data)} bytes came)")
        else:
            self._send(self._last, now, tries=self._tries + 1)

    def receive(self, data: bytes, address: Address, now: float) -> None:
        """Take one datagram; whatever it holds, nothing is raised: a faulty transfer ends in ``error``."""
        opcode, value = struct.unpack_from("!HH", data) if len(data) >= 4 else (0, 0)
        if not self._is_from_peer(address):
            # A stranger's packet must not disturb the transfer; an ERROR is never answered with another.
            if opcode != _ERROR:
                self._outbox.append((_error_packet(_UNKNOWN_TID, "unknown transfer ID"), address))
            return
        if self.error is not None:
            return
        if opcode == _DATA:
            self._on_data(value, data[4:], address, now)
        elif self.content is not None:
            return
        elif opcode == _ERROR:
            self._fail(f"{_ERROR_NAMES.get(value, f'error {value}')}: {_text(data[4:])}", code=value)
        elif opcode == _OACK and self._peer is None:
            self._on_option_ack(data[2:], address, now)
        elif opcode == _OACK and self._block == 0:
            return  # the same OACK again: our timer repeats ACK 0
        else:
            self._refuse(_ILLEGAL_OPERATION, f"not a packet of a read transfer: {data[:16].hex(' ')}", address)

    def _is_from_peer(self, address: Address) -> bool:
        """The first answer may come from any port of the server, the rest from that one (RFC 1350 section 4)."""
        return address[0] == self.server[0] if self._peer is None else address == self._peer

    def _on_data(self, block: int, payload: bytes, address: Address, now: float) -> None:
        if block == self._block & 0xFFFF and self._peer is not None and self._block > 0:
            # Late enough to be the server's retransmission: our ACK was lost. Sooner, it is a copy made by the network:
            # acknowledging that too would double every packet to come (the sorcerer's apprentice, RFC 1123 4.2.3.1).
            if now - self._last_sent >= self._timeout_s / 2:
                self._send(self._last, now, tries=self._tries)
            return
        if self.content is not None or block != (self._block + 1) & 0xFFFF:
            return  # an old block that was late
        if len(payload) > self._block_bytes:
            self._refuse(
                _ILLEGAL_OPERATION, f"block of {len(payload)} bytes where {self._block_bytes} were agreed", address
            )
            return
        if len(self._data) + len(payload) > self._max_bytes:
            self._refuse(_ALLOCATION_EXCEEDED, f"file larger than {self._max_bytes} bytes", address)
            return
        self._peer = address
        self._block += 1
        self._data += payload
        self._send(struct.pack("!HH", _ACK, self._block & 0xFFFF), now)
        if len(payload) < self._block_bytes:
            self.content = bytes(self._data)

    def _on_option_ack(self, body: bytes, address: Address, now: float) -> None:
        block_bytes = _acknowledged_block_bytes(body)
        if self._asked_bytes == BLOCK_BYTES or block_bytes is None or not 8 <= block_bytes <= self._asked_bytes:
            self._refuse(_OPTION_REFUSED, f"options that were not asked for: {_text(body)}", address)
            return
        self._peer, self._block_bytes = address, block_bytes
        self._send(struct.pack("!HH", _ACK, 0), now)

    def _send(self, packet: bytes, now: float, *, tries: int = 1) -> None:
        self._outbox.append((packet, self._peer or self.server))
        self._last, self._last_sent, self._tries = packet, now, tries

    def _refuse(self, code: int, message: str, address: Address) -> None:
        """Tell the server that its transfer is over, and end ours."""
        self._outbox.append((_error_packet(code, _ERROR_NAMES[code]), address))
        self._fail(message)

    def _fail(self, message: str, *, code: int | None = None) -> None:
        self.error = TftpError(f"tftp://{self.server[0]}:{self.server[1]}/{self.filename}: {message}", code=code)


def _read_request(filename: str, block_bytes: int) -> bytes:
    if not filename or not filename.isascii() or not filename.isprintable() or len(filename) > 255:
        raise LocalProtocolError(f"no TFTP file name: {filename!r}", hint="1 to 255 printable ASCII characters")
    if not 8 <= block_bytes <= 65464:
        raise LocalProtocolError(f"no TFTP block size: {block_bytes}", hint="8 to 65464 bytes (RFC 2348)")
    request = struct.pack("!H", _RRQ) + filename.encode("ascii") + b"\0octet\0"
    # Without the option, the request is plain RFC 1350, which the oldest servers know.
    return request if block_bytes == BLOCK_BYTES else request + b"blksize\0%d\0" % block_bytes


def _error_packet(code: int, message: str) -> bytes:
    return struct.pack("!HH", _ERROR, code) + message.encode("ascii") + b"\0"


def _acknowledged_block_bytes(body: bytes) -> int | None:
    """The blksize of an OACK body; None where it holds anything else."""
    parts = body.split(b"\0")
    if (
        len(parts) == 3
        and parts[0].lower() == b"blksize"
        and parts[1].isdigit()
        and len(parts[1]) <= 5
        and not parts[2]
    ):
        return int(parts[1])
    return None


def _text(raw: bytes) -> str:
    """A server's own words, printable and short."""
    text = raw.split(b"\0")[0][:120].decode("latin-1")
    return "".join(char if char.isprintable() else "?" for char in text)
