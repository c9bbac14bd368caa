"""Streams that phone services start: each was begun by a push in the same capture, was heard for as long as it should be, and carries
the marks it may. The two directions are judged apart: the mark of what a phone sends is not in the service's hands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from testbed.checks.base import CheckKind
from testbed.checks.capture import captures
from testbed.checks.facts import FOREVER, Seen, first, seen, steps_ended_s
from testbed.checks.streams import StreamsParams
from testbed.dscp import dscp_of, name_of
from testbed.packets import Packets, address_number, address_text
from testbed.packets.classes import class_mask, owned
from testbed.packets.push import PushedStream, pushed_streams
from testbed.recording import Run
from testbed.rtp import PACKET_S
from testbed.topology import Role
from testbed.verdict import Evidence, Status, Verdict

PLAYS, SENDS = ("RTPRx",), ("RTPTx", "RTPMTx")
"""Whether multicast is heard is the engine's business, not the marks': an internal network of Docker's drops what is not for its block."""
FEWEST_PACKETS = 25
"""Half a second: fewer are no stream that a mark could be told of."""
SHORTEST_S = 0.5
ENOUGH = 0.9
"""Of the packets that were sent to who listens, or were due of who sends: the rest may be late, or a busy machine's."""


class ServiceStreamsParams(StreamsParams):
    """``sender``: ``services`` or ``phones``; ``policy``: what their packets may carry, as for ``packets``."""

    sender: Literal["services", "phones"]

    @property
    def check(self) -> str:
        """The verdict's name: ``service-streams by phones srnd-table-11-4``."""
        return f"service-streams by {self.sender} {self.rule.policy_name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Flow:
    """Packets from one endpoint to another, captured at their sender's host: their places in the capture's columns."""

    packets: Packets
    index: npt.NDArray[np.int64]
    push: PushedStream | None

    def __str__(self) -> str:
        at = self.index[0]
        packets = self.packets
        return (
            f"{address_text(int(packets.src[at]))}:{packets.sport[at]} to "
            f"{address_text(int(packets.dst[at]))}:{packets.dport[at]}"
        )

    def proves(self, text: str, place: int = 0) -> Evidence:
        return Evidence(text=text, capture=self.packets.file, frame=int(self.packets.frame[self.index[place]]))

    @property
    def marks(self) -> npt.NDArray[np.uint8]:
        marks: npt.NDArray[np.uint8] = self.packets.tos[self.index] >> np.uint8(2)
        return marks


def judge_service_streams(run: Run, params: ServiceStreamsParams) -> Verdict:
    flows = [flow for host in _senders(run, params) for flow in _flows(run, host)]
    marks = Counter[int]()
    for flow in flows:
        marks.update(flow.marks.tolist())
    figures = {"streams": float(len(flows)), "packets": float(marks.total())}
    figures |= {f"packets_{name_of(mark)}": float(count) for mark, count in sorted(marks.items())}

    def verdict(status: Status, summary: str, evidence: tuple[Evidence, ...] = ()) -> Verdict:
        return Verdict(check=params.check, status=status, summary=summary, evidence=evidence, figures=figures)

    long = [flow for flow in flows if len(flow.index) >= FEWEST_PACKETS]
    if not long:
        return verdict(
            Status.INCONCLUSIVE, f"no stream of {FEWEST_PACKETS} packets was captured where {params.sender} sent it"
        )
    wrong = [*_unpushed(flows), *_disallowed(flows, params), *_missing(run, params)]
    if wrong:
        proof = first(wrong)
        return verdict(
            Status.FAIL, f"{len(wrong)} of {len(flows)} streams are not as they should be: {proof[0].text}", proof
        )
    words = ", ".join(f"{name_of(mark)} {count}" for mark, count in sorted(marks.items()))
    proof = first(
        Evidence(
            text=f"{flow}: {len(flow.index)} packets, begun by a push of {flow.push.stream.scheme} in frame {flow.push.frame}",
            capture=flow.packets.file,
            frame=flow.push.frame,
        )
        for flow in long
        if flow.push is not None
    )
    return verdict(Status.PASS, f"{len(flows)} streams, each begun by a push of a service ({words} packets)", proof)


def _senders(run: Run, params: ServiceStreamsParams) -> Iterator[str]:
    for host in captures(run):
        if (run.topology.host(host).role is Role.PHONE) == (params.sender == "phones"):
            yield host


def _flows(run: Run, host: str) -> list[_Flow]:
    """What left this host, by its endpoints, with the last push before its first packet that can have begun it."""
    packets = captures(run)[host]
    index = np.flatnonzero(class_mask(packets, "rtp") & owned(packets.src, [run.topology.host(host)]))
    if not len(index):
        return []
    pushes = pushed_streams(packets)
    columns = (packets.src, packets.sport, packets.dst, packets.dport)
    keys = np.stack([column[index].astype(np.int64) for column in columns], axis=1)
    found, member = np.unique(keys, axis=0, return_inverse=True)
    member = member.reshape(-1)
    flows = []
    for place, (src, _, dst, dport) in enumerate(found.tolist()):
        own = index[member == place]
        began_s = float(packets.time_s[own[0]])
        before = [push for push in pushes if push.time_s <= began_s and push.began(src, dst, dport)]
        flows.append(_Flow(packets=packets, index=own, push=before[-1] if before else None))
    return flows


