"""The command line: one short function per verb."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

from testbed import __version__, completion, errors, outlet
from testbed.address_block import CANDIDATES
from testbed.commands.fault import fault
from testbed.commands.history import history
from testbed.commands.options import attach, name_option, output_option, phones_option, profile_option
from testbed.commands.phone import phone
from testbed.errors import BedError, UsageError

EXIT_CODES = """\b
Exit status:
  0 all passed          1 a check failed           2 wrong usage or file
  3 inconclusive        4 environment or bed broke 5 nothing ran
  6 clean-up incomplete 130 interrupted
Several at once: the first of 6, 4, 1, 3, 5."""

DEFAULT_PHONES = 12
LOOK_AT_BEDS = frozenset({"up", "run", "status", "ls", "down", "phone", "fault"})
"""Commands that first undo what a crash left, should its watcher be dead too."""


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="testbed")
@click.pass_context
def cli(context: click.Context) -> None:
    """Failover and QoS test-bed for IP telephony: phones, call control, SLB and phone services in containers, judged from captures."""
    asks_for_help = bool({"-h", "--help"} & {*sys.argv[1:]})
    if context.invoked_subcommand in LOOK_AT_BEDS and not asks_for_help:
        from testbed import leftovers, show

        for problem in leftovers.undo_stale(show.say):
            show.warning(problem)


cli.add_command(fault)
cli.add_command(history)
cli.add_command(phone)


@cli.command()
@click.option("--fix", is_flag=True, help="install, start and build what is missing (says what before it does)")
@output_option
def doctor(fix: bool, output: str) -> int:
    """Say what this machine lacks, and how to mend it."""
    from testbed import doctor as doctor_module

    return doctor_module.run(fix=fix, output=output)


@cli.command()
@click.option(
    "-f", "files", multiple=True, metavar="COMPOSE", help="compose file, later ones overlay earlier ones (bed.yaml)"
)
@phones_option
@profile_option
@name_option
@output_option
def up(files: tuple[str, ...], phones: int | None, profile: str | None, name: str, output: str) -> int:
    """Bring a bed up, until every phone is registered; one that is up already as asked for is shown."""
    from testbed import show, status
    from testbed.bed import Bed, BedExists
    from testbed.engine.images import build_all
    from testbed.generation import BedSpec
    from testbed.live import Recorder
    from testbed.run import await_servers
    from testbed.scenario import compose_files

    say = show.progress()
    spec = BedSpec(
        name=name,
        files=compose_files(files or ("bed.yaml",)),
        phones=DEFAULT_PHONES if phones is None else phones,
        profile=profile or "quick",
    )
    images = build_all(say)
    try:
        bed = Bed.up(spec, images=images, recorder=Recorder(), progress=say)
        say("every phone is registered" if bed.topology.phones else "up")
        await_servers(bed, say)
    except BedExists:
        bed = attach(name)
        if not bed.is_of(spec):
            raise
        if older := bed.outdated(images):
            raise UsageError(
                f"bed {name} is up, but from an older build of {', '.join(older)}",
                hint=f"`testbed down --name {name}`, then bring it up again",
            ) from None
        say(f"bed {name} is up already")
    try:
        status.print_status(bed, output)
    finally:
        bed.close()
    say(f"next: `testbed status --name {name}`, `testbed phone ls --name {name}`, `testbed down --name {name}`")
    return errors.EXIT_OK


@cli.command("status")
@name_option
@output_option
def status_command(name: str, output: str) -> int:
    """Show a bed's hosts and phones as they are now."""
    from testbed import status

    status.print_status(attach(name), output)
    return errors.EXIT_OK


@cli.command("ls")
@output_option
def ls_command(output: str) -> int:
    """List the beds that are up on this machine."""
    from testbed import show, status

    show.rows(status.beds(), output, columns=["bed", "owner", "hosts", "phones", "block", "profile", "state", "faults"])
    return errors.EXIT_OK


@cli.command()
@name_option
@click.option("--all", "all_beds", is_flag=True, help="every bed of this machine")
@click.option("--stale", is_flag=True, help="only what crashed: beds whose owner is gone")
def down(name: str, all_beds: bool, stale: bool) -> int:
    """Remove a bed: containers, networks and files."""
    from testbed import leftovers, show
    from testbed.engine.containers import containers

    if stale:
        leftovers.await_all_undone(show.say)
        show.say("no bed or fault is left whose owner is gone")
        return errors.EXIT_OK
    there = {container.bed for container in containers()}
    names = sorted(there) if all_beds else [name]
    for one in names:
        leftovers.await_undone(one, show.say)
        leftovers.remove(one, show.say)
        others = f"; --name NAME, of those that are up: {', '.join(sorted(there))}" if there else ""
        show.say(f"bed {one}: removed" if one in there else f"bed {one}: there was none{others}")
    return errors.EXIT_OK


