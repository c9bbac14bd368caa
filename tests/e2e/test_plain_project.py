"""Anybody's compose project, without phones and without anything of ours in it but labels, gets faults, captures and verdicts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from driving import Outcome, Testbed, describe

EXAMPLE = Path(__file__).parents[2] / "examples" / "plain-web"
HERE = Path(__file__).parent

PROJECT = """
services:
  shop:
    image: testbed-node
    entrypoint: [python3, -m, http.server, "8080", --directory, /usr/share]
    labels: {testbed.host: "true"}
  customer:
    image: testbed-node
    entrypoint: [python3, -c]
    command:
      - |
        import time, urllib.request
        while True:
            try:
                urllib.request.urlopen("http://shop:8080/", timeout=1).read()
            except OSError as error:
                print("no answer:", error, flush=True)
            time.sleep(0.2)
    labels: {testbed.host: "true"}
  bystander:
    image: testbed-node
    entrypoint: [sleep, "300"]
networks:
  default: {internal: true}
"""

SCENARIO = """
scenario: shop-cut
bed: [project.yaml]
phones: 0
profile: quick
capture: [shop, customer]
steps:
  - at: 1s
    inject: {cut: shop}
    for: 3s
  - at: 6s
expect:
  - packets: {class: http, policy: {allowed: [default]}, hop: customer->shop}
  - captures: {}
"""


def test_a_plain_project_gets_faults_captures_and_verdicts_by_labels_alone(
    testbed: Testbed, tmp_path: Path, clean: None
):
    (tmp_path / "project.yaml").write_text(PROJECT)
    (tmp_path / "shop.scenario.yaml").write_text(SCENARIO)
    outcome = testbed("run", tmp_path / "shop.scenario.yaml", "--runs", tmp_path / "runs", "--output", "json")
    assert outcome.status == 0, describe(outcome)
    history = [json.loads(line) for line in (outcome.run / "history.jsonl").read_text().splitlines()]
    confirmed = next(event for event in history if event["name"] == "FaultConfirmed")
    healed = next(event for event in history if event["name"] == "FaultHealed")
    # While the bed comes up the customer may be there before the shop is open.
    opened_s = next(event["time_s"] for event in history if event["name"] == "StepsStarted")
    complaints = [
        event["time_s"]
        for event in history
        if event["host"] == "customer" and "no answer" in event.get("line", "") and event["time_s"] > opened_s
    ]
    assert complaints, "the customer never noticed that the shop was cut off"
    assert min(complaints) > confirmed["began_s"]
    assert min(complaints) < healed["time_s"] + 1.5
    assert not [event for event in history if event["host"] == "bystander"]


def output_of(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class Bystander:
    """A container, a network and a rule of somebody else's."""

    def __init__(self) -> None:
        self.name = f"somebody-{uuid4().hex[:8]}"
        self.has_rule = os.geteuid() == 0 and shutil.which("iptables") is not None
        output_of("docker", "network", "create", "--internal", self.name)
        image = next(line for line in output_of("docker", "images", "testbed-node", "-q").split())
        options = ["--name", self.name, "--network", self.name, "--entrypoint", "sleep"]
        output_of("docker", "run", "-d", *options, image, "600")
        if self.has_rule:
            output_of("iptables", "-w", "-N", self.name)
            output_of("iptables", "-w", "-A", self.name, "-m", "comment", "--comment", "mine", "-j", "RETURN")

    def state(self) -> list[str]:
        """All that must stay as it is."""
        template = "{{.Id}} {{.State.Status}} {{.State.StartedAt}} {{.State.Pid}}"
        seen = [output_of("docker", "inspect", "-f", template, self.name)]
        seen.append(output_of("docker", "network", "inspect", "-f", "{{.Id}} {{json .IPAM.Config}}", self.name))
        return [*seen, output_of("iptables", "-w", "-S", self.name)] if self.has_rule else seen

    def remove(self) -> None:
        subprocess.run(["docker", "rm", "-f", self.name], capture_output=True, check=False)
        subprocess.run(["docker", "network", "rm", self.name], capture_output=True, check=False)
        if self.has_rule:
            subprocess.run(["iptables", "-w", "-F", self.name], capture_output=True, check=False)
            subprocess.run(["iptables", "-w", "-X", self.name], capture_output=True, check=False)


@pytest.fixture
def bystander() -> Iterator[Bystander]:
    somebody = Bystander()
    try:
        yield somebody
    finally:
        somebody.remove()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The example, as a user has it: anywhere."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "my shop"))


def run(testbed: Testbed, project: Path) -> Outcome:
    runs = project.parent / "runs"
    return testbed("run", project / "shop-kill.scenario.yaml", "--runs", runs, "--output", "json")


def assert_tshark_counts_the_same(outcome: Outcome) -> None:
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed; it is one of the judges (apt-get install tshark)")
    verdicts = {row["check"]: row["figures"] for row in outcome.verdicts["http"]}
    history = [json.loads(line) for line in (outcome.run / "history.jsonl").read_text().splitlines()]
    instants = {event["name"]: event for event in history}
    since_s, until_s = instants["FaultConfirmed"]["began_s"], instants["FaultHealed"]["began_s"]
    capture = outcome.run / "captures" / "client.pcap"
    asked = f"http.request && frame.time_epoch >= {since_s:.6f} && frame.time_epoch < {until_s:.6f}"
    seen = output_of("tshark", "-n", "-r", str(capture), "-Y", asked, "-T", "fields", "-e", "frame.number")
    # A request that the fault overtook began before it.
    assert 0 <= verdicts["http during client->slb"]["requests"] - len(seen.split()) <= 1


def test_a_shop_behind_its_own_slb_survives_and_so_do_bystanders(
    testbed: Testbed, project: Path, bystander: Bystander, clean: None
):
    before = bystander.state()
    outcome = run(testbed, project)
    assert outcome.status == 0, describe(outcome)
    assert bystander.state() == before
    recovered = outcome.verdicts["recovered"][0]
    assert recovered["figures"]["hops"] == 3
    versions = json.loads((outcome.run / "versions.json").read_text())
    assert {"shop-1", "shop-2", "slb"} <= set(versions["under_test"])
    assert_tshark_counts_the_same(outcome)


def test_a_broken_haproxy_cfg_of_the_users_makes_exit_1(testbed: Testbed, project: Path, clean: None):
    shutil.copy(HERE / "mutants" / "shop-without-standby" / "haproxy.cfg", project / "haproxy" / "haproxy.cfg")
    outcome = run(testbed, project)
    assert outcome.status == 1, describe(outcome)
    verdicts = {row["check"]: row["status"] for row in outcome.json}
    assert verdicts["http during client->slb"] == "FAIL"
    assert verdicts["http during at shop-2 /"] == "FAIL"
    assert {verdicts["steady"], verdicts["recovered"], verdicts["http after client->slb"]} == {"PASS"}


@pytest.mark.nightly
def test_a_shop_that_never_opens_is_inconclusive(testbed: Testbed, project: Path, clean: None):
    (project / "pages" / "health.txt").unlink()
    outcome = run(testbed, project)
    assert outcome.status in (1, 3), describe(outcome)
    assert outcome.verdicts["steady"][0]["status"] == "INCONCLUSIVE"
