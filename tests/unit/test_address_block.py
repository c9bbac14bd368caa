from __future__ import annotations

import pytest

from testbed.address_block import CANDIDATES, AddressBlock, free_block
from testbed.errors import EngineError, UsageError


def test_the_figures_block_comes_first_where_it_is_free():
    assert free_block(["172.17.0.0/16", "10.0.0.0/24"]) == AddressBlock("172.26")


@pytest.mark.parametrize("taken", ["172.26.0.0/16", "172.26.5.0/24", "172.16.0.0/12", "198.18.26.0/24"])
def test_a_block_that_overlaps_another_network_or_route_is_passed_over(taken: str):
    assert free_block([taken]).prefix != "172.26"


def test_beds_side_by_side_have_different_outside_networks():
    assert len({AddressBlock(prefix).outside_cidr for prefix in CANDIDATES}) == len(CANDIDATES)


def test_no_free_block_says_who_is_in_the_way():
    with pytest.raises(EngineError, match=r"0\.0\.0\.0/1"):
        free_block(["0.0.0.0/1", "128.0.0.0/1"])


def test_the_block_asked_for_is_taken_or_refused_never_another():
    assert free_block([], wanted="10.77").cidr == "10.77.0.0/16"
    with pytest.raises(EngineError, match=r"10\.77"):
        free_block(["10.77.3.0/24"], wanted="10.77")


@pytest.mark.parametrize("word", ["foo", "10", "10.256", "10.1.2", "172.26/16", "-1.2"])
def test_what_is_no_block_is_refused_before_anything_is_asked(word: str):
    with pytest.raises(UsageError, match=r"10\.77|no block"):
        free_block([], wanted=word)
