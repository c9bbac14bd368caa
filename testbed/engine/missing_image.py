"""Which image compose could not have, read from what it printed: v1 and v2, and engines with and without containerd's store, say it in
different words. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from testbed.image import IMAGE_NAMES, built_name, repository

_REFERENCES = (
    r"pull access denied for (?P<image>[^\s,]+)",
    r"manifest for (?P<image>\S+) not found",
    r"No such image: (?P<image>\S+)",
    r"failed to resolve reference \"(?P<image>[^\"]+)\"",
    r"^ *\W? *Image (?P<image>\S+) Error",
)
"""Phrases that name the image. Sources: moby distribution/errors.go, containerd remotes/docker/resolver.go, compose pkg/compose/pull.go."""

_UNNAMED = (
    r"manifest unknown",
    r"no matching manifest for ",
    r"unauthorized: ",
    r"no basic auth credentials",
    r"toomanyrequests: ",
    r"Get \"?https?://[^\s\"]+/v2/",
)
"""Phrases of a registry, or of one that does not answer, that may leave the image out. Source: moby and distribution, as above."""

_PULLED_V1 = re.compile(r"^Pulling (?P<service>[\w.-]+) \((?P<image>\S+)\)\.\.\.", re.M)
"""docker-compose 1.29 pulls one after another: the last one is the one that failed."""
_FAILED_V2 = re.compile(r"^ *\W? *(?P<service>[\w.-]+) Error\b", re.M)
"""docker compose pulls all at once, and where one fails it ends the others, which then say the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingImage:
    """``services`` that want it, or, where compose did not say which it was, those that may."""

    images: tuple[str, ...]
    services: tuple[str, ...]

    @property
    def message(self) -> str:
        """Who lacks what."""
        noun, images = "service" if len(self.services) == 1 else "services", " or ".join(self.images)
        return f"{noun} {', '.join(self.services)}: the image {images} is not on this machine and could not be pulled"

    @property
    def hint(self) -> str:
        """What to type next: ours are built, of a user's only the user knows where they come from."""
        if all(map(_is_ours, self.images)):
            return "`testbed doctor --fix` builds the images of the test-bed"
        image = self.images[0] if len(self.images) == 1 else "IMAGE"
        return (
            f"build it, `docker build -t {image} FOLDER`, or try `docker pull {image}` (after `docker login`, where its "
            "registry asks who you are), or correct its name in your compose file"
        )


def missing_image(said: str, images: Mapping[str, str]) -> MissingImage | None:
    """What compose printed, and service -> image of its file: the image that is missing. None where it failed by anything else."""
    for phrase in _REFERENCES:
        for found in re.finditer(phrase, said, re.M):
            if services := tuple(name for name, image in images.items() if _means(found["image"], image)):
                return MissingImage(images=(images[services[0]],), services=services)
    if not any(re.search(phrase, said) for phrase in _UNNAMED):
        return None
    pulled = _PULLED_V1.findall(said)
    failed = [pulled[-1][0]] if pulled else _FAILED_V2.findall(said)
    services = tuple(dict.fromkeys(name for name in failed if name in images))
    if not services:
        return None
    return MissingImage(images=tuple(dict.fromkeys(images[name] for name in services)), services=services)


def _is_ours(image: str) -> bool:
    """Whether it is among the tags that the test-bed gives what it builds: a content hash, and ``latest``."""
    name, tag = _parts(image)
    return bool(built_name(f"{name}:{tag}")) or (name in map(repository, IMAGE_NAMES) and tag in ("", "latest"))


def _means(said: str, image: str) -> bool:
    """Engines leave out, or add, the default registry and tag."""
    (name, tag), (own_name, own_tag) = _parts(said), _parts(image)
    return name == own_name and tag in ("", own_tag or "latest")


def _parts(reference: str) -> tuple[str, str]:
    """Name without the default registry, and tag or digest; either may be empty."""
    name = reference.removeprefix("docker.io/").removeprefix("library/")
    found = re.fullmatch(r"(?P<name>.+?)(?:[:@](?P<tag>[^/]+))?", name)
    return (found["name"], found["tag"] or "") if found else (name, "")
