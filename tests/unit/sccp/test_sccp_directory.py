"""Where numbers are, with any number of other call controls: links 2, 3 and 4."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.sccp.directory import Directory


class Known:
    """A directory, and the numbers that are here."""

    def __init__(self) -> None:
        self.here: set[str] = set()
        self.directory = Directory(self.here.__contains__)

    def act(self, what: str, number: str, link: int) -> None:
        if what == "came":
            self.here.add(number)
            self.directory.came(number)
        elif what == "gone" and number in self.here:
            self.here.discard(number)
            self.directory.gone(number)
        elif what == "news":
            self.directory.claim(number, link, is_news=True)
        elif what == "old":
            self.directory.claim(number, link, is_news=False)
        elif what == "withdrawn":
            self.directory.withdraw(number, link)
        elif what == "lost":
            self.directory.lost(link)

    @property
    def place(self) -> int | None:
        return self.directory.places.get("1001")


@pytest.mark.parametrize(
    ("acts", "place"),
    [
        ("news 2", 2),
        ("news 2, news 3", 3),
        ("news 2, news 3, news 2", 2),
        ("old 2, old 3", 2),
        # A partition heals: what its other side still believes is older than what is known.
        ("news 3, old 2", 3),
        ("news 3, old 2, withdrawn 3", 2),
        ("news 3, old 2, lost 3", 2),
        ("news 3, old 2, withdrawn 2", 3),
        ("news 2, news 3, old 2, withdrawn 3", 2),
        ("old 2, old 3, old 4, withdrawn 2", 3),
        ("news 2, news 3, news 4, withdrawn 3, lost 4", 2),
        ("news 2, withdrawn 2", None),
        ("news 2, withdrawn 3", 2),
        # Here: nowhere else, until there are news of it, or it is gone.
        ("news 2, came", None),
        ("news 2, came, gone", 2),
        ("came, old 2", None),
        ("came, news 2", 2),
        ("came, news 2, news 3, withdrawn 3", None),
        ("came, news 2, news 3, withdrawn 3, gone", 2),
        ("came, old 2, news 3, gone", 3),
        ("came, old 2, lost 2, gone", None),
        ("news 3, old 2, came, gone", 3),
    ],
)
def test_a_number_is_where_it_registered_last_of_all_who_have_it(acts: str, place: int | None) -> None:
    known = Known()
    for act in acts.split(", "):
        what, _, link = act.partition(" ")
        known.act(what, "1001", int(link or 0))
    assert known.place == place


ACTS = st.tuples(
    st.sampled_from(["came", "gone", "news", "old", "withdrawn", "lost"]),
    st.sampled_from(["1001", "1002"]),
    st.integers(2, 4),
)


@given(st.lists(ACTS, max_size=30))
def test_whatever_is_told_in_any_order(acts: list[tuple[str, str, int]]) -> None:
    known = Known()
    claims: dict[str, set[int]] = {"1001": set(), "1002": set()}
    for what, number, link in acts:
        known.act(what, number, link)
        if what in ("news", "old"):
            claims[number].add(link)
        elif what == "withdrawn":
            claims[number].discard(link)
        for each in claims.values() if what == "lost" else ():
            each.discard(link)
        if what == "news":
            assert known.directory.places[number] == link
        assert len(known.directory) == sum(1 for each in claims.values() if each)
        for one, links in claims.items():
            place = known.directory.places.get(one)
            assert place in links if place is not None else one in known.here or not links
            if what == "came" and one == number:
                assert place is None
