"""`testbed shrink`: runs a scenario that fails with fewer and shorter faults, until none can be spared, and saves what is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from testbed import errors, show
from testbed.document import validated
from testbed.duration import Duration, parse_duration
from testbed.errors import BedError, CleanupIncomplete, UsageError
from testbed.random_runs import as_loaded, bed_words, save
from testbed.run import RunOptions, run_scenario
from testbed.scenario import LoadedScenario, Scenario
from testbed.scenario_model import registered_model
from testbed.shrinking import Part, Parts, shrink
from testbed.verdict import Status, Verdict

SUFFIX = "-shrunk"
MAX_NAME = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class ShrinkOptions:
    """``trials``: runs at most, besides the one that shows that it fails at all."""

    trials: int
    runs: RunOptions


def parts_of(loaded: LoadedScenario) -> Parts:
    """Its faults, with how long they last where they say it (in the unit they say it in); UsageError where it has none."""
    parts = tuple(
        Part(step=place, lasts=step.for_.amount if step.for_ else None)
        for place, step in enumerate(loaded.scenario.steps)
        if step.inject
    )
    if not parts:
        raise UsageError(
            f"{loaded.scenario.scenario} has no fault to leave out", hint="name one that fails by its faults"
        )
    return parts


def with_parts(loaded: LoadedScenario, parts: Parts) -> Scenario:
    """The same scenario with these faults only, lasting as long as these say; everything that is no fault stays.

    A fault that ended upon a fact or a time of its own goes on doing so. ScenarioError where what is left makes no sense.
    """
    lengths = {part.step: part.lasts for part in parts}
    steps = [
        _lasting(step, lengths.get(place))
        for place, step in enumerate(loaded.document.value.get("steps", []))
        if not step.get("inject") or place in lengths
    ]
    name = loaded.scenario.scenario.removesuffix(SUFFIX)[: MAX_NAME - len(SUFFIX)] + SUFFIX
    value = {
        **loaded.document.value,
        "scenario": name,
        "bed": bed_words(loaded.bed_files()),
        "phones": loaded.scenario.phones,
        "profile": loaded.scenario.profile,
        "steps": steps,
        "shows": {},
    }
    scenario: Scenario = validated(replace(loaded.document, value=value), registered_model())
    return scenario


def _lasting(step: Mapping[str, Any], length: float | None) -> Mapping[str, Any]:
    if length is None or "for" not in step:
        return step
    return {**step, "for": str(Duration(amount=length, unit=parse_duration(step["for"]).unit))}


def in_words(scenario: Scenario) -> str:
    """``kill web-1 for 2s, cut ccm-1``."""
    return ", ".join(f"{s.inject.fault}{f' for {s.for_}' if s.for_ else ''}" for s in scenario.steps if s.inject)


def failed_checks(verdicts: list[Verdict]) -> frozenset[str]:
    """Names of those that failed."""
    return frozenset(verdict.check for verdict in verdicts if verdict.status is Status.FAIL)


def perform(loaded: LoadedScenario, options: ShrinkOptions) -> int:
    """0 with the file of the shortest, 5 where the scenario does not fail at all."""
    parts = parts_of(loaded)
    whole = with_parts(loaded, parts)
    say = show.progress()
    say(f"does it fail? {in_words(whole)}")
    broken = _failing(whole, options, say)
    if not broken:
        show.say(
            f"{loaded.scenario.scenario} does not fail: there is nothing to shrink. What fails at times only may need several tries"
        )
        return errors.EXIT_NOTHING_RAN
    say(f"it fails: {', '.join(sorted(broken))}")
    tried = 0

    def fails(candidate: Parts) -> bool:
        nonlocal tried
        tried += 1
        scenario = with_parts(loaded, candidate)
        try:
            again = bool(_failing(scenario, options, say) & broken)
        except CleanupIncomplete:
            raise
        except BedError as error:
            show.problem(error, f"trial {tried}")
            again = False
        say(
            f"trial {tried} of {options.trials} at most {'fails too' if again else 'does not fail'}: {in_words(scenario)}"
        )
        return again

    shrunk = shrink(parts, fails, trials=options.trials)
    least = with_parts(loaded, shrunk.parts)
    file = save(as_loaded(least, options.runs.runs))
    show.say(f"{len(parts)} faults, {len(shrunk.parts)} of them needed: {in_words(least)}")
    if not shrunk.complete:
        show.say(f"no trial was left after {shrunk.trials}: `testbed shrink {file}` goes on from here")
    show.say(f"saved: {file}; `testbed run {file}` repeats it")
    return errors.EXIT_OK


def _failing(scenario: Scenario, options: ShrinkOptions, say: Any) -> frozenset[str]:
    performed = run_scenario(as_loaded(scenario, options.runs.runs), options.runs, say)
    if performed.left_behind:
        raise performed.left_behind
    return failed_checks(performed.verdicts)
