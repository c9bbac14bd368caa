from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from testbed.errors import UsageError
from testbed.roles.held_faults import MAX_HELD, HeldFaults, Undo


class Patient:
    """Has faults of the kind `ill`, and says what happened."""

    def __init__(self) -> None:
        self.ill: list[str] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.faults = HeldFaults({"ill": self.fall_ill}, self.report)

    def fall_ill(self, fault_id: str, request: Mapping[str, Any]) -> Undo:
        if request.get("severity") == "absurd":
            raise UsageError("severity")
        self.ill.append(fault_id)

        def undo() -> int:
            self.ill.remove(fault_id)
            return 7

        return undo

    def report(self, name: str, /, **data: object) -> None:
        self.events.append((name, data))


def test_a_fault_is_held_until_it_is_healed():
    async def story() -> None:
        patient = Patient()
        reply = await patient.faults.hold({"id": "f", "kind": "ill"})
        assert reply["began_s"] <= reply["effect_s"]
        assert patient.ill == ["f"]
        assert await patient.faults.ls({}) == {"faults": [{"id": "f", "kind": "ill"}]}
        healed = await patient.faults.heal({"id": "f"})
        assert (healed["held"], healed["effects"]) == (True, 7)
        assert patient.ill == []
        assert [name for name, _ in patient.events] == ["RoleFaultBegan", "RoleFaultEnded"]
        assert patient.events[1][1] == {"fault_id": "f", "kind": "ill", "cause": "healed", "effects": 7}

    asyncio.run(story())


def test_a_fault_that_is_not_held_counts_as_healed():
    async def story() -> None:
        patient = Patient()
        assert (await patient.faults.heal({"id": "f"}))["held"] is False
        assert (await patient.faults.renew({"id": "f", "lease_s": 1}))["held"] is False
        assert patient.events == []

    asyncio.run(story())


def test_a_fault_ends_with_its_lease_unless_the_lease_is_renewed():
    async def story() -> None:
        patient = Patient()
        await patient.faults.hold({"id": "short", "kind": "ill", "lease_s": 0.02})
        await patient.faults.hold({"id": "renewed", "kind": "ill", "lease_s": 0.02})
        await patient.faults.renew({"id": "renewed", "lease_s": 30})
        await patient.faults.hold({"id": "unleased", "kind": "ill"})
        await asyncio.sleep(0.1)
        assert patient.ill == ["renewed", "unleased"]
        assert patient.events[-1] == (
            "RoleFaultEnded",
            {"fault_id": "short", "kind": "ill", "cause": "lease ended", "effects": 7},
        )

    asyncio.run(story())


def test_a_role_that_ends_has_no_faults_any_more():
    async def story() -> None:
        patient = Patient()
        await patient.faults.hold({"id": "a", "kind": "ill", "lease_s": 30})
        await patient.faults.hold({"id": "b", "kind": "ill"})
        patient.faults.close()
        assert patient.ill == []
        assert {data["cause"] for name, data in patient.events if name == "RoleFaultEnded"} == {"role ended"}

    asyncio.run(story())


@pytest.mark.parametrize(
    "request_",
    [
        {"kind": "ill"},
        {"id": "", "kind": "ill"},
        {"id": "f" * 81, "kind": "ill"},
        {"id": 7, "kind": "ill"},
        {"id": "f", "kind": "well"},
        {"id": "f"},
        {"id": "f", "kind": "ill", "lease_s": 0},
        {"id": "f", "kind": "ill", "lease_s": "soon"},
        {"id": "f", "kind": "ill", "severity": "absurd"},
        {"id": "held", "kind": "ill"},
    ],
)
def test_a_wrong_request_changes_nothing(request_: dict[str, Any]):
    async def story() -> None:
        patient = Patient()
        await patient.faults.hold({"id": "held", "kind": "ill"})
        with pytest.raises(UsageError):
            await patient.faults.hold(request_)
        assert patient.ill == ["held"]
        assert [name for name, _ in patient.events] == ["RoleFaultBegan"]

    asyncio.run(story())


def test_no_more_faults_are_held_than_anybody_needs():
    async def story() -> None:
        patient = Patient()
        for number in range(MAX_HELD):
            await patient.faults.hold({"id": f"f{number}", "kind": "ill"})
        with pytest.raises(UsageError, match=str(MAX_HELD)):
            await patient.faults.hold({"id": "one-more", "kind": "ill"})

    asyncio.run(story())
