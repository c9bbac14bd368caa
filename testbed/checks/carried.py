"""What the network did to media of one mark: packets lost on the way, and jitter, by the captures at both ends and by what the packets say
of themselves: a capture at a host whose own link is the full one holds what the queue let go, not what it was given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field

from testbed.checks.base import CheckKind, Params
from testbed.checks.capture import captures
from testbed.checks.facts import first, seen
from testbed.document import unknown_word
from testbed.dscp import NAMES, code_point, dscp_of, name_of
from testbed.duration import PositiveDuration, parse_duration
from testbed.errors import UsageError
from testbed.packets import Packets, address_text
from testbed.packets.classes import owned
from testbed.packets.rtp import RtpStream, rtp_streams
from testbed.recording import Run
from testbed.rtp import CLOCK_HZ, PACKET_S
from testbed.verdict import Evidence, Status, Verdict

FEWEST_PACKETS = 50
"""A second of a stream: fewer say nothing of a share."""
JITTER_GAIN = 16
"""RFC 3550, 6.4.1."""


def _mark(word: str) -> str:
    try:
        code_point(word)
    except UsageError:
        raise unknown_word(word, NAMES.values()) from None
    return word


class CarriedParams(Params):
    """Streams marked ``mark`` arrive: at most ``lost`` percent of any of them are missing, and its jitter (RFC 3550, the highest that the
    estimate was) is at most ``jitter``."""

    mark: Annotated[str, AfterValidator(_mark)]
    lost: Annotated[float, Field(ge=0, le=100)] = 0.0
    jitter: PositiveDuration = parse_duration("10ms")

    @property
    def check(self) -> str:
        """The verdict's name: ``carried EF``."""
        return f"carried {name_of(code_point(self.mark))}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Carried:
    """A stream between the captures at both of its ends. ``number``: every sequence number from its first packet to its last, whether or
    not it was ever captured: what a full queue at the sender itself drops, its own capture does not hold either. ``arrived_s`` and
    ``timestamp`` (samples): of each number at the receiver, ``arrived_s`` is nan where it never came.
    """

    stream: RtpStream
    packets: Packets
    number: npt.NDArray[np.int64]
    arrived_s: npt.NDArray[np.float64]
    timestamp: npt.NDArray[np.int64]

    @property
    def lost(self) -> int:
        return int(np.isnan(self.arrived_s).sum())

    @property
    def lost_percent(self) -> float:
        return 100 * self.lost / len(self.arrived_s)

    @property
    def transit_s(self) -> npt.NDArray[np.float64]:
        """Of what came, in order of arrival: how much longer it was on its way than the fastest, by the times at which the sender says it
        was due."""
        came = np.flatnonzero(~np.isnan(self.arrived_s))
        came = came[np.argsort(self.arrived_s[came], kind="stable")]
        transit_s: npt.NDArray[np.float64] = self.arrived_s[came] - self.timestamp[came] / CLOCK_HZ
        transit_s -= transit_s.min(initial=np.inf)
        return transit_s

    @property
    def jitter_s(self) -> float:
        """The estimate of RFC 3550 over what arrived, in order of arrival; the highest that it was."""
        estimate = highest = 0.0
        for difference in np.abs(np.diff(self.transit_s)).tolist():
            estimate += (difference - estimate) / JITTER_GAIN
            highest = max(highest, estimate)
        return highest

    def evidence(self) -> Evidence:
        """Its first lost packet, or else its slowest; of a packet that was never captured, the next that was."""
        lost = np.flatnonzero(np.isnan(self.arrived_s))
        late = self.arrived_s - self.timestamp / CLOCK_HZ
        at = int(lost[0]) if len(lost) else int(np.nanargmax(late))
        what = "the first that is lost" if len(lost) else "the slowest packet"
        captured = np.flatnonzero(self.stream.sequence >= self.number[at])
        place = int(captured[0]) if len(captured) else len(self.stream) - 1
        if self.stream.sequence[place] != self.number[at]:
            what += f", RTP sequence number {self.number[at] % 65536}, did not even leave its sender's host; the next that did"
        text = f"{self.stream}: {self.lost} of {len(self.number)} lost, jitter {self.jitter_s * 1000:.1f} ms; {what}"
        return Evidence(text=text, capture=self.packets.file, frame=int(self.packets.frame[self.stream.index[place]]))


