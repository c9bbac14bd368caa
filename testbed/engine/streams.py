"""Long-lived streams into containers: JSON lines with a NIC's holder, tcpdump's bytes into a file, followed logs.

Holder and capture are ``docker exec -i`` processes of the docker command line: it keeps stdout and stderr apart, closes one
direction only, and when we die its pipe closes, which is what the dead man's handle in the NIC waits for.
"""

from __future__ import annotations

import json
import re
import select
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

import requests
from docker.errors import APIError, DockerException, NotFound

from testbed.engine.client import connect
from testbed.errors import EngineError

REPLY_TIMEOUT_S = 15.0
DOCKER = "docker"
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
"""What a line of a log begins with (RFC 3339, UTC)."""
AGAIN_S = 0.25
"""Between two attempts at a log that has come to an end."""
MAX_REFUSALS = 20
"""In a row, before a log counts as one that the engine does not give."""


def read_line(stream: IO[bytes], timeout_s: float) -> bytes | None:
    """The next line of an unbuffered pipe, b"" at its end, None where none came in time."""
    deadline = time.monotonic() + timeout_s
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([stream], [], [], left)[0]:
            return None
        byte = stream.read(1)
        if not byte:
            return line
        line += byte
    return line


class ExecStream:
    """JSON lines with a process in a container, one reply to each request; several threads may ask."""

    def __init__(self, container_id: str, argv: list[str]) -> None:
        self._lock = threading.Lock()
        self._command = [DOCKER, "exec", "-i", container_id, *argv]
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )

    def receive(self, timeout_s: float = REPLY_TIMEOUT_S) -> dict[str, Any]:
        """The next reply; EngineError where none comes or the process reports an error."""
        return self._welcome(self._reply(timeout_s))

    def ask(self, request: dict[str, Any], timeout_s: float = REPLY_TIMEOUT_S) -> dict[str, Any]:
        """Send a request, wait for its reply; EngineError where it is an error."""
        return self._welcome(self.exchange(request, timeout_s))

    def exchange(self, request: dict[str, Any], timeout_s: float = REPLY_TIMEOUT_S) -> dict[str, Any]:
        """Send a request, wait for its reply, whatever it says; EngineError where none comes."""
        assert self._process.stdin is not None
        with self._lock:
            try:
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
            except OSError as error:
                raise EngineError(f"the stream is closed ({error})", command=" ".join(self._command)) from None
            return self._reply(timeout_s)

    def _reply(self, timeout_s: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = read_line(self._process.stdout, timeout_s)
        if not line:
            state = "no reply" if line is None else "the stream ended"
            raise EngineError(f"{state} within {timeout_s:g} s", command=" ".join(self._command))
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _welcome(self, reply: dict[str, Any]) -> dict[str, Any]:
        if "error" in reply:
            raise EngineError(f"{reply['error']}", command=" ".join(self._command))
        return reply

    def ends_within(self, timeout_s: float) -> bool:
        """Whether the process is gone, by itself or with its container, or will be so by then."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self, timeout_s: float = 10.0) -> None:
        """Close the input and wait for the process to end in its own way."""
        end_process(self._process, timeout_s)


class FileStream:
    """A process in a NIC that writes into a file on this side until its input closes, and says on stderr, as JSON, when it works
    and, at its end, what it counted. With ``append`` what the file holds stays."""

    def __init__(self, nic_id: str, argv: list[str], *, host: str, file: Path, append: bool = False) -> None:
        self.host, self.file = host, file
        self._command = [DOCKER, "exec", "-i", nic_id, "python3", "-m", *argv]
        with file.open("ab" if append else "wb") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )

    def await_word(self, word: str, timeout_s: float = REPLY_TIMEOUT_S) -> None:
        """Return when it says this word."""
        said = self._said(timeout_s)
        if word not in said:
            raise EngineError(f"{self.host} is not {word}: {said.get('error', said)}", command=" ".join(self._command))

    def end(self, *counted: str, timeout_s: float = REPLY_TIMEOUT_S) -> dict[str, int]:
        """Close its input and wait for its end; what it counted under these names (-1: not said)."""
        self.close_input()
        said = self._said(timeout_s)
        end_process(self._process, timeout_s)
        return {key: int(said.get(key, -1)) for key in counted}

    def close_input(self) -> None:
        """Tell it to end; it may have more to do."""
        assert self._process.stdin is not None
        if not self._process.stdin.closed:
            self._process.stdin.close()

    def _said(self, timeout_s: float) -> dict[str, Any]:
        assert self._process.stderr is not None
        line = read_line(self._process.stderr, timeout_s)
        try:
            return dict(json.loads(line or b"{}"))
        except ValueError:
            return {"error": (line or b"").decode(errors="replace")}


class CaptureStream(FileStream):
    """tcpdump in a NIC, its pcap in a file on this side."""

    def __init__(self, nic_id: str, *, address: str, host: str, file: Path) -> None:
        super().__init__(nic_id, ["testbed.roles.nic", "capture", address, host], host=host, file=file)

    def wait_listening(self, timeout_s: float = REPLY_TIMEOUT_S) -> None:
        """Return when tcpdump listens and the first canary is out."""
        self.await_word("listening", timeout_s)

    def stop(self, timeout_s: float = REPLY_TIMEOUT_S) -> dict[str, int]:
        """End the capture; tcpdump's counters captured, received, dropped (-1: not said)."""
        return self.end("captured", "received", "dropped", timeout_s=timeout_s)


def end_process(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    """Close a process's input, give it time to end, then make it."""
    if process.stdin is not None and not process.stdin.closed:
        process.stdin.close()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def exec_once(container_id: str, argv: list[str], *, timeout_s: float) -> str:
    """Run one command in a container; its stdout."""
    command = [DOCKER, "exec", container_id, *argv]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise EngineError(f"no end within {timeout_s:g} s", command=" ".join(command)) from None
    if done.returncode:
        raise EngineError(
            "a command in a container failed",
            command=" ".join(command),
            status=done.returncode,
            output=done.stderr or done.stdout,
        )
    return done.stdout


def follow_log(
    container_id: str, deliver: Callable[[float, str], None], lost: Callable[[str], None], stop: threading.Event
) -> threading.Thread:
    """Deliver (time_s, line) of a container's log from its start, through restarts of the container, until stop or its removal.

    Where lines are missing (the engine cannot read the log, since its disk is full, say) ``lost`` is told why, once.
    """
    follower = _Follower(container_id, deliver, lost, stop)
    thread = threading.Thread(target=follower.run, name=f"log {container_id[:12]}", daemon=True)
    thread.start()
    return thread


class _Follower:
    """Follows one log; whatever comes, it goes on or tells."""

    def __init__(
        self,
        container_id: str,
        deliver: Callable[[float, str], None],
        lost: Callable[[str], None],
        stop: threading.Event,
    ) -> None:
        self._container_id, self._deliver, self._lost, self._stop = container_id, deliver, lost, stop
        self._last = ""
        """Stamp of the last line delivered; of one width, so that they compare as texts."""
        self._refusals = 0
        self._is_whole = True

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                client = connect()
            except EngineError:
                # The engine is being started again, or the bed breaks: whoever asks it next says so.
                self._stop.wait(1)
                continue
            try:
                since = max(0, int(_epoch_s(self._last) or 0)) if self._last else None
                for stamp, line in _stamped(
                    client.api.logs(self._container_id, stream=True, follow=True, timestamps=True, since=since)
                ):
                    self._take(stamp, line)
                    if self._stop.is_set():
                        return
            except NotFound:
                return
            except APIError as error:
                self._note_refusal(error)
            except (DockerException, requests.RequestException, OSError, struct.error):
                # The stream broke off, maybe in the middle of a frame: it is read again from the last line.
                pass
            finally:
                client.close()
            # The container has ended; it may be started again.
            self._stop.wait(AGAIN_S)

    def _take(self, stamp: str, line: str) -> None:
        self._refusals = 0
        time_s = _epoch_s(stamp)
        if time_s is None:
            self._tell(f"{stamp} {line}".strip())
        elif stamp > self._last:
            self._last = stamp
            try:
                self._deliver(time_s, line)
            except (LookupError, TypeError, ValueError) as error:
                self._tell(f"{type(error).__name__}: {error}: {line}")

    def _note_refusal(self, error: APIError) -> None:
        """A container that is being removed has no log any more (409), and any engine may refuse once."""
        self._refusals += error.status_code != HTTPStatus.CONFLICT
        if self._refusals == MAX_REFUSALS:
            self._tell(str(error.explanation or error))

    def _tell(self, reason: str) -> None:
        if self._is_whole:
            self._is_whole = False
            self._lost(reason)


def _stamped(chunks: Iterator[bytes]) -> Iterator[tuple[str, str]]:
    """(RFC 3339 stamp, line) from the chunks of a log stream, which need not be lines."""
    pending = b""
    for chunk in chunks:
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            stamp, _, text = line.decode(errors="replace").partition(" ")
            yield stamp, text.rstrip("\r")


def _epoch_s(stamp: str) -> float | None:
    """Seconds since the epoch of ``2026-01-02T03:04:05.123456789Z`` (as many digits as Docker wrote); None of anything else."""
    from datetime import datetime

    if not STAMP.fullmatch(stamp):
        return None
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    try:
        return datetime.fromisoformat(whole + "+00:00").timestamp() + float(f"0.{fraction or 0}")
    except ValueError:
        return None
