"""`testbed audit --learn`: a first policy out of what a capture holds, for a person to strike out of what should not be there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import yaml

from testbed.audit.judge import numbered
from testbed.audit.survey import Group, Survey
from testbed.dscp import name_of

JUDGED = ("sccp", "rtp", "http", "tftp")
"""Classes that a policy can name; in the order of the policies that ship."""


def learned(found: Survey) -> str | None:
    """A policy file under which the same capture passes; None where it has no packet of a class that a policy names. A class with one mark
    throughout is written short, any other with a rule for each way and cause, the most frequent mark first."""
    groups = {name: [one for one in found.groups if one.traffic == name and one.summary.packets] for name in JUDGED}
    short = {name: own[0] for name, own in groups.items() if len(_marks(own)) == 1}
    long = [group for own in groups.values() if len(_marks(own)) > 1 for group in own]
    if not short and not long:
        return None
    return "\n".join(_lines(found, {name: groups[name] for name in short}, long)) + "\n"


def _marks(groups: Sequence[Group]) -> Counter[int]:
    """Packets by code point of all of them."""
    packets: Counter[int] = Counter()
    for group in groups:
        packets.update({dscp: count.packets for dscp, count in group.summary.counts.items()})
    return packets


def _lines(found: Survey, short: dict[str, list[Group]], long: Sequence[Group]) -> Iterator[str]:
    first = found.sources[0].file
    others = f" and {len(found.sources) - 1} more" if len(found.sources) > 1 else ""
    yield "# Learned from a capture: strike out the marks that should not be there."
    yield "policy: learned"
    words = {"source": f"the marks of {numbered(found.packets, 'packet')} in {first}{others}"}
    yield yaml.safe_dump(words, width=10_000).rstrip("\n")
    if short:
        yield "classes:"
        for name, groups in short.items():
            ((dscp, packets),) = _marks(groups).items()
            yield f"  {name}: [{name_of(dscp)}]  # {numbered(packets, 'packet')}"
    if long:
        yield "rules:"
    for group in long:
        yield from _rule(group)


def _rule(group: Group) -> Iterator[str]:
    name = " ".join(filter(None, (group.traffic, group.way, group.cause)))
    counts = group.summary.counts
    ordered = sorted(counts, key=lambda dscp: (-counts[dscp].packets, dscp))
    yield f"  - rule: {name}"
    yield f"    class: {group.traffic}"
    if group.way:
        yield f"    direction: {group.way}"
    if group.cause:
        yield f"    cause: {group.cause}"
    if len(ordered) > 1:
        yield f"    expected: {name_of(ordered[0])}"
    yield "    allowed:"
    for dscp in ordered:
        count = counts[dscp]
        yield (
            f"      - {name_of(dscp)}  # {numbered(count.packets, 'packet')}, first {count.first.text}, frame {count.first.frame}"
        )
