"""What must hold of any bytes: an error of ours or an answer that agrees with itself, and neither a traceback nor a long wait."""

from __future__ import annotations

import time
from collections.abc import Callable

from audit_reading import capture

from testbed.audit.compare import compare, judge_comparison
from testbed.audit.html_report import comparison_page, survey_page
from testbed.audit.judge import judge, nearest
from testbed.audit.junit import junit
from testbed.audit.ladder import ladders, lines
from testbed.audit.ladder_svg import document
from testbed.audit.learn import learned
from testbed.audit.media import pushed_endpoints, pushed_sources
from testbed.audit.report import records
from testbed.audit.survey import Surveyor
from testbed.audit.timeline import Timekeeper
from testbed.document import parse_document, validated
from testbed.errors import BedError
from testbed.packets import CaptureError
from testbed.policy import Policy, policy
from testbed.verdict import Status

MAX_S = 5.0
"""Of processor time for one input, of 100 kB at most."""


def audit(data: bytes) -> None:
    """`testbed audit`, with all it can write; whatever the size of blocks, all frames are counted once."""
    counts = []
    for block_bytes in (256, 1 << 20):
        surveyor = Surveyor(policy("srnd-strict"), Timekeeper())
        try:
            surveyor.read(capture(data, block_bytes=block_bytes))
        except CaptureError:
            counts.append(None)
            continue
        found = surveyor.survey(list_flows=True)
        counted = sum(one.summary.packets + sum(one.summary.foreign.values()) for one in found.groups)
        assert counted >= found.packets, "frames inside VXLAN are counted beside those that carry them"
        counts.append(counted)
        verdicts = judge(found)
        likeness = nearest(found)
        survey_page(found, verdicts, likeness, policy="")
        junit(verdicts, suite="fuzz")
        list(records(found, verdicts, likeness))
        text = learned(found)
        if text is not None:
            chosen = validated(parse_document(text.encode("utf-8"), file="learned.yaml"), Policy)
            again = Surveyor(chosen)
            again.read(capture(data, block_bytes=block_bytes))
            assert Status.FAIL not in {verdict.status for verdict in judge(again.survey())}
    assert counts[0] == counts[1]


def hops(data: bytes) -> None:
    """`testbed audit --hops` of a capture and itself: nothing changes its mark."""
    try:
        found = compare([capture(data, file="a"), capture(data, file="b")], policy("cs3"), over_time=True)
    except CaptureError:
        return
    assert not [hop for hop in found.hops if hop.changed or hop.lost]
    comparison_page(found, judge_comparison(found), policy="cs3")


def ladder(data: bytes) -> None:
    """`testbed ladder`."""
    try:
        found = ladders(capture(data, block_bytes=1000))
    except CaptureError:
        return
    for one in found.every:
        list(lines(one, keepalives=True))
    document(found.every, keepalives=True)


def push(data: bytes) -> None:
    """A body posted to a phone."""
    request = b"POST /CGI/Execute HTTP/1.1\r\n\r\n" + data
    assert all(0 < port < 1 << 16 for _, port in pushed_endpoints(request, "10.0.0.1"))
    list(pushed_sources(request))


def policy_file(data: bytes) -> None:
    """A policy of a user's own."""
    try:
        chosen = validated(parse_document(data, file="own.yaml"), Policy)
    except BedError:
        return
    assert chosen.every_rule


Target = Callable[[bytes], None]
TARGETS: dict[str, Target] = {"audit": audit, "hops": hops, "ladder": ladder, "push": push, "policy": policy_file}


def timed(target: Target) -> Target:
    """The same, and it must not take long."""

    def run(data: bytes) -> None:
        began = time.process_time()
        target(data)
        assert time.process_time() - began < MAX_S, f"{len(data)} bytes take more than {MAX_S} s"

    return run
