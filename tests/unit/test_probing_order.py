from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testbed import probing as module
from testbed.faults.probing import LEAD_S, ProbePlan


@pytest.mark.parametrize(("witness", "waits"), [({"ccm-1": ("tcp",)}, [LEAD_S]), ({}, [])])
def test_probes_go_on_for_a_while_before_anything_may_break(
    witness: dict[str, tuple[str, ...]], waits: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What shows that packets were well until then is part of a fault's proof; where nothing is probed nobody waits."""
    happened: list[Any] = []

    class Prober:
        def __init__(self, *_: object, **__: object) -> None:
            happened.append("begun")

        def await_word(self, word: str) -> None:
            happened.append(word)

        def close_input(self) -> None: ...

        def end(self, _word: str) -> dict[str, int]:
            return {"rows": 0}

    monkeypatch.setattr(module.streams, "FileStream", Prober)
    monkeypatch.setattr(module, "pause", happened.append)
    plan = ProbePlan(lanes=(), witness=witness)
    with module.Probing(plan, tmp_path / "probes", nic=str, record=lambda *_, **__: None):
        assert happened == (["begun", "ready", *waits] if witness else [])
