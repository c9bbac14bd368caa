"""A NIC's network namespace: commands in it, its interfaces, and its state as text to compare before and after a fault."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from typing import Any

COMMAND_TIMEOUT_S = 10

MARK = "testbed_"
QDISC_HANDLE = "7e57:"
"""As in testbed.faults.base: tables, chains and comments of ours begin with the one, queueing disciplines have the other."""


def run(argv: list[str], text: str | None = None) -> str:
    """Run a command; its output, or RuntimeError with what it printed."""
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip() or f'exit status {done.returncode}'}"
        )
    return done.stdout


def interfaces() -> list[tuple[str, ipaddress.IPv4Interface]]:
    """Name and address of every interface but loopback."""
    found = []
    for record in json.loads(run(["ip", "-j", "-4", "address", "show"])):
        if record["ifname"] != "lo":
            found += [
                (record["ifname"], ipaddress.IPv4Interface(f"{a['local']}/{a['prefixlen']}"))
                for a in record["addr_info"]
            ]
    return found


def device_of(address: str) -> str:
    """Interface that has this address, or whose subnet holds it: interfaces are named by address, never ``eth0`` by habit."""
    wanted = ipaddress.IPv4Address(address)
    candidates = interfaces()
    for name, interface in candidates:
        if interface.ip == wanted:
            return name
    for name, interface in candidates:
        if interface.network.prefixlen < 32 and wanted in interface.network:
            return name
    raise RuntimeError(f"no interface for {address}; there are " + ", ".join(f"{name} {i}" for name, i in candidates))


def snapshot() -> frozenset[str]:
    """What a fault could leave behind, a line each: rules, queueing disciplines, links, addresses, routes. Without what carries our
    mark (other faults may be held), and without counters, handles and life times, which change by themselves."""
    lines = {f"nft {line}" for line in _rules() if MARK not in line}
    for what, argv in (
        ("qdisc", ["tc", "-j", "qdisc", "show"]),
        ("link", ["ip", "-j", "link", "show"]),
        ("address", ["ip", "-j", "-4", "address", "show"]),
        ("route", ["ip", "-j", "-4", "route", "show", "table", "all"]),
    ):
        for record in json.loads(run(argv) or "[]"):
            line = f"{what} {_plain(record)}"
            if QDISC_HANDLE not in line and MARK not in line:
                lines.add(line)
    return frozenset(lines)


def snapshot_difference(before: frozenset[str], after: frozenset[str]) -> list[str]:
    """What is there now and was not, and what was there and is not any more."""
    return [f"left: {line}" for line in sorted(after - before)] + [f"lost: {line}" for line in sorted(before - after)]


def marked(fault_id: str) -> list[str]:
    """Rules that still carry the mark of this fault."""
    mark = MARK + fault_id.replace("-", "_")
    return [f"left: nft {line}" for line in _rules() if mark in line]


def _rules() -> list[str]:
    return [_plain(item) for item in json.loads(run(["nft", "-j", "list", "ruleset"]))["nftables"]]


_CHANGING = {"handle", "packets", "bytes", "counter", "refcnt", "ifindex", "operstate", "metainfo", "valid_life_time"}
_CHANGING |= {"preferred_life_time", "flags", "index"}


def _plain(value: Any) -> str:
    """As JSON, in order, without what changes by itself. A link's flags are kept as whether it is up."""
    return json.dumps(_kept(value), sort_keys=True)


def _kept(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _kept(item) for key, item in value.items() if key not in _CHANGING}
        if "ifname" in value and "flags" in value:
            kept["up"] = "UP" in value["flags"]
        return kept
    return [_kept(item) for item in value] if isinstance(value, list) else value
