"""What the network did to media of one mark: packets lost on the way, and jitter, between the captures at both ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field

from testbed.checks.base import CheckKind, Params
from testbed.checks.capture import captures
from testbed.checks.facts import first
from testbed.dscp import code_point, dscp_of, name_of
from testbed.duration import PositiveDuration, parse_duration
from testbed.errors import UsageError
from testbed.packets import Packets, address_text
from testbed.packets.classes import owned
from testbed.packets.rtp import RtpStream, rtp_streams
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict

FEWEST_PACKETS = 50
"""A second of a stream: fewer say nothing of a share."""
JITTER_GAIN = 16
"""RFC 3550, 6.4.1."""


def _mark(word: str) -> str:
    try:
        code_point(word)
    except UsageError as error:
        raise ValueError(error.message) from None
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
    """A stream from the capture at its sender's to that at its receiver's: of each packet sent, in order, how long it took, nan where it
    never came. ``frame``: in the sender's capture."""

    stream: RtpStream
    file: str
    frame: npt.NDArray[np.int64]
    sent_s: npt.NDArray[np.float64]
    took_s: npt.NDArray[np.float64]

    @property
    def lost(self) -> int:
        return int(np.isnan(self.took_s).sum())

    @property
    def lost_percent(self) -> float:
        return 100 * self.lost / len(self.took_s)

    @property
    def jitter_s(self) -> float:
        """The estimate of RFC 3550 over what arrived, in order of arrival; the highest that it was."""
        came = ~np.isnan(self.took_s)
        took_s = self.took_s[came][np.argsort((self.sent_s + self.took_s)[came], kind="stable")]
        estimate = highest = 0.0
        for difference in np.abs(np.diff(took_s)).tolist():
            estimate += (difference - estimate) / JITTER_GAIN
            highest = max(highest, estimate)
        return highest

    def evidence(self) -> Evidence:
        """Its first lost packet, or else its slowest."""
        lost = np.flatnonzero(np.isnan(self.took_s))
        at = int(lost[0]) if len(lost) else int(np.nanargmax(self.took_s))
        what = "the first that is lost" if len(lost) else "the slowest packet"
        text = f"{self.stream}: {self.lost} of {len(self.took_s)} lost, jitter {self.jitter_s * 1000:.1f} ms; {what}"
        return Evidence(text=text, capture=self.file, frame=int(self.frame[at]))


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
    took_s = np.concatenate([one.took_s[~np.isnan(one.took_s)] for one in found])
    sent, lost = sum(len(one.took_s) for one in found), sum(one.lost for one in found)
    figures = {
        "streams": float(len(found)),
        "packets": float(sent),
        "lost": float(lost),
        "lost_percent": round(100 * lost / sent, 3),
        "jitter_s": round(max(one.jitter_s for one in found), 6),
    }
    if len(took_s):
        figures |= {f"took_p{share}_s": round(float(np.percentile(took_s, share)), 6) for share in (50, 95)}
        figures["took_max_s"] = round(float(took_s.max()), 6)
    words = f"{len(found)} streams marked {name_of(wanted)}: {lost} of {sent} packets lost, jitter {figures['jitter_s'] * 1000:.1f} ms"
    proof = first(one.evidence() for one in wrong or found)
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
    """By sequence number; each packet once, the first time that it was sent and the first time that it came."""
    numbers, places = np.unique(sent.sequence, return_index=True)
    took_s = np.full(len(numbers), np.nan)
    if came is not None:
        # Both count wrap-arounds from their own first packet, and the receiver's may be a later one.
        wrapped = 65536 * round(float(sent.sequence[0] - came.sequence[0]) / 65536)
        theirs, their_places = np.unique(came.sequence + wrapped, return_index=True)
        at = np.clip(np.searchsorted(theirs, numbers), 0, len(theirs) - 1)
        is_there = theirs[at] == numbers
        took_s[is_there] = came.time_s[their_places[at[is_there]]] - sent.time_s[places[is_there]]
    return Carried(
        stream=sent,
        file=packets.file,
        frame=packets.frame[sent.index[places]].astype(np.int64),
        sent_s=sent.time_s[places],
        took_s=took_s,
    )


def _key(stream: RtpStream) -> tuple[int, int, int, int, int]:
    return stream.src, stream.sport, stream.dst, stream.dport, stream.ssrc


CARRIED = CheckKind(
    name="carried",
    params=CarriedParams,
    judge=judge_carried,
    help="media of one mark arrive: packets lost between the captures at both ends, and jitter",
    rests_on_packets=True,
)
