"""Probes of a bed: probers in the NICs, what they note in the run folder, what was started on record (see testbed.probe)."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from testbed.engine import streams
from testbed.faults.probing import LEAD_S, ProbePlan
from testbed.waiting import pause

PROBER = "testbed.roles.prober"


class Probing:
    """A context: probes run while it lasts, ``LEAD_S`` before it begins and a moment longer; their records follow those of an earlier one
    in the same folder, whose lanes have other numbers. ``nic`` gives the id of a host's NIC; ``record`` writes an event."""

    def __init__(
        self, plan: ProbePlan, folder: Path, *, nic: Callable[[str], str], record: Callable[..., None]
    ) -> None:
        self._plan, self._folder, self._nic, self._record = plan, folder, nic, record
        self._running: dict[str, streams.FileStream] = {}

    def __enter__(self) -> Probing:
        if self._plan.hosts:
            self._folder.mkdir(parents=True, exist_ok=True)
        try:
            for host in self._plan.hosts:
                self._running[host] = self._prober(host)
            for prober in self._running.values():
                prober.await_word("ready")
        except BaseException:
            self._end()
            raise
        for lane in self._plan.lanes:
            self._record("ProbeStarted", **lane.to_json())
        if self._running:
            pause(LEAD_S)
        return self

    def _prober(self, host: str) -> streams.FileStream:
        parameters: dict[str, Any] = {
            "lanes": [lane.to_json() for lane in self._plan.sent_by(host)],
            "witness": list(self._plan.witness.get(host, ())),
            "linger_s": self._plan.linger_s,
        }
        argv = [PROBER, json.dumps(parameters)]
        return streams.FileStream(self._nic(host), argv, host=host, file=self._folder / f"{host}.rows", append=True)

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        """All inputs close before the first end is awaited: no prober should go on without those it listens to."""
        for prober in self._running.values():
            prober.close_input()
        with ThreadPoolExecutor(max_workers=max(1, len(self._running))) as pool:
            counts = list(pool.map(lambda prober: prober.end("rows"), self._running.values()))
        for host, counted in zip(self._running, counts, strict=True):
            self._record("ProbeStopped", prober=host, file=f"{host}.rows", **counted)
        self._running.clear()
