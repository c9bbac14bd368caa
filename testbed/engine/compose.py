"""Compose as a command: resolve a project's files, bring the generated one up. v1 (docker-compose 1.29) and v2 (docker compose) alike."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from testbed.engine.client import compose_command
from testbed.engine.missing_image import missing_image
from testbed.errors import EngineError, ScenarioError

RESOLVE_TIMEOUT_S = 60
UP_TIMEOUT_S = 300


def resolve(
    files: Sequence[Path], *, project: str, env: Mapping[str, str], originals: Sequence[Path] = ()
) -> dict[str, Any]:
    """What ``compose config`` makes of these files. A refusal is the user's file's fault: ScenarioError with compose's own words.

    ``originals``: the user's file behind each of ``files``, where some of these are copies; the error names the user's.
    """
    command = [*_compose(), "-p", project]
    for file in files:
        command += ["-f", str(file)]
    done = _run([*command, "config"], env, RESOLVE_TIMEOUT_S)
    if done.returncode:
        originals = originals or files
        said = _said(done)
        for file, original in zip(files, originals, strict=True):
            said = said.replace(str(file), str(original))
        raise ScenarioError(
            f"compose refuses it: {said}",
            file=" + ".join(str(file) for file in originals),
            hint="mend the file; `testbed validate FILE` checks its YAML and its labels without starting anything",
        )
    config = yaml.safe_load(done.stdout)
    if not isinstance(config, dict):
        raise EngineError("compose printed no configuration", command=" ".join(command), output=done.stdout)
    return config


def up(file: Path, *, project: str, env: Mapping[str, str], services: Sequence[str] = ()) -> None:
    """``compose up -d`` of the generated file (or of some of its services); EngineError with compose's output where it fails, and with
    service and image where an image is missing.

    Never ``--no-start``: compose 1.29 then forgets whose network a service joins and puts it on Docker's default bridge.
    """
    command = [*_compose(), "-p", project, "-f", str(file), "up", "-d", "--no-recreate", *services]
    done = _run(command, env, UP_TIMEOUT_S)
    if done.returncode:
        missing = missing_image(done.stdout + done.stderr, _images(file))
        raise EngineError(
            missing.message if missing else "the bed could not be brought up",
            command=" ".join(command),
            status=done.returncode,
            output=_said(done),
            hint=missing.hint if missing else "`testbed doctor` says what this machine lacks",
        )


def _images(file: Path) -> dict[str, str]:
    """Service -> image of the generated file."""
    services = yaml.safe_load(file.read_text(encoding="utf-8"))["services"]
    return {name: service["image"] for name, service in services.items() if "image" in service}


@cache
def _compose() -> tuple[str, ...]:
    """Which compose works here does not change while we run, and asking v1 takes half a second."""
    return tuple(compose_command())


def _run(command: list[str], env: Mapping[str, str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    # Compose 1.29 never ends where its limit is below what depends on what.
    inherited = {name: value for name, value in os.environ.items() if name != "COMPOSE_PARALLEL_LIMIT"}
    try:
        return subprocess.run(
            command,
            env={**inherited, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EngineError(
            f"compose did not end within {timeout_s:g} s", command=" ".join(command), output=str(error.stderr or "")
        ) from None


def _said(done: subprocess.CompletedProcess[str]) -> str:
    """Compose's message without its progress lines and without the warnings about variables that are not set."""
    lines = [
        line
        for line in (done.stderr or done.stdout).splitlines()
        if line.strip() and "is not set. Defaulting" not in line
    ]
    return "\n".join(lines[-15:])
