"""What happens on a bed during one test, recorded as a run is: the same checks judge it, now and later.

A recording ends with the first check: packets are all there only once their captures are closed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from testbed import __version__, state
from testbed.bed import Bed
from testbed.checks import KINDS
from testbed.checks.base import Params
from testbed.document import known_words, words_said
from testbed.engine import versions
from testbed.errors import UsageError
from testbed.judge import judge, write_verdicts
from testbed.recording import Run
from testbed.run import await_steady, record_slb
from testbed.scenario import dump_scenario
from testbed.scenario_model import Scenario, registered_model
from testbed.verdict import Verdict
from testbed.watching import HttpWatch


class Episode:
    """One recording: ``begin`` and ``end`` are its own, ``check`` ends it and judges. Its folder is a run folder."""

    def __init__(self, bed: Bed, folder: Path, name: str, capture: Sequence[str], profile: str) -> None:
        self.bed, self.folder = bed, folder
        self.captured = tuple(capture)
        self._head: dict[str, Any] = {
            "scenario": name,
            "description": "recorded by a test",
            "bed": [str(path) for path in bed.topology.files],
            "phones": len(bed.topology.phones),
            "profile": profile,
            "profiles": [profile],
            "capture": list(capture),
        }
        self._asked: list[tuple[str, Params]] = []
        self._watch = HttpWatch(folder, self._scenario(), bed.topology.phones)
        self._servers: set[tuple[str, str, str]] = set()
        self.over = False

    def begin(self, *, captures_run: bool) -> None:
        """Files, captures (unless they have been running since the bed came up), steady state."""
        bed = self.bed
        (self.folder / "topology.json").write_text(json.dumps(bed.topology.to_json(), indent=1), encoding="utf-8")
        (self.folder / "versions.json").write_text(json.dumps(versions.collect(bed), indent=1), encoding="utf-8")
        shutil.copytree(state.bed_folder(bed.topology.bed), self.folder / "bed")
        self._write_scenario()
        if not captures_run:
            bed.captures.start(self.captured, self.folder / "captures")
        bed.record("RunStarted", scenario=self._head["scenario"], version=__version__)
        await_steady(bed, "before", set(), self._watch)
        self._servers = record_slb(bed, "before")
        bed.record("StepsStarted")

    def end(self) -> None:
        """Steady state again, as far as it comes; captures closed. The bed's faults are healed by whoever injected them."""
        if self.over:
            return
        self.over = True
        self.bed.record("StepsEnded")
        await_steady(self.bed, "after", self._servers, self._watch)
        record_slb(self.bed, "after")
        self.bed.captures.stop_all()
        self.bed.record("RunEnded")

    def check(self, kind: str, parameters: dict[str, Any]) -> Verdict:
        """The verdict of one expectation, with all that the recording's own soundness takes away from it."""
        if kind not in KINDS:
            raise UsageError(f"unknown kind of expectation {kind!r}", hint=known_words(kind, KINDS))
        model = KINDS[kind].params
        try:
            params: Params = model.model_validate(parameters)
        except ValidationError as error:
            message, hint = words_said(error, model)
            raise UsageError(f"{kind}: {message}", hint=hint) from None
        self.end()
        self._asked.append((kind, params))
        self._write_scenario()
        verdicts = judge(Run.open(self.folder), self._asked)
        write_verdicts(Run.open(self.folder), verdicts)
        return verdicts[-1]

    def _scenario(self) -> Scenario:
        return registered_model().model_validate(self._head)

    def _write_scenario(self) -> None:
        """With what was asked so far: `testbed judge` of the folder asks the same again."""
        asked = [{kind: params.model_dump(mode="json", by_alias=True)} for kind, params in self._asked]
        scenario = registered_model().model_validate({**self._head, "expect": asked})
        (self.folder / "scenario.yaml").write_text(dump_scenario(scenario), encoding="utf-8")
