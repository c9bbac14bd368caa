"""How media arrive: every stream whole, at its pace, without a pause, as captured where it is received."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from testbed.checks.base import CheckKind, Params
from testbed.checks.capture import captures
from testbed.checks.facts import Seen, first, seen
from testbed.duration import PositiveDuration, parse_duration
from testbed.packets import Packets, address_text
from testbed.packets_class import owned
from testbed.packets_rtp import RtpStream, rtp_streams
from testbed.recording import Run
from testbed.rtp import PACKET_S
from testbed.verdict import Evidence, Status, Verdict

RATE_TOLERANCE = 0.01
"""Of 50 packets a second."""
RATE_SPAN_S = 2.0
"""A rate is judged of streams at least as long: two packets say nothing of a pace."""


class HeardParams(Params):
    """Every stream arrives with no pause longer than ``gap``, at 50 packets a second within 1 %, and at most ``lost`` packets are
    missing of all of them together."""

    gap: PositiveDuration = parse_duration("40ms")
    lost: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrived:
    """A stream as captured at its receiver's host. ``sent``: its packets where it was sent, None where that was not captured."""

    packets: Packets
    stream: RtpStream
    sent: int | None

    @property
    def lost(self) -> int:
        """What was sent and did not come; by its numbers alone where the sending was not captured."""
        return self.stream.lost if self.sent is None else self.sent - len(np.unique(self.stream.sequence))

    @property
    def longest(self) -> int:
        """Place in the stream of the packet that ended its longest pause."""
        return int(np.argmax(self.stream.gaps_s)) + 1 if len(self.stream) > 1 else 0

    @property
    def largest_gap_s(self) -> float:
        return float(self.stream.gaps_s.max()) if len(self.stream) > 1 else 0.0

    def evidence(self, text: str, place: int) -> Evidence:
        """The packet at this place of the stream."""
        frame = int(self.packets.frame[self.stream.index[place]])
        return Evidence(text=text, capture=self.packets.file, frame=frame)


def arrived(run: Run) -> list[Arrived]:
    """Every stream that was captured at a host of its receiver."""
    received: list[tuple[Packets, RtpStream]] = []
    sent: dict[tuple[int, int, int, int, int], int] = {}
    for host, packets in captures(run).items():
        streams = rtp_streams(packets)
        hosts = [run.topology.host(host)]
        comes = owned(np.array([stream.dst for stream in streams], np.uint32), hosts)
        leaves = owned(np.array([stream.src for stream in streams], np.uint32), hosts)
        for stream, is_here, is_own in zip(streams, comes, leaves, strict=True):
            if is_own:
                sent[_key(stream)] = len(np.unique(stream.sequence))
            elif is_here:
                received.append((packets, stream))
    return [Arrived(packets=packets, stream=stream, sent=sent.get(_key(stream))) for packets, stream in received]


def _key(stream: RtpStream) -> tuple[int, int, int, int, int]:
    return stream.src, stream.sport, stream.dst, stream.dport, stream.ssrc


def judge_heard(run: Run, params: HeardParams) -> Verdict:
    check = "heard"
    heard = arrived(run)
    figures = figures_of(heard)
    if not heard:
        summary = "no media stream was captured where it arrives"
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary=summary, figures=figures)
    gap_s = params.gap.seconds(run.topology.timers)
    pauses, excused = too_long(run, heard, gap_s)
    problems = [*pauses, *_off_pace(heard)]
    lost = sum(one.lost for one in heard)
    if lost > params.lost:
        worst = max(heard, key=lambda one: one.lost)
        text = f"{lost} packets are missing, {worst.lost} of them of {worst.stream}"
        problems.insert(0, worst.evidence(text, len(worst.stream) - 1))
    if problems:
        proof = first(problems)
        return Verdict(check=check, status=Status.FAIL, summary=proof[0].text, evidence=proof, figures=figures)
    if excused:
        proof = first(excused)
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary=proof[0].text, evidence=proof, figures=figures)
    longest = max(heard, key=lambda one: one.largest_gap_s)
    summary = (
        f"{len(heard)} streams, {sum(len(one.stream) for one in heard)} packets, {lost} lost, "
        f"longest pause {longest.largest_gap_s * 1000:.1f} ms"
    )
    proof = (longest.evidence(f"{longest.stream}: the longest pause ends here", longest.longest),)
    return Verdict(check=check, status=Status.PASS, summary=summary, evidence=proof, figures=figures)


