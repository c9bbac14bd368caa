"""The control socket of a role: JSON lines over a Unix socket, one reply for each request.

As a program it is the client: ``python3 -m testbed.roles.control '{"op": "ls"}'`` prints the reply; without an argument it
relays lines of standard input. With ``hold`` it relays them too, and when they end (the orchestrator is gone) it heals the faults that
were asked for through it. The socket's path is TESTBED_CONTROL, /run/testbed/control.sock by default.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from testbed.errors import BedError, UsageError
from testbed.roles.common import CONTROL_PATH

MAX_LINE_BYTES = 1 << 20
CLIENT_TIMEOUT_S = 60.0

Handler = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]


class ControlServer:
    """Answers requests ``{"op": …}`` by the handler of that name; a wrong request gets ``{"error": …}``."""

    def __init__(self, path: str, handlers: Mapping[str, Handler]) -> None:
        self._path, self._handlers = Path(path), handlers
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen; a socket left behind by an earlier process of this host is replaced."""
        self._path.unlink(missing_ok=True)
        try:
            self._server = await asyncio.start_unix_server(self._serve, str(self._path), limit=MAX_LINE_BYTES)
        except OSError as error:
            raise UsageError(f"cannot listen at {self._path}: {error.strerror}") from error
        self._path.chmod(0o666)

    async def close(self) -> None:
        """No more requests; those connected see the end."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError):  # ValueError: a line longer than the limit
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except ValueError as error:
            return {"error": f"not JSON: {error}"}
        handler = self._handlers.get(str(request.get("op"))) if isinstance(request, dict) else None
        if handler is None:
            return {"error": "no such op", "known": sorted(self._handlers)}
        try:
            return await handler(request)
        except BedError as error:
            return {"error": error.message, "hint": error.hint}
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}


def number_in(
    request: Mapping[str, Any], name: str, *, least: float, most: float, default: float | None = None
) -> float:
    """A number of a request, within bounds; raises UsageError."""
    value = request.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise UsageError(f"{name}: a number from {least:g} to {most:g} is needed, not {value!r}")
    return value


def ask(path: str, request: str) -> str:
    """Send one line, give the reply's line; raises OSError."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(CLIENT_TIMEOUT_S)
        connection.connect(path)
        connection.sendall(request.strip().encode() + b"\n")
        reply = bytearray()
        while not reply.endswith(b"\n"):
            data = connection.recv(1 << 16)
            if not data:
                raise ConnectionResetError("the role closed the connection without an answer")
            reply += data
    return reply.decode().rstrip("\n")


def hold(path: str) -> None:
    """Relay until the input ends, then leave no fault behind that came this way; ends at once where the role is gone."""
    # A dying orchestrator's terminal may signal us too; the end of the input is the only end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    held: set[str] = set()
    print(json.dumps({"ready": True}), flush=True)
    try:
        for line in sys.stdin:
            reply = ask(path, line)
            print(reply, flush=True)
            _note(held, json.loads(line), json.loads(reply))
        for fault_id in held:
            ask(path, json.dumps({"op": "heal", "id": fault_id}))
    except (OSError, ValueError) as error:
        print(json.dumps({"error": f"{path}: {error}", "ended": True}), flush=True)
        sys.exit(4)


def _note(held: set[str], request: dict[str, Any], reply: dict[str, Any]) -> None:
    if request.get("op") == "fault" and reply.get("held"):
        held.add(str(request["id"]))
    elif request.get("op") == "heal":
        held.discard(str(request.get("id")))


def main() -> None:
    path = os.environ.get("TESTBED_CONTROL", CONTROL_PATH)
    if sys.argv[1:] == ["hold"]:
        hold(path)
        return
    requests = sys.argv[1:] or (line for line in sys.stdin if line.strip())
    for request in requests:
        try:
            print(ask(path, request), flush=True)
        except OSError as error:
            print(json.dumps({"error": f"{path}: {error}"}), flush=True)
            sys.exit(4)


if __name__ == "__main__":
    main()
