"""Removing a bed: what the engine will not let go, and why."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError
from tenacity import wait_none

from testbed.engine import containers
from testbed.errors import CleanupIncomplete


class Engine:
    """One network, which it refuses to remove; ``attached`` is whom it says is on it."""

    def __init__(self, attached: dict[str, Any], explanation: str) -> None:
        self.attached, self.explanation = attached, explanation
        network = SimpleNamespace(id="7ca2e97917b53757", attrs={"Containers": attached})
        self.containers = SimpleNamespace(list=lambda **_: [])
        self.networks = SimpleNamespace(list=lambda **_: [network], get=lambda _: network)
        self.volumes = SimpleNamespace(list=lambda **_: [])
        self.api = SimpleNamespace(remove_network=self.refuse)

    def refuse(self, network_id: str) -> None:
        raise APIError("403", explanation=self.explanation)

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers._remove_network.retry, "wait", wait_none())  # type: ignore[attr-defined]


def remove(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    warned: list[str] = []
    monkeypatch.setattr(containers, "connect", lambda: engine)
    return containers.remove_bed("t", warned.append), warned


def test_a_network_whose_endpoints_the_engine_miscounts_is_warned_of_and_left(monkeypatch: pytest.MonkeyPatch):
    removed, warned = remove(Engine({}, "network t_voice has active endpoints"), monkeypatch)
    assert removed == []
    assert len(warned) == 1
    assert "`docker network rm 7ca2e97917b5`" in warned[0]


@pytest.mark.parametrize(
    ("attached", "explanation"),
    [({"1": {"Name": "mine"}}, "network t_voice has active endpoints"), ({}, "the disk is full")],
)
def test_a_network_that_is_in_use_or_refused_for_another_reason_is_what_stays(
    attached: dict[str, Any], explanation: str, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(CleanupIncomplete, match=explanation):
        remove(Engine(attached, explanation), monkeypatch)
