"""Followed logs: every line once, across what begins again; what the engine writes where it cannot read one is no line of it."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from docker.errors import APIError, NotFound

from testbed.engine import streams

FIRST, SECOND = "2026-01-02T03:04:05.123456789Z one", "2026-01-02T03:04:05.5Z two"
BROKEN = "Error grabbing logs: unexpected EOF"


Answer = list[bytes | Exception] | Exception


class Engine:
    """Stands in for a client: each time logs are asked for it gives the next of ``answers``, and then knows no such container. One that
    is an error is raised, among the chunks of one at its place."""

    def __init__(self, answers: list[Answer]) -> None:
        self.answers = answers
        self.since: list[int | None] = []
        self.api = self

    def logs(self, container_id: str, *, since: int | None, **how: Any) -> Iterator[bytes]:
        self.since.append(since)
        if not self.answers:
            raise NotFound("no such container")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return self._chunks(answer)

    def _chunks(self, answer: list[bytes | Exception]) -> Iterator[bytes]:
        for chunk in answer:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def close(self) -> None:
        pass


def followed(
    monkeypatch: pytest.MonkeyPatch, *answers: Answer, spoils: str = ""
) -> tuple[list[tuple[float, str]], list[str], list[int | None]]:
    """What was delivered, what was said to be lost, and since when each answer was asked for. The line ``spoils`` cannot be taken."""
    engine = Engine(list(answers))
    monkeypatch.setattr(streams, "connect", lambda: engine)
    monkeypatch.setattr(streams, "AGAIN_S", 0.001)
    delivered: list[tuple[float, str]] = []
    lost: list[str] = []

    def deliver(time_s: float, line: str) -> None:
        if line == spoils:
            raise KeyError("at")
        delivered.append((time_s, line))

    thread = streams.follow_log("0123456789abcdef", deliver, lost.append, threading.Event())
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


@pytest.mark.parametrize(
    "text",
    ["2026-01-02 no time", "Z", "2026-01-02T03:04:05.Z dot", "2026-13-02T03:04:05Z moon", "~ later than any time"],
)
def test_anything_that_is_no_time_ends_no_thread(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    delivered, lost, since = followed(monkeypatch, [lines(text, FIRST)])
    assert [line for _, line in delivered] == ["one"]
    assert lost == [text]
    assert len(since) == 2


def test_a_line_that_nobody_can_take_is_told_and_the_others_come(monkeypatch: pytest.MonkeyPatch) -> None:
    delivered, lost, _ = followed(monkeypatch, [lines(FIRST, SECOND)], spoils="one")
    assert [line for _, line in delivered] == ["two"]
    assert lost == ["KeyError: 'at': one"]


def test_a_stream_that_breaks_off_is_read_on_from_its_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [lines(FIRST), struct.error("unpack requires a buffer of 8 bytes")]
    delivered, lost, since = followed(monkeypatch, broken, [lines(FIRST, SECOND)])
    assert [line for _, line in delivered] == ["one", "two"]
    assert since[1] == int(delivered[0][0])
    assert not lost


def refusal(status: int) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError("no", response=response, explanation="error opening log file: no space left on device")


@pytest.mark.parametrize(
    ("status", "times", "is_told"),
    [
        (500, streams.MAX_REFUSALS, True),
        (500, streams.MAX_REFUSALS - 1, False),
        (501, streams.MAX_REFUSALS + 5, True),
        # It is being removed.
        (409, 2 * streams.MAX_REFUSALS, False),
    ],
)
def test_a_log_that_the_engine_refuses_again_and_again_is_told_once(
    status: int, times: int, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, lost, _ = followed(monkeypatch, *[refusal(status)] * times)
    assert lost == (["error opening log file: no space left on device"] if is_told else [])


def test_refusals_with_lines_between_them_are_none_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    some = [refusal(500)] * (streams.MAX_REFUSALS - 1)
    delivered, lost, _ = followed(monkeypatch, *some, [lines(FIRST)], *some, [lines(SECOND)])
    assert [line for _, line in delivered] == ["one", "two"]
    assert not lost
