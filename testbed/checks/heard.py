"""How media arrive: every stream whole, at its pace, without a pause, as captured where it is received."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from testbed.checks.base import CheckKind, Params
from testbed.checks.call_events import not_connected, phone_calls
from testbed.checks.capture import captures
from testbed.checks.facts import FOREVER, Seen, first, seen
from testbed.checks.talk import cut_short
from testbed.duration import PositiveDuration, parse_duration
from testbed.packets import Packets, address_number, address_text
from testbed.packets.classes import owned
from testbed.packets.rtp import RtpStream, rtp_streams
from testbed.recording import Run
from testbed.rtp import PACKET_S
from testbed.verdict import Evidence, Status, Verdict

RATE_TOLERANCE = 0.01
"""Of 50 packets a second."""
LATE_PACKETS = 5
"""Of one stream that reach a phone while it hangs up, before it says so: it counts them no longer."""
RATE_SPAN_S = 2.0
"""A rate is judged of streams at least as long: two packets say nothing of a pace."""


class HeardParams(Params):
    """Every call that steps ask for comes about, both of its phones send until they are told to stop, and every stream arrives with no
    pause longer than ``gap``, at 50 packets a second within 1 %; at most ``lost`` packets are missing of all of them together, and the
    phones' own figures say the same."""

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


def never_arrived(run: Run) -> list[tuple[Packets, RtpStream]]:
    """Streams that a host sent to another one whose capture holds none of their packets."""
    found = captures(run)
    came = {_key(one.stream) for one in arrived(run)}
    lost = []
    for host, packets in found.items():
        streams = rtp_streams(packets)
        leaves = owned(np.array([stream.src for stream in streams], np.uint32), [run.topology.host(host)])
        for stream, is_own in zip(streams, leaves, strict=True):
            receiver = run.topology.host_of(address_text(stream.dst))
            if is_own and receiver in found and receiver != host and _key(stream) not in came:
                lost.append((packets, stream))
    return lost


def _key(stream: RtpStream) -> tuple[int, int, int, int, int]:
    return stream.src, stream.sport, stream.dst, stream.dport, stream.ssrc


def judge_heard(run: Run, params: HeardParams) -> Verdict:
    check = "heard"
    heard = arrived(run)
    silent = never_arrived(run)
    figures = figures_of(heard)
    figures["lost"] += sum(len(np.unique(stream.sequence)) for _, stream in silent)
    if not heard and not silent:
        summary = "no media stream was captured where it arrives"
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary=summary, figures=figures)
    gap_s = params.gap.seconds(run.topology.timers)
    pauses, excused = too_long(run, heard, gap_s)
    problems = [*not_connected(run), *cut_short(run), *pauses, *_off_pace(heard), *_misreported(run, heard)]
    lost = sum(one.lost for one in heard)
    if lost > params.lost:
        worst = max(heard, key=lambda one: one.lost)
        text = f"{lost} packets are missing, {worst.lost} of them of {worst.stream}"
        problems.insert(0, worst.evidence(text, len(worst.stream) - 1))
    for packets, stream in silent:
        text = f"{stream}: all {len(np.unique(stream.sequence))} packets are missing"
        problems.insert(0, Evidence(text=text, capture=packets.file, frame=int(packets.frame[stream.index[0]])))
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


def _misreported(run: Run, heard: Sequence[Arrived]) -> list[Evidence]:
    """Phones whose own figures, as their CallEnded has them, are not those of the captures; calls that did not end say nothing."""
    found = []
    for phone, ends in _ends_by_phone(run).items():
        own = address_number(run.topology.phone_address(phone))
        here = [one for one in heard if one.stream.dst == own]
        there = [one for one in heard if one.stream.src == own and one.sent is not None]
        said = {word: sum(int(end[word] or 0) for end in ends) for word in ("sent", "received", "lost")}
        sent = sum(one.sent or 0 for one in there)
        heard_s = [(one.stream, _end_of(one, ends)) for one in here]
        received = sum(int((stream.time_s <= end_s).sum()) for stream, end_s in heard_s)
        lost = sum(stream.lost_until(end_s) for stream, end_s in heard_s)
        if there and sent != said["sent"]:
            found.append(ends[0].proves(f"{phone} says it sent {said['sent']} packets, captured are {sent}"))
        if here and lost != said["lost"]:
            found.append(ends[0].proves(f"{phone} says it missed {said['lost']} packets, by the captures it is {lost}"))
        if here and not -1 <= received - said["received"] <= LATE_PACKETS * len(here):
            found.append(ends[0].proves(f"{phone} says it got {said['received']} packets, captured are {received}"))
    return found


def _end_of(one: Arrived, ends: Sequence[Seen]) -> float:
    """When the phone stopped listening to this stream: at the first end of a call after its beginning."""
    return next((end.time_s for end in ends if end.time_s >= float(one.stream.time_s[0])), FOREVER)


def _ends_by_phone(run: Run) -> dict[str, list[Seen]]:
    """Phone -> the CallEnded of all its calls, of phones whose every call has one with figures."""
    ends: dict[str, list[Seen]] = {}
    for call in phone_calls(run):
        ends.setdefault(call.phone, [])
        if call.ended is not None and call.ended["sent"] is not None:
            ends[call.phone].append(call.ended)
    counts = Counter(call.phone for call in phone_calls(run))
    return {phone: own for phone, own in ends.items() if own and len(own) == counts[phone]}


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
    help=(
        "every call that steps ask for comes about; both of its phones are told to send, do so, and go on until they are "
        "told to stop or the call is over; every media stream arrives whole where it is captured, "
        "with no longer pause, at 50 packets a second within 1 %; the phones' own figures are those of the "
        "captures. A pause that the machine made, by the sender's own account of waiting for a processor, "
        "makes it inconclusive"
    ),
)
