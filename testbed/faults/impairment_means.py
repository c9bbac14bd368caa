"""How an impairment is done: by the kernel's netem, or by a process of ours at a queue. One act for each link and way, all at once.

Both pick the packets by rules in an nftables table of the fault's own name, after the rules of other link faults: what is cut or
remarked is so before it is delayed, or after, but never skipped.

netem, out: a class of our own at the device (prio, handle 7e57:), into which the rules put what is meant; everything else passes as
before. In: an intermediate device of our own (ifb), to which the rules forward what is meant and from which it comes back into the
host. A queueing discipline that is not the kernel's own choice is named and refused, never replaced.

nfqueue: the rules hand what is meant to ``testbed.roles.impairer``, after routing on the way out, before it on the way in.
"""

from __future__ import annotations

import hashlib
import json
import zlib

from testbed.faults.base import QDISC_HANDLE, Command, Either, InNic, Way, mark_of
from testbed.faults.impairment import Impairment
from testbed.faults.link import IPV4, matches
from testbed.faults.target import Place

CHAIN = "held"
COPY_MARK = 0x7E57
"""Firewall mark of the impairer's copies (testbed.roles.impairer)."""

_NETDEV = {"in": "ingress", "out": "egress"}
_IP = {"in": ("iifname", "prerouting", -300), "out": ("oifname", "postrouting", 300)}
"""Device, hook and priority: before connection tracking on the way in, after address translation on the way out."""

_AFTER_OTHERS = 100
"""Cuts and remarks are at 0."""

_PREPARE_CLASSES = """\
found=$(tc qdisc show dev "$1" root | grep -v " 0: ")
if [ -n "$found" ]; then
  echo "$1 has a queueing discipline already, and what is not ours is never replaced: $found" >&2
  exit 1
fi
cat "/sys/class/net/$1/tx_queue_len" > "/run/testbed-txqueuelen-$1"
"""
"""A device that has no queue gets one of 1000 packets with its first queueing discipline, and keeps it: what it had is noted."""

_REMOVE_CLASSES = f"""\
if tc qdisc show dev "$1" root | grep -q " {QDISC_HANDLE} "; then
  tc qdisc del dev "$1" root handle {QDISC_HANDLE} || exit 1
fi
noted="/run/testbed-txqueuelen-$1"
[ -e "$noted" ] || exit 0
ip link set dev "$1" txqueuelen "$(cat "$noted")" && rm "$noted"
"""
_REMOVE_LINK = """\
[ -e "/sys/class/net/$1" ] || exit 0
exec ip link del "$1"
"""
_LONGEST_DRAIN_S = 1.0
"""How long undoing waits for packets that netem still holds; deleting it loses them."""


def act(place: Place, way: Way, address: str, impairment: Impairment, fault_id: str) -> Either:
    """At the link of this address: netem where the kernel has it, or else our own process."""
    number = place.addresses.index(address)
    table = f"{mark_of(fault_id)}_{way}{number}"
    host = place.host.name
    netem = _netem_out if way == "out" else _netem_in
    return Either(
        options=(
            netem(host, address, impairment, table, matches(place, way, IPV4)),
            _nfqueue(host, address, impairment, table, way, matches(place, way, "")),
        )
    )


