"""How long connections take to be made, from the first SYN to its answer, as the client's capture shows it."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from testbed.checks.base import CheckKind, Params
from testbed.checks.capture import captures
from testbed.checks.facts import first, judged_span, quantiles
from testbed.checks.marking import hosts_named
from testbed.duration import PositiveDuration, parse_duration
from testbed.packets import Packets
from testbed.packets.classes import hop_mask
from testbed.packets.tcp import Connection, connections
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict


class HandshakesParams(Params):
    """Every connection over ``hop`` (``client->slb``) is made ``within`` this time."""

    hop: str = Field(pattern=r"^[^\s>]+ ?-> ?[^\s>]+$")
    within: PositiveDuration = parse_duration("100ms")


def judge_handshakes(run: Run, params: HandshakesParams) -> Verdict:
    """Pure: a run folder in, a verdict out. Nothing seen is INCONCLUSIVE, never PASS."""
    source, _, destination = params.hop.partition("->")
    clients, servers = hosts_named(run.topology, source.strip()), hosts_named(run.topology, destination.strip())
    since_s, until_s = judged_span(run)
    took: list[float] = []
    late: list[Evidence] = []
    for host, packets in captures(run).items():
        if host not in {client.name for client in clients}:
            continue
        mask = hop_mask(packets, clients, servers) | hop_mask(packets, servers, clients)
        for connection in connections(packets, mask):
            begun = connection.up.syn
            if begun is None or not since_s <= begun.time_s < until_s:
                continue
            took.append(_took_s(connection, packets))
            if took[-1] > params.within.seconds(run.profile):
                text = f"{host}: a connection took {took[-1]:.3f} s" + (
                    "" if connection.down.syn else " and was not made"
                )
                late.append(Evidence(text=text, capture=packets.file, frame=begun.frame))
    figures = {"connections": float(len(took)), "late": float(len(late)), **quantiles("handshake", took)}
    check = f"handshakes {params.hop}"
    if not took:
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary="no connection was seen", figures=figures)
    if late:
        summary = f"{len(late)} of {len(took)} connections took longer than {params.within}"
        return Verdict(check=check, status=Status.FAIL, summary=summary, evidence=first(late), figures=figures)
    summary = f"{len(took)} connections, the slowest made in {max(took):.4f} s"
    return Verdict(check=check, status=Status.PASS, summary=summary, figures=figures)


def _took_s(connection: Connection, packets: Packets) -> float:
    """One that was not made took until the capture ended."""
    assert connection.up.syn is not None
    answered = connection.down.syn
    return (answered.time_s if answered else float(np.max(packets.time_s))) - connection.up.syn.time_s


HANDSHAKES = CheckKind(
    name="handshakes",
    params=HandshakesParams,
    judge=judge_handshakes,
    help="every TCP connection over a hop is made in time",
    rests_on_packets=True,
)
