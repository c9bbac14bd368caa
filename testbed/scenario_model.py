"""Scenarios as values: what happens to a bed, and what must be true of the recording. Unknown words are refused.

The words for faults and expectations are those of ``testbed.faults.KINDS`` and ``testbed.checks.KINDS``: the models
that read a file are made from these registries, so a new kind is known, and listed in errors, once it is registered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from testbed.document import misplaced, unknown_word
from testbed.dscp import code_point
from testbed.duration import MAX_S, Duration, DurationField, PositiveDuration, parse_duration
from testbed.errors import UsageError
from testbed.faults.base import Fault
from testbed.lists import ONE_OR_MORE
from testbed.page import CLAIM_NAMES
from testbed.profile import PROFILES, Profile

ProfileName = Literal["quick", "srnd"]
Fact = Literal["registered", "rehomed", "returned", "redirected", "restored", "talking", "hung-up"]
"""What a step can wait for; ``testbed.live.Facts`` says when each holds, also with several faults at a time."""

Key = Literal["services", "directory", "information", "messages", "authentication", "idle", "proxy", "all-urls"]
"""Keys of a phone that fetch the URL of this name; ``all-urls`` presses each."""

PLACEHOLDERS = ("BED_PREFIX", "BED_OUTSIDE_PREFIX")
"""Names that may stand as ``${NAME}`` in a URL: the bed's own blocks of addresses, filled in when the scenario runs."""

PHONE_SERVICE_SITE = "http://${BED_PREFIX}.1.2/"
"""The phone services' VIP in the shipped bed; ``browse: {service: text}`` means the page ``text`` there."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)


def _end(value: Any) -> Any:
    """A fact, or a time since the steps began."""
    facts = get_args(Fact)
    if value in facts or isinstance(value, Duration):
        return value
    if isinstance(value, str) and value[:1].isalpha():
        raise unknown_word(value, [*facts, "a time like 12s"])
    duration = parse_duration(value)
    if duration.amount == 0:
        raise ValueError("must be later than the beginning")
    return duration


End = Annotated[
    Fact | Duration,
    PlainValidator(_end),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]
"""When something is over: upon a fact, or at a time since the steps began."""

MIN_EVERY_S = 0.1
"""A fault takes some milliseconds to be there, and a workload a tenth of a second: sooner again is no repetition."""
MAX_TIMES = 1000
MAX_PAIRS = 1000
"""Each pair is two streams of 50 packets a second."""


def _url(text: str) -> str:
    """A phone fetches plain http; 256 is the longest URL its XML objects can hold."""
    known = [f"${{{name}}}" for name in PLACEHOLDERS]
    for word in re.findall(r"\$\{[^}]*\}?|\$\w*", text):
        if word not in known:
            raise unknown_word(word, known)
    if not re.fullmatch(r"http://[^/\s\"<>]+(/[^\s\"<>]*)?", text) or len(text) > 256:
        raise ValueError("must be an address like http://${BED_PREFIX}.1.2/text, at most 256 characters")
    return text


HostName = Annotated[str, Field(min_length=1)]
Phones = Annotated[Literal["all"] | tuple[str, ...], Field(union_mode="left_to_right")]
"""``all``, or device names."""


class _OneKind(_Strict):
    """A mapping with one key, the kind; ``scenario_model`` makes subclasses with one field for each kind there is."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    @model_validator(mode="before")
    @classmethod
    def _has_one_key(cls, value: Any) -> Any:
        known = [field.alias or name for name, field in cls.model_fields.items()]
        if not isinstance(value, dict) or len(value) != 1:
            raise PydanticCustomError("one_kind", "must be a mapping with exactly one key, its kind", {"known": known})
        return value

    @property
    def kind(self) -> str:
        """The word that names the kind."""
        return next(
            field.alias or name for name, field in type(self).model_fields.items() if getattr(self, name) is not None
        )

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return [(self.kind, self._value())]

    def _value(self) -> Any:
        return next(value for name in type(self).model_fields if (value := getattr(self, name)) is not None)


