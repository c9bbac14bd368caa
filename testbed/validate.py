"""Checks scenarios and compose files without Docker: variables, overlays and labels are resolved here as compose and `up` do it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from testbed.address_block import FIGURE, AddressBlock
from testbed.compose_file import active_services
from testbed.document import Document, Where, is_file, is_there, known_words, read_document
from testbed.errors import BedError
from testbed.overlay import merged_services, without_merge_keys
from testbed.scenario import LoadedScenario, check_against, load_scenario, shipped_beds
from testbed.topology import Topology, is_host, label_problem, labels_of, topology_of

COMPOSE_KEYS = {"services", "networks", "volumes"}
COMPOSE_ONLY = ("extends", "include")
"""Words by which a compose file pulls in others: only compose knows what comes of it."""

_VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<plain>[A-Za-z_]\w*)"
    r"|\{(?P<name>[A-Za-z_]\w*)(?:(?P<sign>:?[-?+])(?P<word>[^}]*))?\}|(?P<wrong>))",
    re.ASCII,
)
"""Compose's variables. Source: docs.docker.com, compose file reference, interpolation."""

_REFERENCE = "the compose file reference says what may stand here"


def validate_all(files: Sequence[str]) -> tuple[list[str], list[BedError]]:
    """What validate_file says of each: lines of the good ones, errors of the bad ones. Overlays are held against the beds among them."""
    good: list[str] = []
    bad: list[BedError] = []
    for file in files:
        try:
            good.append(validate_file(file, beside=files))
        except BedError as error:
            bad.append(error)
    return good, bad


def validate_file(file: str, beside: Sequence[str] = ()) -> str:
    """One line saying that the file is good; ScenarioError or UsageError otherwise. A bare name is a built-in scenario, or a compose
    file that ships; an overlay is held against the beds that are named ``beside`` it."""
    path = Path(file)
    if not path.suffix:
        return f"{file}: {validate_scenario(load_scenario(file))}"
    document = read_document(_found(path))
    if _is_compose(document):
        return f"{file}: {_compose_file(document, [other for other in beside if other != file])}"
    return f"{file}: {validate_scenario(load_scenario(path))}"


def _found(path: Path) -> Path:
    """By path, or else by the name of one that ships, as for `testbed up`."""
    shipped = shipped_beds() / path
    return shipped if not is_there(path) and is_file(shipped) else path


def _is_compose(document: Document) -> bool:
    return bool(COMPOSE_KEYS & set(document.value)) and "scenario" not in document.value


def validate_scenario(loaded: LoadedScenario) -> str:
    """What there is in it; ScenarioError or UsageError where it does not go with its bed."""
    scenario = loaded.scenario
    documents = [_resolved(read_document(path)) for path in loaded.bed_files()]
    said = (
        f"scenario {scenario.scenario}, {_count(len(scenario.steps), 'step')}, "
        f"{_count(len(scenario.expect), 'expectation')}"
    )
    if words := _compose_only(documents):
        return f"{said}; its hosts are not checked: only compose resolves {words}"
    check_against(loaded, _topology(documents, profile=scenario.profile, phones=scenario.phones))
    return said


def _compose_file(document: Document, beside: Sequence[str]) -> str:
    document = _resolved(document)
    services = merged_services([document.value])
    if words := _compose_only([document]):
        return f"compose file with {_count(len(services), 'service')}; only compose resolves its {words}"
    if not any(is_host(labels_of(service)) for service in services.values()):
        over = f"services {', '.join(services)}" if services else "no service"
        bases = [base for base in map(_base, beside) if base is not None]
        if not bases:
            return f"overlay of {over}; its hosts are those of the file it overlays, to be named as well"
        _refuse_strays(document, services, bases)
        return f"overlay of {over}"
    topology = _topology([document], profile="quick", phones=0)
    hosts = ", ".join(host.name for host in topology.hosts)
    return f"compose file with {_count(len(topology.hosts), 'host')}: {hosts}"


def _base(file: str) -> dict[str, dict[str, Any]] | None:
    """Services of a bed that is named too; None of any other file, whose own errors are said in its own place."""
    try:
        document = read_document(_found(Path(file))) if Path(file).suffix else None
        services = merged_services([document.value]) if document is not None and _is_compose(document) else {}
        return services if any(is_host(labels_of(service)) for service in services.values()) else None
    except (BedError, AttributeError, TypeError, ValueError):
        return None


def _refuse_strays(document: Document, services: Mapping[str, Any], bases: Sequence[Mapping[str, Any]]) -> None:
    """A service that no bed has must come with an image of its own: without one its name is mistyped."""
    known = sorted({name for base in bases for name in base})
    for name, service in services.items():
        if name not in known and not {"image", "build"} & set(service):
            hint = known_words(name, known) + "; a service of your own needs image or build"
            raise document.error(f"no service {name!r} in the bed that this overlays", ("services", name), hint=hint)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _compose_only(documents: Sequence[Document]) -> str:
    found = {
        word
        for document in documents
        for part in (document.value, *merged_services([document.value]).values())
        for word in COMPOSE_ONLY
        if word in part
    }
    return " and ".join(sorted(found))


