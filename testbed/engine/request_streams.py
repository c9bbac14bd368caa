"""Requests to roles over streams that stay open: an exec for each costs 75 to 150 ms, and seconds on a machine that is busy.

A request may take as long as the slowest page, and others must not wait for it: a host has as many streams as it was asked things at
once. Faults have streams of their own (``role_streams``), since the end of those heals what was asked for through them.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from testbed.engine import containers, streams
from testbed.engine.role_streams import CLOSE_TIMEOUT_S, opened
from testbed.errors import EngineError


class RequestStreams:
    """``workload`` gives the id of a host's container."""

    def __init__(self, workload: Callable[[str], str]) -> None:
        self._workload = workload
        self._idle: dict[str, list[streams.ExecStream]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def open(self, hosts: Iterable[str]) -> None:
        """One to each, so that the first request costs no more than the others. Where it fails, whoever asks is told."""

        def first(host: str) -> None:
            with contextlib.suppress(EngineError):
                self._keep(host, opened(self._workload(host)))

        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(first, [host for host in hosts if not self._idle.get(host)]))

    def ask(self, host: str, request: dict[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """The role's reply as it is. EngineError where the host is frozen, or its role does not answer."""
        if containers.state_of(self._workload(host)) == "paused":
            # What is written to it now would be done when it is thawed.
            raise EngineError(f"{host} is frozen: it can be asked nothing", hint=f"heal the fault of {host} first")
        stream = self._taken(host) or opened(self._workload(host))
        try:
            reply = stream.exchange(request, timeout_s)
            if reply.get("ended"):
                raise EngineError(f"{host}: {reply['error']}")
        except BaseException:
            # A reply that comes later would be taken for that to the next request.
            stream.close(CLOSE_TIMEOUT_S)
            raise
        self._keep(host, stream)
        return reply

    def close(self) -> None:
        """End those that nobody is using; the others end when they come back."""
        with self._lock:
            self._closed = True
            idle = [stream for kept in self._idle.values() for stream in kept]
            self._idle.clear()
        for stream in idle:
            stream.close()

    def _taken(self, host: str) -> streams.ExecStream | None:
        """One that is open and that nobody uses; those of a role that has ended are over."""
        with self._lock:
            kept = self._idle.get(host, [])
            while kept:
                stream = kept.pop()
                if not stream.ends_within(0):
                    return stream
                stream.close()
        return None

    def _keep(self, host: str, stream: streams.ExecStream) -> None:
        with self._lock:
            if not self._closed:
                self._idle.setdefault(host, []).append(stream)
                return
        stream.close(CLOSE_TIMEOUT_S)
