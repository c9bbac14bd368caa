from __future__ import annotations

from pathlib import Path

import pytest
from invariant_stories import restless
from recordings import ADDRESSES, Connection, Recording

from testbed.checks import judge_expectation
from testbed.checks.every_mark import MarkingParams
from testbed.verdict import Status, Verdict


def judged(recording: Recording, path: Path, **params: object) -> Verdict:
    return judge_expectation(recording.write(path), "marking", MarkingParams.model_validate(params))


def test_everything_that_is_marked_as_the_table_says_passes(tmp_path: Path) -> None:
    verdict = judged(restless(), tmp_path)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.check == "marking srnd-table-11-4"
    assert verdict.figures["packets"] > 0


@pytest.mark.catches("signalling-marked")
def test_one_unmarked_packet_of_any_class_fails(tmp_path: Path) -> None:
    recording = restless()
    wires = list(recording.wires.values())[:1]
    Connection(wires, ("172.26.16.1", 50_000), (ADDRESSES["ccm-1"], 2000)).open(2.5)
    verdict = judged(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert verdict.evidence[0].frame is not None


def test_another_policy_is_another_judgement(tmp_path: Path) -> None:
    assert judged(restless(), tmp_path, policy="cs3").status is Status.FAIL


def test_without_packets_nothing_is_shown(tmp_path: Path) -> None:
    recording = restless()
    for wire in recording.wires.values():
        wire.frames = [frame for frame in wire.frames if b"testbed-canary" in frame[1]]
    assert judged(recording, tmp_path).status is Status.INCONCLUSIVE
