"""One stream for each role that is asked: an exec a request costs 75-150 ms, a line on an open stream a few.

When we die the stream's input ends, and the process at its other end has the role undo the faults it was asked for here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from testbed.engine import streams
from testbed.errors import EngineError

CONTROL_COMMAND = ("python3", "-m", "testbed.roles.control", "hold")
END_TIMEOUT_S = 0.5
"""How long a stream whose role is gone may take to end, before its error counts as a refusal."""


CLOSE_TIMEOUT_S = 1.0
"""For a stream that is of no use any more."""


def opened(container: str) -> streams.ExecStream:
    """A stream to the role in this container, whose first word has come; raises EngineError."""
    stream = streams.ExecStream(container, list(CONTROL_COMMAND))
    try:
        stream.receive()
    except BaseException:
        stream.close(CLOSE_TIMEOUT_S)
        raise
    return stream


class RoleStreams:
    """``workload`` gives the id of a host's container."""

    def __init__(self, workload: Callable[[str], str]) -> None:
        self._workload = workload
        self._streams: dict[str, streams.ExecStream] = {}
        self._lock = threading.Lock()

    def ask(self, host: str, request: dict[str, Any]) -> dict[str, Any]:
        """A role's reply; EngineError where it refuses or does not answer. A role that was started again is asked anew."""
        stream = self._stream(host)
        try:
            return stream.ask(request)
        except EngineError:
            if not self._is_over(host, stream):
                raise
        return self._stream(host).ask(request)

    def close(self) -> None:
        """End them all."""
        with self._lock:
            for stream in self._streams.values():
                stream.close()
            self._streams.clear()

    def _stream(self, host: str) -> streams.ExecStream:
        with self._lock:
            if host not in self._streams:
                self._streams[host] = opened(self._workload(host))
            return self._streams[host]

    def _is_over(self, host: str, stream: streams.ExecStream) -> bool:
        with self._lock:
            if stream.ends_within(END_TIMEOUT_S) and self._streams.get(host) is stream:
                stream.close()
                del self._streams[host]
                return True
            return False
