"""Completion in shells: click's own scripts, and the words that only we know."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

from testbed.errors import UsageError

PROGRAM = "testbed"
SHELLS = ("bash", "zsh", "fish")


def script(shell: str, command: click.Command) -> str:
    """What the shell is to read."""
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"no completion for {shell!r}", hint="known: " + ", ".join(SHELLS))
    return kind(command, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE").source()


def scenarios(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Built-in scenarios, and files."""
    from testbed.scenario import builtin_scenarios

    if "/" in begun or Path(begun).suffix:
        return [CompletionItem(begun, type="file")]
    return [CompletionItem(name) for name in builtin_scenarios() if name.startswith(begun)]


def fault_kinds(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Registered kinds, with their help."""
    from testbed.faults import KINDS

    return [CompletionItem(name, help=kind.help) for name, kind in KINDS.items() if name.startswith(begun)]


def beds(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Beds of this machine, by the files kept of them: no engine is asked."""
    from testbed import state

    folder = state.home() / "beds"
    return [CompletionItem(path.name) for path in sorted(folder.glob("*")) if path.name.startswith(begun)]
