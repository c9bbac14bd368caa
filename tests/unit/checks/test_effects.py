from __future__ import annotations

import random
from pathlib import Path

import pytest
from fault_stories import STORIES, VARIANTS, Passing, Variant, impaired, slow
from probe_wire import Out, Packet

from testbed.checks import judge_expectation
from testbed.checks.effects import EffectsParams, effects, proof_of
from testbed.faults import KINDS
from testbed.verdict import Status, Verdict


def proved(kind: str, variant: Variant, path: Path) -> Verdict:
    return judge_expectation(STORIES[kind](variant).write(path), "effects", EffectsParams())


def test_every_kind_of_fault_has_a_proof_and_a_story_of_it() -> None:
    assert not [kind for kind in KINDS if proof_of(kind) is None]
    assert not [kind for kind in KINDS if kind not in STORIES]


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_that_happened_and_ended_is_proved(kind: str, tmp_path: Path) -> None:
    verdict = proved(kind, "real", tmp_path)
    assert verdict.status is Status.PASS, [item.text for item in verdict.evidence]


@pytest.mark.parametrize("variant", VARIANTS[1:])
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_that_did_nothing_or_goes_on_after_its_healing_is_not_proved(
    kind: str, variant: Variant, tmp_path: Path
) -> None:
    run = STORIES[kind](variant).write(tmp_path)
    verdict = judge_expectation(run, "effects", EffectsParams())
    assert verdict.status is Status.INCONCLUSIVE, verdict.summary
    [effect] = effects(run)
    assert effect.happened == (variant == "broken revert"), effect.doubts
    assert kind in verdict.summary


@pytest.mark.parametrize(("rate", "proved"), [("1mbit", True), ("2mbit", False)])
def test_a_rate_is_measured_though_packets_jitter_as_well(rate: str, proved: bool, tmp_path: Path) -> None:
    def link(chance: random.Random) -> Passing:
        one_after_another = slow(chance)

        def passes(packet: Packet) -> list[Out]:
            [out] = one_after_another(packet)
            return [Out(delay_s=out.delay_s + 0.02 + chance.uniform(-0.01, 0.01))]

        return passes

    story = impaired("impair", "out", link, delay="20ms", jitter="10ms", rate=rate)
    [effect] = effects(story("real").write(tmp_path))
    assert effect.proved is proved, effect.doubts
    assert effect.figures["rate_bit_s"] == pytest.approx(1e6, rel=0.2)


def test_a_sender_that_stands_still_in_a_train_makes_no_slow_link(tmp_path: Path) -> None:
    # Trains come twice a second: two of five before the fault, and two of eight after it.
    story = impaired("rate", "out", slow, {"stall_s": dict.fromkeys((0, 2, 17, 20), 0.05)}, by="1mbit")
    [effect] = effects(story("real").write(tmp_path))
    assert effect.proved, effect.doubts
    assert effect.figures["rate_bit_s"] == pytest.approx(1e6, rel=0.02)


def test_a_rate_is_that_of_all_that_shares_the_link(tmp_path: Path) -> None:
    # Trains of both ends begin in one instant, and answers leave among requests.
    [effect] = effects(impaired("rate", "out", slow, {"apart_s": 0.0}, by="1mbit")("real").write(tmp_path))
    assert effect.proved, effect.doubts
    assert effect.figures["rate_bit_s"] == pytest.approx(1e6, rel=0.02)


@pytest.mark.parametrize("before_s", [0.002, 0.02, 0.05, 0.08])
def test_a_train_that_is_under_way_when_a_rate_is_healed_tells_nothing_of_it(before_s: float, tmp_path: Path) -> None:
    # A train takes a tenth of a second; trains begin on the half seconds, a few milliseconds later.
    story = impaired("rate", "out", slow, {"begin_s": 1.5 - 0.004 - before_s}, by="1mbit")
    [effect] = effects(story("real").write(tmp_path))
    assert effect.proved, effect.doubts
    assert effect.figures["rate_bit_s"] == pytest.approx(1e6, rel=0.02)
