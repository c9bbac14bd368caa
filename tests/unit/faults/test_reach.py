from __future__ import annotations

import pytest
from recordings import bed

from testbed.errors import UsageError
from testbed.faults.reach import End, end_of, end_of_phone, kept_apart, phones_kept_from
from testbed.faults.target import places

TOPOLOGY = bed(phones=6)
PHONES = TOPOLOGY.phones
CCM_1, CCM_BK, WEB_1, SLB = (TOPOLOGY.host(name) for name in ("ccm-1", "ccm-bk", "web-1", "slb"))


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("ccm-1", PHONES),
        ("call-control", PHONES),
        ("phones", PHONES),
        ("phones-1", PHONES),
        ("phones<->ccm-1", PHONES),
        ("ccm-1<->phones", PHONES),
        ("phones->ccm-1", PHONES),
        ("tcp/2000 at ccm-1", PHONES),
        ("tcp at phones<->ccm-1", PHONES),
        ("1/3 of phones<->ccm-1", PHONES[::3]),
        ("ccm-1<->1/3 of phones", PHONES[::3]),
        ("1/3 of phones", PHONES[::3]),
        (PHONES[4], PHONES[4:5]),
        (f"{PHONES[4]}<->call-control", PHONES[4:5]),
        ("slb<->ccm-1", ()),
        ("ccm-1<->slb", ()),
        ("phones<->ccm-bk", ()),
        ("web-1", ()),
        ("tcp/80 at ccm-1", ()),
        ("udp at ccm-1", ()),
        ("icmp at phones<->ccm-1", ()),
    ],
)
def test_a_target_keeps_these_phones_from_ccm_1_and_no_others(words: str, kept: tuple[str, ...]):
    assert phones_kept_from(TOPOLOGY, words, CCM_1) == tuple(kept)


@pytest.mark.parametrize(
    ("words", "one", "apart"),
    [
        ("slb<->web-1", SLB, True),
        ("phones<->web-1", SLB, False),
        ("web-host", SLB, True),
        ("slb", SLB, True),
        ("ccm-1", SLB, False),
        ("tcp/80 at slb->web-1", SLB, True),
        ("tcp/2000 at slb<->web-1", SLB, False),
    ],
)
def test_hosts_are_kept_apart_where_packets_between_them_are_meant(words: str, one, apart: bool):
    assert kept_apart(places(TOPOLOGY, words), end_of(one), end_of(WEB_1), 80) is apart


def test_a_phone_speaks_by_its_own_address_behind_its_hosts_nic():
    assert end_of_phone(TOPOLOGY, PHONES[1]) == End(host="phones-1", addresses=("172.26.16.2",))
    assert end_of(SLB) == End(host="slb", addresses=("172.26.1.1", "172.26.1.2"))


def test_white_space_around_a_target_is_nothing_and_control_characters_in_it_are_refused():
    assert places(TOPOLOGY, " ccm-1\n") == places(TOPOLOGY, "ccm-1")
    for words in ("ccm-1\n<->phones", "ccm-1\x1b[2J", "phones<->\tccm-1"):
        with pytest.raises(UsageError, match="is no target"):
            places(TOPOLOGY, words)


def test_an_error_shows_no_more_of_a_target_than_fits():
    with pytest.raises(UsageError) as caught:
        places(TOPOLOGY, "x" * 100_000)
    assert len(caught.value.message) < 300
