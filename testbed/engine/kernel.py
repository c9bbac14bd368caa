"""What the kernel under the engine can do for faults, asked of it in a container of the NIC image."""

from __future__ import annotations

import json

from testbed.engine.client import connect
from testbed.image import repository

_PROBES = {
    "cut": "nft 'add table netdev t; add chain netdev t c { type filter hook ingress device lo priority 0; };"
    " add chain netdev t d { type filter hook egress device lo priority 0; }'",
    "remark": "nft 'add table ip t; add chain ip t o { type filter hook output priority 0; }; add rule ip t o ip dscp set af31'",
}
_FEATURES = "python3 -m testbed.roles.features"
"""What a NIC answers when a fault asks what the kernel can do: the same here, so that doctor says what a run will use."""


def kernel_features() -> list[tuple[str, str]]:
    """(name, what) for each feature that faults use; informative, since missing ones have a substitute or only one fault."""
    works = _probe()
    return [
        (
            "cut",
            "nft netdev ingress and egress" if "cut" in works else "missing: nft netdev hooks; links cannot be cut",
        ),
        ("impairment", impairment_means(works)),
        (
            "remarking",
            "nft dscp set" if "remark" in works else "missing: nft dscp set; marks cannot be changed in flight",
        ),
    ]


def impairment_means(works: set[str]) -> str:
    """By what delay, jitter, loss, rate, duplicate, reorder and corrupt are done here, out of a host and into it."""
    means = {way: _means(works, f"netem-{way}") for way in ("out", "in")}
    missing = [way for way, found in means.items() if not found]
    if len(missing) == len(means):
        return "missing: neither netem nor NFQUEUE; links can be cut but not impaired"
    if missing:
        return f"netem, but missing {missing[0]} of a host: neither netem with {_BESIDES[missing[0]]} nor NFQUEUE"
    if means["out"] == means["in"]:
        return f"{means['out']} (delay, jitter, loss, rate, duplicate, reorder, corrupt)"
    return f"out of a host {means['out']}, into it {means['in']}"


_BESIDES = {"out": "prio", "in": "ifb"}


def _means(works: set[str], netem: str) -> str:
    if netem in works:
        return "netem"
    return "NFQUEUE and a process of ours, as this kernel lacks netem or what it takes" if "nfqueue" in works else ""


def _probe() -> set[str]:
    script = "; ".join(f"({command}) >/dev/null 2>&1 && echo {name}" for name, command in _PROBES.items())
    script += f"; {_FEATURES} 2>/dev/null; true"
    client = connect()
    try:
        printed = client.containers.run(
            f"{repository('nic')}:latest",
            entrypoint=["sh", "-c", script],
            command=[],
            network_mode="none",
            cap_drop=["ALL"],
            cap_add=["NET_ADMIN", "NET_RAW"],
            security_opt=["no-new-privileges"],
            read_only=True,
            tmpfs={"/run": ""},
            remove=True,
        )
    finally:
        client.close()
    return words_of(printed.decode())


def words_of(printed: str) -> set[str]:
    """The words of the probe: one a line, and the NIC's own answer, a JSON list. Where that is missing the image is an old one."""
    words: set[str] = set()
    for line in printed.splitlines():
        words |= set(json.loads(line)) if line.startswith("[") else {line.strip()}
    return words
