"""The schedule against a clock that is only counted: what is ordered when, by a table of scenarios."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from testbed.document import parse_document, validated
from testbed.profile import PROFILES
from testbed.scenario_model import Step, registered_model
from testbed.schedule import Act, Heal, Note, Schedule

QUICK = PROFILES["quick"]
TICK_S = 0.125
"""A power of two, so that times add up without rounding."""


def steps_of(text: str) -> tuple[Step, ...]:
    document = parse_document(f"scenario: x\nsteps:\n{text}".encode(), file="x.yaml")
    return tuple(validated(document, registered_model()).steps)


def performed(
    text: str,
    *,
    lasting_s: Mapping[str, float] | None = None,
    facts_at_s: Mapping[str, float] | None = None,
    claims: tuple[str, ...] = (),
    until_s: float = 60.0,
) -> list[str]:
    """What was ordered, as ``2.0 inject 0``; acts and healings (``heal``) take as long as ``lasting_s`` says."""
    steps, took, facts = steps_of(text), lasting_s or {}, facts_at_s or {}
    needs = [frozenset({claim}) for claim in claims]
    schedule = Schedule(steps, QUICK, fact_timeout_s=5.0, claims=needs)
    log: list[str] = []
    under_way: list[tuple[float, float, Act | Heal]] = []
    now_s = 0.0
    while not schedule.over and now_s <= until_s:
        for item in [item for item in under_way if item[0] <= now_s]:
            under_way.remove(item)
            schedule.done(item[2], item[1])
        for order in schedule.tick(now_s, lambda fact, about, now_s=now_s: facts.get(fact, 99.0) <= now_s):
            if isinstance(order, Note):
                log.append(f"{now_s:g} {order.fact} {'seen' if order.seen else 'missed'}")
                continue
            word = "heal" if isinstance(order, Heal) else steps[order.step].action
            log.append(f"{now_s:g} {word} {order.step}" + (f".{order.number}" if order.number else ""))
            if word != "wait":
                under_way.append((now_s + took.get(word, 0.0), now_s, order))
        if not schedule.over and not any(item[0] <= now_s for item in under_way):
            now_s += TICK_S
    return [*log, f"{now_s:g} over" if schedule.over else "not over"]


KILL, CUT = "inject: {kill: ccm-1}", "inject: {cut: web-1}"


@pytest.mark.parametrize(
    ("text", "log"),
    [
        (f"- {KILL}\n- press: idle\n", "0 inject 0 | 0 press 1 | 0 heal 0 | 0 over"),
        (f"- {{at: 2s, {KILL}, for: 3s}}\n- {{at: 4s, {CUT}, for: 3s}}\n", "2 inject 0 | 4 inject 1 | 5 heal 0 | 7 heal 1 | 7 over"),
        (f"- {{at: 2s, {KILL}}}\n- {{at: 4s, {CUT}}}\n", "2 inject 0 | 4 inject 1 | 4 heal 1 | 4 heal 0 | 4 over"),
        (f"- {{at: 2s, {KILL}, until: 6s}}\n- {{at: 3s, press: idle}}\n", "2 inject 0 | 3 press 1 | 6 heal 0 | 6 over"),
        (f"- {{at: 1s, {CUT}, for: 500ms, every: 2s, times: 3}}\n",
         "1 inject 0 | 1.5 heal 0 | 3 inject 0.1 | 3.5 heal 0.1 | 5 inject 0.2 | 5.5 heal 0.2 | 5.5 over"),
        (f"- {{at: 1s, {CUT}, for: 500ms, every: 2s, until: 5s}}\n- {{at: 2s, press: idle}}\n",
         "1 inject 0 | 1.5 heal 0 | 2 press 1 | 3 inject 0.1 | 3.5 heal 0.1 | 3.5 over"),
        ("- at: 1s\n- {at: 2s, press: idle}\n", "1 wait 0 | 2 press 1 | 2 over"),
        ("- browse: {service: text, interval: 1s, for: 2s}\n", "0 browse 0 | 5 over"),
    ],
)  # fmt: skip
def test_times_are_kept(text: str, log: str) -> None:
    assert " | ".join(performed(text)) == log


@pytest.mark.parametrize(
    ("text", "facts_at_s", "log"),
    [
        (f"- {{{KILL}, until: rehomed}}\n- press: idle\n", {"rehomed": 2.0},
         "0 inject 0 | 2 rehomed seen | 2 heal 0 | 2 press 1 | 2 over"),
        (f"- {KILL}\n- {{after: rehomed, press: idle}}\n", {"rehomed": 2.0},
         "0 inject 0 | 2 rehomed seen | 2 press 1 | 2 heal 0 | 2 over"),
        (f"- {{{KILL}, until: rehomed}}\n- press: idle\n", {},
         "0 inject 0 | 5 rehomed missed | 5 heal 0 | 5 press 1 | 5 over"),
        (f"- {{at: 1s, {KILL}, for: 3s}}\n- {{after: rehomed, press: idle}}\n", {"rehomed": 4.5},
         "1 inject 0 | 4 heal 0 | 4.5 rehomed seen | 4.5 press 1 | 4.5 over"),
        (f"- {{{CUT}, for: 500ms, every: 1s, until: redirected}}\n- press: idle\n", {"redirected": 2.25},
         "0 inject 0 | 0.5 heal 0 | 1 inject 0.1 | 1.5 heal 0.1 | 2 inject 0.2 | 2.25 redirected seen | 2.25 press 1"
         " | 2.5 heal 0.2 | 2.5 over"),
        (f"- {KILL}\n- {{at: 4s, after: rehomed, press: idle}}\n", {"rehomed": 1.0},
         "0 inject 0 | 4 rehomed seen | 4 press 1 | 4 heal 0 | 4 over"),
    ],
)  # fmt: skip
def test_facts_are_awaited_while_time_goes_on(text: str, facts_at_s: dict[str, float], log: str) -> None:
    assert " | ".join(performed(text, facts_at_s=facts_at_s)) == log


def test_an_act_that_takes_long_delays_what_has_no_time_and_nothing_else() -> None:
    text = f"- {KILL}\n- {{at: 1s, {CUT}, for: 1s}}\n- press: idle\n"
    log = performed(text, lasting_s={"inject": 3.0})
    assert log == ["0 inject 0", "1 inject 1", "4 heal 1", "4 press 2", "4 heal 0", "4 over"]


def test_a_fault_that_took_longer_to_confirm_than_it_should_last_heals_at_once() -> None:
    assert performed(f"- {{{KILL}, for: 1s}}\n", lasting_s={"inject": 3.0}) == ["0 inject 0", "3 heal 0", "3 over"]


def test_a_fault_waits_for_the_healing_of_one_that_excludes_it_and_for_no_other() -> None:
    text = f"- {{{KILL}, for: 1s}}\n- {{at: 1s, {CUT}, for: 1s}}\n"
    assert "2 inject 1" in performed(text, lasting_s={"heal": 1.0}, claims=("workload:a", "workload:a"))
    assert "1 inject 1" in performed(text, lasting_s={"heal": 1.0}, claims=("workload:a", "workload:b"))


def test_a_repetition_waits_until_the_one_before_is_healed_and_the_row_keeps_its_times() -> None:
    log = performed(f"- {{{KILL}, for: 1s, every: 2s, times: 3}}\n", lasting_s={"heal": 1.5})
    assert [entry for entry in log if "inject" in entry] == ["0 inject 0", "2.5 inject 0.1", "5 inject 0.2"]


def orders(text: str, moments: list[float]) -> list[Act]:
    schedule = Schedule(steps_of(text), QUICK, fact_timeout_s=5.0)
    found = []
    for now_s in moments:
        for order in schedule.tick(now_s, lambda fact, about: True):
            if isinstance(order, Act):
                found.append(order)
            if not isinstance(order, Note):
                schedule.done(order, now_s)
    return found


def test_an_act_whose_time_alone_decides_says_for_when_it_was_scheduled() -> None:
    acts = orders(
        f"- {{at: 1s, {CUT}, for: 250ms, every: 1s, times: 2}}\n- {{at: 3s, press: idle}}\n",
        [1.01, 1.3, 2.02, 2.3, 3.5],
    )
    assert [(act.step, act.number, act.scheduled_s) for act in acts] == [(0, 0, 1.0), (0, 1, 2.0), (1, 0, 3.0)]


@pytest.mark.parametrize(
    "text",
    [
        "- {after: rehomed, press: idle}\n",
        "- {at: 1s, after: rehomed, press: idle}\n",
        "- press: idle\n",
        f"- {{{KILL}, until: rehomed}}\n- {{at: 1s, press: idle}}\n",
    ],
)
def test_an_act_that_something_else_held_up_was_scheduled_for_no_time(text: str) -> None:
    acts = orders(text, [4.0, 4.0, 4.0, 4.0])
    assert [act.scheduled_s for act in acts if steps_of(text)[act.step].press] == [None]


def test_it_says_when_to_be_asked_again_and_whether_a_fact_is_awaited() -> None:
    schedule = Schedule(steps_of(f"- {{at: 1s, {CUT}, for: 2s}}\n- after: rehomed\n"), QUICK, fact_timeout_s=5.0)
    assert schedule.tick(0.0, lambda fact, about: False) == []
    assert (schedule.next_moment(), schedule.awaiting) == (1.0, "")
    [act] = schedule.tick(1.0, lambda fact, about: False)
    assert isinstance(act, Act)
    assert schedule.next_moment() == float("inf"), "nothing to do before the fault is there"
    schedule.done(act, 1.25)
    schedule.tick(1.5, lambda fact, about: False)
    assert (schedule.next_moment(), schedule.awaiting) == (3.25, "rehomed")


def test_a_fault_that_could_not_be_is_not_healed() -> None:
    schedule = Schedule(steps_of(f"- {{{CUT}, for: 2s}}\n"), QUICK, fact_timeout_s=5.0)
    [act] = schedule.tick(0.0, lambda fact, about: False)
    assert isinstance(act, Act)
    schedule.done(act, 0.0, in_vain=True)
    assert schedule.tick(0.0, lambda fact, about: False) == []
    assert schedule.over


def test_the_fact_beside_a_fault_is_asked_about_that_fault() -> None:
    asked: list[tuple[str, int | None]] = []

    def holds(fact: str, about: int | None) -> bool:
        asked.append((fact, about))
        return True

    schedule = Schedule(steps_of(f"- {{{KILL}, until: rehomed}}\n- after: returned\n"), QUICK, fact_timeout_s=5.0)
    while not schedule.over:
        for order in schedule.tick(0.0, holds):
            if not isinstance(order, Note):
                schedule.done(order, 0.0)
    assert asked == [("rehomed", 0), ("returned", None)]
