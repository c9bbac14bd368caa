"""Blocks of addresses that are taken on this machine: Docker's networks and the host's own routes."""

from __future__ import annotations

import json
import subprocess

from testbed.engine import containers


def taken() -> list[str]:
    """CIDRs of all Docker networks and of all host routes but the default one."""
    return [*containers.subnets(), *host_routes()]


def host_routes() -> list[str]:
    """CIDRs the host's main table routes; empty where `ip` is missing (the engine's own check remains)."""
    try:
        done = subprocess.run(
            ["ip", "-j", "-4", "route", "show"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        routes = [str(route["dst"]) for route in json.loads(done.stdout)]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return []
    return [
        destination if "/" in destination else f"{destination}/32" for destination in routes if destination != "default"
    ]
