"""A suite of a user's: a folder of its own with test files, and the installed plugin."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from driving import Testbed, describe, ours

from testbed.claims import marks

pytestmark = [pytest.mark.usefixtures("clean"), pytest.mark.nightly]

EXAMPLE = Path(__file__).parents[2] / "examples" / "suite"
GONE_WITHIN_S = 60.0
FAILING = """
def test_a_fault_that_takes_no_phone_rehomes_none(bed):
    with bed.fault.kill("web-1"):
        bed.phones.press("all-urls")
    verdict = bed.check("rehomed", from_="ccm-1", to="ccm-bk")
    assert verdict.passed, verdict
"""
SLOW = """
import time

def test_it_goes_on(bed):
    print("the bed is", bed.name)
    time.sleep(120)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def suite(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--junit-xml", "report.xml", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "bed-runs").iterdir())


def test_the_example_passes_alone_and_with_two_workers(project: Path):
    shutil.copy(EXAMPLE / "test_failover.py", project)
    for words in ((), ("-n", "2")):
        done = suite(project, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "4 passed" in done.stdout
        assert kept(project) == []
        cases = list(ElementTree.parse(project / "report.xml").iter("testcase"))
        names = {one.get("name") for case in cases for one in case.iter("property")}
        assert "verdict marking srnd-table-11-4" in names
        assert "bed_run" not in names, "the recording of a test that passed is gone"


def test_each_test_can_have_a_bed_of_its_own(project: Path):
    shutil.copy(EXAMPLE / "test_failover.py", project)
    done = suite(project, "--bed-scope=function", "--bed-keep", "-k", "urls or notice")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(kept(project)) == 2


def test_a_recording_of_a_failed_test_is_kept_and_judged_the_same_again(project: Path, testbed: Testbed):
    (project / "test_mine.py").write_text(FAILING)
    done = suite(project)
    assert done.returncode == 1
    (folder,) = kept(project)
    assert f"recorded in {folder}, with report.html" in done.stdout
    again = testbed("judge", folder, "--output", "json")
    assert again.status in (1, 3), describe(again)
    (verdict,) = again.verdicts["rehomed"]
    assert f"{verdict['status']} rehomed" in done.stdout
    assert verdict["summary"] in done.stdout
    assert "rehomed" in (folder / "report.html").read_text(encoding="utf-8")


def test_scenario_files_and_an_overlay_of_the_projects_own(project: Path):
    (project / "mine.yaml").write_text("services:\n  web-2: {environment: {MINE: yes}}\n".replace("yes", '"1"'))
    (project / "mine.scenario.yaml").write_text(
        "scenario: mine\nbed: [bed.yaml, mine.yaml]\nphones: 2\ncapture: [phones-1, ccm-1]\n"
        "steps:\n  - at: 1s\nexpect:\n  - registered: {at: ccm-1}\n  - marking: {}\n"
    )
    (project / "conftest.py").write_text(
        "import pytest\n\n\n@pytest.fixture(scope='session')\ndef bed_phones():\n    return 2\n\n\n"
        "@pytest.fixture(scope='session')\ndef bed_compose_files():\n    return ('bed.yaml', 'mine.yaml')\n"
    )
    (project / "test_mine.py").write_text(
        "def test_two_phones(bed):\n    assert len(bed.phones.registered()) == 2\n"
        "    assert bed.check('registered', at='ccm-1').passed\n"
    )
    done = suite(project, "--bed-scenarios")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_scenario_to_begin_with_passes(project: Path, testbed: Testbed, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(project)
    assert testbed("new", "mine").status == 0
    outcome = testbed("run", "mine.scenario.yaml", "--runs", project / "runs", "--output", "json")
    assert outcome.status == 0, describe(outcome)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_suite_that_is_killed_leaves_nothing(project: Path, number: signal.Signals):
    (project / "test_slow.py").write_text(SLOW)
    before = ours()
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"]
    process = subprocess.Popen(
        command,
        cwd=project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # What a shell starts in the background ignores Ctrl-C, and so does all that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 60
        while not list((project / "bed-runs").glob("*/scenario.yaml")) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert ours() > before
        os.kill(process.pid, number)
        process.wait(timeout=60)
    finally:
        process.kill()
    # The claim goes last: until then compose, which goes on for seconds, may make something once more.
    bed = f"pytest-main-{process.pid}"
    deadline = time.monotonic() + GONE_WITHIN_S
    while (marks(bed) or ours() != before) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert marks(bed) == []
    assert ours() == before
