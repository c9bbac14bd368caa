"""Proofs for faults of an application: the answers themselves, in the capture at the host that gives them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from testbed.checks.effect import Effect, Part, Units, combined, share_effect, whole_effect
from testbed.checks.effect_packets import Observed
from testbed.checks.effect_talk import Talk, talks
from testbed.checks.facts import FaultWindow, quantiles
from testbed.duration import parse_duration
from testbed.packets import FIN, RST, TCP, Packets
from testbed.packets.sccp import Message, sccp_messages
from testbed.recording import Run

HEALTH_PATH = "/health"
"""What an SLB asks: a fault that names no path leaves it alone (testbed.roles.page_faults)."""
_METHODS = (b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ")
REGISTER_ACK, REGISTER_REJECT = 0x0081, 0x009D
SLOW_SHARE = 0.95
"""Of the delay asked for: two clocks of one process."""
SLOW_TOLERANCE_S = 0.25
"""Above it: a page takes its time too, on a busy machine more."""
NEXT_S = 1e9
"""An answer that shows the end of a fault may come whenever somebody asks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """A request at a server and its answer; ``status`` and ``answer_s`` are None where none came before the connection ended."""

    path: str
    index: int
    time_s: float
    status: int | None
    answer_s: float | None


def exchanges(talk: Talk) -> list[Exchange]:
    """Every HTTP request that came to the host, in order of time."""
    packets = talk.packets
    carries = (packets.proto == TCP) & (packets.payload_len > 0)
    ends = (packets.proto == TCP) & (packets.tcp_flags & (FIN | RST) > 0)
    waiting: dict[tuple[int, ...], Exchange] = {}
    found: list[Exchange] = []
    for number in np.flatnonzero((talk.to_host | talk.from_host) & (carries | ends)).tolist():
        if talk.to_host[number] and carries[number]:
            if (request := _request(packets, number)) is not None:
                waiting[_connection(packets, number, to_host=True)] = request
        elif talk.from_host[number]:
            key = _connection(packets, number, to_host=False)
            status = _status(packets.payload(number)) if carries[number] else None
            if key in waiting and (status is not None or ends[number]):
                answer_s = float(packets.time_s[number]) if status is not None else None
                found.append(replace(waiting.pop(key), status=status, answer_s=answer_s))
    return sorted([*found, *waiting.values()], key=lambda exchange: exchange.time_s)


def _connection(packets: Packets, number: int, *, to_host: bool) -> tuple[int, ...]:
    client = (int(packets.src[number]), int(packets.sport[number]))
    server = (int(packets.dst[number]), int(packets.dport[number]))
    return (*client, *server) if to_host else (*server, *client)


def _request(packets: Packets, number: int) -> Exchange | None:
    payload = packets.payload(number)
    if not payload.startswith(_METHODS):
        return None
    words = payload.split(b"\r\n", 1)[0].split(b" ")
    path = words[1].decode("latin-1").partition("?")[0] if len(words) > 1 else ""
    return Exchange(path=path, index=number, time_s=float(packets.time_s[number]), status=None, answer_s=None)


def _status(payload: bytes) -> int | None:
    line = payload[:16].split(b" ")
    return int(line[1]) if payload.startswith(b"HTTP/1.") and len(line) > 1 and line[1].isdigit() else None


def prove_http_error(observed: Observed, window: FaultWindow) -> Effect:
    """The status asked for, on the pages it is about, in the share asked for."""
    wanted = window.parameters.get("status", 500)
    return combined(window, [_errors(observed, window, host, wanted) for host in window.hosts])


def _errors(observed: Observed, window: FaultWindow, host: str, wanted: object) -> Part:
    found = [(talk, one) for talk, one in _about(observed, window, host) if one.status is not None]
    return _answers(window, host, found, [one.status == wanted for _, one in found], f"answered with {wanted}")


