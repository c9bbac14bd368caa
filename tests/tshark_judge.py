"""tshark as the judge of what we read: one row of fields for each frame of a file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from testbed.packets import TCP, UDP, Packets
from testbed.packets.file import open_capture

FIELDS = ("frame.number", "frame.time_epoch", "frame.len", "frame.cap_len", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "ip.dsfield", "ipv6.tclass",
          "ip.proto", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "tcp.flags", "vlan.priority",
          "ieee8021ad.priority", "frame.protocols")  # fmt: skip
_NO_REASSEMBLY = ("ip.defragment:FALSE", "ipv6.defragment:FALSE", "tcp.desegment_tcp_streams:FALSE")


def fields(file: Path) -> list[dict[str, str]]:
    """FIELDS of every frame, the outermost where a frame has several."""
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    command = ["tshark", "-n", "-r", str(file), "-T", "fields", "-E", "occurrence=f"]
    command += [word for preference in _NO_REASSEMBLY for word in ("-o", preference)]
    command += [word for name in FIELDS for word in ("-e", name)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in output.splitlines()]


def number(text: str) -> int:
    """Of a field that may be absent."""
    return int(text or "0", 0)


def assert_agrees(file: Path) -> int:
    """Every field of every frame, as we read it, is tshark's; how many frames there were."""
    rows, place = fields(file), 0
    for packets in open_capture(file).blocks():
        for index in range(len(packets)):
            _compare(packets, index, rows[place])
            place += 1
    assert place == len(rows)
    return place


def _compare(packets: Packets, index: int, row: dict[str, str]) -> None:
    where = f"{packets.file} frame {packets.frame[index]}: {row}"
    assert int(row["frame.number"]) == packets.frame[index], where
    assert float(row["frame.time_epoch"]) == pytest.approx(packets.time_s[index], abs=2e-6), where
    captured = number(row["frame.cap_len"])
    assert int(row["frame.len"]) == packets.wire_len[index], where
    version = 4 if row["ip.dst"] else 6 if row["ipv6.dst"] else 0
    if packets.version[index] != version:
        # Of a header that was cut in its options tshark shows what there is.
        assert packets.version[index] == 0, where
        assert packets.wire_len[index] > captured, where
        return
    assert _cos(row) == packets.cos[index], where
    if not version:
        return
    assert packets.addresses(index) == (row["ip.src"] or row["ipv6.src"], row["ip.dst"] or row["ipv6.dst"]), where
    assert packets.tos[index] == number(row["ip.dsfield"] or row["ipv6.tclass"]), where
    if version == 4:
        assert packets.proto[index] == number(row["ip.proto"]), where
    if packets.proto[index] in (TCP, UDP):
        name = "tcp" if packets.proto[index] == TCP else "udp"
        assert packets.sport[index] == number(row[f"{name}.srcport"]), where
        assert packets.dport[index] == number(row[f"{name}.dstport"]), where
        if row["tcp.flags"] or packets.wire_len[index] == captured:
            assert packets.tcp_flags[index] == number(row["tcp.flags"]) & 0xFF, where


def _cos(row: dict[str, str]) -> int:
    """Of the outermost tag; 255 without one."""
    layers = row["frame.protocols"].split(":")
    outermost = next((layer for layer in layers if layer in ("vlan", "ieee8021ad")), "")
    return number(row[f"{outermost}.priority"]) if outermost and row[f"{outermost}.priority"] else 255


def marks_by_class(rows: list[dict[str, str]]) -> dict[tuple[str, int], int]:
    """Packets by class and code point, counted from tshark's rows by the ports of the classes alone: TCP 2000; TCP 80 and 8080."""
    counts: dict[tuple[str, int], int] = {}
    for row in rows:
        ports = {number(row["tcp.srcport"]), number(row["tcp.dstport"])} if row["tcp.srcport"] else set()
        traffic = "sccp" if 2000 in ports else "http" if ports & {80, 8080} else ""
        if traffic:
            key = (traffic, number(row["ip.dsfield"] or row["ipv6.tclass"]) >> 2)
            counts[key] = counts.get(key, 0) + 1
    return counts


def whole(file: Path) -> Packets:
    """The file as one block."""
    (packets,) = open_capture(file).blocks()
    return packets.only(np.ones(len(packets), np.bool_))


def skinny_ids(file: Path) -> list[int]:
    """The ids of all SCCP messages, in the order of the capture."""
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    command = ["tshark", "-n", "-r", str(file), "-Y", "skinny", "-T", "fields", "-e", "skinny.messageId"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [int(word) for line in output.splitlines() for word in line.split(",")]
