"""What this machine lacks to run a bed, and how to mend it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from testbed import show
from testbed.engine.base import IMPORTED, OWN_BASE_VARIABLE, PULLED, find_base
from testbed.engine.client import HINT, connect, engine_info, find_compose, is_local
from testbed.engine.command import Progress
from testbed.engine.images import build_all, missing_images
from testbed.engine.install import (
    DOCKERD_LOG,
    ENGINE_PACKAGES,
    compose_package,
    ensure_engine,
    is_systemd,
    obstacle,
)
from testbed.engine.kernel import kernel_features
from testbed.errors import EXIT_ENVIRONMENT, EXIT_OK, EngineError

NEEDED_BYTES = 3_000_000_000
"""Engine packages, base image and five images took 1.3 GB of disk; captures come on top."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One fact about this machine. ``mend``: the commands that make it good, empty where nothing is wrong."""

    name: str
    ok: bool
    what: str
    mend: tuple[str, ...] = ()


def diagnose() -> list[Finding]:
    """All findings, in the order in which they are mended. Changes nothing; takes a few seconds."""
    findings = [_engine(), _compose()]
    if findings[0].ok:
        findings += [_base(), _images()]
    findings += [_disk(), _machine()]
    if all(finding.ok for finding in findings[:4]):
        findings += [Finding(name=name, ok=True, what=what) for name, what in kernel_features()]
    return findings


def mend(progress: Progress) -> dict[str, str]:
    """Install, start, fetch and build what is missing; image name -> tag.

    Second time: nothing to do, under a second. Raises EngineError where this machine may not be changed (the hint has the
    commands) or where something fails.
    """
    lacking = [finding for finding in (_engine(), _compose()) if not finding.ok]
    if lacking:
        _may_mend(lacking)
        ensure_engine(progress)
    return build_all(progress)


def _may_mend(lacking: Iterable[Finding]) -> None:
    if not is_local():
        why = "the engine asked for is not this machine's"
    elif not (why := obstacle()):
        return
    wrong = "; ".join(finding.what for finding in lacking)
    commands = "\n  ".join(command for finding in lacking for command in finding.mend)
    raise EngineError(f"{wrong}; not mended here: {why}", hint=f"type\n  {commands}")


def _engine() -> Finding:
    try:
        client = connect(timeout_s=10)
    except EngineError as error:
        return Finding(name="engine", ok=False, what=error.message, mend=tuple(_engine_commands()))
    try:
        info = engine_info(client)
        return Finding(name="engine", ok=True, what=f"Docker Engine {info.version} (API {info.api}) at {info.address}")
    finally:
        client.close()


def _engine_commands() -> list[str]:
    """What `mend` would do, to be typed as root."""
    if not is_local():
        return ["unset DOCKER_HOST DOCKER_CONTEXT; docker context use default"]
    commands = [] if shutil.which("dockerd") else ["apt-get update", _install_command(*ENGINE_PACKAGES)]
    start = "systemctl start docker" if is_systemd() else f"setsid dockerd >>{DOCKERD_LOG} 2>&1 </dev/null &"
    return [*commands, start]


def _install_command(*packages: str) -> str:
    return " ".join(["apt-get", "install", "-y", "--no-install-recommends", *packages])


def _compose() -> Finding:
    try:
        compose = find_compose()
    except EngineError as error:
        return Finding(name="compose", ok=False, what=error.message, mend=(_install_command(compose_package()),))
    return Finding(name="compose", ok=True, what=f"{' '.join(compose.command)} {compose.version}")


def _base() -> Finding:
    client = connect()
    try:
        base = find_base(client)
    finally:
        client.close()
    if base:
        return Finding(name="base image", ok=True, what=base)
    missing = os.environ.get(OWN_BASE_VARIABLE) or f"neither {PULLED} nor {IMPORTED}"
    return Finding(name="base image", ok=False, what=f"{missing} is here", mend=(HINT,))


def _images() -> Finding:
    client = connect()
    try:
        missing = missing_images(client)
    except EngineError as error:
        return Finding(name="images", ok=False, what=error.message, mend=(HINT,))
    finally:
        client.close()
    if missing:
        return Finding(name="images", ok=False, what=f"to be built: {', '.join(missing)}", mend=(HINT,))
    return Finding(name="images", ok=True, what="all built")


def _disk() -> Finding:
    folder = next(path for path in (Path("/var/lib/docker"), Path("/var/lib"), Path("/")) if path.exists())
    free = shutil.disk_usage(folder).free
    what = f"{free / 1e9:.1f} GB free in {folder}"
    if free < NEEDED_BYTES:
        return Finding(
            name="disk",
            ok=False,
            what=f"{what}; a bed needs {NEEDED_BYTES / 1e9:g} GB",
            mend=("docker image prune -a",),
        )
    return Finding(name="disk", ok=True, what=what)


def _machine() -> Finding:
    why = obstacle()
    may = f"{HINT} may not install here: {why}" if why else f"{HINT} may install here"
    return Finding(name="machine", ok=True, what=f"{'systemd' if is_systemd() else 'no systemd'}; {may}")


def run(*, fix: bool, output: str = "table") -> int:
    """The verb: show the findings, or mend and say what was done; the exit status."""
    if fix:
        started = time.monotonic()
        tags = mend(show.progress())
        show.say(f"ready after {time.monotonic() - started:.1f} s")
        show.rows([{"image": name, "tag": tag} for name, tag in tags.items()], output)
        return EXIT_OK
    findings = diagnose()
    lacking = [finding for finding in findings if not finding.ok]
    show.rows([_row(finding) for finding in findings], output, columns=("finding", "state", "what"))
    for finding in lacking:
        show.say(f"to mend {finding.name}:\n  " + "\n  ".join(finding.mend))
    if lacking:
        show.say(f"next: {HINT}")
    return EXIT_ENVIRONMENT if lacking else EXIT_OK


def _row(finding: Finding) -> dict[str, object]:
    state = "ok" if finding.ok else "missing"
    return {"finding": finding.name, "state": state, "what": finding.what, "mend": list(finding.mend)}
