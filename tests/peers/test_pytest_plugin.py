"""The pytest plugin where no bed is needed: what it does to suites that use it, and to those that do not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = """
def test_one(bed):
    raise AssertionError("never reached")
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "test_mine.py").write_text(PROJECT)
    return tmp_path


def test_collecting_touches_neither_docker_nor_the_disk(project: Path):
    (project / "conftest.py").write_text(
        "import sys\n"
        "def pytest_collection_finish():\n"
        "    loaded = {'docker', 'requests', 'yaml', 'numpy', 'testbed.bed'} & set(sys.modules)\n"
        "    assert not loaded, loaded\n"
    )
    (project / "rehome.scenario.yaml").write_text("no scenario at all")
    done = run(project, "--collect-only", "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 test collected" in done.stdout
    assert {path.name for path in project.iterdir()} <= {
        "conftest.py",
        "rehome.scenario.yaml",
        "test_mine.py",
        "__pycache__",
    }


def test_scenario_files_are_tests_where_that_is_asked_for(project: Path):
    (project / "rehome.scenario.yaml").write_text("scenario: x\n")
    done = run(project, "--collect-only", "-q", "--bed-scenarios")
    assert "rehome.scenario.yaml::rehome" in done.stdout
    assert "2 tests collected" in done.stdout


def test_tests_are_skipped_only_where_no_bed_is_wanted(project: Path):
    (project / "rehome.scenario.yaml").write_text("scenario: x\n")
    done = run(project, "--no-bed", "--bed-scenarios")
    assert done.returncode == 0
    assert "2 skipped" in done.stdout
    assert "no bed is wanted (--no-bed)" in done.stdout


def test_no_engine_is_an_error_and_not_a_skip(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    done = run(project)
    assert done.returncode == 1
    assert "1 error" in done.stdout
    assert "skipped" not in done.stdout


def test_a_scenario_file_that_is_wrong_fails_with_file_and_line(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    (project / "rehome.scenario.yaml").write_text("scenario: x\nstepz: []\n")
    done = run(project, "--bed-scenarios", "rehome.scenario.yaml")
    assert done.returncode == 1
    assert "rehome.scenario.yaml:2: stepz" in done.stdout
    assert "Traceback" not in done.stdout


def test_bed_run_without_its_marker_says_what_is_missing(project: Path):
    (project / "test_mine.py").write_text("def test_one(bed_run): pass\n")
    done = run(project)
    assert done.returncode == 1
    assert "bed_run needs @pytest.mark.bed_scenario" in done.stdout


def test_a_scenario_that_is_misspelt_is_named_with_what_was_meant(project: Path):
    (project / "test_mine.py").write_text(
        "import pytest\n@pytest.mark.bed_scenario('rehome-kil')\ndef test_one(bed_run): pass\n"
    )
    done = run(project)
    assert done.returncode == 1
    assert "did you mean 'rehome-kill'" in done.stdout
    assert "Traceback" not in done.stdout
    assert "def bed_run" not in done.stdout, "our own code is no help"


def test_the_marker_and_the_options_are_known(project: Path):
    assert "bed_scenario(name_or_file" in run(project, "--markers").stdout
    (project / "test_mine.py").write_text(
        "import pytest\n@pytest.mark.bed_scenario('rehome-kill')\ndef test_one(): pass\n"
    )
    done = run(project, "--strict-markers")
    assert done.returncode == 0, done.stdout
