"""What HAProxy says of its servers, read through its admin socket inside the SLB's container."""

from __future__ import annotations

import csv
import io
from typing import Any, Protocol

from testbed.errors import EngineError

ADMIN_SOCKET = "/run/haproxy/admin.sock"
_NUMBERS = {
    "stot": "sessions_total",
    "econ": "connection_errors",
    "eresp": "response_errors",
    "wretr": "retries",
    "wredis": "redispatches",
}


class RunsCommands(Protocol):
    """A bed, as far as this needs one."""

    def run_in(self, host: str, argv: list[str]) -> str:
        """Output of a command in a host's workload."""
        ...


def read(bed: RunsCommands, slb: str) -> list[dict[str, Any]]:
    """One record a server: backend, server, status (UP, DOWN, …) and counters; none where there is no admin socket."""
    try:
        text = bed.run_in(slb, ["sh", "-c", f"test -S {ADMIN_SOCKET} && echo 'show stat' | socat - {ADMIN_SOCKET}"])
    except EngineError:
        return []
    return parse(text)


def parse(text: str) -> list[dict[str, Any]]:
    """Servers in HAProxy's ``show stat`` CSV (its first line names the columns)."""
    rows = csv.DictReader(io.StringIO(text.lstrip("# ")))
    return [
        {
            "backend": row["pxname"],
            "server": row["svname"],
            "status": row["status"],
            **{ours: int(row.get(theirs) or 0) for theirs, ours in _NUMBERS.items()},
        }
        for row in rows
        if row.get("svname") not in ("FRONTEND", "BACKEND", None)
    ]
