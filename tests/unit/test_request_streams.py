"""Requests to roles: as many streams a host as it is asked things at once, none of which a late reply can confuse."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import pytest

from testbed.engine import request_streams as module
from testbed.engine.request_streams import RequestStreams
from testbed.errors import EngineError


class Stream:
    """Stands in for an ExecStream. What it replies is the request, or ``reply``; ``gate`` holds it up."""

    opened: ClassVar[list[Stream]] = []
    no_role: ClassVar[set[str]] = set()
    gate: ClassVar[threading.Event | None] = None
    reply: ClassVar[dict[str, Any] | Exception | None] = None

    def __init__(self, container_id: str, argv: list[str]) -> None:
        self.container_id, self.is_over, self.is_closed = container_id, False, False
        Stream.opened.append(self)

    def receive(self) -> dict[str, Any]:
        if self.container_id in Stream.no_role:
            raise EngineError("the stream ended")
        return {"ready": True}

    def exchange(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        if Stream.gate is not None and request["op"] == "slow":
            assert Stream.gate.wait(10)
        if isinstance(Stream.reply, Exception):
            raise Stream.reply
        return Stream.reply or {"asked": request["op"]}

    def ends_within(self, timeout_s: float) -> bool:
        return self.is_over

    def close(self, timeout_s: float = 10) -> None:
        self.is_closed = True


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Docker's words for the states of containers."""
    found: dict[str, str] = {}
    for name, value in (("opened", []), ("no_role", set()), ("gate", None), ("reply", None)):
        monkeypatch.setattr(Stream, name, value)
    monkeypatch.setattr(module.streams, "ExecStream", Stream)
    monkeypatch.setattr(module.containers, "state_of", lambda container_id: found.get(container_id, "running"))
    return found


@pytest.fixture
def requests(states: dict[str, str]) -> RequestStreams:
    return RequestStreams(lambda host: f"id of {host}")


def asked(requests: RequestStreams, host: str, op: str = "ls") -> dict[str, Any]:
    return requests.ask(host, {"op": op}, timeout_s=1)


def test_one_request_after_another_takes_one_stream_a_host(requests: RequestStreams) -> None:
    requests.open(["phones-1", "phones-2"])
    assert [asked(requests, host) for host in ("phones-1", "phones-2", "phones-1")] == [{"asked": "ls"}] * 3
    requests.open(["phones-1"])
    assert sorted(stream.container_id for stream in Stream.opened) == ["id of phones-1", "id of phones-2"]
    requests.close()
    assert all(stream.is_closed for stream in Stream.opened)


def test_a_request_that_takes_long_holds_up_no_other(requests: RequestStreams, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(Stream, "gate", gate)
    replies: list[dict[str, Any]] = []
    slow = threading.Thread(target=lambda: replies.append(asked(requests, "phones-1", "slow")))
    slow.start()
    while not Stream.opened:
        pass
    assert asked(requests, "phones-1", "quick") == {"asked": "quick"}
    gate.set()
    slow.join(10)
    assert replies == [{"asked": "slow"}]
    assert len(Stream.opened) == 2


def test_a_stream_that_is_in_use_when_all_are_closed_ends_when_its_reply_has_come(
    requests: RequestStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    monkeypatch.setattr(Stream, "gate", gate)
    slow = threading.Thread(target=asked, args=(requests, "phones-1", "slow"))
    slow.start()
    while not Stream.opened:
        pass
    requests.close()
    assert not Stream.opened[0].is_closed
    gate.set()
    slow.join(10)
    assert Stream.opened[0].is_closed


def test_a_frozen_host_is_asked_nothing_or_it_would_do_it_when_it_is_thawed(
    requests: RequestStreams, states: dict[str, str]
) -> None:
    requests.open(["phones-1"])
    states["id of phones-1"] = "paused"
    with pytest.raises(EngineError, match="phones-1 is frozen"):
        asked(requests, "phones-1")
    states.clear()
    assert asked(requests, "phones-1") == {"asked": "ls"}
    assert len(Stream.opened) == 1


def test_a_refusal_is_a_reply_and_the_stream_goes_on(requests: RequestStreams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stream, "reply", {"error": "phones: a list is needed"})
    assert asked(requests, "phones-1") == {"error": "phones: a list is needed"}
    assert asked(requests, "phones-1") == {"error": "phones: a list is needed"}
    assert len(Stream.opened) == 1


@pytest.mark.parametrize("trouble", [EngineError("no reply within 30 s"), {"error": "control.sock", "ended": True}])
def test_a_stream_that_gave_no_answer_is_used_no_more(
    trouble: Exception | dict[str, Any], requests: RequestStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests.open(["phones-1"])
    monkeypatch.setattr(Stream, "reply", trouble)
    with pytest.raises(EngineError):
        asked(requests, "phones-1")
    assert [stream.is_closed for stream in Stream.opened] == [True]
    monkeypatch.setattr(Stream, "reply", None)
    assert asked(requests, "phones-1") == {"asked": "ls"}
    assert len(Stream.opened) == 2


def test_a_role_that_was_started_again_is_asked_over_a_new_stream(requests: RequestStreams) -> None:
    asked(requests, "phones-1")
    Stream.opened[0].is_over = True
    assert asked(requests, "phones-1") == {"asked": "ls"}
    assert [stream.is_closed for stream in Stream.opened] == [True, False]


def test_where_no_role_answers_opening_is_quiet_and_asking_is_not(requests: RequestStreams) -> None:
    Stream.no_role.add("id of slb")
    requests.open(["slb", "phones-1"])
    assert asked(requests, "phones-1") == {"asked": "ls"}
    with pytest.raises(EngineError, match="the stream ended"):
        asked(requests, "slb")
    assert all(stream.is_closed for stream in Stream.opened if stream.container_id == "id of slb")
