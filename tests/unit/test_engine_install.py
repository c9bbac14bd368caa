from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from testbed.engine import install
from testbed.engine.base import IMPORTED, PULLED, AptSetup, find_base, parse_apt_setup, proxy_variables
from testbed.engine.command import run_command
from testbed.errors import EngineError


def quiet(line: str) -> None:
    del line


def test_a_failed_command_is_told_with_its_status_and_the_end_of_its_output() -> None:
    with pytest.raises(EngineError) as failed:
        run_command(["sh", "-c", "echo cannot fetch; exit 100"], quiet)
    assert failed.value.status == 100
    assert failed.value.output == "cannot fetch\n"


def test_a_daemon_left_behind_by_a_command_holds_nobody_up() -> None:
    started = time.monotonic()
    assert run_command(["sh", "-c", "sleep 3 & echo started"], quiet) == "started\n"
    assert time.monotonic() - started < 2


def test_a_command_that_does_not_exist_is_an_environment_error() -> None:
    with pytest.raises(EngineError, match="cannot run no-such-program"):
        run_command(["no-such-program"], quiet)


def test_a_command_that_takes_too_long_is_ended() -> None:
    with pytest.raises(EngineError, match=r"took longer than 0\.1 s"):
        run_command(["sleep", "60"], quiet, timeout_s=0.1)


def test_testbed_no_install_forbids_whoever_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTBED_NO_INSTALL", "1")
    assert install.obstacle() == "TESTBED_NO_INSTALL is set"


def test_only_root_on_a_machine_with_apt_may_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TESTBED_NO_INSTALL", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt-get" in install.obstacle()
    (tmp_path / "apt-get").touch(mode=0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert install.obstacle() == "not root"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert install.obstacle() == ""


def test_what_is_installed_is_said_before_the_first_command_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []

    def record(command: Sequence[str], *_: object, **__: object) -> str:
        happened.append(" ".join(command[:2]))
        return ""

    monkeypatch.setattr(install, "run_command", record)
    install.install(["docker.io", "iptables"], happened.append)
    assert happened == ["installing by apt-get: docker.io iptables", "apt-get update", "apt-get install"]


def test_a_pid_file_that_names_another_program_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "docker.pid"
    file.write_text(str(os.getpid()))
    monkeypatch.setattr(install, "PID_FILE", file)
    said: list[str] = []
    install._clear_stale_pid_file(said.append)
    assert not file.exists()
    assert install.process_name(os.getpid()) in said[0]


def test_a_dockerd_that_runs_without_answering_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "docker.pid"
    file.write_text("4242")
    monkeypatch.setattr(install, "PID_FILE", file)
    monkeypatch.setattr(install, "process_name", lambda pid: "dockerd")
    with pytest.raises(EngineError, match="process 4242"):
        install._clear_stale_pid_file(quiet)
    assert file.exists()


def test_a_dockerd_that_ends_at_once_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "dockerd.log"
    (tmp_path / "dockerd").write_text("#!/bin/sh\necho failed to start daemon: no space left >&2\nexit 1\n")
    (tmp_path / "dockerd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.setattr(install, "is_systemd", lambda: False)
    monkeypatch.setattr(install, "DOCKERD_LOG", log)
    monkeypatch.setattr(install, "PID_FILE", tmp_path / "docker.pid")
    with pytest.raises(EngineError, match="ended with exit status 1") as failed:
        install.start_engine(quiet)
    assert "no space left" in failed.value.output


def test_the_base_is_made_from_the_mirror_this_machine_uses() -> None:
    index = "http://mirror.example/ubuntu/ Ubuntu\nhttps://mirror.example/debian/ Debian\n"
    assert parse_apt_setup("", index).mirror == "https://mirror.example/debian"


@pytest.mark.parametrize(
    "index", ["", "http://archive.example/ubuntu Ubuntu\n", "http://me:secret@m.example/debian/ Debian\n"]
)
def test_no_mirror_of_debian_or_one_with_a_password_leaves_the_choice_to_debootstrap(index: str) -> None:
    assert parse_apt_setup("", index).mirror == ""


def test_a_proxy_is_for_the_time_of_builds_and_never_kept_in_the_image() -> None:
    dump = 'Acquire::http::Proxy "http://me:secret@proxy.example:3128";\nAcquire::Check-Valid-Until "false";\nAPT::X "y";\n'
    setup = parse_apt_setup(dump, "")
    assert setup.options == (("Acquire::Check-Valid-Until", "false"),)
    assert proxy_variables(setup)["http_proxy"] == "http://me:secret@proxy.example:3128"
    assert proxy_variables(AptSetup()) == {}


class Images:
    """The images of an engine: tag -> labels."""

    def __init__(self, **labels: dict[str, str]) -> None:
        self.labels_of = {name.replace("__", ":").replace("_", "-"): value for name, value in labels.items()}

    def get(self, tag: str) -> object:
        from docker.errors import ImageNotFound

        if tag not in self.labels_of:
            raise ImageNotFound(tag)
        return type("Image", (), {"labels": self.labels_of[tag]})()


class Client:
    def __init__(self, images: Images) -> None:
        self.images = images


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (Images(), ""),
        (Images(debian__trixie_slim={}), PULLED),
        (Images(testbed_base__trixie={"testbed.image": "base"}), IMPORTED),
        (Images(testbed_base__trixie={}), ""),
        (Images(testbed_base__trixie={"testbed.image": "base"}, debian__trixie_slim={}), PULLED),
    ],
)
def test_the_base_is_the_pulled_image_or_the_one_with_our_label(images: Images, found: str) -> None:
    assert find_base(Client(images)) == found  # type: ignore[arg-type]


def test_a_users_own_image_under_our_tag_is_neither_used_nor_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    from testbed.engine import base

    users = Images(testbed_base__trixie={})
    client = Client(users)
    client.close = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setattr(base, "connect", lambda: client)
    monkeypatch.delenv("TESTBED_BASE", raising=False)
    with pytest.raises(EngineError, match="the test-bed did not make") as refused:
        base.ensure_base(quiet)
    assert "TESTBED_BASE=testbed-base:trixie" in refused.value.hint
