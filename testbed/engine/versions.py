"""What a run was made with: test-bed, engine, compose, kernel, images and which hosts ran the user's own."""

from __future__ import annotations

import platform
from typing import Any

from testbed import __version__
from testbed.engine.client import connect, engine_info, find_compose
from testbed.topology import Topology


def collect(topology: Topology) -> dict[str, Any]:
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
        "images": {host.name: host.image for host in topology.hosts},
        "under_test": [host.name for host in topology.hosts if not host.ours],
    }
