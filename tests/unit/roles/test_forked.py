from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType

import pytest

from testbed.roles.forked import Forked, is_role

ROLE = "testbed.roles.in_a_test"


def started(monkeypatch: pytest.MonkeyPatch, source: str, *argv: str) -> Forked:
    module = ModuleType(ROLE)
    exec(source, module.__dict__)
    monkeypatch.setitem(sys.modules, ROLE, module)
    return Forked(["python3", "-m", ROLE, *argv])


def test_a_command_is_a_role_by_its_module():
    assert is_role(["python3", "-m", "testbed.roles.impairer", "{}"])
    assert not is_role(["python3", "-m", "http.server"])
    assert not is_role(["sleep", "1"])


def test_a_role_gets_its_arguments_and_its_status_comes_back(monkeypatch: pytest.MonkeyPatch):
    role = started(monkeypatch, "def main(argv):\n    print(argv, flush=True)\n    return 7", "a", "b")
    assert role.stdout.readline() == b"['a', 'b']\n"
    assert role.wait(5) == 7
    assert role.poll() == 7


def test_a_role_that_fails_says_how(monkeypatch: pytest.MonkeyPatch):
    role = started(monkeypatch, "def main(argv):\n    raise OSError('no such queue')")
    assert role.wait(5) == 1
    assert b"no such queue" in role.stderr.read()


def test_a_role_ends_upon_sigterm_or_at_last_sigkill(monkeypatch: pytest.MonkeyPatch):
    waiting = "import signal\ndef main(argv):\n    print('x', flush=True)\n    signal.pause()\n    return 0"
    role = started(monkeypatch, waiting)
    role.stdout.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        role.wait(0.01)
    role.terminate()
    assert role.wait(5) == -15
    deaf = waiting.replace("    print", "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    print")
    role = started(monkeypatch, deaf)
    role.stdout.readline()
    role.terminate()
    role.kill()
    assert role.wait(5) == -9
    role.kill()


def test_a_role_holds_no_file_of_ours_open(monkeypatch: pytest.MonkeyPatch):
    """Else a pipe whose end means something would not end."""
    readable, writable = os.pipe()
    os.set_inheritable(writable, True)
    role = started(
        monkeypatch, "import signal\ndef main(argv):\n    print('x', flush=True)\n    signal.pause()\n    return 0"
    )
    role.stdout.readline()
    os.close(writable)
    assert os.read(readable, 1) == b""
    role.kill()
    role.wait(5)
