"""Kinds of expectations, by the word a scenario uses: ours, and those of plug-ins (entry points ``testbed.checks``).

Each is a pure function from a run to a verdict.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

from testbed.checks.base import CheckKind, Params, as_wanted, doubted, unfounded
from testbed.checks.booted import BOOTED
from testbed.checks.call_control_kept import CALL_CONTROL_KEPT
from testbed.checks.capture import CAPTURES
from testbed.checks.carried import CARRIED
from testbed.checks.config_kept import CONFIG_KEPT
from testbed.checks.effects import EFFECTS
from testbed.checks.every_mark import MARKING
from testbed.checks.fail_back import RESTORED
from testbed.checks.heard import HEARD
from testbed.checks.http import HTTP
from testbed.checks.invariants import INVARIANTS
from testbed.checks.marking import PACKETS
from testbed.checks.out_of_service import OUT_OF_SERVICE
from testbed.checks.performed import STEPS
from testbed.checks.preserved import PRESERVED
from testbed.checks.pushed import PUSHED
from testbed.checks.recovered import RECOVERED
from testbed.checks.redirect import REDIRECTED
from testbed.checks.registration import REGISTERED, STEADY
from testbed.checks.rehome import REHOMED
from testbed.checks.service_streams import SERVICE_STREAMS
from testbed.checks.streams import STREAMS
from testbed.checks.urls import URLS
from testbed.errors import UsageError
from testbed.plugins import CHECKS, NotAKind, Registry, guarded
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict

_OWN: tuple[CheckKind, ...] = (
    REGISTERED,
    REHOMED,
    URLS,
    PUSHED,
    CONFIG_KEPT,
    BOOTED,
    OUT_OF_SERVICE,
    REDIRECTED,
    RESTORED,
    CALL_CONTROL_KEPT,
    PACKETS,
    MARKING,
    SERVICE_STREAMS,
    HTTP,
    STREAMS,
    HEARD,
    PRESERVED,
    CARRIED,
    RECOVERED,
    INVARIANTS,
    STEADY,
    STEPS,
    CAPTURES,
    EFFECTS,
)


def _accepted(word: str, kind: object, origin: str) -> CheckKind:
    """What an entry point must be: a CheckKind of that word. One that raises shows nothing, and costs no other verdict."""
    if not isinstance(kind, CheckKind):
        raise NotAKind("is no testbed.checks.base.CheckKind")
    if kind.name != word:
        raise NotAKind(f"calls itself {kind.name!r}: entry point and kind must be the same word")
    if not (isinstance(kind.params, type) and issubclass(kind.params, Params)):
        raise NotAKind("has parameters that are not derived from testbed.checks.base.Params")

    def broken(said: str) -> Verdict:
        return Verdict(check=word, status=Status.INCONCLUSIVE, summary=f"the check of {origin} broke: {said}")

    return replace(kind, judge=guarded(kind.judge, broken))


KINDS: Registry[CheckKind] = Registry(CHECKS, ((kind.name, kind) for kind in _OWN), _accepted)

__all__ = ["KINDS", "CheckKind", "Params", "judge_expectation"]


def judge_expectation(
    run: Run, kind: str, params: Params, doubts: Sequence[Evidence] = (), absent: Sequence[Evidence] = ()
) -> Verdict:
    """The verdict of one expectation, worth nothing as a PASS where there are ``doubts``, and nothing at all where what it is about is
    ``absent``; UsageError lists the known kinds."""
    if kind not in KINDS:
        close = difflib.get_close_matches(kind, KINDS, n=1)
        suggestion = f" (did you mean {close[0]!r}?)" if close else ""
        raise UsageError(f"unknown kind of expectation {kind!r}{suggestion}", hint="known kinds: " + ", ".join(KINDS))
    shown = doubted(unfounded(KINDS[kind].judge(run, params), absent), doubts)
    return replace(doubted(as_wanted(shown, params), doubts), claim=params.claim)
