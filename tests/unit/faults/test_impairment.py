from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import bed

from testbed.errors import UsageError
from testbed.faults import KINDS, fault_of
from testbed.faults.base import Command, Either, InNic
from testbed.faults.impairment import Impairment, parse_percent
from testbed.faults.impairment_means import COPY_MARK, link_name
from testbed.rate import parse_rate, written_rate
from testbed.topology import Host, Link, Role, Topology

TOPOLOGY = bed(phones=6)


def acts(kind: str, target: str, **parameters: Any) -> list[Either]:
    found = fault_of(kind, target, **parameters).plan(TOPOLOGY, "delay-12ab").acts
    assert all(isinstance(act, Either) for act in found)
    return [act for act in found if isinstance(act, Either)]


def both_means(kind: str, target: str, **parameters: Any) -> tuple[InNic, InNic]:
    [act] = acts(kind, target, **parameters)
    netem, nfqueue = act.options
    return netem, nfqueue


def impairment(kind: str, target: str = "web-1", **parameters: Any) -> Impairment:
    return fault_of(kind, target, **parameters).impairment(TOPOLOGY.timers)  # type: ignore[attr-defined,no-any-return]


def rules(act: InNic) -> list[str]:
    text = "\n".join(command.input for command in act.do)
    return [line.strip() for line in text.splitlines() if " counter " in line]


@pytest.mark.parametrize(
    ("kind", "parameters", "expected"),
    [
        ("delay", {"by": "50ms"}, Impairment(delay_s=0.05)),
        ("delay", {"by": "50ms", "jitter": "5ms"}, Impairment(delay_s=0.05, jitter_s=0.005)),
        ("jitter", {"by": "5ms"}, Impairment(delay_s=0.005, jitter_s=0.005)),
        ("jitter", {"by": "5ms", "delay": "20ms"}, Impairment(delay_s=0.02, jitter_s=0.005)),
        ("loss", {"by": 5}, Impairment(loss_percent=5)),
        ("rate", {"by": "1mbit"}, Impairment(rate_bit_s=1e6)),
        ("duplicate", {"by": "1%"}, Impairment(duplicate_percent=1)),
        ("reorder", {"by": 5}, Impairment(reorder_percent=5, delay_s=0.02)),
        ("corrupt", {"by": 0.1}, Impairment(corrupt_percent=0.1)),
        (
            "impair",
            {
                "delay": "50ms",
                "jitter": "5ms",
                "loss": 1,
                "rate": "64kbit",
                "duplicate": 2,
                "reorder": 3,
                "corrupt": "0.5 %",
            },
            Impairment(
                delay_s=0.05,
                jitter_s=0.005,
                loss_percent=1,
                rate_bit_s=64_000,
                duplicate_percent=2,
                reorder_percent=3,
                corrupt_percent=0.5,
            ),
        ),
    ],
)
def test_every_kind_of_impairment_is_the_same_value(kind: str, parameters: dict[str, Any], expected: Impairment):
    assert impairment(kind, **parameters) == expected


