"""`testbed fault …`: kinds of faults, and those in a bed that stands."""

from __future__ import annotations

import click

from testbed import completion, errors
from testbed.commands.options import attach, name_option, output_option


@click.group()
def fault() -> None:
    """Faults: their kinds, and those in a bed that stands."""


@fault.command("add", context_settings={"ignore_unknown_options": True})
@click.argument("kind", shell_complete=completion.fault_kinds)
@click.argument("target")
@click.argument("parameters", nargs=-1, type=click.UNPROCESSED, metavar="[NAME=VALUE]…")
@click.option("--for", "length", default="5 min", show_default=True, metavar="TIME", help="how long, for instance 30s")
@name_option
@output_option
def fault_add(kind: str, target: str, parameters: tuple[str, ...], length: str, name: str, output: str) -> int:
    """Inject a fault into a standing bed; returns when it has taken effect. It heals by itself when its time is up.

    KIND and TARGET as in a scenario, NAME=VALUE its other parameters: `testbed fault add delay web-1 by=50ms --for 30s`.
    """
    from testbed import show, standing_faults

    bed = attach(name)
    for_s = standing_faults.lease_s(length, bed.topology)
    chosen = standing_faults.fault_from(kind, target, parameters)
    reply = standing_faults.add(bed.topology, chosen, for_s)
    left_s = max(0.0, reply["ends_s"] - reply["effect_s"])
    show.rows(
        [{"id": reply["id"], "kind": kind, "target": target, "hosts": reply["hosts"], "for_s": round(left_s, 1)}],
        output,
    )
    show.say(
        f"{chosen} has taken effect; it heals by itself in {left_s:.0f} s, or now: "
        f"`testbed fault heal {reply['id']} --name {name}`"
    )
    return errors.EXIT_OK


@fault.command("ls")
@name_option
@output_option
def fault_ls(name: str, output: str) -> int:
    """List the faults that are held in a bed."""
    from testbed import journal, show, standing_faults

    attach(name)
    rows = standing_faults.rows(name)
    show.rows(rows, output, columns=["id", "kind", "target", "parameters", "ends_in_s", "holder"])
    if any(row["holder"] == "nobody" for row in rows):
        show.warning(f"nobody answers for some of them: `testbed fault heal --name {name}` heals them")
    if journal.read(name).damaged:
        show.warning(f"the journal does not parse: `testbed fault heal --name {name}` heals everything, by labels")
    return errors.EXIT_OK


@fault.command("heal")
@click.argument("ids", nargs=-1, metavar="[ID]…")
@name_option
def fault_heal(ids: tuple[str, ...], name: str) -> int:
    """Heal these faults of a standing bed, or all of them."""
    from testbed import show, standing_faults

    attach(name)
    healed = standing_faults.heal(name, ids, show.say)
    show.say(f"healed: {', '.join(healed)}" if healed else f"bed {name}: no fault is held")
    return errors.EXIT_OK


@fault.command("kinds")
@output_option
def fault_kinds(output: str) -> int:
    """List the kinds of faults."""
    from testbed import show
    from testbed.faults import KINDS

    rows = [
        {"kind": name, "family": kind.family, "what": kind.help, "example": kind.example, "from": KINDS.origin(name)}
        for name, kind in KINDS.items()
    ]
    show.rows(rows, output)
    return errors.EXIT_OK
