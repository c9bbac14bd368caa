from __future__ import annotations

import pytest

from testbed.campaign import combined


@pytest.mark.parametrize(
    ("codes", "status"),
    [([], 0), ([0, 0], 0), ([0, 3], 3), ([3, 1], 1), ([1, 4], 4), ([4, 6], 6), ([5, 3], 3), ([0, 5], 5), ([2, 1], 2)],
)
def test_several_exit_statuses_give_the_first_of_clean_up_environment_failure_inconclusive_nothing(
    codes: list[int], status: int
):
    assert combined(codes) == status