def _unpushed(flows: list[_Flow]) -> list[Evidence]:
    return [flow.proves(f"{flow} was begun by no push in this capture") for flow in flows if flow.push is None]


def _disallowed(flows: list[_Flow], params: ServiceStreamsParams) -> list[Evidence]:
    rule, found = params.rule, []
    for flow in flows:
        wrong = np.flatnonzero(~np.isin(flow.marks, list(rule.allowed)))
        if len(wrong):
            mark = name_of(dscp_of(int(flow.packets.tos[flow.index[wrong[0]]])))
            by = f", begun by a push of {flow.push.stream.scheme} in frame {flow.push.frame}" if flow.push else ""
            text = f"{flow} is marked {mark} in {len(wrong)} of {len(flow.index)} packets, which {rule.policy_name} does not allow{by}"
            found.append(flow.proves(text, int(wrong[0])))
    return found


def _missing(run: Run, params: ServiceStreamsParams) -> list[Evidence]:
    """Streams by the phones' own account, each begun by a push of its own, of which too little was heard, or captured."""
    find = _unheard if params.sender == "services" else _unsent
    known = set(run.topology.phones)
    return [
        found
        for event in seen(run, "ServiceStreamStarted")
        if event["phone"] in known and (found := find(run, event)) is not None
    ]


def _unheard(run: Run, event: Seen) -> Evidence | None:
    """A phone that was to play: it must have got what was sent to it while it listened, by its own account or the capture there."""
    phone, remote, port = str(event["phone"]), str(event["address"]), event["port"]
    stopped, until_s = _until(run, event)
    if event["scheme"] not in PLAYS or until_s < event.time_s + SHORTEST_S:
        return None
    ends = (_number(remote), _number(run.topology.phone_address(phone)), port)
    sent = _captured(run, run.topology.host_of(remote), ends, event.time_s, until_s - SHORTEST_S / 5)
    got = stopped["received"] if stopped else _captured(run, event.event.host, ends, event.time_s, until_s)
    if not isinstance(got, int) or got >= max(ENOUGH * (sent or 0), 1):
        return None
    amount = "nothing" if not got else f"{got} packets" if sent is None else f"{got} of {sent} packets"
    return event.proves(f"{phone} was to play a stream ({event['scheme']}) and heard {amount} of it")


def _unsent(run: Run, event: Seen) -> Evidence | None:
    """A phone that was to send: its packets must be there, 50 a second until it stopped."""
    phone, remote, port, host = str(event["phone"]), str(event["address"]), event["port"], event.event.host
    _, until_s = _until(run, event)
    ends = (_number(run.topology.phone_address(phone)), _number(remote), port)
    sent = _captured(run, host, ends, event.time_s, until_s)
    span_s = until_s - event.time_s
    if event["scheme"] not in SENDS or sent is None or span_s < SHORTEST_S:
        return None
    due = 1 if until_s == FOREVER else int(span_s / PACKET_S)
    if sent >= ENOUGH * due:
        return None
    amount = f"{sent} of {due} packets of it were" if sent else "nothing of it was"
    return event.proves(f"{phone} was told to send to {remote}:{port}, and {amount} captured")


def _until(run: Run, event: Seen) -> tuple[Seen | None, float]:
    """The end of the stream that began so, and when it was over: by the phone's account, or with the steps."""
    ends = seen(run, "ServiceStreamStopped", phone=event["phone"], scheme=event["scheme"])
    stopped = next((end for end in ends if end.index > event.index), None)
    return stopped, min(stopped.time_s if stopped else FOREVER, steps_ended_s(run))


def _captured(run: Run, host: str, ends: tuple[int, int, object], since_s: float, until_s: float) -> int | None:
    """Packets from an address to an address and port in the capture at this host; None where there is no capture."""
    packets = captures(run).get(host)
    if packets is None:
        return None
    src, dst, port = ends
    own = class_mask(packets, "rtp") & (packets.src == src) & (packets.dst == dst) & (packets.dport == port)
    return int((own & (packets.time_s >= since_s) & (packets.time_s <= until_s)).sum())


def _number(address: str) -> int:
    try:
        return address_number(address)
    except (OSError, ValueError):
        return 0


SERVICE_STREAMS = CheckKind(
    name="service-streams",
    params=ServiceStreamsParams,
    judge=judge_service_streams,
    help=(
        "every RTP stream that left the captured web hosts, or phones, was begun by a push of a service in "
        "the same capture, and carries marks that the policy allows; who was to send did so until it stopped, and who "
        "was to play heard what was sent; the frame of the push is in the evidence"
    ),
    rests_on_packets=True,
)
