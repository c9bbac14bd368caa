"""From a run folder to verdicts: those the scenario asks for, and those every run owes. Pure but for ``verdicts.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence

from testbed.checks import KINDS, Params, judge_expectation
from testbed.checks.capture import captured_hosts, soundness
from testbed.errors import EXIT_CHECK_FAILED, EXIT_INCONCLUSIVE, EXIT_NOTHING_RAN, EXIT_OK
from testbed.recording import Run
from testbed.verdict import Status, Verdict, worst

RESTS_ON_PACKETS = frozenset({"rehomed", "config-kept", "redirected", "restored", "call-control-kept", "packets"})
"""Kinds whose PASS is worth nothing if a capture is unsound: a packet that was not recorded might have been the wrong one."""


def judge_run(run: Run) -> list[Verdict]:
    """Verdicts of the scenario that lies in the run folder, written to ``verdicts.json`` as well."""
    from testbed.scenario import load_scenario

    scenario = load_scenario(run.path / "scenario.yaml").scenario
    verdicts = judge(run, [(expectation.kind, expectation.params) for expectation in scenario.expect])
    write_verdicts(run, verdicts)
    return verdicts


def judge(run: Run, expectations: Sequence[tuple[str, Params]]) -> list[Verdict]:
    """The implied verdicts (``steady``, ``steps``; ``captures`` where there are any or the scenario asks for some), then one for
    each expectation, in order; a scenario without any has shown nothing."""
    implied = ["steady", "steps", *(["captures"] if captured_hosts(run) else [])]
    asked = {kind for kind, _ in expectations}
    verdicts = [judge_expectation(run, kind, KINDS[kind].params()) for kind in implied if kind not in asked]
    doubts = [problem for problems in soundness(run).problems.values() for problem in problems]
    for kind, params in expectations:
        verdicts.append(judge_expectation(run, kind, params, doubts if kind in RESTS_ON_PACKETS else ()))
    if not expectations:
        summary = "the scenario expects nothing"
        verdicts.append(Verdict(check="expectations", status=Status.INCONCLUSIVE, summary=summary))
    return verdicts


def write_verdicts(run: Run, verdicts: Sequence[Verdict]) -> None:
    """``verdicts.json``: the worst status, and every verdict."""
    record = {
        "status": worst(verdict.status for verdict in verdicts).name,
        "verdicts": [verdict.to_json() for verdict in verdicts],
    }
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    # Half a surrogate pair, out of a damaged history, is written as the escape that JSON has for it.
    (run.path / "verdicts.json").write_text(text, encoding="utf-8", errors="backslashreplace")


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """0 all pass, 1 a check failed, 3 inconclusive, 5 nothing was judged."""
    if not verdicts:
        return EXIT_NOTHING_RAN
    return {Status.PASS: EXIT_OK, Status.FAIL: EXIT_CHECK_FAILED, Status.INCONCLUSIVE: EXIT_INCONCLUSIVE}[
        worst(verdict.status for verdict in verdicts)
    ]