def _topology(documents: Sequence[Document], *, profile: str, phones: int) -> Topology:
    """The bed that these compose files make, in the figure's block."""
    config = active_services({"services": merged_services(document.value for document in documents)})
    topology = topology_of(
        config,
        bed="validate",
        prefix=AddressBlock(FIGURE).cidr,
        profile=profile,
        phones=phones,
        files=tuple(document.file for document in documents),
    )
    for document in documents:
        for host in topology.hosts:
            if (_services(document).get(host.name) or {}).get("network_mode"):
                raise document.error(
                    "a labelled service cannot have network_mode: its NIC owns its network",
                    ("services", host.name, "network_mode"),
                    hint="remove network_mode, or the testbed labels",
                )
    return topology


def _services(document: Document) -> dict[str, Any]:
    return without_merge_keys(document.value.get("services")) or {}


def _resolved(document: Document) -> Document:
    """The document with its variables filled in; ScenarioError where its services, labels or networks cannot be right."""
    values = {**_dot_env(Path(document.file).parent), **os.environ, **AddressBlock(FIGURE).values}
    parts = {
        key: _interpolated(value, values, document, (key,)) if key in COMPOSE_KEYS else value
        for key, value in document.value.items()
    }
    document = replace(document, value=parts)
    for key in sorted(COMPOSE_KEYS & set(parts)):
        _must_be(parts[key], dict, document, (key,))
    for name, service in _services(document).items():
        _check_service(service, document, ("services", name))
    for name, network in (without_merge_keys(parts.get("networks")) or {}).items():
        if isinstance(network, dict) and network.get("external"):
            raise document.error(
                "a network of a bed cannot be external: its packets would leave the bed",
                ("networks", name, "external"),
                hint="give the bed a network of its own",
            )
    return document


def _check_service(service: Any, document: Document, where: Where) -> None:
    _must_be(service, dict, document, where)
    for key in ("labels", "networks"):
        value = (service or {}).get(key)
        _must_be(value, (dict, list), document, (*where, key))
        if isinstance(value, list) and not all(isinstance(item, str) for item in value):
            raise document.error("must be a list of words", (*where, key), hint=_REFERENCE)
    _refuse_missing_mounts((service or {}).get("volumes"), document, (*where, "volumes"))
    for name, options in _items((service or {}).get("networks")):
        _must_be(options, dict, document, (*where, "networks", name))
    if problem := label_problem(labels_of(service or {})):
        raise document.error(problem[0], (*where, "labels"), hint=problem[1])


def _refuse_missing_mounts(volumes: Any, document: Document, where: Where) -> None:
    """The engine would make an empty folder of what is not there, and the host would come up without its files."""
    for place, volume in enumerate(volumes if isinstance(volumes, list) else ()):
        is_long = isinstance(volume, dict)
        source = volume.get("source") if is_long and volume.get("type") == "bind" else volume
        text = source.partition(":")[0] if isinstance(source, str) else ""
        folder = Path(document.file).parent
        is_relative = text.startswith(".") or (is_long and bool(text) and not text.startswith(("/", "~", "$")))
        if is_relative and not is_there(folder / text):
            raise document.error(
                f"there is no {text} beside this file",
                (*where, place),
                hint="a relative path is relative to the compose file",
            )


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    return value.items() if isinstance(value, dict) else ()


def _must_be(value: Any, kind: type | tuple[type, ...], document: Document, where: Where) -> None:
    """Nothing at all is always fine: compose takes it as empty."""
    if value is not None and not isinstance(value, kind):
        words = "a mapping, `key: value`" if kind is dict else "a mapping or a list"
        raise document.error(f"must be {words}", where, hint=_REFERENCE)


def _interpolated(value: Any, values: Mapping[str, str], document: Document, where: Where) -> Any:
    if isinstance(value, dict):
        return {key: _interpolated(item, values, document, (*where, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_interpolated(item, values, document, (*where, place)) for place, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def filled(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        name, sign = match["plain"] or match["name"], match["sign"] or ""
        if not name:
            hint = "a variable is ${NAME} or ${NAME:-default}; a dollar sign itself is written $$"
            raise document.error(f"{value!r} has a $ that begins no variable", where, hint=hint)
        found = values.get(name)
        there = bool(found) if sign.startswith(":") else found is not None
        if sign.endswith("+"):
            return match["word"] if there else ""
        if found is None or not there:
            if sign.endswith("?"):
                raise document.error(
                    f"the variable {name} must be set: {match['word']}", where, hint=f"export {name}=…"
                )
            return match["word"] or ""
        return found

    return _VARIABLE.sub(filled, value)


def _dot_env(folder: Path) -> dict[str, str]:
    """Variables of the file ``.env`` beside a compose file."""
    try:
        lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, _, value in pairs}
