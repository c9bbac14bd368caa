"""The exact commands that repeat a run and judge its recording again, and with what it was made."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from testbed.report.markup import Html, joined, table, tag
from testbed.report.reading import Told

MAX_DEPTH = 4


def commands(told: Told) -> Html:
    """What to type, and what for."""
    folder = shlex.quote(told.where)
    scenario = shlex.quote(str(Path(told.where) / "scenario.yaml"))
    rows = [
        (f"testbed run {scenario}", "the same scenario on a fresh bed, with its profile and number of phones"),
        (f"testbed judge {folder}", "the same verdicts from the recording, without Docker; writes this report anew"),
        (f"testbed report {folder}", "this report alone, from the verdicts that are there"),
        (f"testbed times {folder}", "re-home times, by failure class"),
    ]
    captures = sorted((told.run.path / "captures").glob("*.pcap"))
    if captures:
        first = shlex.quote(str(Path(told.where) / "captures" / captures[0].name))
        every = " ".join(shlex.quote(str(Path(told.where) / "captures" / one.name)) for one in captures)
        rows.append((f"testbed ladder {first}", f"SCCP as {captures[0].stem} saw it, message by message"))
        rows.append((f"testbed audit {every}", "how every packet is marked"))
    items = [joined(tag("dt", tag("code", command, class_="command")), tag("dd", purpose)) for command, purpose in rows]
    strangers = _elsewhere(told)
    note = None
    if strangers:
        text = f"The bed's {', '.join(strangers)} lies beside the scenario that was run, not in this folder: to repeat it, run that file."
        note = tag("p", text, class_="note")
    return joined(tag("dl", items, class_="commands"), note)


def _elsewhere(told: Told) -> list[str]:
    """Compose files that neither ship nor lie in the run folder."""
    from testbed.scenario import shipped_beds

    named = told.scenario.get("bed")
    files = [str(name) for name in named] if isinstance(named, list) else []
    return [name for name in files if not any((place / name).is_file() for place in (told.run.path, shipped_beds()))]


def versions(told: Told) -> Html:
    """Everything on record, one line a value."""
    rows = list(_flat(told.versions, ""))
    if not rows:
        return tag("p", "Nothing on record.", class_="note")
    return table(("what", "version"), rows, caption="what the run was made with")


def _flat(record: Mapping[str, object], above: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    for key, value in record.items():
        name = f"{above} {key}".strip()
        if isinstance(value, Mapping) and depth < MAX_DEPTH:
            yield from _flat(value, name, depth + 1)
        elif value not in (None, "", [], {}):
            yield name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)
