"""The example of a plug-in, installed as a user installs it: its fault happens, its check judges, and without it its words are unknown."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from driving import Testbed, describe

EXAMPLES = Path(__file__).parents[2] / "examples"

SCENARIO = """
scenario: no-new-customers
bed: [compose.yaml]
phones: 0
capture: [client, slb]
steady: {http: client->slb}
steps:
  - at: 1s
    inject: {no-new: tcp/80 at client->slb}
    for: 3s
  - at: 8s
  - at: 10s
expect:
  - handshakes: {hop: client->slb, within: 100ms, want: fail, cause: took longer than 100ms}
  - http: {hop: client->slb, when: during, fail: ["*"]}
  - http: {hop: client->slb, when: after}
  - recovered: {}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Where pip put the example. It is built from a copy: nothing is written into the checkout."""
    source = shutil.copytree(EXAMPLES / "plugin", tmp_path / "plugin")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", str(tmp_path / "site")]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True)
    return tmp_path / "site"


def test_the_example_is_installed_happens_and_judges(testbed: Testbed, site: Path, tmp_path: Path, clean: None):
    project = Path(shutil.copytree(EXAMPLES / "plain-web", tmp_path / "shop"))
    file = project / "no-new.scenario.yaml"
    file.write_text(SCENARIO)
    environment = {"PYTHONPATH": str(site)}
    kinds = testbed("fault", "kinds", "--output", "json", env=environment)
    assert [kind["from"] for kind in kinds.json if kind["kind"] == "no-new"] == ["testbed-handshake 0.1.0"]
    outcome = testbed("run", file, "--runs", tmp_path / "runs", "--output", "json", env=environment)
    assert outcome.status == 0, describe(outcome)
    assert outcome.verdicts["handshakes"][0]["figures"]["late"] > 0
    assert "warning" not in outcome.err
    # The folder of the run asks for the plug-in wherever it is judged.
    without = testbed("judge", outcome.run)
    assert without.status == 2, describe(without)
    assert "unknown word 'no-new'" in without.err
    again = testbed("judge", outcome.run, env=environment)
    assert again.status == 0, describe(again)
