"""How to reach the Docker engine and compose.

The SDK is not thread-safe: every thread makes its own client with `connect()`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from math import ceil

import docker
import requests
from docker.context import ContextAPI
from docker.errors import DockerException

from testbed.errors import EngineError

MAX_API = (1, 45)
"""Newest API asked for: what the test-bed is tried with. The SDK alone would take the server's newest."""

HINT = "testbed doctor --fix"

LOCAL_SOCKETS = ("unix:///var/run/docker.sock", "unix:///run/docker.sock", "http+unix:///var/run/docker.sock")

_NO_ANSWER = (DockerException, requests.RequestException, OSError)


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineInfo:
    """What answered: where, the engine's version, and the version of the API spoken with it."""

    address: str
    version: str
    api: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Compose:
    """A compose that works here: ``command`` starts its command line, ``version`` is what it calls itself."""

    command: tuple[str, ...]
    version: str

    @property
    def is_v1(self) -> bool:
        return self.version.startswith("1.")


def connect(*, timeout_s: float = 60) -> docker.DockerClient:
    """A client for the engine of DOCKER_HOST, else of the CLI's current context.

    `timeout_s` bounds the silence inside one request; streams (logs, exec, events) have no other limit.
    Raises EngineError when no engine answers.
    """
    try:
        client = docker.DockerClient.from_env(version=_text(MAX_API), timeout=ceil(timeout_s))
        server = str(client.api.version(api_version=False)["ApiVersion"])
        if _numbers(server) >= MAX_API:
            return client
        client.close()
        return docker.DockerClient.from_env(version=server, timeout=ceil(timeout_s))
    except _NO_ANSWER as error:
        raise EngineError(f"no Docker engine answers at {engine_address()}: {_reason(error)}", hint=HINT) from error


def engine_info(client: docker.DockerClient) -> EngineInfo:
    version = client.api.version(api_version=False)
    return EngineInfo(address=engine_address(), version=str(version["Version"]), api=str(client.api.api_version))


def engine_address() -> str:
    """Where the engine is looked for: DOCKER_HOST, else the CLI's current context, else the local socket."""
    if host := os.environ.get("DOCKER_HOST"):
        return host
    return _context_address() or LOCAL_SOCKETS[0]


def is_local() -> bool:
    """The engine looked for is the one an installation on this machine would start."""
    return engine_address() in LOCAL_SOCKETS


def find_compose() -> Compose:
    """`docker compose` (v2) where it works, else `docker-compose` of either version; EngineError where neither does."""
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]) and (version := _compose_version(command)):
            return Compose(command=command, version=version)
    raise EngineError("neither `docker compose` nor `docker-compose` works here", hint=HINT)


def compose_command() -> list[str]:
    """The words that start a compose command line, for instance ``["docker", "compose"]``."""
    return list(find_compose().command)


def _compose_version(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            [*command, "version", "--short"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = re.match(r"v?(\d+\.\S+)", done.stdout.strip())
    return match[1] if done.returncode == 0 and match else ""


def _context_address() -> str:
    try:
        context = ContextAPI.get_current_context()
        return str(context.Host or "") if context else ""
    except _NO_ANSWER:
        return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _reason(error: BaseException) -> str:
    """The system's words where there are some; the SDK wraps them three deep."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return str(cause.strerror)
        cause = cause.__cause__ or cause.__context__
    return (str(error) or type(error).__name__).splitlines()[0][:200]
