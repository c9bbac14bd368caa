"""Where numbers are, with any number of other call controls: links 2, 3 and 4."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.sccp.directory import Directory

HERE = 1


def directory_of(acts: str) -> Directory:
    """``here 5`` came here at 5 s, ``2 at 5`` is behind link 2 since 5 s, ``not 2`` there no longer, ``not 1`` not here, ``lost 2``."""
    directory = Directory()
    for act in acts.split(", "):
        match act.split():
            case ["here", since]:
                directory.came("1001", float(since))
            case ["not", "1"]:
                directory.gone("1001")
            case ["not", link]:
                directory.withdraw("1001", int(link))
            case ["lost", link]:
                directory.lost(int(link))
            case [link, "at", since]:
                directory.claim("1001", int(link), float(since))
            case other:
                raise AssertionError(other)
    return directory


@pytest.mark.parametrize(
    ("acts", "place"),
    [
        ("2 at 5", 2),
        ("2 at 5, 3 at 6", 3),
        ("3 at 6, 2 at 5", 3),
        ("2 at 5, 3 at 6, not 3", 2),
        ("2 at 5, 3 at 6, not 2", 3),
        ("2 at 5, 3 at 6, lost 3", 2),
        # A connection that flaps tells again what it has told.
        ("2 at 5, 3 at 6, lost 3, 4 at 6", 4),
        ("2 at 5, 3 at 6, lost 3, 3 at 6", 3),
        ("2 at 5, 2 at 7, 3 at 6", 2),
        ("2 at 5, not 2", None),
        ("2 at 5, not 3", 2),
        ("here 5, 2 at 4", None),
        ("here 5, 2 at 6", 2),
        ("here 5, 2 at 5", None),
        ("here 5, 2 at 6, not 2", None),
        ("here 5, 2 at 4, not 1", 2),
        ("2 at 4, here 5, 3 at 6, lost 3, not 1", 2),
        ("here 5, not 1", None),
        ("2 at 0", 2),
    ],
)
def test_a_number_is_where_it_registered_last_of_all_who_have_it(acts: str, place: int | None) -> None:
    assert directory_of(acts).places.get("1001") == place


TOLD = st.dictionaries(st.integers(HERE, 5), st.integers(0, 9), max_size=5)


@given(TOLD, st.sets(st.integers(HERE, 5)))
def test_the_order_in_which_it_is_told_does_not_matter(told: dict[int, int], over: set[int]) -> None:
    """``told``: since when each has it, this one too; those in ``over`` have it no longer, by a word or by the end of their link."""
    left = {link: since for link, since in told.items() if link not in over}
    newest = max(left, key=lambda link: (left[link], link == HERE, link), default=HERE)
    for order in itertools.permutations(told):
        acts = [f"here {told[link]}" if link == HERE else f"{link} at {told[link]}" for link in order]
        acts += [f"{'lost' if link % 2 and link != HERE else 'not'} {link}" for link in sorted(over)]
        directory = directory_of(", ".join(acts)) if acts else Directory()
        assert directory.places.get("1001", HERE) == newest
        assert len(directory) == bool(left.keys() - {HERE})
        assert dict(directory.here()) == ({"1001": float(left[HERE])} if HERE in left else {})