@cli.command()
@output_option
def scenarios(output: str) -> int:
    """List the built-in scenarios."""
    from testbed import show
    from testbed.scenario import builtin_scenarios, load_scenario

    loaded = [load_scenario(name).scenario for name in builtin_scenarios()]
    records = [
        {"scenario": s.scenario, "profiles": list(s.profiles), "description": " ".join(s.description.split())}
        for s in loaded
    ]
    show.rows(records, output)
    return errors.EXIT_OK


@cli.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
def validate(files: tuple[str, ...]) -> int:
    """Check scenario and compose files, without Docker."""
    from testbed import show
    from testbed.validate import validate_all

    good, bad = validate_all(files)
    for line in good:
        show.say(line)
    for error in bad:
        show.problem(error)
    return errors.EXIT_USAGE if bad else errors.EXIT_OK


@cli.command("completion")
@click.argument("shell", type=click.Choice(completion.SHELLS))
def completion_command(shell: str) -> int:
    """Print what a shell needs to complete our words: `eval "$(testbed completion bash)"` in ~/.bashrc."""
    click.echo(completion.script(shell, cli))
    return errors.EXIT_OK


@cli.command()
def schema() -> int:
    """Print the JSON schema of scenario files, for completion in editors."""

    from testbed.json_schema import scenario_schema

    click.echo(json.dumps(scenario_schema(), indent=1, ensure_ascii=False))
    return errors.EXIT_OK


@cli.command()
@click.argument("name")
@click.option("--like", metavar="SCENARIO", help="begin with a copy of this built-in one")
def new(name: str, like: str | None) -> int:
    """Write NAME.scenario.yaml, a scenario to begin with."""
    from testbed import show
    from testbed.new_scenario import write_new

    file = write_new(name, like, Path())
    show.say(f"written: {file}; `testbed validate {file}`, `testbed run {file}`")
    return errors.EXIT_OK


@cli.command()
@click.argument("scenarios", nargs=-1, metavar="SCENARIO…", shell_complete=completion.scenarios)
@profile_option
@phones_option
@click.option("--all", "run_all", is_flag=True, help="all built-in scenarios that have this profile")
@click.option(
    "--random",
    "count",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="N runs with faults at random, judged by invariants; a failing one is saved as a scenario file",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    metavar="NUMBER",
    help="draw the same schedules as before, for instance 7 (a new one, which is printed)",
)
@click.option(
    "-f", "files", multiple=True, metavar="COMPOSE", help="of random runs: compose files of the bed (bed.yaml)"
)
@click.option(
    "--policy",
    metavar="NAME|FILE",
    help="of random runs: marks that packets may carry, for instance cs3 (srnd-table-11-4)",
)
@click.option("--keep", is_flag=True, help="leave the bed up afterwards")
@click.option(
    "--repeat", type=click.IntRange(1, 1000), default=1, metavar="N", help="perform each scenario N times (1)"
)
@click.option(
    "--jobs",
    "at_once",
    type=click.IntRange(1, len(CANDIDATES)),
    default=1,
    metavar="N",
    help="perform N of them side by side, each on a bed of its own name and addresses, for instance 2 (1)",
)
@click.option(
    "--label", default="", metavar="WORD", help="name these runs in the history, for `testbed history compare`"
)
@click.option(
    "--summary",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="append what came of them as Markdown, for instance to $GITHUB_STEP_SUMMARY",
)
@click.option(
    "--name",
    default="",
    metavar="BED",
    help="name of the bed that is brought up (a new one for each run); with --jobs the beginning of their names",
)
@click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="where run folders go",
)
@output_option
def run(
    scenarios: tuple[str, ...],
    profile: str | None,
    phones: int | None,
    run_all: bool,
    count: int | None,
    seed: int | None,
    files: tuple[str, ...],
    policy: str | None,
    keep: bool,
    repeat: int,
    at_once: int,
    label: str,
    summary: Path | None,
    name: str,
    runs: Path,
    output: str,
) -> int:
    """Run scenarios, each on a fresh bed, and judge what was recorded."""
    from testbed.campaign import Campaign
    from testbed.random_runs import RandomOptions
    from testbed.random_schedule import DEFAULT_POLICY
    from testbed.scenario import compose_files
    from testbed.trends.run_folder import check_label

    if label:
        check_label(label)
    campaign = Campaign(
        profile=profile,
        phones=phones,
        keep=keep,
        bed=name,
        runs=runs,
        output=output,
        label=label,
        repeat=repeat,
        summary=summary,
        at_once=at_once,
    )
    if count is None:
        given = {"--seed": seed is not None, "-f": bool(files), "--policy": policy is not None}
        if word := next((word for word, is_given in given.items() if is_given), ""):
            raise UsageError(f"{word} belongs to random runs", hint="`testbed run --random 20 --seed 7`")
        return campaign.perform(scenarios, run_all)
    if scenarios or run_all:
        raise UsageError("--random draws its own scenarios: name none, and leave --all out")
    options = RandomOptions(
        count=count,
        seed=seed,
        files=compose_files(files or ("bed.yaml",)),
        phones=DEFAULT_PHONES if phones is None else phones,
        profile=profile or "quick",
        policy=policy or DEFAULT_POLICY,
    )
    return campaign.perform_random(options)


