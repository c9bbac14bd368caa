"""A run's captures read while they are written: whether HTTP flows, by the same pure functions that judge it afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from testbed.checks.http_return import returns, still
from testbed.packets import CaptureError
from testbed.recording import Run
from testbed.scenario_model import Scenario

MAX_WATCHED_BYTES = 32 << 20
"""Of all captures together: about 200,000 packets, which take some three seconds to read."""


class HttpWatch:
    """Over which hops pages must flow for a bed to be steady: those the scenario declares, and after a fault, where there are no phones
    to tell, all over which they flowed before."""

    def __init__(self, folder: Path, scenario: Scenario, phones: Sequence[str]) -> None:
        self._folder, self._steady, self._phones = folder, scenario.steady, phones
        self._timers = scenario.timers

    def missing(self, when: str) -> str:
        """What does not flow yet, in words; empty where all does, and where there is nothing to watch or too much."""
        captures = list((self._folder / "captures").glob("*.pcap"))
        if not captures or sum(path.stat().st_size for path in captures) > MAX_WATCHED_BYTES:
            return ""
        run = Run(self._folder)
        try:
            if self._steady and (missing := still(run, self._steady.http, self._steady.for_.seconds(self._timers))):
                return missing
            away = (
                [str(hop) for hop in returns(run) if hop.after_s is None]
                if when == "after" and not self._phones
                else []
            )
        except CaptureError:
            return "a capture cannot be read yet"
        return f"{', '.join(away)}: not answered as before yet" if away else ""