class Injection(_OneKind):
    """``{kill: ccm-1}``: a fault and where it happens."""

    @property
    def fault(self) -> Fault:
        """The fault."""
        found = self._value()
        assert isinstance(found, Fault)
        return found


class Expectation(_OneKind):
    """``{rehomed: {to: ccm-bk}}``: a kind of check with its parameters; ``claim: page``: the page predicts it."""

    @model_validator(mode="before")
    @classmethod
    def _without_parameters(cls, value: Any) -> Any:
        """``recovered:`` is ``recovered: {}``."""
        return (
            {kind: {} if params is None else params for kind, params in value.items()}
            if isinstance(value, dict)
            else value
        )

    @property
    def params(self) -> Any:
        """Parameters: an instance of the kind's own model."""
        return self._value()


class Browse(_Strict):
    """Every phone requests a page each ``interval``, spread evenly over it, for the time ``for``; in the background."""

    url: Annotated[str, AfterValidator(_url)] | None = None
    service: Annotated[str, Field(pattern=r"^[\w./?=&-]*$", max_length=200)] | None = None
    interval: PositiveDuration
    for_: PositiveDuration = Field(alias="for")
    method: Literal["GET", "POST"] = "GET"
    phones: Phones = "all"

    @model_validator(mode="after")
    def _has_one_address(self) -> Self:
        if (self.url is None) == (self.service is None):
            raise ValueError("needs either url or service")
        return self

    @property
    def address(self) -> str:
        """The URL, with its placeholders."""
        return PHONE_SERVICE_SITE + (self.service or "").lstrip("/") if self.url is None else self.url


class Call(_Strict):
    """So many ``pairs`` of phones call each other, each pair across two phones hosts where there are two: the caller dials, the other
    answers after a second, and the caller hangs up when they have talked for the time ``for``; in the background."""

    pairs: Annotated[int, Field(ge=1, le=MAX_PAIRS, strict=True)]
    for_: PositiveDuration = Field(alias="for")


def _mark(word: str) -> str:
    try:
        code_point(word)
    except UsageError as error:
        raise ValueError(error.message) from None
    return word


class Push(_Strict):
    """A web host pushes to every phone: one to three URLs or URIs of a phone, executed if its authentication URL lets them pass."""

    from_: HostName = Field(alias="from")
    urls: Annotated[tuple[str, ...], *ONE_OR_MORE, Field(min_length=1, max_length=3)]
    priority: Annotated[int, Field(ge=0, le=2, strict=True)] = 0
    phones: Phones = "all"


class Stream(_Strict):
    """A web host pushes ``scheme`` to every phone and streams audio for the time ``for``: RTPRx and RTPMRx it sends itself, marked
    with ``mark`` (none, unless the application marks); RTPTx and RTPMTx the phones send."""

    from_: HostName = Field(alias="from")
    scheme: Literal["RTPRx", "RTPTx", "RTPMRx", "RTPMTx"]
    for_: PositiveDuration = Field(alias="for")
    mark: Annotated[str, AfterValidator(_mark)] = "DEFAULT"
    phones: Phones = "all"


class Keys(_Strict):
    """Keys of one phone, one after the other, as `testbed phone press` has them; each must do something."""

    phone: HostName
    press: Annotated[tuple[str, ...], *ONE_OR_MORE, Field(min_length=1, max_length=20)]


class Reset(_Strict):
    """Call control ``from`` resets phones that are registered there, as an administrator does: they boot anew, and read their
    configuration again."""

    from_: HostName = Field(alias="from")
    phones: Phones = "all"


Hop = Annotated[str, Field(pattern=r"^[^\s>]+ ?-> ?[^\s>]+$")]
"""``client->slb``: each side is a host, a role, or ``phones``."""


