"""Anybody's compose project, without phones and without anything of ours in it but labels, gets faults, captures and verdicts."""

from __future__ import annotations

import json
from pathlib import Path

from driving import Testbed, describe

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
