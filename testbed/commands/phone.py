"""`testbed phone …`: phones of a bed, and one on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from testbed import errors
from testbed.commands.options import attach, name_option, output_option


@click.group()
def phone() -> None:
    """Phones: those of a bed, and one on this machine (browse)."""


@phone.command("ls")
@name_option
@output_option
def phone_ls(name: str, output: str) -> int:
    """List the phones: device, address, call control, state."""
    from testbed import show, status

    show.rows(status.phones(attach(name)), output)
    return errors.EXIT_OK


@phone.command("show")
@click.argument("device")
@name_option
@output_option
def phone_show(device: str, name: str, output: str) -> int:
    """Show one phone with its URL table. DEVICE is its name, for instance SEP020000000001."""
    from testbed import show, status

    record = status.phone(attach(name), device)
    if output != "table":
        show.rows([record], output)
        return errors.EXIT_OK
    flat = {**{k: v for k, v in record.items() if not isinstance(v, dict)}}
    for key, value in record.items():
        if isinstance(value, dict):
            flat |= {f"{key} {inner}": shown for inner, shown in value.items()}
    show.table(
        [{"what": key.replace("_", " "), "value": value} for key, value in flat.items()],
        device,
    )
    return errors.EXIT_OK


picture_option = click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("phone-screen.png"),
    show_default=True,
    help="where the picture of a page that has one is written",
)


@phone.command("call")
@click.argument("device")
@click.argument("number")
@click.option("--for", "talk", metavar="TIME", help="hang up after they have talked so long, for instance 20s (never)")
@name_option
def phone_call(device: str, number: str, talk: str | None, name: str) -> int:
    """Have a phone call another: DEVICE dials NUMBER, which answers after a second. `phone ls` shows numbers as lines."""
    from testbed import calling

    return calling.call(attach(name), device, number, talk)


@phone.command("press")
@click.argument("device")
@click.argument("keys", nargs=-1, required=True, metavar="KEY…")
@name_option
@picture_option
@output_option
def phone_press(device: str, keys: tuple[str, ...], name: str, picture: Path, output: str) -> int:
    """Press keys of a phone, one upon the page of the other, and draw its screen: Services 2 Select =text Submit Exit.

    What is up decides what a key is for: with a call, 0-9, *, #, on-hook, Hold, Resume, Trnsfer, EndCall, Answer are the call's;
    off-hook, NewCall and Redial begin one.
    """
    return _draw_screen(name, device, keys, picture, output)


@phone.command("screen")
@click.argument("device")
@name_option
@picture_option
@output_option
def phone_screen(device: str, name: str, picture: Path, output: str) -> int:
    """Draw what the display of a phone shows now."""
    return _draw_screen(name, device, (), picture, output)


def _draw_screen(name: str, device: str, keys: tuple[str, ...], picture: Path, output: str) -> int:
    """The exit status: 1 where the screen shows an error, or a key did nothing."""
    import base64

    from testbed import show, status
    from testbed.browser.screen import Screen, draw

    reply = status.screen(attach(name), device, keys)
    if reply["picture"]:
        picture.write_bytes(base64.b64decode(reply["picture"]))
    if output != "table":
        show.rows([reply], output)
    else:
        screen = Screen.from_json(reply["screen"])
        click.echo("\n".join(draw(screen, picture=str(picture) if reply["picture"] else "")))
    idle = [str(result["key"]) for result in reply.get("results", ()) if not result["ok"]]
    if idle and not reply["screen"]["error"]:
        show.say(f"nothing done by {', '.join(idle)}")
    return errors.EXIT_CHECK_FAILED if reply["screen"]["error"] or idle else errors.EXIT_OK


@phone.command("browse")
@click.argument("url")
@click.option("--keys", help='press these and end, for instance "2 Select =alice Submit Exit"')
@click.option("--model", default="7941", show_default=True, help="phone model, for instance 7960")
@click.option("--device", default="SEP020000000001", show_default=True, help="device name, fills #DEVICENAME#")
@click.option(
    "--timeout", default=10.0, show_default=True, type=click.FloatRange(0.1, 300), help="seconds a page may take"
)
@picture_option
@output_option
def phone_browse(
    url: str, keys: str | None, model: str, device: str, timeout: float, picture: Path, output: str
) -> int:
    """One phone on this machine shows URL, a phone service: no Docker, no root. Ends with 1 where its screen shows an error."""
    from testbed.browser.exchange import BrowserSettings
    from testbed.browser.model import model_named
    from testbed.desk import Desk
    from testbed.desk_session import Session

    names = ("services", "directories", "messages", "information")
    settings = BrowserSettings(device_name=device, model=model_named(model), urls=dict.fromkeys(names, url))
    return Session(desk=Desk(settings, timeout_s=timeout), url=url, picture=picture, output=output).run(keys)