def _netem_out(host: str, address: str, impairment: Impairment, table: str, matched: list[str]) -> InNic:
    classes = (
        f"qdisc add dev {{device}} root handle {QDISC_HANDLE} prio bands 2 priomap{' 0' * 16}\n"
        # A container's device has no queue of its own, so pfifo's own default would be none.
        f"qdisc add dev {{device}} parent {QDISC_HANDLE}1 handle 7e58: pfifo limit 1000\n"
        f"qdisc add dev {{device}} parent {QDISC_HANDLE}2 handle 7e59: netem {impairment.netem()}\n"
    )
    rules = [f"{match} counter meta priority set {QDISC_HANDLE}2" for match in matched]
    return InNic(
        host=host,
        addresses=(address,),
        do=(
            Command(argv=("sh", "-s", "{device}"), input=_PREPARE_CLASSES),
            Command(argv=("tc", "-b", "-"), input=classes),
            Command(argv=("nft", "-f", "-"), input=_netdev_table(table, "out", rules)),
        ),
        undo=(
            Command(argv=("nft", "delete", "table", "netdev", table)),
            *_drained(impairment),
            Command(argv=("sh", "-s", "{device}"), input=_REMOVE_CLASSES),
        ),
        confirm=(Command(argv=("nft", "list", "table", "netdev", table)),),
        means="netem",
        needs="netem-out",
    )


def _netem_in(host: str, address: str, impairment: Impairment, table: str, matched: list[str]) -> InNic:
    link = link_name(table)
    rules = [f'{match} counter fwd to "{link}"' for match in matched]
    return InNic(
        host=host,
        addresses=(address,),
        do=(
            Command(argv=("ip", "link", "add", link, "type", "ifb")),
            Command(
                argv=("tc", "-b", "-"), input=f"qdisc add dev {link} root handle 7e57: netem {impairment.netem()}\n"
            ),
            Command(argv=("ip", "link", "set", link, "up")),
            Command(argv=("nft", "-f", "-"), input=_netdev_table(table, "in", rules)),
        ),
        undo=(
            Command(argv=("nft", "delete", "table", "netdev", table)),
            *_drained(impairment),
            Command(argv=("sh", "-s", link), input=_REMOVE_LINK),
        ),
        confirm=(Command(argv=("nft", "list", "table", "netdev", table)),),
        means="netem",
        needs="netem-in",
    )


def _nfqueue(host: str, address: str, impairment: Impairment, table: str, way: Way, matched: list[str]) -> InNic:
    device, hook, priority = _IP[way]
    condition = f"{device} {{ {{devices}} }} meta mark != {COPY_MARK:#x}"
    rules = "".join(f"    {' '.join([condition, *match.split()])} counter jump {CHAIN}\n" for match in matched)
    text = (
        f"table ip {table} {{\n"
        f"  chain {CHAIN} {{\n  }}\n"
        f"  chain {way}going {{\n"
        f"    type filter hook {hook} priority {priority}; policy accept;\n{rules}  }}\n"
        "}\n"
    )
    given = {"table": table, "chain": CHAIN, "seed": zlib.crc32(table.encode()), **impairment.parameters()}
    return InNic(
        host=host,
        addresses=(address,),
        do=(
            Command(argv=("nft", "-f", "-"), input=text),
            Command(argv=("python3", "-m", "testbed.roles.impairer", json.dumps(given)), background=True),
        ),
        undo=(Command(argv=("nft", "delete", "table", "ip", table)),),
        confirm=(Command(argv=("nft", "list", "table", "ip", table)),),
        means="nfqueue",
        needs="nfqueue",
    )


def link_name(table: str) -> str:
    """Of an intermediate device: our mark, and as much more as the kernel's 15 characters leave."""
    return "testbed_" + hashlib.sha256(table.encode()).hexdigest()[:7]


def _netdev_table(table: str, way: Way, rules: list[str]) -> str:
    hook = f"type filter hook {_NETDEV[way]} devices = {{ {{devices}} }} priority {_AFTER_OTHERS}; policy accept;"
    lines = "".join(f"    {line}\n" for line in (hook, *rules))
    return f"table netdev {table} {{\n  chain {_NETDEV[way]} {{\n{lines}  }}\n}}\n"


def _drained(impairment: Impairment) -> tuple[Command, ...]:
    """Nothing comes into netem any more; what is in it gets out before it is deleted."""
    wait_s = min(_LONGEST_DRAIN_S, impairment.longest_s * 1.1)
    return (Command(argv=("sleep", f"{wait_s:.3f}")),) if wait_s else ()
