"""The base image of the bed's images: Debian trixie, pulled where a registry answers, else made here by debootstrap."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound

from testbed.engine.client import HINT, connect
from testbed.engine.command import Progress, run_command
from testbed.engine.install import ensure_command, obstacle
from testbed.errors import EngineError
from testbed.image import IMAGE_LABEL

SUITE = "trixie"
PULLED = "debian:trixie-slim"
IMPORTED = "testbed-base:trixie"
OWN_BASE_VARIABLE = "TESTBED_BASE"
"""Names a local image to build on instead: any Debian trixie with working apt sources."""

REGISTRY_SILENCE_S = 20.0
"""A registry that sends nothing for so long does not answer; mostly the engine says so at once."""

BASE_LABEL = f"{IMAGE_LABEL}=base"

_LEFTOVERS = (
    "var/cache/apt/archives/*.deb",
    "var/cache/apt/*.bin",
    "var/lib/apt/lists/*_*",
    "var/log/*.log",
    "etc/resolv.conf",
    "etc/hostname",
)

_APT_KEEP = re.compile(r'^(Acquire::(?:Check-Valid-Until|Check-Date|https?::Proxy)) "([^"]*)";$', re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class AptSetup:
    """How this machine's apt reaches Debian: what a Debian made here, and builds on it, need as well."""

    mirror: str = ""
    """Empty: the one debootstrap takes by itself."""
    options: tuple[tuple[str, str], ...] = ()
    """apt options to keep in the image."""
    proxy: str = ""
    """For the time of builds only: it may hold a password."""


def ensure_base(progress: Progress) -> str:
    """The tag to build on. EngineError where neither a registry nor debootstrap gives it, or the tag is somebody else's."""
    client = connect()
    try:
        if tag := find_base(client):
            return tag
        if own := os.environ.get(OWN_BASE_VARIABLE):
            raise EngineError(f"{OWN_BASE_VARIABLE}={own}: there is no such image", hint=f"docker pull {own}")
        if has_image(client, IMPORTED):
            raise EngineError(
                f"an image {IMPORTED} exists that the test-bed did not make; it stays as it is",
                hint=f"to build on it: {OWN_BASE_VARIABLE}={IMPORTED}; to free the tag: docker tag {IMPORTED} other:tag"
                f" && docker rmi {IMPORTED}",
            )
        return PULLED if _pull(progress) else _bootstrap(client, progress)
    finally:
        client.close()


def find_base(client: docker.DockerClient) -> str:
    """The tag of a base image that is there; empty where there is none."""
    own = os.environ.get(OWN_BASE_VARIABLE)
    if own:
        return own if has_image(client, own) else ""
    if has_image(client, PULLED):
        return PULLED
    return IMPORTED if has_image(client, IMPORTED, label="base") else ""


def has_image(client: docker.DockerClient, tag: str, *, label: str = "") -> bool:
    try:
        image = client.images.get(tag)
    except ImageNotFound:
        return False
    return not label or (image.labels or {}).get(IMAGE_LABEL) == label


def apt_setup() -> AptSetup:
    """Read from this machine's apt; the defaults where it has none or is no Debian."""
    try:
        dump = _output("apt-config", "dump")
        index = _output("apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN)")
    except (OSError, subprocess.TimeoutExpired):
        return AptSetup()
    return parse_apt_setup(dump, index)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout


def parse_apt_setup(dump: str, index: str) -> AptSetup:
    """From `apt-config dump` and the lines ``<repository> <origin>`` of `apt-get indextargets`.

    A mirror with a password in its address is not used: it would end up in the image.
    """
    mirrors = re.findall(r"^(\S+/debian)/? Debian$", index, re.MULTILINE)
    options = dict(_APT_KEEP.findall(dump))
    proxy = next((value for name, value in options.items() if name.endswith("::Proxy") and value != "DIRECT"), "")
    kept = tuple(sorted((name, value) for name, value in options.items() if not name.endswith("::Proxy")))
    return AptSetup(mirror=next((m for m in mirrors if "@" not in m), ""), options=kept, proxy=proxy)


