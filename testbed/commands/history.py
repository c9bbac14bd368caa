"""`testbed history …`: runs over time."""

from __future__ import annotations

from pathlib import Path

import click

from testbed import errors
from testbed.commands.options import output_option


@click.group()
def history() -> None:
    """Runs over time: what came of them, how figures go, whether they got worse."""


runs_option = click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="the folder of run folders",
)
label_option = click.option("--label", default="", metavar="WORD", help="only runs with this label")


@history.command("ls")
@click.option("--scenario", default="", metavar="NAME", help="only of this scenario")
@label_option
@runs_option
@output_option
def history_ls(scenario: str, label: str, runs: Path, output: str) -> int:
    """List runs, oldest first."""
    from testbed.trends import command

    return command.ls(command.opened(runs), scenario, label, output)


@history.command("trend")
@click.argument("scenario")
@click.argument("figure")
@label_option
@runs_option
@output_option
def history_trend(scenario: str, figure: str, label: str, runs: Path, output: str) -> int:
    """Show a figure of every run of a scenario, for instance rehome-kill rehome_max_s."""
    from testbed.trends import command

    return command.trend(command.opened(runs), scenario, figure, label, output)


@history.command("compare")
@click.argument("before", metavar="LABEL")
@click.argument("after", metavar="LABEL")
@runs_option
@output_option
def history_compare(before: str, after: str, runs: Path, output: str) -> int:
    """Say what got worse from the runs of one label to those of another, by their distributions; exit status 1 if anything did."""
    from testbed.trends import command

    return command.compare_labels(command.opened(runs), before, after, output)


@history.command("add")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN…")
@click.option("--label", default="", metavar="WORD", help="name these runs")
def history_add(folders: tuple[Path, ...], label: str) -> int:
    """Add judged runs to the history beside them, or give them a label. What is no judged run is named and left out."""
    from testbed.trends import command

    command.add(folders, label)
    return errors.EXIT_OK


@history.command("prune")
@click.argument("days", type=click.FloatRange(min=0))
@click.option("--yes", is_flag=True, help="remove them; without it they are only named")
@runs_option
def history_prune(days: float, yes: bool, runs: Path) -> int:
    """Remove runs that are older than so many days: their folders and their rows."""
    from testbed.trends import command

    return command.prune(command.opened(runs), runs, days * 86400, really=yes)
