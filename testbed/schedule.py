"""When what happens: a scenario's steps as a machine that is told the time, the facts and what was done, and says what to do now.

Times are seconds since the steps began; there is no clock here. The steps themselves, and the repetitions of each fault with
``every``, are courses: generators that go on as far as they can and yield the moment at which to ask them again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from testbed.duration import Duration
from testbed.profile import Profile
from testbed.scenario_model import Step

NEVER = float("inf")
CALL_SLACK_S = 5.0
"""Of a call, besides the talk: dialling, a second of ringing, and as long as it takes to be sure that the other side is gone."""
BROWSE_SLACK_S = 1.0
"""After the last request of a browse, on top of half the time that a phone waits for a page."""

Holds = Callable[[str, int | None], bool]
"""Whether a fact holds now: about the fault of this step, or about what there is (None)."""
Course = Generator[float, None, None]
_STEPS = -1
"""The place, among those of the rows, of the course of the steps themselves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """Begin this step's act: for the ``number``-th time, from 0. ``scheduled_s``: when it is due, where its time alone says so."""

    step: int
    number: int = 0
    scheduled_s: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Heal:
    """Heal this step's fault, the ``number``-th of it."""

    step: int
    number: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A fact that a step awaited has come, or was awaited in vain."""

    fact: str
    seen: bool


Order = Act | Heal | Note


@dataclass(slots=True)
class _Held:
    """A fault that was ordered. It heals at ``heal_s``: NEVER before it is in effect, and where only its step says when."""

    step: int
    number: int
    heal_s: float = NEVER
    healing: bool = False


class Schedule:
    """``tick`` gives what to do now, ``done`` is told when it was done; ``over`` once all is.

    ``claims``: what each step's fault needs for itself alone; one whose healing is not finished keeps the next from beginning.
    """

    def __init__(
        self, steps: Sequence[Step], timers: Profile, *, fact_timeout_s: float, claims: Sequence[frozenset[str]] = ()
    ) -> None:
        self._steps, self._timers, self._fact_timeout_s = steps, timers, fact_timeout_s
        self._claims = claims or [frozenset()] * len(steps)
        self._now_s = self._released_s = self._quiet_s = self._hung_up_s = 0.0
        self._holds: Holds = lambda fact, about: False
        self._busy: set[Act] = set()
        self._held: dict[tuple[int, int], _Held] = {}
        self._rows: dict[int, Course] = {}
        """By step: repetitions that are not over."""
        self._course = self._in_order()
        self._wakes_s: dict[int, float] = {}
        self._orders: list[Order] = []
        self.over = False
        self.awaiting = ""
        """The fact that is awaited now: it has to be looked for, time alone does not bring it."""

    def tick(self, now_s: float, holds: Holds) -> list[Order]:
        """What to do now, in order."""
        self._now_s, self._holds = now_s, holds
        for held in list(self._held.values()):
            if held.heal_s <= now_s:
                self._heal(held)
        for place in list(self._rows):
            self._repeat(place)
        self._wakes_s[_STEPS] = next(self._course, NEVER)
        orders, self._orders = self._orders, []
        return orders

    def next_moment(self) -> float:
        """When to tick again, if nothing is done before and no fact is awaited."""
        return min([*self._wakes_s.values(), *(held.heal_s for held in self._held.values() if not held.healing)])

    def done(self, order: Act | Heal, at_s: float, *, in_vain: bool = False) -> None:
        """It was done, with effect from ``at_s``; ``in_vain``: it could not be, and nothing is there to heal."""
        key = (order.step, order.number)
        if isinstance(order, Heal) or in_vain:
            self._held.pop(key, None)
        if isinstance(order, Heal):
            return
        self._busy = {act for act in self._busy if (act.step, act.number) != key}
        step = self._steps[order.step]
        if step.browse is not None:
            until_s = at_s + step.browse.for_.seconds(self._timers) + self._timers.http_timeout_s / 2 + BROWSE_SLACK_S
            self._quiet_s = max(self._quiet_s, until_s)
        if step.call is not None:
            self._hung_up_s = max(self._hung_up_s, at_s + step.call.for_.seconds(self._timers) + CALL_SLACK_S)
        if held := self._held.get(key):
            held.heal_s = self._heal_s(step, at_s)

    def _heal_s(self, step: Step, effect_s: float) -> float:
        if step.for_ is not None:
            return effect_s + step.for_.seconds(self._timers)
        return step.until.seconds(self._timers) if isinstance(step.until, Duration) else NEVER

    # -- courses

    def _in_order(self) -> Course:
        for place, step in enumerate(self._steps):
            at_s = None if step.at is None else step.at.seconds(self._timers)
            timed = at_s is not None and self._released_s <= at_s and step.after is None
            if at_s is not None:
                yield from self._till(at_s)
            else:
                while self._busy:
                    yield NEVER
                self._released_s = self._now_s
            if step.after is not None:
                yield from self._fact(step.after, None)
            if step.every is not None:
                self._rows[place] = self._row(place, step, at_s if timed and at_s is not None else self._now_s)
                self._repeat(place)
            else:
                yield from self._begin(Act(step=place, scheduled_s=at_s if timed else None))
            if isinstance(step.until, str):
                yield from self._until(place, step.until)
        yield from self._end()

    def _end(self) -> Course:
        """What goes on comes to its end, then what has none heals, the last first."""
        while self._busy or self._rows or any(held.heal_s < NEVER for held in self._held.values()):
            yield NEVER
        yield from self._till(self._quiet_s)
        while self._now_s < self._hung_up_s and not self._holds("hung-up", None):
            self.awaiting = "hung-up"
            yield self._hung_up_s
        self.awaiting = ""
        for held in reversed(list(self._held.values())):
            yield from self._healed(held)
        self.over = True

    def _row(self, place: int, step: Step, first_s: float) -> Course:
        """A fault that comes again and again; each of them is over before the next."""
        assert step.every is not None
        until_s = step.until.seconds(self._timers) if isinstance(step.until, Duration) else NEVER
        number = 0
        while number < (step.times or NEVER):
            due_s = first_s + number * step.every.seconds(self._timers)
            if due_s >= until_s:
                return
            yield from self._till(due_s)
            yield from self._begin(Act(step=place, number=number, scheduled_s=due_s))
            number += 1

    def _until(self, place: int, fact: str) -> Course:
        """The next step waits for the fact; a single fault ends with it, of a row no further one begins."""
        while place not in self._rows and any(act.step == place for act in self._busy):
            yield NEVER
        yield from self._fact(fact, place)
        if place in self._rows:
            self._close(place)
        elif held := self._held.get((place, 0)):
            yield from self._healed(held)
            self._released_s = self._now_s

    def _fact(self, fact: str, about: int | None) -> Course:
        began_s = max(self._now_s, self._hung_up_s) if fact == "hung-up" else self._now_s
        deadline_s = began_s + self._fact_timeout_s
        self.awaiting = fact
        while not (seen := self._holds(fact, about)) and self._now_s < deadline_s:
            yield deadline_s
        self.awaiting = ""
        self._orders.append(Note(fact=fact, seen=seen))
        self._released_s = self._now_s

    def _till(self, moment_s: float) -> Course:
        while self._now_s < moment_s:
            yield moment_s

    def _healed(self, held: _Held) -> Course:
        self._heal(held)
        while (held.step, held.number) in self._held:
            yield NEVER

    # -- parts

    def _repeat(self, place: int) -> None:
        moment_s = next(self._rows[place], None)
        if moment_s is None:
            self._close(place)
        else:
            self._wakes_s[place] = moment_s

    def _close(self, place: int) -> None:
        del self._rows[place]
        self._wakes_s.pop(place, None)

    def _begin(self, act: Act) -> Course:
        while any(self._in_the_way(held, act) for held in self._held.values()):
            yield NEVER
        if self._steps[act.step].inject is not None:
            self._held[act.step, act.number] = _Held(act.step, act.number)
        if self._steps[act.step].action != "wait":
            self._busy.add(act)
        self._orders.append(act)

    def _in_the_way(self, held: _Held, act: Act) -> bool:
        """About to be over, or of the same row: waited for. What lasts on is a clash, and refused when it is tried."""
        if held.step == act.step:
            return True
        return (held.healing or held.heal_s <= self._now_s) and bool(self._claims[held.step] & self._claims[act.step])

    def _heal(self, held: _Held) -> None:
        if not held.healing:
            held.healing, held.heal_s = True, NEVER
            self._orders.append(Heal(step=held.step, number=held.number))