class Steady(_Strict):
    """What steady means for this bed, besides that its hosts run and its phones are at their primary: for the time ``for`` nothing but
    answers came over each hop of ``http``, as the captures show it."""

    http: Annotated[tuple[Hop, ...], *ONE_OR_MORE, Field(min_length=1)]
    for_: PositiveDuration = Field(default=parse_duration("1s"), alias="for")


ACTS = ("inject", "press", "browse", "call", "push", "stream", "reset", "keys")
"""What a step can do, one of them each."""


class Step(_Strict):
    """One act, or none (a wait), once the time ``at`` (since the steps began) and then the fact ``after`` have come.

    Steps go in order; one without ``at`` waits until the acts before it are done. A fault heals after the time ``for``, at the
    time ``until``, or else at the end of the steps, while the next steps happen; or once the fact ``until`` is seen, and the next
    step waits for that. With ``every`` it comes again and again, ``times`` in all or till ``until``, and lasts ``for`` each time.
    A browse, or a call, goes on while the next steps happen.
    """

    at: DurationField | None = None
    after: Fact | None = None
    inject: Injection | None = None
    for_: PositiveDuration | None = Field(default=None, alias="for")
    every: PositiveDuration | None = None
    times: Annotated[int, Field(ge=1, le=MAX_TIMES, strict=True)] | None = None
    until: End | None = None
    press: Annotated[tuple[Key, ...], *ONE_OR_MORE, Field(min_length=1)] | None = None
    browse: Browse | None = None
    call: Call | None = None
    push: Push | None = None
    stream: Stream | None = None
    reset: Reset | None = None
    keys: Keys | None = None
    phones: Phones | None = None

    @model_validator(mode="after")
    def _is_one_act(self) -> Self:
        acts = [word for word in ACTS if getattr(self, word) is not None]
        if len(acts) > 1:
            raise ValueError(f"{' and '.join(acts)} are two acts: write two steps")
        if not acts and self.at is None and self.after is None:
            raise ValueError(
                "does nothing: write inject, press, browse, call, push, stream, reset or keys, or at or after to wait"
            )
        if self.inject is None and (words := self._words("for", "every", "times", "until")):
            raise ValueError(f"{words} belongs to a fault (browse and call have a `for` of their own, inside)")
        if self.phones is not None and self.press is None:
            raise ValueError(
                "phones belongs to press (browse, push, stream and reset have a `phones` of their own, inside)"
            )
        return self

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.every is None:
            if self.times is not None:
                raise ValueError("times needs every: how long from one beginning to the next")
            if self.for_ and self.until:
                raise ValueError("a fault ends either after a time (for) or upon a fact or at a time (until)")
        elif self.for_ is None:
            raise ValueError("every needs for: how long the fault lasts each time")
        elif (self.times is None) == (self.until is None):
            raise ValueError("every needs either times: 3 or until: a fact or a time, or it would never end")
        return self

    def _words(self, *words: str) -> str:
        return " and ".join(word for word in words if getattr(self, "for_" if word == "for" else word) is not None)

    @property
    def action(self) -> str:
        """inject, press, browse, call, push, stream, reset, keys or wait."""
        return next((word for word in ACTS if getattr(self, word) is not None), "wait")


def _claim(name: str) -> str:
    if name not in CLAIM_NAMES:
        raise unknown_word(name, CLAIM_NAMES)
    return name


ClaimName = Annotated[str, AfterValidator(_claim)]


class Shows(_Strict):
    """Which claims of the page (``testbed.page``) a scenario shows to hold, and which to be broken where a remedy is missing or fooled."""

    holds: tuple[ClaimName, ...] = ()
    broken: tuple[ClaimName, ...] = ()