@pytest.mark.parametrize(
    ("kind", "parameters", "said"),
    [
        ("impair", {}, "impairs nothing: write delay: 50ms"),
        ("delay", {"by": "0s"}, "longer than nothing"),
        ("delay", {"by": "-1s"}, "negative"),
        ("delay", {"by": "11s"}, "more than 10 s: use cut"),
        ("delay", {"by": 50}, "has no unit"),
        ("delay", {"by": "5ms", "jitter": "6ms"}, "no packet leaves before it came"),
        ("impair", {"jitter": "5ms"}, "no packet leaves before it came"),
        ("impair", {"reorder": 5}, "reorder needs a delay"),
        ("impair", {"reorder": 100, "delay": "5ms"}, "leaves none to overtake"),
        ("loss", {"by": 0}, "not above 0 and up to 100"),
        ("loss", {"by": -1}, "not above 0 and up to 100"),
        ("loss", {"by": 101}, "not above 0 and up to 100"),
        ("loss", {"by": "101%"}, "not above 0 and up to 100"),
        ("loss", {"by": math.nan}, "not above 0 and up to 100"),
        ("loss", {"by": math.inf}, "not above 0 and up to 100"),
        ("loss", {"by": True}, "is no percentage"),
        ("loss", {"by": "many"}, "is no percentage"),
        ("rate", {"by": "1"}, "is no rate"),
        ("rate", {"by": 1000}, "is no rate"),
        ("rate", {"by": "-1mbit"}, "is no rate"),
        ("rate", {"by": "1bit"}, "not between 8kbit and 10gbit"),
        ("rate", {"by": "11gbit"}, "not between 8kbit and 10gbit"),
        ("delay", {}, "Field required"),
        ("delay", {"by": "5ms", "direction": "up"}, "'in', 'out' or 'both'"),
        ("delay", {"by": "5ms", "loss": 3}, "Extra inputs"),
    ],
)
def test_impossible_and_absurd_values_are_refused_in_words(kind: str, parameters: dict[str, Any], said: str):
    with pytest.raises(UsageError, match=said):
        fault_of(kind, "web-1", **parameters)


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["delay_s", "jitter_s", "loss_percent", "rate_bit_s", "corrupt_percent"])
def test_an_impairment_that_cannot_be_cannot_be_made(name: str, value: float):
    with pytest.raises(ValueError, match=name.partition("_")[0]):
        Impairment(**{name: value})


@given(st.one_of(st.text(), st.floats(), st.integers(), st.booleans(), st.none(), st.lists(st.integers())))
def test_whatever_is_written_as_a_percentage_or_rate_is_one_or_a_value_error(value: Any):
    for parse, largest in ((parse_percent, 100.0), (parse_rate, 1e18)):
        try:
            assert 0 <= parse(value) <= largest
        except ValueError:
            continue


@given(st.integers(8_000, 10_000_000_000))
def test_a_rate_is_read_again_from_what_it_is_written_as(bit_s: int):
    assert parse_rate(written_rate(bit_s)) == bit_s


@pytest.mark.parametrize("kind", [kind for kind, fault in KINDS.items() if fault.family == "impairment"])
def test_a_fault_is_read_again_from_what_it_is_recorded_as(kind: str):
    parameters = {"impair": {"rate": "1500kbit", "loss": 0.5}, "rate": {"by": "1mbit"}, "delay": {"by": "5ms"}}
    fault = fault_of(kind, "web-1", **parameters.get(kind, {"by": "5ms" if kind == "jitter" else 5}))
    recorded = json.loads(json.dumps(fault.model_dump(mode="json", by_alias=True)))
    assert KINDS[kind].model_validate(recorded) == fault


def test_an_impairment_goes_out_of_the_host_unless_told_otherwise_and_a_loss_in():
    def needed(kind: str, target: str, **parameters: Any) -> list[str]:
        return [act.options[0].needs for act in acts(kind, target, **parameters)]

    assert needed("delay", "web-1", by="5ms") == ["netem-out"]
    assert needed("loss", "web-1", by=5) == ["netem-in"]
    assert needed("loss", "web-1", by=5, direction="out") == ["netem-out"]
    assert needed("delay", "web-1", by="5ms", direction="both") == ["netem-in", "netem-out"]
    assert needed("delay", "slb->web-1", by="5ms") == ["netem-in"]
    with pytest.raises(UsageError, match="what goes from left to right comes in there"):
        acts("delay", "slb->web-1", by="5ms", direction="out")


