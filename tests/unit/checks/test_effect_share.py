"""A share of packets that a fault hits by chance: told from packets that strayed without it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import Generator, default_rng

from testbed.checks.effect import Part, Units, over, share_effect, whole_effect
from testbed.checks.facts import FaultWindow, Seen
from testbed.history import Event

CONFIRMED = Seen(index=0, event=Event(time_s=10, host="testbed", name="FaultConfirmed", data={"target": "web-1"}))
WINDOW = FaultWindow(
    kind="loss",
    target="web-1",
    hosts=("web-1",),
    parameters={},
    began_s=10,
    effect_s=10.01,
    healing_s=20,
    healed_s=20.01,
    confirmed=CONFIRMED,
    healed=None,
)
PARTS = {"before": (0.0, 9.9), "during": (10.02, 19.99), "after": (20.1, 29.9)}


def measured(hit: dict[str, np.ndarray], share: float) -> Part:
    times = [np.linspace(*PARTS[part], len(flags)) for part, flags in hit.items()]
    units = Units.ordered("into web-1", np.concatenate(times), np.concatenate(list(hit.values())))
    return share_effect(units, WINDOW, share=share, word="lost")


def stray(total: int, count: int = 1) -> np.ndarray:
    flags = np.zeros(total, bool)
    flags[total // 2 : total // 2 + count] = True
    return flags


@pytest.mark.parametrize(("share", "total"), [(0.05, 65), (0.01, 306), (0.005, 604)])
@pytest.mark.parametrize("strays", [{"during"}, {"before", "during"}, {"before", "during", "after"}])
def test_strays_prove_no_loss(share: float, total: int, strays: set[str]) -> None:
    part = measured({name: stray(total, int(name in strays)) for name in PARTS}, share)
    assert part.doubts
    assert part.began is None


def test_strays_outside_at_the_rate_of_the_fault_are_a_doubt() -> None:
    part = measured({"before": stray(65, 1), "during": stray(65, 2), "after": stray(65, 0)}, 0.05)
    assert not part.doubts
    part = measured({"before": stray(40, 1), "during": stray(65, 2), "after": stray(65, 0)}, 0.05)
    assert any("before it" in doubt for doubt in part.doubts)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3])
def test_a_real_loss_is_proved(share: float) -> None:
    chance: Generator = default_rng(5)
    proofs = 0
    for _ in range(500):
        hit = {"before": stray(200, 0), "during": chance.random(400) < share, "after": stray(200, 0)}
        part = measured(hit, share)
        proofs += not part.doubts and part.began is not None
    assert proofs >= 495


@pytest.mark.parametrize(
    ("before", "strays", "is_proved"),
    [
        (6, 0, True),
        # One burst of a few that measure a rate, held up by a stall of the machine.
        (6, 1, True),
        (5, 1, True),
        (4, 1, False),
        (6, 2, False),
        (30, 3, True),
        (30, 4, False),
        (1, 0, True),
        (0, 0, False),
    ],
)
def test_a_fault_that_hits_everything_is_told_from_strays_before_it(before: int, strays: int, is_proved: bool) -> None:
    times = {
        "before": np.linspace(0.0, 9.0, before),
        "during": np.linspace(11.0, 19.0, 20),
        "after": np.linspace(22.0, 29.0, 20),
    }
    hit = {"before": stray(before, strays), "during": np.ones(20, bool), "after": np.zeros(20, bool)}
    units = Units.ordered("into slb", np.concatenate(list(times.values())), np.concatenate(list(hit.values())))
    part = whole_effect(units, WINDOW, end_within_s=1.0)
    assert (not part.doubts) is is_proved, part.doubts
    assert is_proved or part.doubts == ("packets into slb were no better before",)


@pytest.mark.parametrize(
    ("after", "strays", "is_proved"),
    [(6, 0, True), (6, 1, True), (5, 1, True), (4, 1, False), (6, 2, False), (30, 3, True), (30, 4, False)],
)
def test_a_fault_that_is_over_is_told_from_one_that_goes_on_by_more_than_strays(
    after: int, strays: int, is_proved: bool
) -> None:
    # The first unit behind the healing shows its end; what comes later is counted.
    times = [np.linspace(0.0, 9.0, 20), np.linspace(11.0, 19.0, 20), np.linspace(22.0, 29.0, after + 1)]
    hit = [np.zeros(20, bool), np.ones(20, bool), np.concatenate([[False], stray(after, strays)])]
    units = Units.ordered("into slb", np.concatenate(times), np.concatenate(hit))
    part = whole_effect(units, WINDOW, end_within_s=3.0)
    assert (not part.doubts) is is_proved, part.doubts
    assert is_proved or part.doubts == (f"it goes on after its healing: {strays} packets into slb show it",)
    none_left = Units.ordered("into slb", times[2][1:], hit[2][1:])
    assert (over(none_left, WINDOW)[0] is not None) is is_proved
