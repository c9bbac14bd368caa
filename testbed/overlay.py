"""Overlays: files laid over one another as compose does it.

An overlay names files beside itself; compose would look beside the first file. So relative paths are made absolute beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from testbed.topology import labels_of


def standalone(files: Sequence[Path], folder: Path) -> tuple[Path, ...]:
    """The compose files, those that lie elsewhere than the first one as copies in ``folder`` that mean the same from anywhere."""
    first = files[0]
    result = [first]
    for place, file in enumerate(files[1:], start=1):
        if file.parent == first.parent:
            result.append(file)
            continue
        try:
            document = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError):
            # Compose's own tags, or no YAML at all: compose has the word.
            result.append(file)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        copy = folder / f"{place}-{file.name}"
        copy.write_text(yaml.safe_dump(with_absolute_paths(document, file.parent), sort_keys=False), encoding="utf-8")
        result.append(copy)
    return tuple(result)


def with_absolute_paths(document: Any, folder: Path) -> Any:
    """The document with bind mounts, build contexts and env_files of its services relative to ``folder``."""
    document = deepcopy(document)
    services = document.get("services") if isinstance(document, dict) else None
    for service in (services or {}).values() if isinstance(services, dict) else ():
        if not isinstance(service, dict):
            continue
        if isinstance(service.get("volumes"), list):
            service["volumes"] = [_volume(volume, folder) for volume in service["volumes"]]
        build = service.get("build")
        if isinstance(build, str):
            service["build"] = _path(build, folder)
        elif isinstance(build, dict) and isinstance(build.get("context"), str):
            build["context"] = _path(build["context"], folder)
        if isinstance(service.get("env_file"), str):
            service["env_file"] = _path(service["env_file"], folder)
        elif isinstance(service.get("env_file"), list):
            service["env_file"] = [
                _path(item, folder) if isinstance(item, str) else item for item in service["env_file"]
            ]
    return document


def _volume(volume: Any, folder: Path) -> Any:
    if isinstance(volume, dict):
        return (
            {**volume, "source": _path(volume["source"], folder)}
            if volume.get("type") == "bind" and "source" in volume
            else volume
        )
    source, colon, rest = str(volume).partition(":")
    # In the short form only a path that starts with a dot is a relative bind mount; a bare word is a named volume.
    return _path(source, folder) + colon + rest if source.startswith(".") else volume


def _path(path: str, folder: Path) -> str:
    return path if path.startswith(("/", "~", "$", "http://", "https://", "git@")) else str((folder / path).resolve())


def merged_services(documents: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Services of these compose files (YAML merge keys still in them), later ones over earlier ones, as far as a topology needs it.

    Labels and networks are merged by key; of anything else the later value counts.
    """
    result: dict[str, dict[str, Any]] = {}
    for document in documents:
        for name, service in (without_merge_keys(document.get("services")) or {}).items():
            below, above = result.get(name, {}), service or {}
            both = {**below, **above, "labels": {**labels_of(below), **labels_of(above)}}
            networks = _networks(below)
            for network, options in _networks(above).items():
                networks[network] = {**networks.get(network, {}), **options}
            if networks:
                both["networks"] = networks
            result[name] = both
    return result


def without_merge_keys(value: Any) -> Any:
    """YAML's ``<<: {...}`` or ``<<: [{...}, ...]`` carried out: a mapping's own keys count, then those of the first one merged."""
    if isinstance(value, list):
        return [without_merge_keys(item) for item in value]
    if not isinstance(value, dict):
        return value
    own = {key: without_merge_keys(item) for key, item in value.items() if key != "<<"}
    merges = without_merge_keys(value.get("<<")) or []
    for merge in merges if isinstance(merges, list) else [merges]:
        own = {**merge, **own} if isinstance(merge, dict) else own
    return own


def _networks(service: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Compose's two forms of networks as one: name -> options."""
    networks = service.get("networks") or {}
    return {name: dict((networks[name] if isinstance(networks, dict) else None) or {}) for name in networks}