def test_netem_out_of_a_host_is_a_class_of_our_own_beside_which_everything_else_passes():
    netem, _ = both_means("delay", "web-1", by="50ms", jitter="5ms")
    assert (netem.host, netem.addresses, netem.means, netem.needs) == (
        "web-1",
        ("172.26.1.111",),
        "netem",
        "netem-out",
    )
    guard, classes, table = netem.do
    assert guard.argv == ("sh", "-s", "{device}")
    assert classes == Command(
        argv=("tc", "-b", "-"),
        input=(
            "qdisc add dev {device} root handle 7e57: prio bands 2 priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
            "qdisc add dev {device} parent 7e57:1 handle 7e58: pfifo limit 1000\n"
            "qdisc add dev {device} parent 7e57:2 handle 7e59: netem limit 1550 delay 50000us 5000us\n"
        ),
    )
    assert table == Command(
        argv=("nft", "-f", "-"),
        input=(
            "table netdev testbed_delay_12ab_out0 {\n"
            "  chain egress {\n"
            "    type filter hook egress devices = { {devices} } priority 100; policy accept;\n"
            "    meta protocol ip counter meta priority set 7e57:2\n"
            "  }\n"
            "}\n"
        ),
    )
    delete, drain, remove = netem.undo
    assert delete == Command(argv=("nft", "delete", "table", "netdev", "testbed_delay_12ab_out0"))
    assert drain == Command(argv=("sleep", "0.061"))
    assert remove.argv == ("sh", "-s", "{device}")
    assert 'tc qdisc del dev "$1" root handle 7e57:' in remove.input
    assert guard.input.splitlines()[-1].endswith('tx_queue_len" > "/run/testbed-txqueuelen-$1"')
    assert remove.input.splitlines()[-1].startswith('ip link set dev "$1" txqueuelen "$(cat "$noted")"')


def test_netem_into_a_host_is_a_link_of_our_own_through_which_packets_come():
    netem, _ = both_means("loss", "slb", by=5)
    link = link_name("testbed_delay_12ab_in0")
    assert link.startswith("testbed_")
    assert len(link) == 15
    assert [command.argv for command in netem.do[:3]] == [
        ("ip", "link", "add", link, "type", "ifb"),
        ("tc", "-b", "-"),
        ("ip", "link", "set", link, "up"),
    ]
    assert netem.do[1].input == f"qdisc add dev {link} root handle 7e57: netem limit 1000 loss 5%\n"
    assert rules(netem) == [f'meta protocol ip counter fwd to "{link}"']
    assert [command.argv[0] for command in netem.undo] == ["nft", "sh"]


def test_nfqueue_is_a_table_of_our_own_and_one_process():
    _, nfqueue = both_means("impair", "web-1", delay="50ms", loss=1)
    table, process = nfqueue.do
    assert table.input == (
        "table ip testbed_delay_12ab_out0 {\n"
        "  chain held {\n"
        "  }\n"
        "  chain outgoing {\n"
        "    type filter hook postrouting priority 300; policy accept;\n"
        "    oifname { {devices} } meta mark != 0x7e57 counter jump held\n"
        "  }\n"
        "}\n"
    )
    assert process.background
    assert process.argv[:3] == ("python3", "-m", "testbed.roles.impairer")
    given = json.loads(process.argv[3])
    assert given.pop("seed") > 0
    assert given == {
        "table": "testbed_delay_12ab_out0",
        "chain": "held",
        "delay_s": 0.05,
        "loss_percent": 1.0,
        "limit_packets": 1500,
    }
    assert nfqueue.undo == (Command(argv=("nft", "delete", "table", "ip", "testbed_delay_12ab_out0")),)
    assert (nfqueue.means, nfqueue.needs) == ("nfqueue", "nfqueue")


