"""The few netlink messages that no command sends for us: a rule that hands packets to a queue, and what the kernel knows how to do.

nft cannot write the rule where the kernel lacks nft's own ``queue`` statement, and iptables-nft can, but only into tables with fixed
names that others use too. So the table, its chains and their conditions are nft's, under the fault's own name, and this one rule is
ours: the xtables target NFQUEUE inside nftables, as iptables-nft writes it (linux/netfilter/nf_tables.h, nf_tables_compat.h,
xt_NFQUEUE.h).
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable

NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
REQUEST, ACK, DUMP = 0x001, 0x004, 0x300
EXCL, CREATE, APPEND = 0x200, 0x400, 0x800
NESTED = 0x8000
ERROR, BATCH_BEGIN, BATCH_END = 0x02, 0x10, 0x11

NFTABLES, NFT_COMPAT = 10 << 8, 11 << 8
NEW_RULE, DELETE_RULE = NFTABLES | 6, NFTABLES | 8
COMPAT_GET = NFT_COMPAT | 0
NEW_LINK, NEW_QDISC = 16, 36

NFQUEUE_REVISION = 3
NFQUEUE_BYPASS = 1
"""With nobody at the queue, packets pass."""

REPLY_TIMEOUT_S = 2.0


def attribute(kind: int, data: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def text(kind: int, value: str) -> bytes:
    """An attribute that is a string."""
    return attribute(kind, value.encode() + b"\0")


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute that holds others."""
    return attribute(kind | NESTED, b"".join(attributes))


def message(kind: int, flags: int, body: bytes, number: int = 1) -> bytes:
    """One message; ``number`` comes back in what answers it."""
    return struct.pack("=LHHLL", 16 + len(body), kind, REQUEST | flags, number, 0) + body


def netfilter(resource: int = 0, family: int = socket.AF_INET) -> bytes:
    """What every message of netfilter begins with: family, version, resource (big-endian)."""
    return struct.pack("=BB", family, 0) + struct.pack(">H", resource)


def ask(protocol: int, messages: Iterable[bytes], number: int = 1) -> int:
    """Send these; the error (positive, 0 for none) that answers message ``number``."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as sock:
        sock.bind((0, 0))
        sock.settimeout(REPLY_TIMEOUT_S)
        sock.send(b"".join(messages))
        while True:
            reply = sock.recv(65536)
            while len(reply) >= 16:
                length, kind, _, answered, _ = struct.unpack_from("=LHHLL", reply)
                if answered == number:
                    return -int(struct.unpack_from("=i", reply, 16)[0]) if kind == ERROR else 0
                reply = reply[max(16, length + (-length % 4)) :]


def _batch(body: bytes) -> list[bytes]:
    """A transaction of nftables around one message, which is number 1."""
    return [
        message(BATCH_BEGIN, 0, netfilter(10, 0), 0),
        body,
        message(BATCH_END, 0, netfilter(10, 0), 2),
    ]


def _refuse(error: int, what: str) -> None:
    if error:
        raise RuntimeError(f"{what}: {errno.errorcode.get(error, error)}")


def add_queue_rule(table: str, chain: str, queue: int) -> None:
    """Every packet that comes into this chain (family ip) goes to this queue, or passes where nobody is at it. RuntimeError."""
    info = struct.pack("=HHHxx", queue, 1, NFQUEUE_BYPASS)
    target = (text(1, "NFQUEUE"), attribute(2, struct.pack(">L", NFQUEUE_REVISION)), attribute(3, info))
    expression = nested(1, text(1, "target"), nested(2, *target))
    body = netfilter() + text(1, table) + text(2, chain) + nested(4, expression)
    _refuse(ask(NETLINK_NETFILTER, _batch(message(NEW_RULE, ACK | CREATE | APPEND, body))), f"rule in {table} {chain}")


def remove_rules(table: str, chain: str) -> None:
    """Empty this chain (family ip); one that is gone already counts as empty. RuntimeError."""
    error = ask(NETLINK_NETFILTER, _batch(message(DELETE_RULE, ACK, netfilter() + text(1, table) + text(2, chain))))
    _refuse(0 if error == errno.ENOENT else error, f"rules of {table} {chain}")


def knows_queue_target() -> bool:
    """Whether add_queue_rule can work: asks for the target's revision and changes nothing."""
    revision, is_target = struct.pack(">L", NFQUEUE_REVISION), struct.pack(">L", 1)
    body = netfilter() + text(1, "NFQUEUE") + attribute(2, revision) + attribute(3, is_target)
    return ask(NETLINK_NETFILTER, [message(COMPAT_GET, ACK, body)]) == 0


def knows_qdisc(kind: str) -> bool:
    """Whether the kernel has this queueing discipline: asks for one on loopback without its parameters, which those that
    need parameters (netem, tbf, prio) refuse with EINVAL before anything is changed; an unknown kind is another error."""
    body = struct.pack("=BxxxiLLL", 0, 1, 0, 0xFFFFFFFF, 0) + text(1, kind)
    return ask(NETLINK_ROUTE, [message(NEW_QDISC, ACK | CREATE | EXCL, body)]) == errno.EINVAL


def knows_link(kind: str) -> bool:
    """Whether the kernel has this kind of virtual link: asks for one whose hardware address is three bytes long, which is
    refused with EINVAL before anything is made; an unknown kind is another error."""
    body = struct.pack("=BxHiLL", 0, 0, 0, 0, 0) + attribute(1, b"\2\0\0") + nested(18, text(1, kind))
    return ask(NETLINK_ROUTE, [message(NEW_LINK, ACK | CREATE | EXCL, body)]) == errno.EINVAL
