"""Followed logs: every line once, across what begins again; what the engine writes where it cannot read one is no line of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from docker.errors import NotFound

from testbed.engine import streams

FIRST, SECOND = "2026-01-02T03:04:05.123456789Z one", "2026-01-02T03:04:05.5Z two"
BROKEN = "Error grabbing logs: unexpected EOF"


class Engine:
    """Stands in for a client: each time logs are asked for it gives the next of ``answers``, and then knows no such container."""

    def __init__(self, answers: list[list[bytes]]) -> None:
        self.answers = answers
        self.since: list[int | None] = []
        self.api = self

    def logs(self, container_id: str, *, since: int | None, **how: Any) -> Iterator[bytes]:
        self.since.append(since)
        if not self.answers:
            raise NotFound("no such container")
        return iter(self.answers.pop(0))

    def close(self) -> None:
        pass


def followed(
    monkeypatch: pytest.MonkeyPatch, *answers: list[bytes]
) -> tuple[list[tuple[float, str]], list[str], list[int | None]]:
    """What was delivered, what was said to be lost, and since when each answer was asked for."""
    engine = Engine(list(answers))
    monkeypatch.setattr(streams, "connect", lambda: engine)
    delivered: list[tuple[float, str]] = []
    lost: list[str] = []
    thread = streams.follow_log(
        "0123456789abcdef", lambda time_s, line: delivered.append((time_s, line)), lost.append, threading.Event()
    )
    thread.join(10)
    assert not thread.is_alive()
    return delivered, lost, engine.since


def lines(*texts: str) -> bytes:
    return "".join(f"{text}\n" for text in texts).encode()


def test_lines_are_delivered_once_wherever_chunks_end_and_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = lines(FIRST, SECOND)
    again = lines(FIRST, SECOND, "2026-01-02T03:04:07Z three\r")
    delivered, lost, since = followed(monkeypatch, [whole[:9], whole[9:50], whole[50:]], [again])
    assert [line for _, line in delivered] == ["one", "two", "three"]
    assert [time_s - int(delivered[0][0]) for time_s, _ in delivered] == pytest.approx(
        [0.123456789, 0.5, 2.0], abs=1e-6
    )
    assert since == [None, int(delivered[0][0]), int(delivered[2][0])]
    assert not lost


def test_what_the_engine_writes_where_it_cannot_read_a_log_is_told_once_and_its_lines_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delivered, lost, _ = followed(monkeypatch, [lines(FIRST, BROKEN, SECOND)], [lines(BROKEN)])
    assert [line for _, line in delivered] == ["one", "two"]
    assert lost == [BROKEN]


@pytest.mark.parametrize("text", ["2026-01-02 no time", "Z", "2026-01-02T03:04:05.Z dot", "~ later than any time"])
def test_anything_that_is_no_time_ends_no_thread(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    delivered, lost, since = followed(monkeypatch, [lines(text, FIRST)])
    assert [line for _, line in delivered] == ["one"]
    assert lost == [text]
    assert len(since) == 2
