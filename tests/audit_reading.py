"""Captures made by hand, surveyed: what the tests of testbed.audit share."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from recordings import Wire

from testbed.audit.flows import CAUSE_WORDS, WAY_WORDS, Flows, Traffic
from testbed.audit.survey import Survey, Surveyor
from testbed.packets.file import CaptureFile
from testbed.policy import Policy, policy


def capture(data: bytes, *, block_bytes: int = 1 << 20, file: str = "x.pcap") -> CaptureFile:
    """These bytes as a file."""
    stream: Any = io.BytesIO(data)
    return CaptureFile(stream, file=file, block_bytes=block_bytes)


def surveyor_of(
    wires: Wire | bytes | Iterable[Wire], chosen: Policy | None = None, *, block_bytes: int = 1 << 20
) -> Surveyor:
    """Has read these captures in this order."""
    surveyor = Surveyor(chosen)
    for wire in [wires] if isinstance(wires, Wire | bytes) else wires:
        data = wire if isinstance(wire, bytes) else wire.pcap()
        surveyor.read(capture(data, block_bytes=block_bytes))
    return surveyor


def surveyed(wire: Wire | bytes, chosen: Policy | str | None = None, *, block_bytes: int = 1 << 20) -> Survey:
    """What this capture holds."""
    named = policy(chosen) if isinstance(chosen, str) else chosen
    return surveyor_of(wire, named, block_bytes=block_bytes).survey()


def words(flows: Flows) -> list[str]:
    """Of each lane its class, way and cause."""
    columns = zip(flows.traffic.tolist(), flows.way.tolist(), flows.cause.tolist(), strict=True)
    return [" ".join(filter(None, (Traffic(a).word, WAY_WORDS[b], CAUSE_WORDS[c]))) for a, b, c in columns]


def packets_by_group(survey: Survey) -> dict[str, int]:
    """``{"rtp call-control": 12}``."""
    return {" ".join(filter(None, (one.traffic, one.way, one.cause))): one.summary.packets for one in survey.groups}
