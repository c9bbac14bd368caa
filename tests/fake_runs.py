"""`testbed` with runs that are made up: ``python fake_runs.py run FILE... --jobs 2``. No engine is asked; a run ends as the description of
its scenario says."""

from __future__ import annotations

import json
import os
import signal
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

from recordings import bed

from testbed import campaign, cli
from testbed.errors import CleanupIncomplete, EngineError
from testbed.judge import write_verdicts
from testbed.recording import Run
from testbed.run import Performed, RunOptions
from testbed.scenario import LoadedScenario, dump_scenario
from testbed.verdict import Evidence, Status, Verdict

SCENARIO = """
scenario: {name}
description: {ending}
phones: 2
steps: []
expect: [recovered: {{}}]
"""


def write(folder: Path, **endings: str) -> list[str]:
    """Scenario files: name -> PASS, FAIL, INCONCLUSIVE, LEFT (a bed that was not removed), BROKEN (a bed), CRASH or KILL (a run)."""
    files = {folder / f"{name}.scenario.yaml": ending for name, ending in endings.items()}
    for file, ending in files.items():
        name = file.name.split(".")[0]
        file.write_text(SCENARIO.format(name=name, ending=ending), encoding="utf-8")
    return [str(file) for file in files]


def run_scenario(loaded: LoadedScenario, options: RunOptions, _: object) -> Performed:
    ending = loaded.scenario.description
    if ending == "BROKEN":
        raise EngineError("it fell over\nonce more", hint="get it up")
    if ending == "CRASH":
        raise RuntimeError("of our own making")
    if ending == "KILL":
        os.kill(os.getpid(), signal.SIGKILL)
    folder = options.runs / f"{loaded.scenario.scenario}-{uuid.uuid4().hex[:6]}"
    folder.mkdir()
    (folder / "scenario.yaml").write_text(dump_scenario(loaded.scenario))
    (folder / "topology.json").write_text(json.dumps(bed(phones=loaded.scenario.phones).to_json()))
    (folder / "history.jsonl").write_text('{"time_s": 1, "host": "testbed", "name": "RunStarted"}\n')
    status = Status.PASS if ending == "LEFT" else Status[ending]
    verdict = Verdict(
        check="recovered",
        status=status,
        summary=f"as told, {loaded.scenario.profile}",
        evidence=(Evidence(text="seen so", event=0),),
        figures={"rehome_max_s": 1.5},
    )
    write_verdicts(Run(folder), [verdict])
    left = CleanupIncomplete(f"a network of {options.bed} stays") if ending == "LEFT" else None
    return Performed(run=Run(folder), verdicts=[verdict], left_behind=left)


def faked(patch: Callable[[object, str, object], None]) -> None:
    """Runs of this process, and of those that it starts, are made up; ``patch`` is setattr, or pytest's."""
    command_of = campaign.Campaign._command

    def command(self: campaign.Campaign, file: Path, name: str) -> tuple[str, ...]:
        words = command_of(self, file, name)
        return (sys.executable, __file__, *words[words.index("run") :])

    patch(campaign.Campaign, "_command", command)
    patch(campaign, "run_scenario", run_scenario)
    patch(campaign, "build_all", lambda _: {})


if __name__ == "__main__":
    faked(setattr)
    cli.main()
