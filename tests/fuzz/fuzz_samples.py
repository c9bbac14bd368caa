"""What fuzzing starts from, and what it does to it: captures made by the tests, with pieces changed, cut out, doubled and put in.

Captures of others are used where they are beside the checkout (see shared_data), and never copied.
"""

from __future__ import annotations

import gzip
import os
import struct
from functools import cache
from pathlib import Path

from capture_maker import Made
from hypothesis import strategies as st
from recordings import Connection, Wire, sccp

Change = tuple[str, float, int, bytes]
"""(what is done, where as a share of the length, a number, bytes)."""

WORDS = (0, 1, 4, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Where lengths and counters turn over."""
_PUSH = b"XML=%3CCiscoIPPhoneExecute%3E%3CExecuteItem+URL%3D%22RTPRx%3A10.0.1.2%22%2F%3E%3C%2FCiscoIPPhoneExecute%3E"


def story() -> bytes:
    """A call, a push and a configuration file: what audits look into."""
    wire = Wire()
    phone, call_control = ("10.0.0.1", 50_000), ("10.0.1.1", 2000)
    connection = Connection(wires=[wire], client=phone, server=call_control, client_tos=104, server_tos=104)
    connection.open(0.1)
    start = sccp(0x008A, struct.pack("<II4sI", 1, 2, bytes([10, 0, 0, 2]), 20_480) + bytes(100))
    for place, part in enumerate((start[:70], start[70:] + sccp(0))):
        connection.send(0.2 + place / 10, part, up=False)
    push = Connection(wires=[wire], client=("10.0.1.2", 40_000), server=("10.0.0.1", 80))
    head = b"POST /CGI/Execute HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(_PUSH)
    push.send(0.5, head + _PUSH, up=True)
    for place in range(10):
        packet = struct.pack(">BBHII", 0x80, 0, place, place * 160, 7) + bytes(160)
        wire.udp(1 + place / 50, ("10.0.0.1", 20_000), ("10.0.0.2", 20_480), packet, tos=184)
        outer = b"\x08" + bytes(7) + wire.frames[place][1]
        wire.udp(2 + place / 50, ("192.0.2.1", 55_000), ("192.0.2.2", 4789), outer)
    wire.udp(3.0, ("10.0.0.1", 40_000), ("10.0.1.3", 69), b"\x00\x01SEP\x00octet\x00")
    return wire.pcap()


@cache
def samples() -> tuple[bytes, ...]:
    """Captures of every kind."""
    made = [Made(seed, count=12).data for seed in range(40)]
    found = [story(), gzip.compress(story()), *made, b""]
    shared = Path(os.environ.get("TESTBED_SHARED", Path(__file__).parents[3] / "shared")) / "data"
    found += [file.read_bytes() for file in sorted(shared.glob("*.pcap*"))]
    return tuple(found)


def changed(data: bytes, changes: list[Change]) -> bytes:
    """One change after another."""
    kept = bytearray(data)
    for what, share, number, blob in changes:
        at = round(share * len(kept))
        length = number % 64
        if what == "byte" and kept:
            kept[min(at, len(kept) - 1)] = number & 0xFF
        elif what in ("little", "big"):
            kept[at : at + 4] = struct.pack("<I" if what == "little" else ">I", WORDS[number % len(WORDS)])
        elif what == "cut":
            del kept[at : at + length]
        elif what == "double":
            kept[at:at] = kept[at : at + length]
        elif what == "insert":
            kept[at:at] = blob
        elif what == "end":
            del kept[at:]
    return bytes(kept)


CHANGES = st.tuples(
    st.sampled_from(["byte", "byte", "little", "big", "cut", "double", "insert", "end"]),
    st.floats(0, 1),
    st.integers(0, 1 << 16),
    st.binary(max_size=40),
)


def captures() -> st.SearchStrategy[bytes]:
    """Samples with some changes."""
    return st.builds(changed, st.sampled_from(samples()), st.lists(CHANGES, max_size=10))
