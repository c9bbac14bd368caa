from __future__ import annotations

import pytest

from testbed.engine.kernel import impairment_means, words_of


@pytest.mark.parametrize(
    ("works", "said"),
    [
        ({"netem-out", "netem-in", "nfqueue"}, "netem (delay"),
        ({"nfqueue", "tbf", "ifb"}, "NFQUEUE and a process of ours"),
        ({"netem-out", "nfqueue"}, "out of a host netem, into it NFQUEUE"),
        ({"netem-in"}, "missing out of a host: neither netem with prio nor NFQUEUE"),
        (set(), "missing: neither netem nor NFQUEUE"),
    ],
)
def test_doctor_says_by_what_links_are_impaired(works: set[str], said: str):
    assert said in impairment_means(works)


def test_the_probe_speaks_a_word_a_line_and_the_nic_a_json_list():
    assert words_of('cut\n["tbf", "nfqueue"]\nremark\n') == {"cut", "tbf", "nfqueue", "remark"}
    assert words_of("cut\n") == {"cut"}