@cli.command("shrink")
@click.argument("scenario", metavar="SCENARIO", shell_complete=completion.scenarios)
@profile_option
@phones_option
@click.option("--trials", type=click.IntRange(1, 200), default=30, show_default=True, metavar="N", help="runs at most")
@click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="where run folders and the shrunk scenario go",
)
def shrink_command(scenario: str, profile: str | None, phones: int | None, trials: int, runs: Path) -> int:
    """Find the shortest schedule of a scenario that fails: fewer faults, then shorter ones, each trial a run on a fresh bed."""
    from testbed import show, shrink_runs
    from testbed.engine.images import build_all
    from testbed.run import RunOptions
    from testbed.scenario import load_scenario

    loaded = load_scenario(scenario, profile=profile, phones=phones)
    shrink_runs.parts_of(loaded)
    runs.mkdir(parents=True, exist_ok=True)
    options = shrink_runs.ShrinkOptions(trials=trials, runs=RunOptions(images=build_all(show.progress()), runs=runs))
    return shrink_runs.perform(loaded, options)


@cli.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN…")
@output_option
def judge(runs: tuple[Path, ...], output: str) -> int:
    """Judge recorded runs again: the same verdicts, without Docker. Writes report.html and junit.xml anew."""
    from testbed import show
    from testbed.campaign import combined, show_verdicts, verdict_rows
    from testbed.judge import exit_code, judge_run
    from testbed.recording import Run
    from testbed.report.keep import keep

    codes, rows = [], []
    for path in runs:
        run = Run.open(path)
        verdicts = judge_run(run)
        for problem in keep(run, verdicts):
            show.warning(problem)
        if output == "table":
            show_verdicts(str(path), path.name, verdicts)
        rows += [{**row, "run": str(path)} for row in verdict_rows(path.name, verdicts)]
        codes.append(exit_code(verdicts))
    if output != "table":
        show.rows(rows, output)
    return combined(codes)


@cli.command("report")
@click.argument("folder", type=click.Path(path_type=Path), metavar="RUN")
@click.option(
    "-o",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="where to write it, for instance rehome.html (report.html in the run folder)",
)
def report_command(folder: Path, file: Path | None) -> int:
    """Write a recorded run's report: one HTML file with verdicts, the bed, a timeline and figures. Judges nothing."""
    from testbed.report import command

    return command.run(folder, file)


@cli.command("times")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN…")
@click.option(
    "--output",
    type=click.Choice(["table", "json", "jsonl", "md"]),
    default="table",
    show_default=True,
    help="how to print it; md is what docs/rehome-times.md holds",
)
def times_command(runs: tuple[Path, ...], output: str) -> int:
    """How long phones took to re-home in recorded runs, by failure class and timer profile: seconds, p50 / p95 / max."""
    from testbed import show, times
    from testbed.recording import Run

    opened = [Run.open(path) for path in runs]
    found = times.times(opened)
    if output == "md":
        click.echo(times.markdown(found, opened), nl=False)
    elif output == "table" and found:
        show.table([own.to_row() for own in found], "")
    else:
        show.rows([own.to_json() for own in found], output)
    if not found:
        show.say(
            "no re-home in these runs: a fault must take a call control from phones, and no other at the same time"
        )
    return errors.EXIT_OK if found else errors.EXIT_NOTHING_RAN


