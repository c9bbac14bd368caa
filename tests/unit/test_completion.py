from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

from testbed import cli, completion


def words(*line: str) -> list[str]:
    """What is offered behind these words, for the last of them."""
    *before, begun = line
    found = ShellComplete(cli.cli, {}, "testbed", "_TESTBED_COMPLETE").get_completions(before, begun)
    return [item.value for item in found]


def test_commands_scenarios_kinds_and_options_are_offered() -> None:
    assert "history" in words("")
    assert words("run", "rehome-k") == ["rehome-kill"]
    assert words("fault", "add", "free") == ["freeze"]
    assert "--repeat" in words("run", "--re")


def test_beds_are_offered_by_the_files_kept_of_them(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("TESTBED_HOME", str(tmp_path))
    for name in ("lab-1", "lab-2", "other"):
        (tmp_path / "beds" / name).mkdir(parents=True)
    assert words("status", "--name", "lab") == ["lab-1", "lab-2"]


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_the_script_of_each_shell_is_one_that_it_reads(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "testbed", "completion", shell], capture_output=True, text=True, check=True
    )
    assert "_TESTBED_COMPLETE" in done.stdout
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n"], input=done.stdout, text=True, check=True)
