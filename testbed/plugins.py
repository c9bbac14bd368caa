"""Kinds that other packages add: entry points ``testbed.faults``, ``testbed.proofs`` and ``testbed.checks``, loaded when a kind is first
asked for.

A package that cannot be loaded, or whose word is taken, adds nothing and is told of by name; everything else goes on. So a broken
plug-in costs its own words only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

FAULTS, PROOFS, CHECKS = "testbed.faults", "testbed.proofs", "testbed.checks"
OURS = "testbed"
WORD = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

T = TypeVar("T")


class NotAKind(Exception):
    """What an entry point stands for cannot be added: the text says why."""


@dataclass(kw_only=True, slots=True)
class _Found(Generic[T]):
    """Kinds by word, the distributions of those that are not ours, and what is wrong with others."""

    kinds: dict[str, T]
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


_registries: list[Registry[object]] = []


class Registry(Mapping[str, T], Generic[T]):
    """Kinds by the word a scenario uses: our own, then those of plug-ins.

    ``accept`` gives the kind that an entry point stands for, or raises NotAKind. Loading is
    put off until the first look, so that a plug-in may import whatever of ours it builds on.
    """

    def __init__(self, group: str, own: Iterable[tuple[str, T]], accept: Callable[[str, object, str], T]) -> None:
        self.group, self._own, self._accept = group, dict(own), accept
        self._found: _Found[T] | None = None
        _registries.append(self)  # type: ignore[arg-type]

    def __getitem__(self, word: str) -> T:
        return self._all().kinds[word]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all().kinds)

    def __len__(self) -> int:
        return len(self._all().kinds)

    def origin(self, word: str) -> str:
        """``testbed``, or the distribution that this kind comes from, with its version."""
        return self._all().origins.get(word, OURS)

    @property
    def problems(self) -> list[str]:
        """What is wrong with plug-ins, a line each; none before anybody asked for a kind."""
        return self._found.problems if self._found else []

    def forget(self) -> None:
        """Look again at the next question: packages may have come or gone."""
        self._found = None

    def _all(self) -> _Found[T]:
        if self._found is None:
            found = _Found(kinds=dict(self._own))
            for point in sorted(entry_points(group=self.group), key=lambda point: (origin_of(point), point.name)):
                self._add(found, point)
            self._found = found
        return self._found

    def _add(self, found: _Found[T], point: EntryPoint) -> None:
        origin = origin_of(point)
        try:
            if not WORD.fullmatch(point.name):
                raise NotAKind("is no word of a scenario: small letters, digits and single hyphens")
            if point.name in found.kinds:
                raise NotAKind(f"is a word of {found.origins.get(point.name, 'the test-bed itself')} already")
            found.kinds[point.name] = self._accept(point.name, point.load(), origin)
        # A foreign module may raise anything while it is imported, SystemExit included.
        except (Exception, SystemExit) as error:
            said = " ".join(str(error).split())
            reason = said if isinstance(error, NotAKind) else f"cannot be loaded: {type(error).__name__}: {said}"
            found.problems.append(f"{origin}: {self.group} {point.name!r} ({point.value}) {reason}")
        else:
            found.origins[point.name] = origin


def origin_of(point: EntryPoint) -> str:
    """Name and version of the distribution that brings it."""
    distribution = getattr(point, "dist", None)
    return f"{distribution.name} {distribution.version}" if distribution else "a package without a name"


def problems() -> list[str]:
    """What is wrong with the plug-ins that were looked at so far; looks at none itself."""
    return [problem for registry in _registries for problem in registry.problems]


def guarded(function: Callable[..., T], otherwise: Callable[[str], T]) -> Callable[..., T]:
    """A plug-in's function, or a drawing of a report, that gives ``otherwise(what was raised)`` where it raises anything."""

    def call(*arguments: object) -> T:
        try:
            return function(*arguments)
        except Exception as error:
            return otherwise(f"{type(error).__name__}: {' '.join(str(error).split())}")

    return call
