"""Files that a bed mounts, with ``${BED_PREFIX}`` and the like filled in, so that a bed can live in another block of addresses.

A read-only bind mount of a labelled service is rendered into the bed's folder when a file below it has a placeholder or is a SEP
template; any other mount is left as it is. ``SEP.cnf.xml.template`` gives each phone its own file, unless the user put one there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from testbed.errors import ScenarioError

SEP_TEMPLATE = "SEP.cnf.xml.template"
MAX_FILES = 2000
MAX_BYTES = 1 << 20
"""Larger files (firmware loads, ring tones) are copied as they are, never searched for placeholders."""


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """``${NAME}`` replaced for every name in values; anything else is the file's own business."""
    return _filled_in(text.encode(), values).decode()


def _filled_in(content: bytes, values: Mapping[str, str]) -> bytes:
    """The same for a file of any encoding."""
    for name, value in values.items():
        content = content.replace(b"${" + name.encode() + b"}", value.encode())
    return content


def rendered_mounts(
    service: Mapping[str, Any], target: Path, values: Mapping[str, str], phones: Iterable[str]
) -> list[Any]:
    """The service's volumes, with sources below ``target`` where something had to be filled in; writes those files."""
    return [
        _with_source(volume, _rendered(Path(source), target / str(place), values, phones))
        if (source := read_only_source(volume))
        else volume
        for place, volume in enumerate(service.get("volumes") or ())
    ]


def read_only_source(volume: Any) -> str:
    """Source of a read-only bind mount in compose's short or long form; empty for anything else."""
    if isinstance(volume, str):
        parts = volume.split(":")
        return parts[0] if len(parts) == 3 and "ro" in parts[2].split(",") and parts[0].startswith("/") else ""
    if volume.get("type") == "bind" and volume.get("read_only"):
        return str(volume.get("source", ""))
    return ""


def mounted_source(volume: Any) -> str:
    """Source of a bind mount, writable or not; empty for anything else."""
    if isinstance(volume, str):
        source, colon, _ = volume.partition(":")
        return source if colon and source.startswith("/") else ""
    return str(volume.get("source", "")) if volume.get("type") == "bind" else ""


def _with_source(volume: Any, source: Path) -> Any:
    if isinstance(volume, str):
        return ":".join([str(source), *volume.split(":")[1:]])
    return {**volume, "source": str(source)}


def _rendered(source: Path, target: Path, values: Mapping[str, str], phones: Iterable[str]) -> Path:
    if not source.exists():
        raise ScenarioError(
            "the file or folder to mount does not exist",
            file=str(source),
            hint="relative paths are taken from the folder of the compose file that names them",
        )
    files = [source] if source.is_file() else [path for path in sorted(source.rglob("*")) if path.is_file()]
    if len(files) > MAX_FILES or not any(_needs_filling_in(path) for path in files):
        return source
    for path in files:
        place = target / (path.name if source.is_file() else path.relative_to(source))
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.name == SEP_TEMPLATE:
            _write_sep_files(path, place.parent, values, phones)
        elif _needs_filling_in(path):
            _write(place, _filled_in(path.read_bytes(), values), like=path)
        else:
            _write(place, path.read_bytes(), like=path)
    for folder in (target, *target.rglob("*/")):
        folder.chmod(0o755)
    return target / source.name if source.is_file() else target


def _write_sep_files(template: Path, folder: Path, values: Mapping[str, str], phones: Iterable[str]) -> None:
    content = template.read_bytes()
    for phone in phones:
        name = f"{phone}.cnf.xml"
        if not (template.parent / name).exists():
            _write(folder / name, _filled_in(content, {**values, "DEVICE_NAME": phone}), like=template)


def _write(file: Path, content: bytes, *, like: Path) -> None:
    """Readable for the workload's user, whoever that is and whatever our umask; executable where the original is."""
    file.write_bytes(content)
    file.chmod(like.stat().st_mode & 0o777 | 0o444)


def _needs_filling_in(path: Path) -> bool:
    return path.name == SEP_TEMPLATE or (path.stat().st_size <= MAX_BYTES and b"${BED_" in path.read_bytes())
