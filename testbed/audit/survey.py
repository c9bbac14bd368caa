"""One pass over captures: packets into lanes, lanes into flows of a class, flows summed up by class and by the rules of a policy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from testbed.audit.content import Content
from testbed.audit.flows import CAUSE_WORDS, WAY_WORDS, Flows, Traffic, class_ports, flows_of
from testbed.audit.fragments import Fragments
from testbed.audit.lanes import Index, Lanes
from testbed.audit.match import matching
from testbed.audit.merge import Merge
from testbed.audit.signalling import Signalling
from testbed.audit.source import Reading, Source
from testbed.audit.summary import FlowSummary, Summarizer, Summary
from testbed.audit.timeline import Timekeeper, Timeline
from testbed.packets import Packets
from testbed.packets.fetch import distinct
from testbed.packets.file import CaptureFile
from testbed.packets.tunnel import inner_packets

if TYPE_CHECKING:
    from testbed.policy import Policy, Rule

Keep = Callable[[Packets, Index], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Packets of one class, way and cause (words, "" where there is none)."""

    traffic: str
    way: str
    cause: str
    summary: Summary


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """``rules`` has the packets of each rule of the policy; ``folded`` were counted without their addresses, there being too many
    flows."""

    sources: tuple[Source, ...] = ()
    groups: tuple[Group, ...] = ()
    rules: tuple[tuple[Rule, Summary], ...] = ()
    folded: int = 0
    flows: tuple[FlowSummary, ...] = ()
    """Where they were asked for."""
    named: Mapping[str, int] = field(default_factory=dict)
    """How many RTP endpoints each cause named."""
    timeline: Timeline | None = None
    """Where it was asked for, and there were packets."""

    @property
    def packets(self) -> int:
        return sum(source.frames for source in self.sources)


class Surveyor:
    """Takes files one after another; ``survey`` is what they hold together. ``timekeeper`` counts marks over time too."""

    def __init__(self, policy: Policy | None = None, timekeeper: Timekeeper | None = None) -> None:
        self._policy = policy
        self._ports = class_ports(policy)
        self.lanes, self._content = Lanes(), Content()
        self._signalling = Signalling(self._ports["sccp"])
        self._fragments = Fragments()
        self._readings: list[Reading] = []
        self._timekeeper = timekeeper
        self.files: list[str] = []

    def read(self, capture: CaptureFile, keep: Keep | None = None) -> None:
        """All of a file, block by block; ``keep`` is shown each block and the lanes of its packets."""
        for _ in self.reading(capture, keep):
            pass

    def reading(self, capture: CaptureFile, keep: Keep | None = None) -> Iterator[None]:
        """The same, with a pause behind each block: ``survey`` then is of what was read so far."""
        reading = Reading(capture)
        self._open(reading)
        for packets in capture.blocks():
            lane = self.add(packets)
            if keep:
                keep(packets, lane)
            reading.add(packets)
            yield

    def read_merged(self, paths: Sequence[Path]) -> None:
        """All of these files of one point, as one."""
        begin = len(self.files)
        for packets in Merge(paths, self._open).blocks():
            self.add(packets, file=begin)

    def _open(self, reading: Reading) -> None:
        self._readings.append(reading)
        self.files.append(reading.file)

    def add(self, packets: Packets, *, file: int | None = None) -> Index:
        """A block; the lane of each of its packets. What is inside VXLAN is counted beside the packets that carry it. ``file``: the number
        of the first of the files that they are from, the latest one by default."""
        begin = len(self.files) - 1 if file is None else file
        inner = inner_packets(packets)
        lane = self._add(packets, begin)
        if inner is not None:
            self._add(inner, begin)
        return lane

    def _add(self, packets: Packets, file: int) -> Index:
        if self._timekeeper:
            self._timekeeper.add(packets)
        packets = self._fragments.with_ports(packets)
        lane = self.lanes.add(packets, file)
        size = len(self.lanes.columns.word)
        posts = self._content.add(packets, lane, size, self._ports["rtp"])
        self._signalling.add(packets, lane, self.lanes.columns, posts, self.lanes.flows)
        return lane

    def flows(self) -> Flows:
        """What each lane is by now."""
        return flows_of(self.lanes, self._content, self._signalling, self._ports)

    def survey(self, *, list_flows: bool = False) -> Survey:
        """What was counted so far."""
        flows = self.flows()
        summarizer = Summarizer(self.lanes, flows, self.files)
        rules = self._policy.every_rule if self._policy else ()
        return Survey(
            sources=tuple(reading.source() for reading in self._readings),
            groups=tuple(_groups(flows, summarizer)),
            rules=tuple((rule, summarizer.summary(matching(rule, flows, self.lanes.text))) for rule in rules),
            folded=self.lanes.folded,
            flows=tuple(summarizer.each_flow()) if list_flows else (),
            named={
                "call-control": len(self._signalling.by_call_control),
                "service": len(self._signalling.by_service),
            },
            timeline=self._timekeeper.timeline() if self._timekeeper else None,
        )


def _groups(flows: Flows, summarizer: Summarizer) -> Iterator[Group]:
    code = (flows.traffic.astype(np.int64) * len(WAY_WORDS) + flows.way) * len(CAUSE_WORDS) + flows.cause
    for value in distinct(code).tolist():
        rest, cause = divmod(value, len(CAUSE_WORDS))
        traffic, way = divmod(rest, len(WAY_WORDS))
        summary = summarizer.summary(code == value)
        yield Group(traffic=Traffic(traffic).word, way=WAY_WORDS[way], cause=CAUSE_WORDS[cause], summary=summary)


def survey(
    captures: Iterable[CaptureFile],
    policy: Policy | None = None,
    *,
    list_flows: bool = False,
    timekeeper: Timekeeper | None = None,
) -> Survey:
    """What these files hold together."""
    surveyor = Surveyor(policy, timekeeper)
    for capture in captures:
        surveyor.read(capture)
    return surveyor.survey(list_flows=list_flows)
