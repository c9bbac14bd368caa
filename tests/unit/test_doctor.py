from __future__ import annotations

import json

import pytest

from testbed import doctor
from testbed.doctor import Finding
from testbed.errors import EXIT_ENVIRONMENT, EXIT_OK, EngineError

LACKING = Finding(name="engine", ok=False, what="no engine answers", mend=("apt-get install docker.io", "dockerd &"))
FINE = Finding(name="compose", ok=True, what="docker-compose 1.29.2")


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have been changed on this machine."""
    done: list[str] = []
    monkeypatch.setattr(doctor, "ensure_engine", lambda progress: done.append("engine"))
    monkeypatch.setattr(doctor, "build_all", lambda progress: done.append("images") or {"nic": "testbed-nic:0"})
    monkeypatch.setattr(doctor, "_engine", lambda: LACKING)
    monkeypatch.setattr(doctor, "_compose", lambda: FINE)
    monkeypatch.setattr(doctor, "is_local", lambda: True)
    return done


@pytest.mark.parametrize("why", ["not root", "this is not Debian: there is no apt-get", "TESTBED_NO_INSTALL is set"])
def test_where_it_may_not_mend_it_names_the_commands_and_changes_nothing(
    changes: list[str], monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(doctor, "obstacle", lambda: why)
    with pytest.raises(EngineError) as refused:
        doctor.mend(lambda line: None)
    assert changes == []
    assert refused.value.exit_code == EXIT_ENVIRONMENT
    assert why in refused.value.message
    assert "apt-get install docker.io\n  dockerd &" in refused.value.hint


def test_an_engine_elsewhere_is_not_replaced_by_one_here(changes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "is_local", lambda: False)
    monkeypatch.setattr(doctor, "obstacle", lambda: "")
    with pytest.raises(EngineError, match="not this machine's"):
        doctor.mend(lambda line: None)
    assert changes == []


def test_the_engine_comes_before_the_images(changes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "obstacle", lambda: "")
    assert doctor.mend(lambda line: None) == {"nic": "testbed-nic:0"}
    assert changes == ["engine", "images"]


def test_where_engine_and_compose_answer_nothing_is_installed_even_if_it_were_forbidden(
    changes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_engine", lambda: FINE)
    monkeypatch.setattr(doctor, "obstacle", lambda: "not root")
    doctor.mend(lambda line: None)
    assert changes == ["images"]


def test_the_exit_status_says_whether_something_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "diagnose", lambda: [LACKING, FINE])
    assert doctor.run(fix=False, output="json") == EXIT_ENVIRONMENT
    printed = capsys.readouterr()
    assert [row["state"] for row in json.loads(printed.out)] == ["missing", "ok"]
    assert "dockerd &" in printed.err
    monkeypatch.setattr(doctor, "diagnose", lambda: [FINE])
    assert doctor.run(fix=False, output="json") == EXIT_OK


def test_without_an_engine_the_commands_install_and_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.setattr(doctor, "is_local", lambda: True)
    monkeypatch.setattr(doctor, "is_systemd", lambda: False)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    finding = doctor._engine()
    assert not finding.ok
    assert finding.mend == (
        "apt-get update",
        "apt-get install -y --no-install-recommends docker.io iptables",
        "setsid dockerd >>/var/log/dockerd.log 2>&1 </dev/null &",
    )