def judge_carried(run: Run, params: CarriedParams) -> Verdict:
    """Streams of the mark, of a second at least, that were captured at both ends."""
    wanted = code_point(params.mark)
    found = [one for one in carried(run) if dscp_of(int(one.stream.tos[0])) == wanted]
    if not found:
        summary = (
            f"no media stream of {FEWEST_PACKETS} packets marked {name_of(wanted)} was captured at both of its ends"
        )
        return Verdict(check=params.check, status=Status.INCONCLUSIVE, summary=summary)
    jitter_s = params.jitter.seconds(run.topology.timers)
    wrong = [one for one in found if one.lost_percent > params.lost or one.jitter_s > jitter_s]
    delay_s = np.concatenate([one.transit_s for one in found])
    sent, lost = sum(len(one.number) for one in found), sum(one.lost for one in found)
    figures = {
        "streams": float(len(found)),
        "packets": float(sent),
        "lost": float(lost),
        "lost_percent": round(100 * lost / sent, 3),
        "jitter_s": round(max(one.jitter_s for one in found), 6),
    }
    if len(delay_s):
        figures |= {f"delay_p{share}_s": round(float(np.percentile(delay_s, share)), 6) for share in (50, 95)}
        figures["delay_max_s"] = round(float(delay_s.max()), 6)
    words = f"{len(found)} streams marked {name_of(wanted)}: {lost} of {sent} packets lost, jitter {figures['jitter_s'] * 1000:.1f} ms"
    proof = first(one.evidence() for one in wrong or found)
    waited_s = {id(one): _waited_s(run, one) for one in wrong}
    if wrong and all(
        one.lost_percent <= params.lost and one.jitter_s - 2 * waited_s[id(one)] / JITTER_GAIN <= jitter_s
        for one in wrong
    ):
        words += f"; its sender waited {max(waited_s.values()) * 1000:.1f} ms for a processor: the machine is too busy"
        return Verdict(check=params.check, status=Status.INCONCLUSIVE, summary=words, evidence=proof, figures=figures)
    return Verdict(
        check=params.check, status=Status.FAIL if wrong else Status.PASS, summary=words, evidence=proof, figures=figures
    )


def carried(run: Run) -> Iterator[Carried]:
    """Every stream that leaves a captured host for another captured one."""
    found = {host: (packets, rtp_streams(packets)) for host, packets in captures(run).items()}
    received = {(host, *_key(stream)): stream for host, (_, streams) in found.items() for stream in streams}
    for host, (packets, streams) in found.items():
        leaves = owned(np.array([stream.src for stream in streams], np.uint32), [run.topology.host(host)])
        for stream, is_own in zip(streams, leaves, strict=True):
            receiver = run.topology.host_of(address_text(stream.dst))
            if is_own and receiver in found and receiver != host and len(stream) >= FEWEST_PACKETS:
                yield _matched(packets, stream, received.get((receiver, *_key(stream))))


def _matched(packets: Packets, sent: RtpStream, came: RtpStream | None) -> Carried:
    """By sequence number; each packet the first time that it came."""
    number = np.arange(sent.sequence.min(), sent.sequence.max() + 1)
    arrived_s, timestamp = np.full(len(number), np.nan), np.zeros(len(number), np.int64)
    if came is not None:
        # Both count wrap-arounds from their own first packet, and the receiver's may be a later one.
        wrapped = 65536 * round(float(sent.sequence[0] - came.sequence[0]) / 65536)
        theirs, places = np.unique(came.sequence + wrapped, return_index=True)
        is_known = (theirs >= number[0]) & (theirs <= number[-1])
        at = theirs[is_known] - number[0]
        arrived_s[at], timestamp[at] = came.time_s[places[is_known]], came.timestamp[places[is_known]]
    return Carried(stream=sent, packets=packets, number=number, arrived_s=arrived_s, timestamp=timestamp)


def _waited_s(run: Run, one: Carried) -> float:
    """How long its sender waited for a processor while it sent this stream."""
    host = run.topology.host_of(address_text(one.stream.src))
    since_s, until_s = float(one.stream.time_s[0]), float(one.stream.time_s[-1]) + PACKET_S
    waits = [event for event in seen(run, "MediaHeldUp") if event.event.host == host]
    return sum(event["waited_s"] or 0.0 for event in waits if since_s <= event.time_s <= until_s)


def _key(stream: RtpStream) -> tuple[int, int, int, int, int]:
    return stream.src, stream.sport, stream.dst, stream.dport, stream.ssrc


CARRIED = CheckKind(
    name="carried",
    params=CarriedParams,
    judge=judge_carried,
    help=(
        "every media stream with that mark arrives, captured at its sender's host and at its receiver's: so "
        "many percent of its packets are lost at most, those that the sender's own queue dropped among them (by "
        "sequence numbers), and its jitter (RFC 3550, against the RTP timestamps) stays below; figures say "
        "how much longer packets took than the fastest"
    ),
    rests_on_packets=True,
)
