"""One pass over captures: packets into lanes, lanes into flows of a class, flows summed up by class and by the rules of a policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from testbed.audit.content import Content
from testbed.audit.flows import CAUSE_WORDS, WAY_WORDS, Flows, Traffic, class_ports, flows_of
from testbed.audit.fragments import Fragments
from testbed.audit.lanes import Index, Lanes
from testbed.audit.match import matching
from testbed.audit.signalling import Signalling
from testbed.audit.summary import FlowSummary, Summarizer, Summary
from testbed.audit.timeline import Timekeeper, Timeline
from testbed.packets import Packets
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
class Source:
    """A file as it was read: its frames, when the first and the last were seen (None without any), and what was not read."""

    file: str
    frames: int
    began_s: float | None
    ended_s: float | None
    backwards: int
    truncated: bool
    damage: str
    skipped: Mapping[str, int]

    @property
    def unread(self) -> str:
        """Why packets may be missing from it, "" if none are."""
        if self.damage:
            return f"{self.file} is damaged behind frame {self.frames}: {self.damage}"
        return f"{self.file} ends inside a record behind frame {self.frames}" if self.truncated else ""


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


class _Reading:
    """One file on its way through the survey."""

    def __init__(self, capture: CaptureFile) -> None:
        self._capture = capture
        self._times: list[float] = []
        self._backwards = 0

    def add(self, packets: Packets) -> None:
        """A block of it."""
        time_s, times = packets.time_s, self._times
        self._backwards += int(np.sum(np.diff(time_s) < 0))
        self._backwards += bool(times) and bool(time_s[0] < times[-1])
        self._times = [*times[:1], float(time_s[0]), float(time_s[-1])]

    def source(self) -> Source:
        """As far as it was read."""
        capture = self._capture
        return Source(
            file=capture.file,
            frames=capture.frames,
            began_s=self._times[0] if self._times else None,
            ended_s=self._times[-1] if self._times else None,
            backwards=self._backwards,
            truncated=capture.truncated,
            damage=capture.damage,
            skipped=_sorted(capture.skipped),
        )


class Surveyor:
    """Takes files one after another; ``survey`` is what they hold together. ``timekeeper`` counts marks over time too."""

    def __init__(self, policy: Policy | None = None, timekeeper: Timekeeper | None = None) -> None:
        self._policy = policy
        self._ports = class_ports(policy)
        self.lanes, self._content = Lanes(), Content()
        self._signalling = Signalling(self._ports["sccp"])
        self._fragments = Fragments()
        self._readings: list[_Reading] = []
        self._timekeeper = timekeeper
        self.files: list[str] = []

    def read(self, capture: CaptureFile, keep: Keep | None = None) -> None:
        """All of a file, block by block; ``keep`` is shown each block and the lanes of its packets."""
        for _ in self.reading(capture, keep):
            pass

    def reading(self, capture: CaptureFile, keep: Keep | None = None) -> Iterator[None]:
        """The same, with a pause behind each block: ``survey`` then is of what was read so far."""
        reading = _Reading(capture)
        self._readings.append(reading)
        self.files.append(capture.file)
        for packets in capture.blocks():
            lane = self.add(packets)
            if keep:
                keep(packets, lane)
            reading.add(packets)
            yield

    def add(self, packets: Packets) -> Index:
        """A block; the lane of each of its packets. What is inside VXLAN is counted beside the packets that carry it."""
        inner = inner_packets(packets)
        lane = self._add(packets)
        if inner is not None:
            self._add(inner)
        return lane

    def _add(self, packets: Packets) -> Index:
        if self._timekeeper:
            self._timekeeper.add(packets)
        packets = self._fragments.with_ports(packets)
        lane = self.lanes.add(packets, len(self.files) - 1)
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
    for value in np.unique(code).tolist():
        rest, cause = divmod(value, len(CAUSE_WORDS))
        traffic, way = divmod(rest, len(WAY_WORDS))
        summary = summarizer.summary(code == value)
        yield Group(traffic=Traffic(traffic).word, way=WAY_WORDS[way], cause=CAUSE_WORDS[cause], summary=summary)


def _sorted(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


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
