"""Where numbers are registered, as far as the call controls of a bed have told each other. Pure.

After a partition, or while one of them has not noticed yet that a phone went away, several call controls have a number. It is where it
registered last, in whatever order they tell of it: each says since when it has the number, in seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterator


class Directory:
    """Number -> link to the call control where it is. Whoever owns it names the links, and never gives a name again."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        """Where it registered last, of those that are not here."""
        self._here: dict[str, float] = {}
        self._claims: dict[str, dict[int, float]] = {}
        """By number: link -> since when the call control behind it has it."""

    def __len__(self) -> int:
        """How many numbers other call controls say that they have."""
        return len(self._claims)

    def here(self) -> Iterator[tuple[str, float]]:
        """Numbers that are registered at this call control, and since when."""
        return iter(self._here.items())

    def came(self, number: str, since_s: float) -> None:
        """It registered here."""
        self._here[number] = since_s
        self._settle(number)

    def gone(self, number: str) -> None:
        """It is here no longer."""
        self._here.pop(number, None)
        self._settle(number)

    def claim(self, number: str, link: int, since_s: float) -> None:
        """The call control behind this link has it."""
        self._claims.setdefault(number, {})[link] = since_s
        self._settle(number)

    def withdraw(self, number: str, link: int) -> None:
        """That call control has it no longer."""
        claims = self._claims.get(number, {})
        claims.pop(link, None)
        if not claims:
            self._claims.pop(number, None)
        self._settle(number)

    def lost(self, link: int) -> None:
        """Nothing of what that call control said counts any more."""
        for number in [number for number, claims in self._claims.items() if link in claims]:
            self.withdraw(number, link)

    def _settle(self, number: str) -> None:
        """One's own word counts where two are of the same instant."""
        claims = self._claims.get(number, {})
        newest = max(claims, key=lambda link: (claims[link], link), default=None)
        if newest is None or self._here.get(number, -1.0) >= claims[newest]:
            self.places.pop(number, None)
        else:
            self.places[number] = newest
