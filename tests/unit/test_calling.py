"""`testbed phone call` on a bed that is stood in for."""

from __future__ import annotations

from typing import Any, cast

import pytest
from test_topology import topology

from testbed import calling
from testbed.bed import Bed
from testbed.errors import UsageError


class StandIn:
    """A bed whose one caller goes through these calls, one a look."""

    def __init__(self, *seen: list[str], ok: bool = True) -> None:
        self.topology = topology(4)
        self.seen, self.ok = list(seen), ok
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def ask(self, host: str, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((host, request))
        if request["op"] == "call":
            return {"results": [{"phone": "SEP020000000001", "number": "1003", "ok": self.ok}]}
        return {"calls": self.seen.pop(0) if len(self.seen) > 1 else self.seen[0]}


def called(bed: StandIn, talk: str | None = None) -> int:
    return calling.call(cast(Bed, bed), "SEP020000000001", "1003", talk)


def test_a_call_is_awaited_until_it_is_answered(capsys: pytest.CaptureFixture[str]):
    bed = StandIn([], ["dialling"], ["calling 1003"], ["talking 1003"])
    assert called(bed, "20s") == 0
    assert bed.asked[0][1] == {
        "op": "call",
        "calls": [{"phone": "SEP020000000001", "number": "1003"}],
        "talk_s": 20.0,
    }
    assert "SEP020000000001: talking 1003" in "".join(capsys.readouterr())


def test_a_refused_call_ends_with_1(capsys: pytest.CaptureFixture[str]):
    assert called(StandIn(["dialling"], ["refused 1003"])) == 1
    assert "refused 1003" in "".join(capsys.readouterr())


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(calling, "OUTCOME_S", 0.3)
    assert called(StandIn(["calling 1003"])) == 0
    assert "calling 1003" in "".join(capsys.readouterr())


def test_a_phone_that_cannot_call_and_a_time_that_is_none_are_refused():
    with pytest.raises(UsageError, match="cannot call now"):
        called(StandIn([], ok=False))
    with pytest.raises(UsageError, match="--for soon"):
        called(StandIn([]), "soon")
    with pytest.raises(UsageError, match="--for 0s: must be longer"):
        called(StandIn([]), "0s")
    with pytest.raises(UsageError, match="no phone 'SEP9'"):
        calling.call(cast(Bed, StandIn([])), "SEP9", "1003", None)
