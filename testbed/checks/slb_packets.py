"""Redirection on the wire: what the SLB asked the standby, and when, in the captures at the SLB."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np

from testbed.checks.capture import captures
from testbed.checks.episodes import Episode
from testbed.checks.facts import MAX_EVIDENCE
from testbed.packets import Packets
from testbed.packets.classes import class_mask, hop_mask
from testbed.recording import Run
from testbed.topology import Role
from testbed.verdict import Evidence


@dataclass(frozen=True, kw_only=True, slots=True)
class StandbyRequests:
    """``early``: requests to the standby before the fault. ``shown``: the first one since, and its answer. ``doubt``: why the
    packets do not bear out what the phones say; empty where they do, and where nothing was captured at an SLB."""

    early: tuple[Evidence, ...] = ()
    shown: tuple[Evidence, ...] = ()
    doubt: str = ""


def standby_requests(run: Run, episode: Episode, standby: str, urls: Collection[str], method: str) -> StandbyRequests:
    """Requests for these URLs only: the SLB's own health checks ask the standby all the time."""
    doubts = []
    for host, packets, asked in _requests(run, standby, urls, method):
        early = [i for i in asked if episode.since_s <= packets.time_s[i] < episode.began_s]
        if early:
            text = f"{host} asked {standby} before the fault"
            return StandbyRequests(early=tuple(_proof(packets, i, text) for i in early[:MAX_EVIDENCE]))
        meanwhile = [i for i in asked if episode.began_s <= packets.time_s[i] < episode.until_s]
        if shown := _first_answered(host, packets, meanwhile, standby):
            return StandbyRequests(shown=shown)
        doubts.append(f"the capture at {host} shows no request that {standby} answered")
    return StandbyRequests(doubt="; ".join(doubts))


def requests_since(run: Run, since_s: float, server: str, urls: Collection[str], method: str) -> StandbyRequests:
    """The first request that an SLB asked of this server since then and that was answered."""
    doubts = []
    for host, packets, asked in _requests(run, server, urls, method):
        if shown := _first_answered(host, packets, [i for i in asked if packets.time_s[i] >= since_s], server):
            return StandbyRequests(shown=shown)
        doubts.append(f"the capture at {host} shows no request that {server} answered since")
    return StandbyRequests(doubt="; ".join(doubts))


def _requests(run: Run, server: str, urls: Collection[str], method: str) -> Iterator[tuple[str, Packets, list[int]]]:
    """Captures at SLBs: the host, its packets, and which of them ask this server for one of these URLs."""
    balancers = run.topology.with_role(Role.SLB)
    starts = tuple(f"{method} {target} ".encode(errors="replace") for url in urls for target in (_target(url),))
    for host, packets in captures(run).items():
        if host in {balancer.name for balancer in balancers}:
            mask = class_mask(packets, "http", "up") & hop_mask(packets, balancers, [run.topology.host(server)])
            yield host, packets, [i for i in np.flatnonzero(mask).tolist() if packets.payload(i).startswith(starts)]


def _first_answered(host: str, packets: Packets, asked: Sequence[int], server: str) -> tuple[Evidence, ...]:
    answered = next(((i, j) for i in asked if (j := _answer(packets, i)) is not None), None)
    if answered is None:
        return ()
    request, answer = answered
    return _proof(packets, request, f"{host} asks {server}"), _proof(packets, answer, f"{server} answers")


def _target(url: str) -> str:
    """What a request line names: path and query."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _answer(packets: Packets, request: int) -> int | None:
    """The first packet of the response on the request's own connection."""
    back = (
        (packets.src == packets.dst[request])
        & (packets.dst == packets.src[request])
        & (packets.sport == packets.dport[request])
        & (packets.dport == packets.sport[request])
        & (packets.payload_len > 0)
    )
    later = np.flatnonzero(back[request:])
    answer = request + int(later[0]) if len(later) else None
    return answer if answer is not None and packets.payload(answer).startswith(b"HTTP/") else None


def _proof(packets: Packets, index: int, text: str) -> Evidence:
    return Evidence(text=text, capture=packets.file, frame=int(packets.frame[index]))
