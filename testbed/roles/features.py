"""Which features of the kernel the faults of this NIC may use. ``python3 -m testbed.roles.features`` prints them as JSON.

Asked of the kernel in 3 ms, without adding or changing anything: a NIC's traffic goes on meanwhile.
"""

from __future__ import annotations

import json
from functools import cache

from testbed.roles.netlink import knows_link, knows_qdisc, knows_queue_target

QDISCS = ("netem", "prio", "tbf")
LINKS = ("ifb",)
NEEDED = {"netem-out": ("netem", "prio"), "netem-in": ("netem", "ifb")}
"""What the two uses of netem take: out of a host by a class of its own, into it through a link of its own."""


@cache
def features() -> list[str]:
    """Words that ``InNic.needs`` may name: ``netem-out``, ``netem-in``, ``nfqueue``, and kinds of qdiscs and links."""
    found = [kind for kind in QDISCS if knows_qdisc(kind)] + [kind for kind in LINKS if knows_link(kind)]
    found += [use for use, kinds in NEEDED.items() if set(kinds) <= set(found)]
    return found + (["nfqueue"] if _has_queues() else [])


def _has_queues() -> bool:
    """The target, and a queue that can be opened; the library stays loaded for who needs it next."""
    if not knows_queue_target():
        return False
    try:
        from netfilterqueue import NetfilterQueue  # type: ignore[import-not-found]

        NetfilterQueue()
    except (ImportError, OSError):
        return False
    return True


if __name__ == "__main__":
    print(json.dumps(features()))
