"""Holds one fault in a standing bed until its time is up or SIGTERM asks for its end. ``python -m testbed.fault_holder``, a request
on standard input (``testbed.standing_faults.add``), one reply on standard output: when it took effect, or why it did not.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from typing import Any

from testbed import journal, standing_faults, state
from testbed.bed import Bed
from testbed.errors import BedError
from testbed.faults import fault_of
from testbed.live import Recorder

LOOK_S = 2.0
"""How often it is looked whether the bed is still there."""


def main() -> int:
    """Exit status 0: nothing is left of the fault. Otherwise the watcher of our claim heals it."""
    request = json.loads(sys.stdin.readline())
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # SIGTERM stays blocked, and is awaited: it ends nothing half way.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGHUP})
    bed = None
    try:
        bed, reply = _held(request)
    except BedError as error:
        _answer({"error": type(error).__name__, "message": error.message, "hint": error.hint})
    if bed is None:
        return 1
    _answer(reply)
    _wait(request["bed"], time.monotonic() + max(0.0, reply["ends_s"] - time.time()))
    bed.close()
    return 0


def _held(request: dict[str, Any]) -> tuple[Bed, dict[str, Any]]:
    """The bed, with the fault in it: one after another, so that of two that clash one is refused."""
    name = request["bed"]
    bed = Bed.attach(name, Recorder(), lambda line: None)
    fault = fault_of(request["kind"], request["target"], **request["parameters"])
    with state.bed_lock(name):
        standing_faults.refuse_clashes(fault, bed.topology, journal.read(name))
        ends_s = bed.ledger.ends_s = time.time() + request["for_s"]
        try:
            injected = bed.injector.inject(fault)
        except BaseException:
            bed.close()
            raise
    over = {"ends_s": time.time()} if injected.healed else {"ends_s": ends_s}
    return bed, {
        "id": injected.fault_id,
        "hosts": list(fault.hosts(bed.topology)),
        "began_s": injected.began_s,
        "effect_s": injected.effect_s,
        **over,
    }


def _wait(bed: str, ends_s: float) -> None:
    """Until the lease ends (monotonic seconds: no clock that is set changes it), or we are asked to end, or the bed is no more."""
    while (left_s := ends_s - time.monotonic()) > 0 and state.bed_folder(bed).exists():
        if signal.sigtimedwait({signal.SIGTERM}, min(left_s, LOOK_S)):
            return


def _answer(reply: dict[str, Any]) -> None:
    """Whoever asked may be gone: the fault has its lease all the same."""
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(reply).encode() + b"\n")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)


if __name__ == "__main__":
    sys.exit(main())
