"""What can go wrong, and whose fault it is.

An error is something that kept the test-bed from doing its work. A failed expectation is not an error: it is a Verdict.
Every error carries the exit status the command line ends with, and a hint: what to type or change next.
"""

from __future__ import annotations

from typing import ClassVar

EXIT_OK = 0
EXIT_CHECK_FAILED = 1
EXIT_USAGE = 2
EXIT_INCONCLUSIVE = 3
EXIT_ENVIRONMENT = 4
EXIT_NOTHING_RAN = 5
EXIT_CLEANUP_INCOMPLETE = 6
EXIT_INTERRUPTED = 130


class BedError(Exception):
    """Base of all errors of the test-bed."""

    exit_code: ClassVar[int] = EXIT_ENVIRONMENT

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            # For whoever shows a traceback, pytest among them; the command line prints the hint itself.
            self.add_note(f"next: {hint}")


class UsageError(BedError):
    """The command line asks for something that does not exist or does not fit together."""

    exit_code = EXIT_USAGE


class ScenarioError(BedError):
    """A user's file (scenario, compose, policy, SEP file) says something the test-bed cannot accept."""

    exit_code = EXIT_USAGE

    def __init__(self, message: str, *, file: str, line: int | None = None, path: str = "", hint: str = "") -> None:
        where = file if line is None else f"{file}:{line}"
        super().__init__(f"{where}: {path + ': ' if path else ''}{message}", hint=hint)
        self.file, self.line, self.path = file, line, path


class EngineError(BedError):
    """Docker or compose refused or failed: carries the command, its exit status and what it printed."""

    def __init__(
        self, message: str, *, command: str = "", status: int | None = None, output: str = "", hint: str = ""
    ) -> None:
        text = message
        if command:
            text += f"\n  command: {command}" + (f" (exit status {status})" if status is not None else "")
        if output.strip():
            text += "\n  output: " + output.strip()[-2000:].replace("\n", "\n          ")
        super().__init__(text, hint=hint)
        self.command, self.status, self.output = command, status, output


class Unsupported(BedError):
    """This machine's kernel or this bed cannot do what was asked: nothing was done, and nothing is shown by it."""

    exit_code = EXIT_INCONCLUSIVE


class NotReady(BedError):
    """A fact was awaited until its deadline and did not come: says what was awaited and what was seen last."""

    def __init__(self, awaited: str, *, timeout_s: float, last_seen: str, log_tail: str = "", hint: str = "") -> None:
        text = f"waited {timeout_s:g} s for {awaited}; last seen: {last_seen}"
        if log_tail:
            text += "\n  log: " + log_tail.replace("\n", "\n       ")
        super().__init__(text, hint=hint)
        self.awaited, self.timeout_s, self.last_seen = awaited, timeout_s, last_seen


class CleanupIncomplete(BedError):
    """Something of ours could not be removed or healed; the message names it."""

    exit_code = EXIT_CLEANUP_INCOMPLETE


class ProtocolError(BedError):
    """Base of the two protocol errors: a message that must not be."""


class PeerProtocolError(ProtocolError):
    """The other side sent something malformed, oversized or out of place."""


class LocalProtocolError(ProtocolError):
    """Our own side was asked to send something the protocol does not allow."""
