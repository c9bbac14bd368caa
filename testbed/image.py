"""What the images of the bed are made of: names, build contexts, content hashes. Reads files, talks to no engine."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from testbed.errors import UsageError

IMAGE_NAMES = ("nic", "node", "slb", "tftp", "proxy")
IMAGE_LABEL = "testbed.image"
"""Label of every image of ours; its value is the image's name ("base" for the base image)."""

HASH_DIGITS = 12

WITH_MODULES = ("nic", "node")
"""Images that run our own Python."""

CONTAINER_MODULES = (
    "__init__.py",
    "errors.py",
    "history.py",
    "profile.py",
    "dscp.py",
    "bounded_xml.py",
    "tftp.py",
    "sep_file.py",
    "phone_xml.py",
    "probe.py",
    "browser",
    "rtp.py",
    "sccp",
    "roles",
)
"""What runs in containers, relative to the package: editing anything else rebuilds nothing."""

_PACKAGE = Path(__file__).resolve().parent
_SKIPPED = {"__pycache__", ".mypy_cache", ".ruff_cache"}


def shipped(folder: str, *, package: Path = _PACKAGE) -> Path:
    """Where ``images`` or ``compose`` are: inside an installed package, or beside the package in a checkout."""
    installed = package / "_shipped" / folder
    return installed if installed.is_dir() else package.parent / folder


def context_files(name: str, *, package: Path = _PACKAGE) -> dict[str, bytes]:
    """The build context of an image: path inside the context -> content.

    Our modules lie under ``testbed/`` in the context. UsageError on an unknown name.
    """
    if name not in IMAGE_NAMES:
        raise UsageError(f"no image {name!r}", hint=f"the images are {', '.join(IMAGE_NAMES)}")
    files = _read(shipped("images", package=package) / name, PurePosixPath())
    if name in WITH_MODULES:
        for module in CONTAINER_MODULES:
            files |= _read(package / module, PurePosixPath("testbed", module))
    return files


def context_tar(files: Mapping[str, bytes]) -> bytes:
    """An uncompressed tar of the context: the same files give the same bytes, whoever checked them out and when."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(files):
            info = tarfile.TarInfo(path)
            info.size, info.mode, info.mtime = len(files[path]), 0o644, 0
            archive.addfile(info, io.BytesIO(files[path]))
    return buffer.getvalue()


def image_tag(name: str, files: Mapping[str, bytes], *, base: str) -> str:
    """``testbed-<name>:<hash>``; the hash covers the context and the identity of the base image."""
    digest = hashlib.sha256(context_tar(files))
    digest.update(base.encode())
    return f"{repository(name)}:{digest.hexdigest()[:HASH_DIGITS]}"


def repository(name: str) -> str:
    return f"testbed-{name}"


_BUILD = re.compile(rf"{repository('')}(?P<name>{'|'.join(IMAGE_NAMES)}):[0-9a-f]{{{HASH_DIGITS}}}")


def built_name(tag: str) -> str | None:
    """Of which image of ours this tag is a build; None of others' images.

    Only a tag that is a content hash is a build of ours: a user may well have a ``testbed-slb:mine``.
    """
    found = _BUILD.fullmatch(tag)
    return found["name"] if found else None


def outdated(used: Iterable[str], current: Mapping[str, str]) -> list[str]:
    """Names of our images of which an older build is in use; ``used`` are tags, also of others' images, ``current`` name -> tag."""
    builds = [(name, tag) for tag in used if (name := built_name(tag))]
    return sorted({name for name, tag in builds if tag != current.get(name, tag)})


def _read(path: Path, target: PurePosixPath) -> dict[str, bytes]:
    """A file, or all files below a folder; nothing where there is neither (a module that does not exist yet)."""
    if path.is_file():
        return {str(target): path.read_bytes()}
    return {
        str(target / file.relative_to(path).as_posix()): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and not _SKIPPED & set(file.parts)
    }
