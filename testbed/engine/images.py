"""Builds the images of the bed, each once for the content it has."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import docker
import requests
from docker.errors import APIError, DockerException

from testbed.engine.base import apt_setup, ensure_base, find_base, has_image, proxy_variables
from testbed.engine.client import HINT, connect
from testbed.engine.command import Progress
from testbed.errors import EngineError
from testbed.image import IMAGE_LABEL, IMAGE_NAMES, context_files, context_tar, image_tag, repository

BUILDERS = 2
"""Builds side by side: they mostly wait for the package mirror and the disk."""

BUILD_SILENCE_S = 300.0
"""A build step that prints nothing for so long is given up."""

OUTPUT_LINES = 25


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """An image as it would be built from what is here now."""

    name: str
    tag: str
    context: bytes


def wanted_images(client: docker.DockerClient) -> list[Image]:
    """Every image of the bed; EngineError where there is no base image to build on yet."""
    base = find_base(client)
    if not base:
        raise EngineError("there is no base image to build on", hint=HINT)
    identity = str(client.images.get(base).id)
    files = {name: context_files(name) for name in IMAGE_NAMES}
    return [
        Image(name=name, tag=image_tag(name, found, base=identity), context=context_tar(found))
        for name, found in files.items()
    ]


def missing_images(client: docker.DockerClient) -> list[str]:
    """Names of the images that have to be built."""
    return [image.name for image in wanted_images(client) if not has_image(client, image.tag)]


def build_all(progress: Progress) -> dict[str, str]:
    """Name -> tag of every image, after building those that are missing; each also gets the tag ``latest``.

    EngineError with the end of the build's output when one fails.
    """
    base = ensure_base(progress)
    client = connect()
    try:
        images = wanted_images(client)
        missing = [image for image in images if not has_image(client, image.tag)]
        if missing:
            progress(f"building images on {base}: {', '.join(image.name for image in missing)}")
            arguments = {"BASE": base} | proxy_variables(apt_setup())
            with ThreadPoolExecutor(BUILDERS) as pool:
                list(pool.map(lambda image: _build(image, arguments, progress), missing))
        for image in images:
            client.images.get(image.tag).tag(repository(image.name), "latest")
        return {image.name: image.tag for image in images}
    finally:
        client.close()


def _build(image: Image, arguments: dict[str, str], progress: Progress) -> None:
    """By the API's classic builder, which every engine since 20.10 has; runs in a thread, so with its own client."""
    started = time.monotonic()
    client = connect(timeout_s=BUILD_SILENCE_S)
    lines: list[str] = []
    try:
        stream = client.api.build(
            fileobj=io.BytesIO(image.context),
            custom_context=True,
            tag=image.tag,
            buildargs=arguments,
            labels={IMAGE_LABEL: image.name},
            rm=True,
            forcerm=True,
            decode=True,
        )
        for line in stream:
            lines += _text_of(line).splitlines()
            if "error" in line:
                raise _failure(image, lines)
    except (DockerException, requests.RequestException) as error:
        reason = error.explanation if isinstance(error, APIError) else str(error)
        raise _failure(image, [*lines, str(reason)]) from error
    finally:
        client.close()
    progress(f"  built {image.tag} in {time.monotonic() - started:.1f} s")


def _failure(image: Image, lines: list[str]) -> EngineError:
    hint = f"see images/{image.name}/Dockerfile; {HINT} tries again"
    return EngineError(f"the image {image.name} could not be built", output="\n".join(lines[-OUTPUT_LINES:]), hint=hint)


def _text_of(line: dict[str, object]) -> str:
    return str(line.get("error") or line.get("stream") or "").strip()
