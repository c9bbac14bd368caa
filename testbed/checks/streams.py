"""Media streams and what began them: each was started by a StartMediaTransmission of call control in the same capture, carries the mark
that it names on every packet, and that mark is an allowed one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import BeforeValidator, model_validator

from testbed.checks.base import CheckKind, Params
from testbed.checks.capture import captures
from testbed.checks.facts import first, seen
from testbed.checks.marking import AllowedMarks, PacketsParams, policy_word
from testbed.dscp import dscp_of, name_of
from testbed.packets import Packets, address_number
from testbed.packets.classes import owned
from testbed.packets.rtp import RtpStream, StartOrder, order_of, rtp_streams, start_orders, stop_orders
from testbed.packets.sccp import sccp_messages
from testbed.policy import Policy
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict


class StreamsParams(Params):
    """``policy``: what packets of the class ``rtp`` may carry: a built-in name, a file, or ``{allowed: [EF]}``."""

    policy: Annotated[str | AllowedMarks | Policy, BeforeValidator(policy_word)]

    @model_validator(mode="after")
    def _policy_has_a_rule(self) -> StreamsParams:
        assert self.rule.allowed
        return self

    @property
    def rule(self) -> PacketsParams:
        """What each packet is held against."""
        return PacketsParams.model_validate({"class": "rtp", "policy": self.policy})

    @property
    def check(self) -> str:
        """The verdict's name: ``streams srnd-table-11-4``."""
        return f"streams {self.rule.policy_name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sent:
    """A stream as captured at its sender's host, and what began it."""

    packets: Packets
    stream: RtpStream
    order: StartOrder | None

    def evidence(self, text: str, index: int | None = None) -> Evidence:
        frame = int(self.packets.frame[self.stream.index[0] if index is None else index])
        return Evidence(text=text, capture=self.packets.file, frame=frame)


def judge_streams(run: Run, params: StreamsParams) -> Verdict:
    sent = _sent(run)
    figures = {
        "streams": float(len(sent)),
        "packets": float(sum(len(one.stream) for one in sent)),
        "started_by_call_control": float(sum(one.order is not None for one in sent)),
    }
    marks = Counter[int]()
    for one in sent:
        marks.update(one.stream.tos.tolist())
    figures |= {f"packets_{name_of(dscp_of(tos))}": float(count) for tos, count in sorted(marks.items())}
    if not sent:
        summary = "no media stream was captured where it was sent"
        return Verdict(check=params.check, status=Status.INCONCLUSIVE, summary=summary, figures=figures)
    problems = [*_unstarted(sent), *_disobeyed(sent), *_disallowed(sent, params), *_silent(run, sent)]
    if problems:
        proof = first(problems)
        summary = f"{len(problems)} of {len(sent)} streams are not as they should be: {proof[0].text}"
        return Verdict(check=params.check, status=Status.FAIL, summary=summary, evidence=proof, figures=figures)
    words = ", ".join(f"{name_of(dscp_of(tos))} {count}" for tos, count in sorted(marks.items()))
    summary = f"{len(sent)} streams, each started by StartMediaTransmission and marked as it says ({words} packets)"
    proof = first(_cause(one, one.order) for one in sent if one.order is not None)
    return Verdict(check=params.check, status=Status.PASS, summary=summary, evidence=proof, figures=figures)


def _sent(run: Run) -> list[_Sent]:
    """Streams that left the host whose capture this is."""
    found = []
    for host, packets in captures(run).items():
        streams = rtp_streams(packets)
        if not streams:
            continue
        own = owned(np.array([stream.src for stream in streams], np.uint32), [run.topology.host(host)])
        messages = sccp_messages(packets)
        orders, stops = start_orders(messages), stop_orders(messages)
        found += [
            _Sent(packets=packets, stream=stream, order=order_of(stream, orders, stops))
            for stream, is_own in zip(streams, own, strict=True)
            if is_own
        ]
    return found


def _cause(one: _Sent, order: StartOrder) -> Evidence:
    text = (
        f"{one.stream}: {len(one.stream)} packets, started by StartMediaTransmission (precedence {order.tos}, "
        f"{name_of(dscp_of(order.tos))}) in frame {order.frame}"
    )
    return Evidence(text=text, capture=one.packets.file, frame=order.frame)


def _unstarted(sent: list[_Sent]) -> list[Evidence]:
    return [
        one.evidence(f"{one.stream} was started by no StartMediaTransmission in this capture")
        for one in sent
        if one.order is None
    ]


def _disobeyed(sent: list[_Sent]) -> list[Evidence]:
    """The first packet of each stream that carries another octet than was told; the two ECN bits are no mark."""
    found = []
    for one in sent:
        if one.order is None:
            continue
        wrong = np.flatnonzero(one.stream.tos >> 2 != one.order.tos >> 2)
        if len(wrong):
            text = (
                f"{one.stream}: {len(wrong)} of {len(one.stream)} packets are not marked as told: precedence {one.order.tos} "
                f"({name_of(dscp_of(one.order.tos))}) in frame {one.order.frame}, but "
                f"{name_of(dscp_of(int(one.stream.tos[wrong[0]])))} on the wire"
            )
            found.append(one.evidence(text, int(one.stream.index[wrong[0]])))
    return found


def _disallowed(sent: list[_Sent], params: StreamsParams) -> list[Evidence]:
    rule = params.rule
    found = []
    for one in sent:
        wrong = np.flatnonzero(~np.isin(one.stream.tos >> 2, list(rule.allowed)))
        if len(wrong):
            mark = name_of(dscp_of(int(one.stream.tos[wrong[0]])))
            text = f"{one.stream} is marked {mark}, which {rule.policy_name} does not allow"
            found.append(one.evidence(text, int(one.stream.index[wrong[0]])))
    return found


def _silent(run: Run, sent: list[_Sent]) -> list[Evidence]:
    """Phones of captured hosts that were told to send, say so themselves, and of whom no packet was seen."""
    there = {(one.stream.src, one.stream.dst, one.stream.dport) for one in sent}
    watched = set(captures(run))
    found = []
    for event in seen(run, "StreamStarted"):
        phone, remote, port = event["phone"], event["remote"], event["remote_port"]
        if event.event.host not in watched or phone not in run.topology.phones:
            continue
        source = run.topology.phone_address(str(phone))
        if (address_number(source), address_number(str(remote)), port) not in there:
            found.append(event.proves(f"{phone} was told to send to {remote}:{port}, and nothing of it was captured"))
    return found


STREAMS = CheckKind(
    name="streams",
    params=StreamsParams,
    judge=judge_streams,
    help=(
        "every media stream that leaves a captured host was started by a StartMediaTransmission in the same "
        "capture (the verdict names its frame), carries on every packet the mark that it says, and that mark "
        "is an allowed one"
    ),
)
