"""Waits for the end of one claim's owner; where it did not end in order, undoes what it left. ``python -m testbed.watcher CLAIM``.

While it waits it is a Python with nothing imported: it costs a few MB and no time.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from testbed import claims


def main(name: str) -> int:
    """Exit status 0: there was nothing to do, or it is done; 1: it is left for the next command of the test-bed."""
    for number in claims.ENDING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, claims.ENDING)
    mark = claims.mark_named(name)
    if mark is None:
        print(f"{name!r} is no claim", file=sys.stderr, flush=True)  # noqa: T201
        return 1
    if not os.read(0, 1):
        # The owner died while it made the claim.
        mark.unlocked.unlink(missing_ok=True)
    lock = claims.take_over(mark, wait=True)
    if lock is None:
        return 0
    os.dup2(os.open(claims.log_file(mark.bed), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 2)
    from testbed import leftovers
    from testbed.errors import BedError

    _say(f"the owner of {name} is gone")
    try:
        leftovers.undo(mark, timeout_s=leftovers.WATCHER_TIMEOUT_S, say=_say)
    except BedError as error:
        _say(f"could not undo {name}: {error}")
        return 1
    finally:
        os.close(lock)
    _say(f"{name}: undone")
    return 0


def _say(line: str) -> None:
    print(f"{time.time():.3f} {line}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
