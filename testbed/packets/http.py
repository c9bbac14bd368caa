"""HTTP/1.x messages in one direction of a connection (RFC 9112): start line, the headers that matter, when they began and ended.

Fed chunk by chunk; how the bytes are cut into chunks makes no difference. Bodies are counted, not kept. Where bytes are missing or make
no sense, reading goes on with the next chunk that begins with a start line; what is behind a CONNECT or an upgrade is not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from testbed.packets.tcp import Chunk

MAX_HEAD_BYTES = 64 * 1024
"""Four times what any common server takes; more is no HTTP."""
MAX_CHUNK_LINE_BYTES = 4096
_LINE_END = b"\r\n"
"""Behind the data of each chunk."""

REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) (\S{1,8192}) HTTP/1\.\d")
STATUS_LINE = re.compile(rb"HTTP/1\.\d (\d{3})(?: .*)?", re.DOTALL)
_START = {True: re.compile(rb"[A-Z]{3,16} \S+ HTTP/1\.\d\r?\n"), False: re.compile(rb"HTTP/1\.\d \d{3}[ \r\n]")}
"""What a chunk must begin with for reading to go on there, in requests and in responses."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """When, and in which frame."""

    time_s: float
    frame: int


@dataclass(kw_only=True, slots=True)
class HttpMessage:
    """A request (``method`` and ``target``) or a response (``status``); ``ended`` is None where its end was not captured.

    ``damaged``: bytes of it are missing from the capture, so that its end cannot be told. ``resumed``: messages before it may be missing.
    """

    began: Moment
    method: str = ""
    target: str = ""
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body_bytes: int = 0
    ended: Moment | None = None
    damaged: bool = False
    resumed: bool = False


class _State(Enum):
    HEAD = auto()
    LENGTH = auto()
    CHUNK_LINE = auto()
    CHUNK_DATA = auto()
    TRAILER = auto()
    UNTIL_CLOSE = auto()
    TUNNEL = auto()
    LOST = auto()


BodyRule = Callable[[HttpMessage], str]
"""Of a message whose head is whole: ``none``, ``tunnel``, or ``any`` for what its headers say."""


class HttpReader:
    """Reads requests, or responses; ``rule`` says which messages have no body whatever their headers say. ``joined``: the first bytes
    it is fed may be from the middle of a message."""

    def __init__(self, *, requests: bool, rule: BodyRule = lambda message: "any", joined: bool = False) -> None:
        self._requests, self._rule = requests, rule
        self._state = _State.LOST if joined else _State.HEAD
        self._line = bytearray()
        """A head, or a line of chunked coding, that is not whole yet."""
        self._left = 0
        self._began: Moment | None = None
        self._resumed = False
        self._current: HttpMessage | None = None
        self.messages: list[HttpMessage] = []

    @property
    def unfinished(self) -> bytes:
        """What there is of a head that is not whole, of the message that began at ``unfinished_began``."""
        return bytes(self._line) if self._state is _State.HEAD else b""

    @property
    def unfinished_began(self) -> Moment | None:
        """When it began."""
        return self._began

    def feed(self, chunk: Chunk) -> None:
        """The next bytes in order."""
        moment = Moment(time_s=chunk.time_s, frame=chunk.frame)
        data = memoryview(chunk.data)
        if chunk.missing:
            self._miss(chunk.missing, moment)
        if self._state is _State.LOST:
            if not _START[self._requests].match(chunk.data):
                return
            self._state, self._resumed = _State.HEAD, True
        while len(data) and self._state not in (_State.LOST, _State.TUNNEL):
            data = data[_STEPS[self._state](self, data, moment) :]

    def close(self, moment: Moment) -> None:
        """The sender has ended its side in order: so does a body without a length."""
        if self._state is _State.UNTIL_CLOSE:
            self._end(moment)

    # -- states: each takes some bytes and says how many

    def _take_head(self, data: memoryview, moment: Moment) -> int:
        if not self._line:
            blank = len(data) - len(bytes(data).lstrip(b"\r\n"))
            if blank:
                return blank
            self._began = moment
        before = len(self._line)
        self._line += data
        end = re.search(rb"\r?\n\r?\n", self._line[max(0, before - 3) :])
        if end is None:
            if len(self._line) > MAX_HEAD_BYTES or not self._may_begin():
                self._lose()
            return len(data)
        whole = max(0, before - 3) + end.end()
        head, self._line = bytes(self._line[:whole]), bytearray()
        self._open(head, moment)
        return whole - before

    def _may_begin(self) -> bool:
        """Whether what there is may become a start line: an opaque protocol is seen at once, not after 64 KiB."""
        line, ending, _ = bytes(self._line).partition(b"\n")
        if ending:
            return (REQUEST_LINE if self._requests else STATUS_LINE).fullmatch(line.rstrip(b"\r")) is not None
        return line.isascii() and (self._requests or line.startswith(b"HTTP/"[: len(line)]))

    def _open(self, head: bytes, moment: Moment) -> None:
        assert self._began is not None
        line, _, rest = head.partition(b"\n")
        match = (REQUEST_LINE if self._requests else STATUS_LINE).fullmatch(line.rstrip(b"\r"))
        if match is None:
            self._lose()
            return
        words = [word.decode("latin-1") for word in match.groups()]
        message = HttpMessage(began=self._began, headers=_headers(rest), resumed=self._resumed)
        if self._requests:
            message.method, message.target = words
        else:
            message.status = int(words[0])
        self._resumed, self._began, self._current = False, None, message
        self.messages.append(message)
        self._state, self._left = self._body_of(message)
        if self._state is _State.HEAD or self._state is _State.TUNNEL:
            tunnel = self._state is _State.TUNNEL
            self._end(moment)
            self._state = _State.TUNNEL if tunnel else _State.HEAD

    def _body_of(self, message: HttpMessage) -> tuple[_State, int]:
        """What follows the head (RFC 9112, 6.3); HEAD for nothing."""
        rule = self._rule(message)
        if rule != "any":
            return (_State.TUNNEL if rule == "tunnel" else _State.HEAD), 0
        if "chunked" in message.headers.get("transfer-encoding", "").lower():
            return _State.CHUNK_LINE, 0
        length = message.headers.get("content-length", "").split(",")[0].strip()
        if length.isascii() and length.isdigit() and len(length) < 19:
            return (_State.LENGTH, int(length)) if int(length) else (_State.HEAD, 0)
        return (_State.HEAD if self._requests else _State.UNTIL_CLOSE), 0

    def _take_length(self, data: memoryview, moment: Moment) -> int:
        taken = self._count(data)
        if not self._left:
            self._end(moment)
        return taken

    def _take_chunk_line(self, data: memoryview, moment: Moment) -> int:
        taken, line = self._take_line(data)
        if line is None:
            return taken
        size = line.split(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,12}", size):
            self._lose()
            return taken
        length = int(size, 16)
        self._left = length + len(_LINE_END)
        self._state = _State.CHUNK_DATA if length else _State.TRAILER
        return taken

    def _take_chunk_data(self, data: memoryview, moment: Moment) -> int:
        taken = self._count(data)
        if not self._left:
            self._next_chunk()
        return taken

    def _take_trailer(self, data: memoryview, moment: Moment) -> int:
        taken, line = self._take_line(data)
        if line == b"":
            self._end(moment)
        return taken

    def _take_until_close(self, data: memoryview, moment: Moment) -> int:
        self._left = len(data)
        return self._count(data)

    # -- parts

    def _next_chunk(self) -> None:
        assert self._current is not None
        self._current.body_bytes -= len(_LINE_END)
        self._state = _State.CHUNK_LINE

    def _count(self, data: memoryview) -> int:
        taken = min(self._left, len(data))
        self._left -= taken
        assert self._current is not None
        self._current.body_bytes += taken
        return taken

    def _take_line(self, data: memoryview) -> tuple[int, bytes | None]:
        """(bytes taken, the line without its end, or None where it is not whole)."""
        end = bytes(data).find(b"\n")
        taken = len(data) if end < 0 else end + 1
        self._line += data[:taken]
        if end < 0:
            if len(self._line) > MAX_CHUNK_LINE_BYTES:
                self._lose()
            return taken, None
        line, self._line = bytes(self._line).rstrip(b"\r\n"), bytearray()
        return taken, line

    def _miss(self, missing: int, moment: Moment) -> None:
        """Bytes that were not captured harm nothing inside a body whose length is known."""
        inside = self._state in (_State.LENGTH, _State.CHUNK_DATA) and missing <= self._left
        if inside:
            self._left -= missing
            if not self._left and self._state is _State.LENGTH:
                self._end(moment)
            elif not self._left:
                self._next_chunk()
        elif self._state not in (_State.UNTIL_CLOSE, _State.TUNNEL):
            self._lose()

    def _end(self, moment: Moment) -> None:
        assert self._current is not None
        self._current.ended, self._current, self._state = moment, None, _State.HEAD

    def _lose(self) -> None:
        if self._current is not None:
            self._current.damaged = True
        self._current, self._began, self._state = None, None, _State.LOST
        self._line.clear()


_STEPS: dict[_State, Callable[[HttpReader, memoryview, Moment], int]] = {
    _State.HEAD: HttpReader._take_head,
    _State.LENGTH: HttpReader._take_length,
    _State.CHUNK_LINE: HttpReader._take_chunk_line,
    _State.CHUNK_DATA: HttpReader._take_chunk_data,
    _State.TRAILER: HttpReader._take_trailer,
    _State.UNTIL_CLOSE: HttpReader._take_until_close,
}


def _headers(lines: bytes) -> dict[str, str]:
    """Names in lower case; of a field that comes twice, the values joined by commas (RFC 9110, 5.3)."""
    found: dict[str, str] = {}
    for line in lines.decode("latin-1").splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip():
            key = name.strip().lower()
            found[key] = f"{found[key]}, {value.strip()}" if key in found else value.strip()
    return found
