"""SCCP connections of a capture as ladders: each message as a line from phone to call control or back, decoded as far as it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

from testbed.audit.media import WIDE_ADDRESSES_FROM
from testbed.errors import ProtocolError, UsageError
from testbed.packets import FIN, RST, SYN, Mask, Packets, address_text
from testbed.packets.file import CaptureFile
from testbed.packets.sccp import KEEPALIVE, KEEPALIVE_ACK, SCCP_PORT, Message, messages_of, sccp_mask
from testbed.packets.tcp import FRAME_BITS, Flow, Half, Halves, Mark
from testbed.sccp.messages import TABLE, Unknown, decode, name_of

MAX_SEGMENTS = 500_000
"""Nobody reads a longer one; what comes behind is not kept. Acknowledgements alone are no segments here."""
MAX_BYTES = 64 << 20
"""Of payload, which is kept until the capture was read."""
REGISTER = 0x0001
_MAX_DETAILS = 90


@dataclass(frozen=True, kw_only=True, slots=True)
class Rung:
    """One message, or one of the packets that open and close the connection (then ``details`` is empty). ``time_s`` is since the epoch;
    ``file`` is whose ``frame`` it is, "" where one file alone was read."""

    time_s: float
    frame: int
    up: bool
    name: str
    details: str
    is_keepalive: bool = False
    file: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ladder:
    """One connection. ``device`` is what its phone registered as, "" where the capture does not have that."""

    phone: str
    call_control: str
    device: str
    rungs: tuple[Rung, ...]

    def shown(self, *, keepalives: bool) -> list[Rung]:
        """With or without KeepAlive and its answer."""
        return [rung for rung in self.rungs if keepalives or not rung.is_keepalive]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ladders:
    """In the order in which the connections began. ``cut``: the capture has more than was kept."""

    every: tuple[Ladder, ...]
    cut: bool


def ladders(capture: CaptureFile, *, most: int = MAX_SEGMENTS) -> Ladders:
    """All connections of a capture to port 2000, read until there were more than ``most`` segments, or MAX_BYTES."""
    return ladders_of(capture.blocks(), most=most)


def ladders_of(
    blocks: Iterable[Packets],
    only: Callable[[Packets], Mask] | None = None,
    *,
    most: int = MAX_SEGMENTS,
    files: Sequence[str] = (),
) -> Ladders:
    """The same of any packets; ``only``: which of them are meant. ``files``: names of the files that ``source`` of packets numbers; looked
    at when all was read."""
    halves, count, kept_bytes, is_cut = Halves(), 0, 0, False
    for packets in blocks:
        mask = sccp_mask(packets) & (packets.version == 4) & ~packets.later
        if only is not None:
            mask &= only(packets)
        halves.add_all(packets, mask)
        count += int((mask & ((packets.payload_len > 0) | (packets.tcp_flags & (SYN | FIN | RST) > 0))).sum())
        kept_bytes += int(packets.payload_len[mask].sum())
        if is_cut := count > most or kept_bytes > MAX_BYTES:
            break
    by_connection: dict[tuple[Flow, int], list[tuple[bool, Half]]] = {}
    for half in halves.every:
        half.skip_gaps()
        up = half.flow[3] == SCCP_PORT
        by_connection.setdefault((half.flow if up else half.reverse, half.connection), []).append((up, half))
    names = files if len(files) > 1 else ()
    found = [_ladder(flow, parts, names) for (flow, _), parts in by_connection.items()]
    with_rungs = [one for one in found if one.rungs]
    return Ladders(every=tuple(sorted(with_rungs, key=lambda one: one.rungs[0].time_s)), cut=is_cut)


def _ladder(flow: Flow, parts: Sequence[tuple[bool, Half]], files: Sequence[str]) -> Ladder:
    messages = [(up, message) for up, half in parts for message in messages_of(half)]
    rungs = [_rung(up, message) for up, message in messages]
    rungs += [rung for up, half in parts for rung in _marks(up, half)]
    rungs.sort(key=lambda rung: (rung.time_s, rung.frame))
    registers = (decoded(message) for up, message in messages if up and message.id == REGISTER)
    device = next((str(getattr(one, "device_name", "")) for one in registers), "")
    phone, port, call_control, server_port = flow
    return Ladder(
        phone=f"{address_text(phone)}:{port}",
        call_control=f"{address_text(call_control)}:{server_port}",
        device=device,
        rungs=tuple(_placed(rung, files) if files else rung for rung in rungs),
    )


def _placed(rung: Rung, files: Sequence[str]) -> Rung:
    """With its frame as its file counts, and the name of that."""
    number, frame = divmod(rung.frame, 1 << FRAME_BITS)
    return replace(rung, frame=frame, file=files[number])


def _marks(up: bool, half: Half) -> Iterator[Rung]:
    marks: tuple[tuple[str, Mark | None], ...] = (
        ("SYN, ACK" if half.is_answer else "SYN", half.syn),
        ("FIN", half.fin),
        ("RST", half.rst),
    )
    for name, mark in marks:
        if mark:
            yield Rung(time_s=mark.time_s, frame=mark.frame, up=up, name=name, details="")


def decoded(message: Message) -> object:
    """The message as our table has it; Unknown where it does not, or where the message contradicts itself."""
    try:
        return decode(message.id, message.body, message.version)
    except ProtocolError:
        return Unknown(message_id=message.id, body=message.body)


def _rung(up: bool, message: Message) -> Rung:
    return Rung(
        time_s=message.time_s,
        frame=message.frame,
        up=up,
        name=name_of(message.id),
        details=_details(decoded(message), message),
        is_keepalive=message.id in (KEEPALIVE, KEEPALIVE_ACK),
    )


def _details(known: object, message: Message) -> str:
    """Values that are set, as many as fit on a line."""
    if isinstance(known, Unknown) or not _is_certain(known, message):
        return f"{len(message.body)} bytes" if message.body else ""
    values = ((field.name, getattr(known, field.name)) for field in fields(known))  # type: ignore[arg-type]
    words = [
        f"{name} {value}" for name, value in values if value not in (0, "", b"", (), "0.0.0.0") and _is_plain(value)
    ]
    text = ", ".join(word for word in words if not word.startswith(("unknown", "padding")))
    text = "".join(letter if letter.isprintable() else "." for letter in text)
    return text if len(text) <= _MAX_DETAILS else text[: _MAX_DETAILS - 1] + "…"


_SINCE: dict[type, int] = {row.layout: row.since for row in TABLE}


def _is_certain(known: object, message: Message) -> bool:
    """From version 17 on texts are longer or packed: the old layout tells the truth only of messages without any."""
    is_new_layout = _SINCE.get(type(known), 0) >= WIDE_ADDRESSES_FROM
    if message.version < WIDE_ADDRESSES_FROM or message.id == REGISTER or is_new_layout:
        return True
    return not any(isinstance(getattr(known, field.name), str) for field in fields(known))  # type: ignore[arg-type]


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int)


def shortened(every: Sequence[Ladder], *, messages: int) -> tuple[list[Ladder], int]:
    """As many connections, and of the last one as many messages, as have so many together, keepalives aside; how many are left out."""
    kept: list[Ladder] = []
    shown = [ladder.shown(keepalives=False) for ladder in every]
    left = messages
    for ladder, rungs in zip(every, shown, strict=True):
        if left > 0 and rungs:
            kept.append(ladder if len(rungs) <= left else replace(ladder, rungs=tuple(rungs[:left])))
            left -= len(rungs)
    return kept, max(0, sum(map(len, shown)) - messages)


def of_device(found: Sequence[Ladder], device: str) -> list[Ladder]:
    """The connections of one phone; UsageError names the phones there are."""
    chosen = [ladder for ladder in found if device and ladder.device.upper() == device.upper()]
    if not chosen:
        known = ", ".join(sorted({ladder.device for ladder in found} - {""})) or "none registers in this capture"
        raise UsageError(f"no connection of {device!r}", hint=f"phones: {known}")
    return chosen


_WIDTH = 46


def lines(ladder: Ladder, *, keepalives: bool) -> Iterator[str]:
    """For a terminal: a head, and a line for each rung, with the seconds since the first."""
    shown = ladder.shown(keepalives=keepalives)
    hidden = len(ladder.rungs) - len(shown)
    name = f"{ladder.device} {ladder.phone}" if ladder.device else ladder.phone
    yield f"{'seconds':>10}  {'frame':>7}  {name:<{_WIDTH - len(ladder.call_control) - 1}} {ladder.call_control}"
    began_s = ladder.rungs[0].time_s
    for rung in shown:
        rule = "─" * (_WIDTH - len(rung.name) - 3)
        arrow = f"{rung.name} {rule}─▶" if rung.up else f"◀─{rule} {rung.name}"
        yield f"{rung.time_s - began_s:10.4f}  {rung.frame:>7}  {arrow}  {rung.details}".rstrip()
    if hidden:
        yield f"{'':>10}  {'':>7}  and {hidden} keepalives and answers"