def too_long(run: Run, heard: Sequence[Arrived], gap_s: float) -> tuple[list[Evidence], list[Evidence]]:
    """The longest pause of each stream that has one longer than this: those of which something is shown, and those that the machine
    made, since it let the sending process wait for a processor so long that without it the pause would not have been too long."""
    found: list[Evidence] = []
    excused: list[Evidence] = []
    for one in heard:
        gaps_s = one.stream.gaps_s
        places = np.flatnonzero(gaps_s > gap_s) + 1
        if not len(places):
            continue
        waits = _waits(run, one)
        own = [place for place in places.tolist() if gaps_s[place - 1] - _waited_s(one, place, waits) > gap_s]
        place = max(own or places.tolist(), key=lambda place: float(gaps_s[place - 1]))
        text = f"{one.stream}: a pause of {gaps_s[place - 1] * 1000:.1f} ms, more than {gap_s * 1000:g}"
        if own:
            found.append(one.evidence(text, place))
        else:
            waited_s = _waited_s(one, place, waits)
            text += f", of which its sender waited {waited_s * 1000:.1f} ms for a processor: the machine is too busy"
            excused.append(one.evidence(text, place))
    return found, excused


def _waits(run: Run, one: Arrived) -> list[Seen]:
    sender = run.topology.host_of(address_text(one.stream.src))
    return [event for event in seen(run, "MediaHeldUp") if event.event.host == sender]


def _waited_s(one: Arrived, place: int, waits: Sequence[Seen]) -> float:
    """How long the sender waited between this packet and the one before."""
    since_s, until_s = float(one.stream.time_s[place - 1]), float(one.stream.time_s[place])
    return sum(event["waited_s"] or 0.0 for event in waits if since_s <= event.time_s <= until_s + PACKET_S)


def _off_pace(heard: Sequence[Arrived]) -> list[Evidence]:
    found = []
    for one in heard:
        stream = one.stream
        span_s = float(stream.time_s[-1] - stream.time_s[0])
        rate = stream.lost / span_s + stream.packets_per_s if span_s else 0.0
        if span_s >= RATE_SPAN_S and abs(rate * PACKET_S - 1) > RATE_TOLERANCE:
            found.append(one.evidence(f"{stream}: {rate:.2f} packets a second, not 50", len(stream) - 1))
    return found


def figures_of(heard: Sequence[Arrived]) -> dict[str, float]:
    """Of all of them together."""
    long_ones = [one.stream for one in heard if one.stream.time_s[-1] - one.stream.time_s[0] >= RATE_SPAN_S]
    rates = [stream.packets_per_s for stream in long_ones]
    figures = {
        "streams": float(len(heard)),
        "packets": float(sum(len(one.stream) for one in heard)),
        "lost": float(sum(one.lost for one in heard)),
        "largest_gap_s": round(max((one.largest_gap_s for one in heard), default=0.0), 6),
        "mean_jitter_s": round(max((one.stream.jitter_s for one in heard), default=0.0), 6),
    }
    if rates:
        figures |= {"slowest_per_s": round(min(rates), 3), "fastest_per_s": round(max(rates), 3)}
    return figures


HEARD = CheckKind(
    name="heard",
    params=HeardParams,
    judge=judge_heard,
    help="media arrive whole, at 50 packets a second and without a pause",
)
