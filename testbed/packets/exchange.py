"""HTTP exchanges in a capture: each request with its answer, or with what became of it; and connections that were never made.

An exchange's time runs from its request's first byte to its answer's last, and includes the making of the connection where it is the
first one on it. A connection that is not made is an exchange without a request: nobody knows what would have been asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from testbed.packets import Mask, Packets
from testbed.packets.http import REQUEST_LINE, HttpMessage, HttpReader, Moment
from testbed.packets.tcp import Connection, Half, Mark, connections

NO_BODY = (204, 304)
SWITCHING = 101


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """``client`` and ``server`` are (address, port). ``method`` is "" where the connection was not made. ``status`` is 0 without an
    answer. ``ended`` is the end of the answer or the sign of failure, None while neither was captured. ``failure``: refused, reset,
    closed without an answer, cut short, given up; "" otherwise."""

    client: tuple[int, int]
    server: tuple[int, int]
    began: Moment
    connect_s: float = 0.0
    method: str = ""
    target: str = ""
    status: int = 0
    served_by: str = ""
    answered: Moment | None = None
    ended: Moment | None = None
    failure: str = ""

    @property
    def path(self) -> str:
        """Of the target, without scheme, host and query."""
        target = self.target
        if "://" in target[:12]:
            target = "/" + target.split("://", 1)[1].partition("/")[2]
        return target.split("?", 1)[0]

    @property
    def began_s(self) -> float:
        """When the client set out."""
        return self.began.time_s - self.connect_s

    @property
    def is_open(self) -> bool:
        """Whether nothing says yet how it ended."""
        return self.ended is None

    @property
    def elapsed_s(self) -> float | None:
        """From setting out to the end, of one that has ended."""
        return None if self.ended is None else self.ended.time_s - self.began_s


def exchanges(packets: Packets, mask: Mask) -> list[Exchange]:
    """All of them among these packets, in the order in which they began."""
    found = [exchange for connection in connections(packets, mask) for exchange in _exchanges(connection)]
    return sorted(found, key=lambda exchange: (exchange.began_s, exchange.began.frame))


def _exchanges(connection: Connection) -> Iterator[Exchange]:
    """Requests first: what an answer looks like depends on what was asked."""
    up, down = connection.up, connection.down
    if up.syn is not None and down.syn is None and not (up.chunks or down.chunks):
        yield _unmade(connection, up.syn)
        return
    requests = _requests_of(up)
    if not requests and not connection.began:
        # Nobody saw who called whom: the other way round, then.
        connection, up, down = Connection(up=down, down=up), down, up
        requests = _requests_of(up)
    if not requests:
        return
    pairing = _Pairing(requests)
    _read(down, HttpReader(requests=False, rule=pairing.rule, joined=down.syn is None))
    connect_s = down.syn.time_s - up.syn.time_s if up.syn and down.syn else 0.0
    for place, (request, response) in enumerate(pairing.pairs()):
        exchange = replace(_base(connection, request.began), method=request.method, target=request.target)
        exchange = replace(exchange, connect_s=max(0.0, connect_s) if place == 0 else 0.0)
        yield _answered(exchange, response, connection) if response else _unanswered(exchange, connection)


def _base(connection: Connection, began: Moment) -> Exchange:
    address, port, server, server_port = connection.up.flow
    return Exchange(client=(address, port), server=(server, server_port), began=began)


def _requests_of(half: Half) -> list[HttpMessage]:
    return _read(half, HttpReader(requests=True, rule=_request_rule, joined=half.syn is None))


def _read(half: Half, reader: HttpReader) -> list[HttpMessage]:
    for chunk in half.chunks:
        reader.feed(chunk)
    if half.fin is not None and half.chunks:
        # A FIN that overtook data ends nothing before that data is there.
        reader.close(max(_moment(half.fin), _last(half), key=lambda moment: moment.time_s))
    line, _, _ = reader.unfinished.partition(b"\n")
    match = REQUEST_LINE.fullmatch(line.rstrip(b"\r"))
    if match and reader.unfinished_began is not None:
        method, target = (word.decode("latin-1") for word in match.groups())
        reader.messages.append(HttpMessage(began=reader.unfinished_began, method=method, target=target))
    return reader.messages


def _request_rule(message: HttpMessage) -> str:
    return "tunnel" if message.method == "CONNECT" else "any"


class _Pairing:
    """Answers come in the order of the requests; an interim answer (1xx) is none."""

    def __init__(self, requests: list[HttpMessage]) -> None:
        self._requests = requests
        self._answers: dict[int, HttpMessage] = {}
        self._unseen: set[int] = set()
        self._next = 0

    def rule(self, response: HttpMessage) -> str:
        """What the head says about the body; takes note of the request that this answers."""
        if 100 <= response.status < 200 and response.status != SWITCHING:
            return "none"
        if response.resumed:
            self._skip_to(response)
        request = self._requests[self._next] if self._next < len(self._requests) else None
        if request is None or response.began.time_s < request.began.time_s:
            return "any"  # its request was not captured, or it answers none (408)
        self._answers[self._next] = response
        self._next += 1
        if response.status == SWITCHING or (request.method == "CONNECT" and response.status < 300):
            return "tunnel"
        return "none" if request.method == "HEAD" or response.status in NO_BODY else "any"

    def _skip_to(self, response: HttpMessage) -> None:
        """Answers before it were not captured: what became of all but the latest request before it is not known."""
        earlier = [
            place
            for place in range(self._next, len(self._requests))
            if self._requests[place].began.time_s <= response.began.time_s
        ]
        self._unseen.update(earlier[:-1])
        self._next = earlier[-1] if earlier else self._next

    def pairs(self) -> Iterator[tuple[HttpMessage, HttpMessage | None]]:
        """Every request whose fate can be told, with its answer."""
        for place, request in enumerate(self._requests):
            if place not in self._unseen:
                yield request, self._answers.get(place)


def _answered(exchange: Exchange, response: HttpMessage, connection: Connection) -> Exchange:
    found = replace(
        exchange,
        status=response.status,
        served_by=response.headers.get("x-served-by", ""),
        answered=response.began,
        ended=response.ended,
    )
    up, down = connection.up, connection.down
    gone = _earliest(up.fin, up.rst) if up.rst else None
    if gone and gone.time_s < response.began.time_s:
        # The client had hung up: its kernel refuses what comes. A FIN alone would be half of an ending.
        return replace(found, ended=_moment(gone), failure="given up")
    if response.ended is None:
        if response.damaged:
            return replace(found, ended=_last(down))
        if ending := _earliest(down.rst, down.fin, up.rst):
            # A client that hangs up in mid-answer has what it wanted (HAProxy's checks want the status) or is out of patience: its
            # time says which.
            return replace(found, ended=_moment(ending), failure="" if ending is up.rst else "cut short")
    return found


def _unanswered(exchange: Exchange, connection: Connection) -> Exchange:
    signs = {
        "reset": connection.down.rst,
        "closed without an answer": connection.down.fin,
        "given up": _earliest(connection.up.rst, connection.up.fin),
    }
    since_s = exchange.began.time_s
    later = {word: mark for word, mark in signs.items() if mark and mark.time_s >= since_s}
    if later:
        word = min(later, key=lambda word: later[word].time_s)
        return replace(exchange, ended=_moment(later[word]), failure=word)
    if any(signs.values()):
        # Asked over a connection that was closed already.
        return replace(exchange, ended=exchange.began, failure="closed without an answer")
    return exchange


def _unmade(connection: Connection, syn: Mark) -> Exchange:
    exchange = _base(connection, _moment(syn))
    if refusal := connection.down.rst:
        return replace(exchange, ended=_moment(refusal), failure="refused")
    return exchange


def _earliest(*marks: Mark | None) -> Mark | None:
    return min((mark for mark in marks if mark), key=lambda mark: mark.time_s, default=None)


def _moment(mark: Mark) -> Moment:
    return Moment(time_s=mark.time_s, frame=mark.frame)


def _last(half: Half) -> Moment:
    return Moment(time_s=half.chunks[-1].time_s, frame=half.chunks[-1].frame)
