"""Streams to roles: one a host, a refusal leaves it open, a role that was started again is asked anew."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from testbed.engine import role_streams as module
from testbed.engine.role_streams import RoleStreams
from testbed.errors import EngineError


class Stream:
    """Stands in for an ExecStream; ``fate`` is what becomes of the next request."""

    opened: ClassVar[list[Stream]] = []
    fate = ""

    def __init__(self, container_id: str, argv: list[str]) -> None:
        self.container_id, self.is_over, self.is_closed = container_id, False, False
        Stream.opened.append(self)

    def receive(self) -> dict[str, Any]:
        if Stream.fate == "no role":
            raise EngineError("the stream ended")
        return {"ready": True}

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        fate, Stream.fate = Stream.fate, ""
        if fate:
            self.is_over = fate == "over"
            raise EngineError(fate)
        return {"asked": request["op"]}

    def ends_within(self, timeout_s: float) -> bool:
        return self.is_over

    def close(self, timeout_s: float = 10) -> None:
        self.is_closed = True


@pytest.fixture
def roles(monkeypatch: pytest.MonkeyPatch) -> RoleStreams:
    monkeypatch.setattr(Stream, "opened", [])
    monkeypatch.setattr(Stream, "fate", "")
    monkeypatch.setattr(module.streams, "ExecStream", Stream)
    return RoleStreams(lambda host: f"id of {host}")


def test_a_host_is_asked_over_one_stream(roles: RoleStreams):
    assert [roles.ask(host, {"op": "faults"}) for host in ("ccm-1", "web-1", "ccm-1")] == [{"asked": "faults"}] * 3
    assert [stream.container_id for stream in Stream.opened] == ["id of ccm-1", "id of web-1"]
    roles.close()
    assert all(stream.is_closed for stream in Stream.opened)


def test_a_refusal_is_an_error_and_the_stream_stays_or_it_would_heal_what_it_holds(roles: RoleStreams):
    roles.ask("ccm-1", {"op": "faults"})
    Stream.fate = "no kind of fault 'flu' here"
    with pytest.raises(EngineError, match="flu"):
        roles.ask("ccm-1", {"op": "fault"})
    roles.ask("ccm-1", {"op": "faults"})
    assert [stream.is_closed for stream in Stream.opened] == [False]


def test_a_role_that_was_started_again_is_asked_anew(roles: RoleStreams):
    roles.ask("ccm-1", {"op": "faults"})
    Stream.fate = "over"
    assert roles.ask("ccm-1", {"op": "heal"}) == {"asked": "heal"}
    assert [stream.is_closed for stream in Stream.opened] == [True, False]


def test_a_role_that_cannot_be_reached_is_an_error_and_tried_anew_next_time(roles: RoleStreams):
    Stream.fate = "no role"
    with pytest.raises(EngineError):
        roles.ask("ccm-1", {"op": "faults"})
    assert [stream.is_closed for stream in Stream.opened] == [True]
    Stream.fate = ""
    assert roles.ask("ccm-1", {"op": "faults"}) == {"asked": "faults"}
