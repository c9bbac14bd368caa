"""A host's link to its network as a narrow one: so many bits a second, and what has to wait is queued by its mark.

The classes are those of Table 11-4: voice (EF) goes first, signalling (AF31, and CS3 as later guides have it) next, all else last; each
may use what the others leave. A device that trusts no marks is ``fifo``: one queue for all.
"""

from __future__ import annotations

HANDLE = "7e60:"
"""Not the handle of faults: it belongs to the bed, and no fault takes it away."""
VOICE_SHARE, SIGNALLING_SHARE = 0.33, 0.05
"""Of the rate, kept for them: the guide's bandwidth chapters give voice a third of a link at most."""
VOICE_PACKETS, SIGNALLING_PACKETS, OTHER_PACKETS = 100, 100, 60
"""What each queue holds; 60 full packets are 0.36 s at 2 Mbit/s, as such routers have it."""
EF_TOS, AF31_TOS, CS3_TOS = 0xB8, 0x68, 0x60
_DSCP_MASK = 0xFC


def batch(device: str, bit_s: int, queues: str) -> str:
    """Input of ``tc -b`` that makes it so, where no queueing discipline is yet."""
    if queues == "fifo":
        shares = [(30, 1.0, 0, OTHER_PACKETS)]
    else:
        rest = 1 - VOICE_SHARE - SIGNALLING_SHARE
        shares = [
            (10, VOICE_SHARE, 0, VOICE_PACKETS),
            (20, SIGNALLING_SHARE, 1, SIGNALLING_PACKETS),
            (30, rest, 2, OTHER_PACKETS),
        ]
    lines = [
        f"qdisc add dev {device} root handle {HANDLE} htb default 30",
        f"class add dev {device} parent {HANDLE} classid {HANDLE}1 htb rate {bit_s}bit ceil {bit_s}bit burst 1600 cburst 1600",
    ]
    for number, share, priority, packets in shares:
        lines += [
            f"class add dev {device} parent {HANDLE}1 classid {HANDLE}{number} htb"
            f" rate {round(bit_s * share)}bit ceil {bit_s}bit prio {priority} burst 1600 cburst 1600 quantum 1514",
            f"qdisc add dev {device} parent {HANDLE}{number} handle 7e{60 + number}: pfifo limit {packets}",
        ]
    if queues == "dscp":
        for place, (tos, number) in enumerate(((EF_TOS, 10), (AF31_TOS, 20), (CS3_TOS, 20)), start=1):
            lines.append(
                f"filter add dev {device} parent {HANDLE} protocol ip prio {place} u32"
                f" match ip dsfield {tos:#x} {_DSCP_MASK:#x} flowid {HANDLE}{number}"
            )
    return "\n".join(lines) + "\n"