def prove_http_slow(observed: Observed, window: FaultWindow) -> Effect:
    """Answers after the time asked for, or none before it."""
    try:
        by_s = parse_duration(window.parameters.get("by")).seconds(observed.run.profile)
    except ValueError:
        return combined(window, (), ["the history does not say how slow it was to be"])
    return combined(window, [_slow(observed, window, host, by_s) for host in window.hosts])


def _slow(observed: Observed, window: FaultWindow, host: str, by_s: float) -> Part:
    found, hit, took = [], [], []
    for talk, one in _about(observed, window, host):
        took_s = None if one.answer_s is None else one.answer_s - one.time_s
        is_late = took_s is None or took_s >= SLOW_SHARE * by_s
        if not is_late and window.healing_s - by_s < one.time_s <= window.healing_s:
            continue  # let go by the healing
        if took_s is None and not window.began_s <= one.time_s <= window.healing_s:
            continue  # whoever asked went away
        found.append((talk, one))
        hit.append(is_late)
        took += [took_s] if took_s is not None and is_late and one.time_s <= window.healing_s else []
    part = _answers(window, host, found, hit, "answered late")
    if not took:
        return part
    middle_s = float(np.median(took))
    doubts = list(part.doubts)
    if middle_s > by_s + SLOW_TOLERANCE_S:
        doubts.append(f"{host} answered after {middle_s:.3f} s, asked for {by_s:g} s")
    note = f"{host} answered after {middle_s:.3f} s, asked for {by_s:g} s"
    return replace(
        part, doubts=tuple(doubts), notes=(note,), figures={**part.figures, **quantiles("late_answer", took)}
    )


def _about(observed: Observed, window: FaultWindow, host: str) -> Iterator[tuple[Talk, Exchange]]:
    """Requests for pages the fault is about."""
    path = window.parameters.get("path") or ""
    for talk in talks(observed, host):
        for one in exchanges(talk):
            if _is_about(str(path), one.path):
                yield talk, one


def _is_about(asked: str, path: str) -> bool:
    if not asked:
        return path != HEALTH_PATH
    return path.startswith(asked[:-1]) if asked.endswith("*") else path == asked


def _answers(
    window: FaultWindow, host: str, found: Sequence[tuple[Talk, Exchange]], hit: Sequence[bool], word: str
) -> Part:
    if not found:
        return Part(doubts=(f"{host} was asked for no page that it was about",))
    units = Units.ordered(
        f"at {host}",
        np.array([one.time_s for _, one in found]),
        np.array(hit, np.bool_),
        np.array([one.index for _, one in found], np.int64),
        found[0][0].packets,
    )
    share = window.parameters.get("share", 100)
    if isinstance(share, int | float) and share < 100:
        return share_effect(units, window, share=share / 100, word=word)
    return whole_effect(units, window, end_within_s=NEXT_S)


def prove_register_reject(observed: Observed, window: FaultWindow) -> Effect:
    """Every registration while it lasts is refused, those before and after it are granted."""
    parts = []
    for host in window.hosts:
        messages = [
            (talk, message)
            for talk in talks(observed, host)
            for message in _sent(observed.run, talk, (REGISTER_ACK, REGISTER_REJECT))
        ]
        if not messages:
            parts.append(Part(doubts=(f"{host} answered no registration",)))
            continue
        units = Units.ordered(
            f"of {host}",
            np.array([message.time_s for _, message in messages]),
            np.array([message.id == REGISTER_REJECT for _, message in messages], np.bool_),
            np.array([message.frame - 1 for _, message in messages], np.int64),
            messages[0][0].packets,
        )
        parts.append(whole_effect(units, window, end_within_s=NEXT_S))
    return combined(window, parts)


def _sent(run: Run, talk: Talk, ids: tuple[int, ...]) -> list[Message]:
    """Messages of these ids that the host sent."""
    messages = sccp_messages(talk.packets)
    return [message for message in messages if message.id in ids and talk.from_host[message.frame - 1]]
