from __future__ import annotations

import pytest
import yaml
from recordings import bed

from testbed.errors import UsageError
from testbed.faults import KINDS, fault_of
from testbed.faults.base import Command, Cycle, InNic, OnWorkload, Plan
from testbed.topology import Host, Link, Role, Topology

TOPOLOGY = bed(phones=6)


def act(kind: str, target: str, fault_id: str = "cut-12ab", **parameters: object) -> InNic:
    [found] = fault_of(kind, target, **parameters).plan(TOPOLOGY, fault_id).acts
    assert isinstance(found, InNic)
    return found


def rules(kind: str, target: str, **parameters: object) -> list[str]:
    """The lines of the table that say what happens to packets: ``way: rule``."""
    way, found = "", []
    for line in act(kind, target, **parameters).do[0].input.splitlines():
        words = line.strip()
        if words.startswith("chain"):
            way = words.split()[1]
        elif "counter" in words:
            found.append(f"{way}: {words}")
    return found


@pytest.mark.parametrize(
    ("kind", "do", "undo"),
    [
        ("stop", "stop", "start"),
        ("kill", "kill", "start"),
        ("freeze", "pause", "unpause"),
        ("restart", "restart", "start"),
    ],
)
def test_a_host_fault_is_one_engine_action_and_its_opposite(kind: str, do: str, undo: str):
    assert fault_of(kind, "ccm-1").plan(TOPOLOGY, "id") == Plan(acts=(OnWorkload(host="ccm-1", do=do, undo=undo),))


def test_a_power_off_cuts_the_link_before_it_kills():
    cut, kill = fault_of("power-off", "ccm-1").plan(TOPOLOGY, "id").acts
    assert (cut,) == fault_of("cut", "ccm-1").plan(TOPOLOGY, "id").acts
    assert kill == OnWorkload(host="ccm-1", do="kill", undo="start")


def test_a_cut_is_one_table_of_our_own_name_removed_as_a_whole():
    found = act("cut", "ccm-1")
    assert found.host == "ccm-1"
    assert found.addresses == ("172.26.1.100",)
    [command] = found.do
    assert command.argv == ("nft", "-f", "-")
    assert command.input == (
        "table netdev testbed_cut_12ab {\n"
        "  chain ingress {\n"
        "    type filter hook ingress devices = { {devices} } priority 0; policy accept;\n"
        "    meta protocol { ip, ip6 } counter drop\n"
        "  }\n"
        "  chain egress {\n"
        "    type filter hook egress devices = { {devices} } priority 0; policy accept;\n"
        "    meta protocol { ip, ip6 } counter drop\n"
        "  }\n"
        "}\n"
    )
    assert found.undo == (Command(argv=("nft", "delete", "table", "netdev", "testbed_cut_12ab")),)


@pytest.mark.parametrize(
    ("kind", "target", "expected"),
    [
        ("cut-in", "ccm-1", ["ingress: meta protocol { ip, ip6 } counter drop"]),
        ("cut-out", "ccm-1", ["egress: meta protocol { ip, ip6 } counter drop"]),
        (
            "cut",
            "slb<->web-1",
            [
                "ingress: ip saddr { 172.26.1.1/32, 172.26.1.2/32 } counter drop",
                "egress: ip daddr { 172.26.1.1/32, 172.26.1.2/32 } counter drop",
            ],
        ),
        ("cut", "slb->web-1", ["ingress: ip saddr { 172.26.1.1/32, 172.26.1.2/32 } counter drop"]),
        (
            "cut",
            "phones<->ccm-1",
            [
                "ingress: ip saddr { 172.26.2.1/32, 172.26.16.0/21 } counter drop",
                "egress: ip daddr { 172.26.2.1/32, 172.26.16.0/21 } counter drop",
            ],
        ),
        (
            "cut-in",
            "tcp/2000 at ccm-1",
            [
                "ingress: ip protocol tcp tcp dport 2000 counter drop",
                "ingress: ip protocol tcp tcp sport 2000 counter drop",
            ],
        ),
        (
            "cut",
            "udp at SEP020000000002<->tftp",
            [
                "ingress: ip saddr { 172.26.16.2/32 } ip protocol udp counter drop",
                "egress: ip daddr { 172.26.16.2/32 } ip protocol udp counter drop",
            ],
        ),
        (
            "cut-out",
            "1/3 of phones",
            ["egress: ip saddr { 172.26.16.1/32, 172.26.16.4/32 } counter drop"],
        ),
    ],
)
def test_a_cut_drops_the_packets_its_target_means_and_no_others(kind: str, target: str, expected: list[str]):
    assert rules(kind, target) == expected