class Scenario(_Strict):
    """One scenario file. ``bed``: compose files, later ones overlay earlier ones; ``capture``: hosts to capture at."""

    scenario: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)]
    description: str = ""
    tags: tuple[str, ...] = ()
    bed: Annotated[tuple[str, ...], Field(min_length=1)] = ("bed.yaml",)
    phones: Annotated[int, Field(ge=0, strict=True)] = 12
    profile: ProfileName = "quick"
    profiles: Annotated[tuple[ProfileName, ...], Field(min_length=1)] = get_args(ProfileName)
    capture: tuple[HostName, ...] = ()
    steady: Steady | None = None
    steps: tuple[Step, ...] = ()
    expect: tuple[Expectation, ...] = ()
    shows: Shows = Shows()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.profile not in self.profiles:
            raise ValueError(f"profile {self.profile} is not among its profiles: {', '.join(self.profiles)}")
        times = [(place, step.at.seconds(self.timers)) for place, step in enumerate(self.steps) if step.at is not None]
        for (_, earlier), (place, later) in pairwise(times):
            if later < earlier:
                message = f"steps.{place} is at {later:g} s, after a step at {earlier:g} s: put them in order"
                raise misplaced(message, ("steps", place, "at"))
        for place, step in enumerate(self.steps):
            for word, problem in _impossible(step, self.timers).items():
                raise misplaced(problem, ("steps", place, word))
        return self

    @property
    def timers(self) -> Profile:
        """The timer profile itself."""
        return PROFILES[self.profile]

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults of its steps, in order."""
        return tuple(step.inject.fault for step in self.steps if step.inject)

    @property
    def measures_rehomes(self) -> bool:
        """Whether it expects a re-home, whose end is seen where the phones are."""
        return any(expectation.kind == "rehomed" for expectation in self.expect)


def _impossible(step: Step, timers: Profile) -> dict[str, str]:
    """Word of the step -> what is wrong with it, under these timers."""
    at_s = step.at.seconds(timers) if step.at else 0.0
    problems = {}
    if isinstance(step.until, Duration) and step.until.seconds(timers) <= at_s:
        problems["until"] = f"{step.until} is not after at {step.at}: both are times since the steps began"
    if step.every is None or step.for_ is None:
        return problems
    every_s, for_s = step.every.seconds(timers), step.for_.seconds(timers)
    if every_s <= for_s:
        problems["every"] = f"{step.every} is not longer than for {step.for_}: it would come again before it is over"
    elif every_s < MIN_EVERY_S:
        problems["every"] = f"{step.every} is quicker than {MIN_EVERY_S:g} s"
    elif at_s + (step.times or 1) * every_s > MAX_S:
        problems["times"] = f"{step.times} times every {step.every} is longer than an hour"
    return problems


def _one_kind(base: type[BaseModel], kinds: Mapping[str, Any]) -> Any:
    """A subclass with one optional field for each kind; field names are Python's, aliases the words themselves."""
    fields: dict[str, Any] = {
        f"kind_{place}": (kind, Field(default=None, alias=word)) for place, (word, kind) in enumerate(kinds.items())
    }
    return create_model(base.__name__, __base__=base, __doc__=base.__doc__, **fields)


def _list_of(model: Any) -> Any:
    return tuple.__class_getitem__((model, ...)), ()


def scenario_model(faults: Mapping[str, type[Fault]], checks: Mapping[str, type[BaseModel]]) -> type[Scenario]:
    """Scenario with these kinds of faults and of expectations, with the models of their parameters."""
    injection = _one_kind(Injection, faults)
    expectation = _one_kind(Expectation, checks)
    step: Any = create_model("Step", __base__=Step, __doc__=Step.__doc__, inject=(injection | None, None))
    lists = {"steps": _list_of(step), "expect": _list_of(expectation)}
    return create_model("Scenario", __base__=Scenario, __doc__=Scenario.__doc__, **lists)


@cache
def registered_model() -> type[Scenario]:
    """Scenario with the kinds that are registered."""
    from testbed.checks import KINDS as CHECKS
    from testbed.faults import KINDS as FAULTS

    return scenario_model(FAULTS, {name: kind.params for name, kind in CHECKS.items()})
