"""Checks a scenario or a compose file without Docker."""

from __future__ import annotations

from pathlib import Path

from testbed.address_block import FIGURE, AddressBlock
from testbed.document import read_document
from testbed.scenario import load_scenario
from testbed.topology import topology_of

COMPOSE_KEYS = {"services", "networks", "volumes"}


def validate_file(file: str) -> str:
    """One line saying that the file is good; ScenarioError or UsageError otherwise. A bare name is a built-in scenario."""
    path = Path(file)
    if not path.suffix:
        loaded = load_scenario(file)
    else:
        document = read_document(path)
        if isinstance(document.value, dict) and COMPOSE_KEYS & set(document.value) and "scenario" not in document.value:
            topology = topology_of(
                document.value,
                bed="validate",
                prefix=AddressBlock(FIGURE).cidr,
                profile="quick",
                phones=0,
                files=(file,),
            )
            return f"{file}: compose file with {len(topology.hosts)} hosts: " + ", ".join(
                h.name for h in topology.hosts
            )
        loaded = load_scenario(path)
    loaded.bed_files()
    scenario = loaded.scenario
    return f"{file}: scenario {scenario.scenario}, {len(scenario.steps)} steps, {len(scenario.expect)} expectations"
