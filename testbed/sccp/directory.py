"""Where numbers are registered, as far as the call controls of a bed have told each other. Pure.

A number is where it registered last. After a partition more than one call control may say that it is there: the older of them has not
noticed yet that its phone went away. What is told as news is newer than all that is known; what is told when a link comes up is older.
"""

from __future__ import annotations

from collections.abc import Callable


class Directory:
    """Number -> link to the call control where it is. ``is_here`` says which numbers are registered at this one."""

    def __init__(self, is_here: Callable[[str], bool]) -> None:
        self._is_here = is_here
        self.places: dict[str, int] = {}
        """Where it registered last. Not of numbers that are here, as far as is known."""
        self._claims: dict[str, list[int]] = {}
        """All links whose call controls say that they have it, the newest last."""

    def __len__(self) -> int:
        """How many numbers other call controls say that they have."""
        return len(self._claims)

    def claim(self, number: str, link: int, *, is_news: bool) -> None:
        """The call control behind this link has it."""
        claims = self._claims.setdefault(number, [])
        if is_news:
            if link in claims:
                claims.remove(link)
            claims.append(link)
            self.places[number] = link
            return
        if link not in claims:
            claims.insert(0, link)
        if number not in self.places and not self._is_here(number):
            self.places[number] = link

    def withdraw(self, number: str, link: int) -> None:
        """It is at that call control no longer: it is where one says so that has it still."""
        claims = self._claims.get(number, [])
        if link not in claims:
            return
        claims.remove(link)
        if not claims:
            del self._claims[number]
        if self.places.get(number) == link:
            del self.places[number]
            self.gone(number)

    def lost(self, link: int) -> None:
        """Nothing of what that call control said counts any more."""
        for number in [number for number, claims in self._claims.items() if link in claims]:
            self.withdraw(number, link)

    def came(self, number: str) -> None:
        """It registered here."""
        self.places.pop(number, None)

    def gone(self, number: str) -> None:
        """It is here no longer, or not where it was: what counts is who says last that it is there."""
        if number in self._claims and not self._is_here(number):
            self.places[number] = self._claims[number][-1]