@cli.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PCAP…")
@click.option("--policy", "policy_name", metavar="NAME|FILE", help="judge by this policy, for instance srnd-strict")
@click.option("--flows", is_flag=True, help="list every flow too, with its class, cause and marks")
@click.option(
    "--hops",
    is_flag=True,
    help="the files are captures along one way, in order: match packets, name the hop that remarks",
)
@click.option(
    "--follow", is_flag=True, help="a capture that is still written: describe it again as it grows, until Ctrl-C"
)
@click.option("--for", "for_", metavar="TIME", help="with --follow: end after so long, for instance 30s (never)")
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="write a report to read in a browser, or to print, too",
)
@click.option(
    "--learn",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="write a first policy from these captures, for instance ours.yaml",
)
@click.option(
    "--output",
    type=click.Choice(["table", "json", "jsonl", "junit"]),
    default="table",
    show_default=True,
    help="how to print it; junit has the verdicts only",
)
def audit(hops: bool, flows: bool, **asked: Any) -> int:
    """Say how packets of any capture are marked, by class; with --policy, whether they are marked right. `-` is standard input."""
    from testbed.audit import command
    from testbed.audit.request import Request

    request = Request(list_flows=flows, **asked)
    return command.run_hops(request) if hops else command.run(request)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="PCAP")
@click.option("--device", metavar="SEP…", help="one phone's connections only, by the name it registers with")
@click.option("--keepalives", is_flag=True, help="show keepalives and their answers too")
@click.option("--svg", type=click.Path(path_type=Path), metavar="FILE", help="write the ladders as a picture, too")
@output_option
def ladder(file: Path, device: str | None, keepalives: bool, svg: Path | None, output: str) -> int:
    """Show the SCCP connections of a capture as ladders, message by message. `-` is standard input."""
    from testbed.audit import command

    return command.run_ladder(file, device=device, keepalives=keepalives, output=output, svg=svg)


@cli.command("lint-xml")
@click.argument("sources", nargs=-1, required=True, metavar="FILE|URL…")
@click.option("--model", "models", multiple=True, help="phone model, for instance 7960; all of them without it")
@output_option
def lint_xml_command(sources: tuple[str, ...], models: tuple[str, ...], output: str) -> int:
    """Check CiscoIPPhone pages against the limits of each phone model. Ends with 1 where a phone would not show one, with 2 or 4 where one
    could not be read."""
    from testbed import lint_xml, show

    chosen = lint_xml.chosen_models(models)
    records, unread = lint_xml.lint_all(sources, chosen)
    if output != "table":
        show.rows(records, output)
    for record in records if output == "table" else ():
        show.note(
            f"{record['source']}:{record['line']}:{record['column']}: {record['level']}: "
            f"{record['path'] + ': ' if record['path'] else ''}{record['message']} [{', '.join(record['models'])}]"
        )
    for error in unread:
        show.problem(error)
    if unread:
        return max(error.exit_code for error in unread)
    if not records:
        show.say("nothing wrong for " + ", ".join(model.name for model in chosen))
    return errors.EXIT_CHECK_FAILED if lint_xml.has_errors(records) else errors.EXIT_OK


def _interrupt(number: int, frame: object) -> None:
    """The first Ctrl-C or SIGTERM ends us in order: faults are healed and beds removed on the way out, which no second one stops."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: click.echo("cleaning up, a moment", err=True))
    raise KeyboardInterrupt


def warn_of_plugins() -> None:
    """What is wrong with plug-ins, where this command looked at any: what they would have added is not there."""
    if "testbed.plugins" not in sys.modules:
        # Whoever asks for a kind loads it; importlib.metadata would be loaded for nothing.
        return
    from testbed import plugins, show

    for text in plugins.problems():
        show.warning(text)


def main(argv: list[str] | None = None) -> None:
    """Entry point: errors become one message with what to do next, and an exit status."""
    outlet.prepare()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        status = cli.main(args=argv, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = errors.EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted: faults are healed, and beds that this command brought up are removed", err=True)
        status = errors.EXIT_INTERRUPTED
    except BedError as error:
        from testbed import show

        show.problem(error)
        status = error.exit_code
    except OSError as error:
        click.echo(
            f"error: {error.strerror or error}: {error.filename or ''}\n  next: check that folder, and the space on its disk",
            err=True,
        )
        status = errors.EXIT_ENVIRONMENT
    except Exception as error:
        if os.environ.get("TESTBED_DEBUG"):
            raise
        click.echo(
            f"error: this should not have happened: {type(error).__name__}: {error}\n  next: TESTBED_DEBUG=1 shows where",
            err=True,
        )
        status = errors.EXIT_ENVIRONMENT
    warn_of_plugins()
    sys.exit(status if isinstance(status, int) else errors.EXIT_OK)


if __name__ == "__main__":
    main()