def proxy_variables(setup: AptSetup) -> dict[str, str]:
    """For a command's environment, or as build arguments: builders know these and keep them out of the image's history."""
    return {"http_proxy": setup.proxy, "https_proxy": setup.proxy} if setup.proxy else {}


def _pull(progress: Progress) -> bool:
    progress(f"pulling {PULLED}")
    client = connect(timeout_s=REGISTRY_SILENCE_S)
    try:
        for line in client.api.pull(PULLED, stream=True, decode=True):
            if "error" in line:
                progress(f"no registry answers: {str(line['error'])[:200]}")
                return False
        return has_image(client, PULLED)
    except (DockerException, requests.RequestException) as error:
        reason = error.explanation if isinstance(error, APIError) else str(error)
        progress(f"no registry answers: {str(reason)[:200]}")
        return False
    finally:
        client.close()


def _bootstrap(client: docker.DockerClient, progress: Progress) -> str:
    if why := obstacle():
        raise EngineError(
            f"no registry gives {PULLED}, and {IMPORTED} may not be made here ({why})",
            hint=f"as root on Debian: {HINT}; or set {OWN_BASE_VARIABLE} to the tag of a Debian {SUITE} that you `docker load`",
        )
    ensure_command("debootstrap", "debootstrap", progress)
    setup = apt_setup()
    progress(f"making {IMPORTED} by debootstrap from {setup.mirror or 'its own mirror'}")
    with tempfile.TemporaryDirectory(prefix="testbed-base-") as folder:
        root = Path(folder) / "root"
        hint = (
            f"is the mirror reachable? Then {HINT}; or set {OWN_BASE_VARIABLE} to the tag of a Debian {SUITE} of yours"
        )
        run_command(_debootstrap_command(setup, root), progress, env=proxy_variables(setup), hint=hint)
        _finish_root(root, setup)
        _import(client, root)
    return IMPORTED


def _debootstrap_command(setup: AptSetup, root: Path) -> list[str]:
    extra = ["--include=ca-certificates"] if setup.mirror.startswith("https:") else []
    return ["debootstrap", "--variant=minbase", *extra, SUITE, str(root), *filter(None, [setup.mirror])]


def _finish_root(root: Path, setup: AptSetup) -> None:
    """Sources and options of apt; no package cache; nothing of this machine's name resolution."""
    if setup.mirror:
        (root / "etc/apt/sources.list").write_text(f"deb {setup.mirror} {SUITE} main\n")
    lines = [f'{name} "{value}";\n' for name, value in setup.options]
    (root / "etc/apt/apt.conf.d/90testbed").write_text("".join(lines))
    for pattern in _LEFTOVERS:
        for file in root.glob(pattern):
            file.unlink()


def _import(client: docker.DockerClient, root: Path) -> None:
    command = ["tar", "--numeric-owner", "-C", str(root), "-c", "--one-file-system", "."]
    repository, tag = IMPORTED.split(":")
    with subprocess.Popen(command, stdout=subprocess.PIPE) as archive:
        assert archive.stdout is not None
        answer = client.api.import_image(
            src=_chunks(archive),
            repository=repository,
            tag=tag,
            changes=[f"LABEL {BASE_LABEL}", 'CMD ["bash"]'],
            stream_src=True,
        )
    if archive.returncode != 0 or not has_image(client, IMPORTED, label="base"):
        said = " ".join(command) + " | docker import"
        raise EngineError(
            "the base image was not imported", command=said, status=archive.returncode, output=str(answer)
        )


def _chunks(archive: subprocess.Popen[bytes]) -> Iterator[bytes]:
    assert archive.stdout is not None
    while chunk := archive.stdout.read(1 << 20):
        yield chunk
