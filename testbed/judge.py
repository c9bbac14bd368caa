"""From a run folder to verdicts: those the scenario asks for, and those every run owes. Pure but for ``verdicts.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence

from testbed.checks import KINDS, Params, judge_expectation
from testbed.checks.capture import captured_hosts, soundness
from testbed.checks.effect import Effect
from testbed.checks.effects import effects
from testbed.checks.facts import seen
from testbed.errors import EXIT_CHECK_FAILED, EXIT_INCONCLUSIVE, EXIT_NOTHING_RAN, EXIT_OK
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict, worst

RESTS_ON_PACKETS = frozenset(
    {
        "rehomed",
        "config-kept",
        "booted",
        "redirected",
        "restored",
        "call-control-kept",
        "packets",
        "marking",
        "http",
        "effects",
        "invariants",
        "streams",
        "heard",
        "preserved",
        "carried",
    }
)
"""Kinds whose PASS is worth nothing if a capture is unsound: a packet that was not recorded might have been the wrong one."""

RESTS_ON_FAULTS = frozenset(
    {
        "rehomed",
        "urls",
        "config-kept",
        "booted",
        "out-of-service",
        "redirected",
        "restored",
        "call-control-kept",
        "packets",
        "marking",
        "http",
        "recovered",
        "invariants",
        "streams",
        "heard",
        "preserved",
        "carried",
    }
)
"""Kinds whose PASS is worth nothing if a fault is not proved: they say what holds in spite of it, or because of it."""

SPEAKS_OF_FAULT = frozenset({"rehomed", "urls", "out-of-service", "redirected", "restored", "preserved"})
"""Kinds that say what a fault brings about: where it did not happen, their FAIL is worth nothing either."""


def rests_on_packets(kind: str) -> bool:
    """Ours are listed; a plug-in's says so itself."""
    return kind in RESTS_ON_PACKETS or (kind in KINDS and KINDS[kind].rests_on_packets)


def judge_run(run: Run) -> list[Verdict]:
    """Verdicts of the scenario that lies in the run folder, written to ``verdicts.json`` as well."""
    from testbed.scenario import load_scenario

    scenario = load_scenario(run.path / "scenario.yaml").scenario
    verdicts = judge(run, [(expectation.kind, expectation.params) for expectation in scenario.expect])
    write_verdicts(run, verdicts)
    return verdicts


def judge(run: Run, expectations: Sequence[tuple[str, Params]]) -> list[Verdict]:
    """The implied verdicts (``steady``, ``steps``; ``captures`` where there are any or the scenario asks for some; ``effects`` where
    there are faults), then one for each expectation, in order; a scenario without any has shown nothing."""
    faults = ["effects"] if seen(run, "FaultIntended", "FaultConfirmed") else []
    implied = ["steady", "steps", *(["captures"] if captured_hosts(run) else []), *faults]
    asked = {kind for kind, _ in expectations}
    every = [*((kind, KINDS[kind].params()) for kind in implied if kind not in asked), *expectations]
    unsound = [problem for problems in soundness(run).problems.values() for problem in problems]
    verdicts = []
    for kind, params in every:
        doubts = [*unread(run), *(unsound if rests_on_packets(kind) else ()), *unproved(run, kind, params)]
        verdicts.append(judge_expectation(run, kind, params, doubts, absent(run, kind, params)))
    if not expectations:
        summary = "the scenario expects nothing"
        verdicts.append(Verdict(check="expectations", status=Status.INCONCLUSIVE, summary=summary))
    return verdicts


def unread(run: Run) -> list[Evidence]:
    """Lines of the history that hold no event, and logs that the engine could not read: whatever is judged might have failed by
    what is missing."""
    count = run.history.unread
    damaged = [Evidence(text=f"{count} lines of history.jsonl cannot be read")] if count else []
    return damaged + [
        event.proves(
            f"the engine could not read what {event.event.host} printed: {event['error'] or 'no reason on record'}; events are missing"
        )
        for event in seen(run, "LogUnreadable")
    ]


def unproved(run: Run, kind: str, params: Params) -> list[Evidence]:
    """Faults that an expectation rests on and packets do not prove."""
    if kind not in RESTS_ON_FAULTS or getattr(params, "when", None) == "before":
        return []
    return [_doubt(effect) for effect in effects(run) if not effect.proved]


def absent(run: Run, kind: str, params: Params) -> list[Evidence]:
    """Why there is nothing to judge: no fault that it speaks of is shown to have happened."""
    if kind not in SPEAKS_OF_FAULT or getattr(params, "when", None) in ("before", "after"):
        return []
    named = {getattr(params, word, None) for word in ("from_", "failed")} - {None}
    about = [effect for effect in effects(run) if named & {effect.window.target, *effect.window.hosts}]
    spoken_of = about or list(effects(run))
    return [] if any(effect.happened for effect in spoken_of) else [_doubt(effect) for effect in spoken_of]


def _doubt(effect: Effect) -> Evidence:
    reason = effect.doubts[0] if effect.doubts else "packets do not show when it began and ended"
    return effect.window.confirmed.proves(f"{effect.window} is not proved: {reason}")


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