def test_what_the_process_is_given_are_parameters_it_knows():
    from testbed.roles import impairer
    from testbed.roles.impairer_schedule import Parameters

    everything = {
        "delay": "5ms",
        "jitter": "5ms",
        "loss": 1,
        "rate": "1mbit",
        "duplicate": 1,
        "reorder": 1,
        "corrupt": 1,
    }
    _, nfqueue = both_means("impair", "web-1", **everything)
    given = json.loads(nfqueue.do[1].argv[3])
    del given["table"], given["chain"]
    assert set(given) == set(Parameters.__dataclass_fields__)
    Parameters(**given)
    assert impairer.COPY_MARK == COPY_MARK


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"rate": "1mbit"}, "limit 1000 rate 1000000bit"),
        (
            {"delay": "20ms", "reorder": 5, "duplicate": 1, "corrupt": 0.1},
            "limit 1200 delay 20000us duplicate 1% reorder 5% corrupt 0.1%",
        ),
        (
            {"delay": "1s", "jitter": "500ms", "loss": 0.5, "rate": "64kbit"},
            "limit 16000 delay 1000000us 500000us loss 0.5% rate 64000bit",
        ),
    ],
)
def test_netem_is_told_all_of_it_in_one_line(parameters: dict[str, Any], expected: str):
    assert impairment("impair", **parameters).netem() == expected


@pytest.mark.parametrize(
    ("target", "parameters", "netem", "nfqueue"),
    [
        (
            "web-1",
            {"towards": "slb"},
            "ip daddr { 172.26.1.1/32, 172.26.1.2/32 } counter meta",
            "!= 0x7e57 ip daddr { 172.26.1.1/32, 172.26.1.2/32 } counter jump",
        ),
        (
            "web-1",
            {"towards": "phones"},
            "ip daddr { 172.26.2.1/32, 172.26.16.0/21 } counter meta",
            "!= 0x7e57 ip daddr { 172.26.2.1/32, 172.26.16.0/21 } counter jump",
        ),
        (
            "slb<->web-1",
            {},
            "ip daddr { 172.26.1.1/32, 172.26.1.2/32 } counter meta",
            "!= 0x7e57 ip daddr { 172.26.1.1/32, 172.26.1.2/32 } counter jump",
        ),
        ("udp at web-1", {}, "ip protocol udp counter meta", "!= 0x7e57 ip protocol udp counter jump"),
    ],
)
def test_both_means_pick_the_packets_meant_and_no_others(
    target: str, parameters: dict[str, Any], netem: str, nfqueue: str
):
    kernel, ours = both_means("delay", target, by="5ms", **parameters)
    assert rules(kernel)[0].startswith(netem)
    assert nfqueue in rules(ours)[0]


@pytest.mark.parametrize(
    ("target", "towards", "said"),
    [
        ("web-1", "nobody", "no host 'nobody'"),
        ("web-1", "web-1", "web-1 is on both sides"),
        ("web-1", "slb<->phones", "write one peer"),
        ("slb<->web-1", "ccm-1", "write one peer"),
    ],
)
def test_a_peer_that_cannot_be_is_refused(target: str, towards: str, said: str):
    with pytest.raises(UsageError, match=said):
        acts("delay", target, by="5ms", towards=towards)


def test_two_links_are_two_acts_with_a_table_each():
    links = (
        Link(host="proxy", network="a", address="172.26.1.20"),
        Link(host="proxy", network="b", address="198.18.26.20"),
    )
    host = Host(name="proxy", role=Role.PROXY, links=links, image="")
    two = Topology(bed="t", prefix="172.26.0.0/16", profile="quick", hosts=(host,))
    plan = fault_of("rate", "proxy", by="1mbit", direction="both").plan(two, "rate-1")
    options = [option for act in plan.acts if isinstance(act, Either) for option in act.options]
    assert len(plan.acts) == 4
    assert {option.addresses for option in options} == {("172.26.1.20",), ("198.18.26.20",)}
    assert len({option.undo[0].argv for option in options}) == 8


def test_a_host_has_one_impairment_a_way():
    out, inward = fault_of("delay", "web-1", by="5ms"), fault_of("loss", "web-1", by=5)
    assert out.claims(TOPOLOGY) == {"impairment:web-1:out"}
    assert not out.claims(TOPOLOGY) & inward.claims(TOPOLOGY)
    assert fault_of("delay", "web-host", by="5ms").claims(TOPOLOGY) == {"impairment:web-1:out", "impairment:web-2:out"}
