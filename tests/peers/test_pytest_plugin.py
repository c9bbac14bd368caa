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


def test_the_marker_and_the_options_are_known(project: Path):
    assert "bed_scenario(name_or_file" in run(project, "--markers").stdout
    (project / "test_mine.py").write_text(
        "import pytest\n@pytest.mark.bed_scenario('rehome-kill')\ndef test_one(): pass\n"
    )
    done = run(project, "--strict-markers")
    assert done.returncode == 0, done.stdout


WRONG_MARKERS = {
    "'rehome-kil'": "no scenario 'rehome-kil'\n  next: did you mean 'rehome-kill'",
    "'mine.yaml'": "mine.yaml: cannot be read",
    "'x' * 300": "no scenario 'xxx",
    "'x' * 300 + '.yaml'": "x.yaml: cannot be read: File name too long",
    "'a\\0b'": "no scenario 'a\\x00b'",
    "'a\\0b.yaml'": "b.yaml: cannot be read: embedded null byte",
    "'long.scenario.yaml'": "long.scenario.yaml:2: bed.0: no compose file 'xxx",
    "'rehome-kill', profile='quik'": "no profile 'quik'\n  next: did you mean 'quick'",
    "'congested-link', profile='srnd'": "does not go with profile srnd\n  next: its profiles: quick",
    "'rehome-kill', profil='quick'": "unknown word 'profil'\n  next: did you mean 'profile'? known: profile, phones",
    "'rehome-kill', phones='12'": "phones must be a whole number, not '12'",
    "'rehome-kill', phones=-1": "-1 phones cannot be",
    "": "takes one scenario, by its name or its file",
    "'rehome-kill', 'rehome-stop'": "takes one scenario, by its name or its file",
    "'wrong.scenario.yaml'": "wrong.scenario.yaml:3: steps.0.inject.kil: unknown word 'kil'",
    "'absent.scenario.yaml'": "absent.scenario.yaml:3: steps.0.inject.kill: ",
}


def test_every_marker_that_is_wrong_is_an_error_of_collection(project: Path):
    for name, inject in (("wrong", "{kil: ccm-1}"), ("absent", "{kill: ccm-9}")):
        (project / f"{name}.scenario.yaml").write_text(f"scenario: {name}\nsteps:\n  - inject: {inject}\n")
    (project / "long.scenario.yaml").write_text(f"scenario: long\nbed: [{'x' * 300}]\n")
    tests = [
        f"@pytest.mark.bed_scenario({marker})\ndef test_{place}(bed_run): pass\n"
        for place, marker in enumerate(WRONG_MARKERS)
    ]
    (project / "test_mine.py").write_text("import pytest\n" + "".join(tests))
    done = run(project, "--no-bed")
    assert done.returncode == pytest.ExitCode.INTERRUPTED, done.stdout
    assert "Traceback" not in done.stdout
    said = done.stdout.split("test_mine.py:")
    for place, expected in enumerate(WRONG_MARKERS.values()):
        where = f"{2 + 2 * place}: test_{place}: @pytest.mark.bed_scenario: "
        assert [part for part in said if part.startswith(where) and expected in part], (where, expected, done.stdout)


def test_markers_that_are_right_are_skipped_where_no_bed_is_wanted_and_docker_is_not_touched(project: Path):
    (project / "conftest.py").write_text(
        "import sys\n"
        "def pytest_collection_finish():\n"
        "    assert 'testbed.validate' in sys.modules\n"
        "    assert 'docker' not in sys.modules\n"
    )
    (project / "mine.scenario.yaml").write_text("scenario: mine\n")
    (project / "test_mine.py").write_text(
        "import pytest\n\n"
        "@pytest.mark.bed_scenario('rehome-kill', profile='srnd', phones=4)\ndef test_one(bed_run): pass\n\n"
        "@pytest.mark.bed_scenario('mine.scenario.yaml')\nclass TestTwo:\n    def test_two(self, bed_run): pass\n"
    )
    done = run(project, "--no-bed")
    assert done.returncode == 0, done.stdout
    assert "2 skipped" in done.stdout


def test_a_wrong_marker_of_a_class_is_told_once_and_also_by_workers(project: Path):
    (project / "test_mine.py").write_text(
        "import pytest\n\n@pytest.mark.bed_scenario('nothing')\nclass TestMine:\n"
        "    def test_one(self, bed_run): pass\n    def test_two(self, bed_run): pass\n"
    )
    assert run(project, "--no-bed").stdout.count("no scenario 'nothing'") == 1
    done = run(project, "--no-bed", "-n", "2")
    assert done.returncode != 0
    assert "no scenario 'nothing'" in done.stdout
