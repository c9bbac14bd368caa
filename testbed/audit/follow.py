"""`testbed audit --follow`: a live capture, described again and again while it grows."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from testbed import outlet, show
from testbed.audit import report
from testbed.audit.judge import counts_text, judge
from testbed.audit.survey import Survey, Surveyor
from testbed.audit.timeline import Timekeeper
from testbed.growing import Growing
from testbed.packets.file import CaptureFile
from testbed.verdict import Verdict

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from testbed.audit.request import Request
    from testbed.policy import Policy

INTERVAL_S = 1.0
_SHARE = 10
"""What is shown took at most a tenth of the time: a capture of very many flows is shown less often."""


class _Shown:
    """Shows what a surveyor has, when it is due: a table that is drawn anew on a terminal, else one line each."""

    def __init__(self, surveyor: Surveyor, *, is_judged: bool, live: Live | None, say: Callable[[str], None]) -> None:
        self._surveyor, self._is_judged, self._live, self._say = surveyor, is_judged, live, say
        self._due_s = time.monotonic() + INTERVAL_S
        self._packets = 0

    def tick(self) -> None:
        """Nothing is shown twice."""
        began_s = time.monotonic()
        packets = self._surveyor.lanes.packets
        if began_s < self._due_s or packets == self._packets:
            return
        self._packets = packets
        found = self._surveyor.survey()
        verdicts = judge(found) if self._is_judged else []
        if self._live:
            self._live.update(_drawn(found, verdicts), refresh=True)
        else:
            self._say(line_text(found, verdicts))
        now_s = time.monotonic()
        self._due_s = now_s + max(INTERVAL_S, _SHARE * (now_s - began_s))


def follow(asked: Request, chosen: Policy | None, for_s: float | None) -> Survey:
    """Read until the end of a pipe, a signal, the end of ``for_s``, or until nobody reads what is shown; what was read until then."""
    surveyor = Surveyor(chosen, Timekeeper() if asked.html else None)
    with _live(asked) as live:
        # Data goes to stdout: lines in between are data only where the result is read by people.
        say = show.note if asked.output == "table" else show.say
        shown = _Shown(surveyor, is_judged=chosen is not None, live=live, say=say)
        path = asked.files[0]

        def tick() -> None:
            shown.tick()
            if not outlet.is_read():
                growing.stop()

        growing = Growing(path, for_s=for_s, tick=tick)
        name = "standard input" if str(path) == "-" else str(path).encode("utf-8", "replace").decode("utf-8")
        capture = CaptureFile(cast(BinaryIO, growing), file=name, growth=growing)
        try:
            with _stopping(growing.stop):
                for _ in surveyor.reading(capture):
                    tick()
                    if growing.is_over:
                        break
        finally:
            growing.close()
    return surveyor.survey(list_flows=asked.list_flows)


def line_text(found: Survey, verdicts: list[Verdict]) -> str:
    """``12.0 s: 834 packets; sccp up AF31 12; rtp call-control EF 800; FAIL marks rtp``."""
    source = found.sources[0]
    length_s = (source.ended_s or 0.0) - (source.began_s or 0.0)
    groups = (
        " ".join(filter(None, (one.traffic, one.way, one.cause, counts_text(one.summary.counts))))
        for one in found.groups
        if one.traffic != "not ip" and one.summary.counts
    )
    judged = (f"{verdict.status.name} {verdict.check}" for verdict in verdicts)
    return "; ".join((f"{length_s:.1f} s: {found.packets} packets", *groups, *judged))


def _drawn(found: Survey, verdicts: list[Verdict]) -> RenderableType:
    from rich.console import Group

    tables = [show.grid([report.group_row(group) for group in found.groups], f"{found.packets} packets")]
    if verdicts:
        tables.append(show.grid([report.verdict_row(verdict) for verdict in verdicts], ""))
    return Group(*tables)


@contextmanager
def _live(asked: Request) -> Iterator[Live | None]:
    """A place on the terminal that is drawn anew; None where nobody looks, or a program does."""
    if asked.output != "table" or not sys.stdout.isatty():
        yield None
        return
    from rich.live import Live

    with Live(auto_refresh=False, transient=True) as live:
        yield live


@contextmanager
def _stopping(stop: Callable[[], None]) -> Iterator[None]:
    """SIGINT, SIGTERM and the end of a session end what is followed, and the result is shown; a second one ends all at once.
    What is ignored (SIGHUP under nohup) stays so."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def on_signal(number: int, frame: object) -> None:
        stop()
        restore()

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        restore()
