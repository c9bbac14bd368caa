from __future__ import annotations

from pathlib import Path

import pytest

from testbed.engine import client
from testbed.errors import EXIT_ENVIRONMENT, EngineError


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are found."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_no_engine_is_said_with_its_address_the_systems_words_and_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(EngineError) as refused:
        client.connect(timeout_s=1)
    assert refused.value.message == "no Docker engine answers at unix:///nowhere/docker.sock: No such file or directory"
    assert refused.value.hint == "testbed doctor --fix"
    assert refused.value.exit_code == EXIT_ENVIRONMENT


def test_an_engine_named_by_docker_host_is_not_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    assert client.engine_address() == "tcp://192.0.2.1:2375"
    assert not client.is_local()


def test_the_compose_plugin_comes_before_the_standalone_program(path: Path) -> None:
    program(path, "docker", "echo 2.26.1-4")
    program(path, "docker-compose", "echo 1.29.2")
    found = client.find_compose()
    assert (found.command, found.version, found.is_v1) == (("docker", "compose"), "2.26.1-4", False)


def test_a_docker_without_the_plugin_leaves_the_standalone_program(path: Path) -> None:
    program(path, "docker", "echo \"docker: 'compose' is not a docker command\" >&2; exit 1")
    program(path, "docker-compose", "echo 1.29.2")
    assert client.compose_command() == ["docker-compose"]
    assert client.find_compose().is_v1


def test_a_standalone_program_of_version_two_says_v_before_its_number(path: Path) -> None:
    program(path, "docker-compose", "echo v2.39.0")
    assert client.find_compose().version == "2.39.0"


def test_no_compose_at_all_is_an_environment_error(path: Path) -> None:
    with pytest.raises(EngineError) as refused:
        client.find_compose()
    assert refused.value.hint == "testbed doctor --fix"
