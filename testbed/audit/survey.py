"""One pass over captures: every packet labelled, and counted by class, way and cause, and by the rules of a policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import numpy.typing as npt

from testbed.audit.labels import CAUSE_WORDS, WAY_WORDS, Labeller, Traffic
from testbed.audit.match import Matcher
from testbed.audit.tally import Count, First, Tally
from testbed.packets import TCP, UDP, Packets
from testbed.packets_file import CaptureFile
from testbed.policy import Policy, Rule

Index = npt.NDArray[np.int64]
_WAYS, _CAUSES = len(WAY_WORDS), len(CAUSE_WORDS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Packets of one class, way and cause (words, "" where there is none), by code point."""

    traffic: str
    way: str
    cause: str
    counts: Mapping[int, Count]

    @property
    def packets(self) -> int:
        return sum(count.packets for count in self.counts.values())

    @property
    def bytes(self) -> int:
        return sum(count.bytes for count in self.counts.values())


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


@dataclass(kw_only=True, slots=True)
class Survey:
    """What was counted. ``rules`` holds, of each rule of the policy, the packets by code point."""

    sources: list[Source] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    rules: list[tuple[Rule, Mapping[int, Count]]] = field(default_factory=list)

    @property
    def packets(self) -> int:
        return sum(source.frames for source in self.sources)


class Surveyor:
    """Takes files one after another; ``survey`` is what they hold together."""

    def __init__(self, policy: Policy | None = None) -> None:
        self._labeller = Labeller(policy)
        self._matchers = [(rule, Matcher(rule)) for rule in (policy.every_rule if policy else ())]
        self._tally = Tally(len(Traffic) * _WAYS * _CAUSES)
        self._by_rule = Tally(max(1, len(self._matchers)))
        self._sources: list[Source] = []

    def read(self, capture: CaptureFile) -> None:
        """All of a file, block by block."""
        times: list[float] = []
        backwards = 0
        for packets in capture.blocks():
            self.add(packets)
            backwards += int(np.sum(np.diff(packets.time_s) < 0))
            backwards += bool(times) and packets.time_s[0] < times[-1]
            times = [*times[:1], float(packets.time_s[0]), float(packets.time_s[-1])]
        self._sources.append(
            Source(
                file=capture.file,
                frames=capture.frames,
                began_s=times[0] if times else None,
                ended_s=times[-1] if times else None,
                backwards=backwards,
                truncated=capture.truncated,
                damage=capture.damage,
                skipped=_sorted(capture.skipped),
            )
        )

    def add(self, packets: Packets) -> None:
        """A block."""
        labels = self._labeller.label(packets)
        group = (labels.traffic.astype(np.int64) * _WAYS + labels.way) * _CAUSES + labels.cause
        self._note(self._tally, packets, np.arange(len(packets)), group)
        for number, (_, matcher) in enumerate(self._matchers):
            index = np.flatnonzero(matcher.mask(packets, labels))
            self._note(self._by_rule, packets, index, np.full(len(index), number))

    @staticmethod
    def _note(tally: Tally, packets: Packets, index: Index, group: npt.NDArray[np.int64]) -> None:
        for key, place in tally.add(group, packets.tos[index], packets.wire_len[index]):
            tally.remember(key, first_of(packets, int(index[place])))

    def survey(self) -> Survey:
        """What was counted so far."""
        return Survey(
            sources=list(self._sources),
            groups=list(self._groups()),
            rules=[(rule, self._by_rule.counts(number)) for number, (rule, _) in enumerate(self._matchers)],
        )

    def _groups(self) -> Iterator[Group]:
        places = product(Traffic, enumerate(WAY_WORDS), enumerate(CAUSE_WORDS))
        for traffic, (way, way_word), (cause, cause_word) in places:
            counts = self._tally.counts((traffic * _WAYS + way) * _CAUSES + cause)
            if counts:
                yield Group(traffic=traffic.word, way=way_word, cause=cause_word, counts=counts)


def first_of(packets: Packets, index: int) -> First:
    """This packet, in words."""
    source, destination = packets.addresses(index)
    if packets.proto[index] in (TCP, UDP) and packets.version[index] and not packets.later[index]:
        source, destination = (
            f"{_bracketed(address)}:{port}"
            for address, port in ((source, packets.sport[index]), (destination, packets.dport[index]))
        )
    text = f"{source} to {destination}" if source else f"EtherType {packets.ethertype[index]:#06x}"
    return First(file=packets.file, frame=int(packets.frame[index]), time_s=float(packets.time_s[index]), text=text)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _sorted(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def survey(captures: Iterable[CaptureFile], policy: Policy | None = None) -> Survey:
    """What these files hold together."""
    surveyor = Surveyor(policy)
    for capture in captures:
        surveyor.read(capture)
    return surveyor.survey()
