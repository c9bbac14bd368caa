"""What the kernel under the engine can do for faults, asked of it in a container of the NIC image."""

from __future__ import annotations

from testbed.engine.client import connect
from testbed.image import repository

_PROBES = {
    "cut": "nft 'add table netdev t; add chain netdev t c { type filter hook ingress device lo priority 0; };"
    " add chain netdev t d { type filter hook egress device lo priority 0; }'",
    "delay": "tc qdisc add dev lo root netem delay 1ms",
    "queue": "iptables -A OUTPUT -p tcp --dport 9 -j NFQUEUE --queue-num 9",
    "rate": "tc qdisc replace dev lo root tbf rate 1mbit burst 32k latency 50ms",
    "remark": "nft 'add table ip t; add chain ip t o { type filter hook output priority 0; }; add rule ip t o ip dscp set af31'",
}


def kernel_features() -> list[tuple[str, str]]:
    """(name, what) for each feature that faults use; informative, since missing ones have a substitute or only one fault."""
    works = _probe()
    return [
        (
            "cut",
            "nft netdev ingress and egress" if "cut" in works else "missing: nft netdev hooks; links cannot be cut",
        ),
        ("impairment", _impairment(works)),
        ("rate", "tc tbf" if "rate" in works else "missing: tc tbf; links cannot be slowed down"),
        (
            "remarking",
            "nft dscp set" if "remark" in works else "missing: nft dscp set; marks cannot be changed in flight",
        ),
    ]


def _impairment(works: set[str]) -> str:
    if "delay" in works:
        return "netem (delay, jitter, loss, duplicate, reorder)"
    if "queue" in works:
        return "this kernel has no netem: delay, jitter, loss, duplicate, reorder go through NFQUEUE"
    return "missing: neither netem nor NFQUEUE; links can be cut but not impaired"


def _probe() -> set[str]:
    script = "; ".join(f"({command}) >/dev/null 2>&1 && echo {name}" for name, command in _PROBES.items()) + "; true"
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
    return set(printed.decode().split())
