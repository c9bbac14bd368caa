"""What a run was made with: test-bed, engine, compose, kernel, images and which hosts ran the user's own."""

from __future__ import annotations

import platform
from typing import Any, Protocol

from testbed import __version__
from testbed.engine import containers
from testbed.engine.client import connect, engine_info, find_compose
from testbed.topology import Topology


class HasTopology(Protocol):
    """A bed, as far as this needs one."""

    @property
    def topology(self) -> Topology: ...


def collect(bed: HasTopology) -> dict[str, Any]:
    """What ``versions.json`` holds."""
    client = connect()
    try:
        engine = engine_info(client)
    finally:
        client.close()
    return {
        "testbed": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "engine": {"version": engine.version, "api": engine.api},
        "compose": find_compose().version,
        "images": {c.host: f"{c.image} {c.image_id}" for c in containers.containers(bed.topology.bed) if not c.is_nic},
        "under_test": [host.name for host in bed.topology.hosts if not host.ours],
    }
