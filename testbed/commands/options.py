"""Options that several verbs have, and the bed they are about."""

from __future__ import annotations

from typing import Any

import click

from testbed import completion

DEFAULT_BED = "bed"

output_option = click.option(
    "--output",
    type=click.Choice(["table", "json", "jsonl"]),
    default="table",
    show_default=True,
    help="how to print what is listed",
)
name_option = click.option(
    "--name",
    default=DEFAULT_BED,
    show_default=True,
    metavar="BED",
    help="which bed, for instance lab-2",
    shell_complete=completion.beds,
)
profile_option = click.option(
    "--profile", type=click.Choice(["quick", "srnd"]), help="timers: quick (1 s keepalive) or srnd (30 s)"
)
phones_option = click.option(
    "--phones", type=click.IntRange(min=0), metavar="N", help="how many phones, half in each phones host (12)"
)


def attach(name: str) -> Any:
    """The standing bed of this name."""
    from testbed import show
    from testbed.bed import Bed
    from testbed.live import Recorder

    return Bed.attach(name, Recorder(), show.say)