def test_a_host_with_two_links_is_cut_at_both():
    links = (
        Link(host="proxy", network="a", address="172.26.1.20"),
        Link(host="proxy", network="b", address="198.18.26.20"),
    )
    two = Topology(
        bed="t",
        prefix="172.26.0.0/16",
        profile="quick",
        hosts=(Host(name="proxy", role=Role.PROXY, links=links, image=""),),
    )
    [found] = fault_of("cut", "proxy").plan(two, "id").acts
    assert isinstance(found, InNic)
    assert found.addresses == ("172.26.1.20", "198.18.26.20")


def test_a_pair_of_roles_is_cut_at_every_host_of_the_right_side():
    assert fault_of("cut", "slb<->web-host").hosts(TOPOLOGY) == ("web-1", "web-2")


def test_a_refusal_is_by_rst_for_tcp_and_by_icmp_for_the_rest():
    assert rules("reject", "ccm-1") == [
        "ingress: ip protocol tcp counter reject with tcp reset",
        "ingress: meta protocol ip counter reject with icmp admin-prohibited",
    ]
    assert rules("reject", "tcp/80 at phones<->web-1")[0].endswith("tcp dport 80 counter reject with tcp reset")
    assert rules("reject", "ccm-1", by="icmp") == [
        "ingress: meta protocol ip counter reject with icmp admin-prohibited"
    ]


def test_a_link_that_goes_down_is_configured_anew_when_it_comes_up():
    found = act("link-down", "ccm-1")
    assert [command.argv for command in (*found.do, *found.undo)] == [
        ("ip", "link", "set", "{device}", "down"),
        ("ip", "link", "set", "{device}", "up"),
        ("python3", "-m", "testbed.roles.nic", "configure"),
    ]


def test_a_flap_is_a_cut_that_takes_turns():
    found = act("flap", "web-1", down="300ms", up="1s")
    assert found.cycle == Cycle(on_s=0.3, off_s=1.0)
    assert found.do == act("cut", "web-1").do


def test_marks_are_changed_in_the_directions_asked_for():
    assert rules("bleach", "ccm-1", direction="out") == ["egress: meta protocol ip counter ip dscp set 0"]
    assert rules("remark", "phones->ccm-1", **{"from": "AF31", "to": "CS3"}) == [
        "ingress: ip saddr { 172.26.2.1/32, 172.26.16.0/21 } ip dscp 26 counter ip dscp set 24"
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_target_is_refused_before_anything_is_planned(kind: str):
    example = yaml.safe_load(KINDS[kind].example)[kind]
    parameters = {word: value for word, value in example.items() if word != "at"} if isinstance(example, dict) else {}
    with pytest.raises(UsageError, match="ccm-9"):
        fault_of(kind, "ccm-9", **parameters).plan(TOPOLOGY, "id")


def test_a_target_whose_address_docker_will_hand_out_is_known_before():
    hosts = tuple(Host(name=name, role=Role.OTHER, links=(Link(host=name, network="n"),), image="") for name in "ab")
    planned = Topology(bed="t", prefix="172.26.0.0/16", profile="quick", hosts=hosts)
    assert fault_of("cut", "a").hosts(planned) == ("a",)
    assert fault_of("cut", "a<->b").hosts(planned) == ("b",)


def test_an_unknown_kind_lists_the_known_ones_and_the_closest():
    with pytest.raises(UsageError, match="freez") as caught:
        fault_of("freez", "ccm-1")
    assert "did you mean 'freeze'" in caught.value.hint
    assert all(kind in caught.value.hint for kind in KINDS)


@pytest.mark.parametrize(
    ("kind", "target", "parameters", "message"),
    [
        ("cut", "tpc/2000 at ccm-1", {}, "unknown protocol 'tpc'"),
        ("cut", "tcp/0 at ccm-1", {}, "tcp/0 is no port"),
        ("cut", "tcp/70000 at ccm-1", {}, "is no port"),
        ("cut", "icmp/8 at ccm-1", {}, "is no port"),
        ("cut", "ccm-1<->ccm-1", {}, "on both sides"),
        ("cut", "3/3 of phones", {}, "no part of them"),
        ("cut-out", "slb->web-1", {}, "the arrow goes the other way"),
        ("link-down", "slb<->web-1", {}, "down for everybody"),
        ("reject", "udp at ccm-1", {}, "only TCP can be refused by RST"),
        ("reject", "ccm-1", {"by": "fax"}, "rst"),
        ("flap", "web-1", {"down": "1ms"}, "quicker than"),
        ("flap", "web-1", {"down": -1}, "down"),
        ("remark", "ccm-1", {"from": "AF31", "to": "AF31"}, "both AF31"),
        ("remark", "ccm-1", {"from": "AF99", "to": "EF"}, "AF99"),
        ("remark", "ccm-1", {}, "from"),
        ("cut", "", {}, "at"),
        ("kill", "ccm-1", {"how": "gently"}, "how"),
    ],
)
def test_what_cannot_be_is_refused(kind: str, target: str, parameters: dict[str, object], message: str):
    with pytest.raises(UsageError, match=message):
        fault_of(kind, target, **parameters).plan(TOPOLOGY, "id")
