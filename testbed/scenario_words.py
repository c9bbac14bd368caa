"""The tables of ``docs/scenarios.md`` that are made from what is registered: kinds of faults, kinds of expectations, built-in scenarios.

Each stands between two comments, and nothing else of the document is touched. ``python -m testbed.scenario_words FILE`` writes them
into the file. Of kinds only our own: which plug-ins a machine has is no matter of the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from testbed.checks import KINDS as CHECKS
from testbed.checks.base import Params
from testbed.faults import KINDS as FAULTS
from testbed.plugins import OURS
from testbed.scenario import SUFFIX, builtin_scenarios, load_scenario


def written(document: str) -> str:
    """The document with its tables made anew. ValueError where the comments of one are not there."""
    for name, table in tables().items():
        begin, end = f"<!-- {name}: made by `make docs`, do not edit -->\n", f"<!-- end of {name} -->"
        head, found, rest = document.partition(begin)
        _, closed, tail = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"no {begin.strip()} … {end}")
        document = f"{head}{begin}\n{table}\n{end}{tail}"
    return document


def tables() -> dict[str, str]:
    """Name -> table in Markdown."""
    faults = [
        (f"`{word}`", parameters(kind, known=("at",)), kind.help, f"`{kind.example}`")
        for word, kind in FAULTS.items()
        if FAULTS.origin(word) == OURS
    ]
    checks = [
        (f"`{word}`", parameters(kind.params, known=Params.model_fields), kind.help)
        for word, kind in CHECKS.items()
        if CHECKS.origin(word) == OURS
    ]
    scenarios = [(_link(name), load_scenario(name).scenario.description) for name in builtin_scenarios()]
    return {
        "kinds of faults": _table(("kind", "parameters", "what happens", "for instance"), faults),
        "kinds of expectations": _table(("kind", "parameters", "what must be true"), checks),
        "built-in scenarios": _table(("scenario", "what it shows"), scenarios),
    }


def parameters(model: type[BaseModel], known: Iterable[str] = ()) -> str:
    """The words of a model but those ``known``: needed ones in bold, the others with their defaults, ``when: before/after`` (before)."""
    told = set(known)
    fields: Mapping[str, FieldInfo] = model.model_fields
    return ", ".join(_parameter(field.alias or name, field) for name, field in fields.items() if name not in told)


def _parameter(word: str, field: FieldInfo) -> str:
    words = _choices(field.annotation)
    said = f"`{word}: {'/'.join(words)}`" if len(words) > 1 else f"`{word}`"
    if field.is_required():
        return f"**{said}**"
    default = field.default
    if default is None or default in ("", ()):
        return said
    shown = str(default).lower() if isinstance(default, bool) else f"{default:g}" if type(default) is float else default
    return f"{said} ({shown})"


def _choices(annotation: Any) -> list[str]:
    """The words that may stand there, where it is one of a few."""
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    return [word for part in get_args(annotation) for word in _choices(part)]


def _link(name: str) -> str:
    return f"[{name}](../testbed/scenarios/{name}{SUFFIX})"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    """On one line, and without what would end the cell."""
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(file: Path) -> None:
    """Write the tables into FILE."""
    file.write_text(written(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
