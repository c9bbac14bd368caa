from __future__ import annotations

import pytest

from testbed.errors import UsageError
from testbed.faults import KINDS, fault_of
from testbed.faults.base import Command, InNic, OnWorkload, Plan
from testbed.topology import Host, Link, Role, Topology

TOPOLOGY = Topology(
    bed="t",
    prefix="172.26.0.0/16",
    profile="quick",
    hosts=(
        Host(
            name="ccm-1",
            role=Role.CALL_CONTROL,
            links=(Link(host="ccm-1", network="voice", address="172.26.1.100"),),
            image="x",
        ),
    ),
)


@pytest.mark.parametrize(
    ("kind", "do", "undo"), [("stop", "stop", "start"), ("kill", "kill", "start"), ("freeze", "pause", "unpause")]
)
def test_a_host_fault_is_one_engine_action_and_its_opposite(kind: str, do: str, undo: str):
    assert fault_of(kind, "ccm-1").plan(TOPOLOGY, "id") == Plan(
        do=OnWorkload(host="ccm-1", action=do), undo=OnWorkload(host="ccm-1", action=undo)
    )


def test_a_cut_is_one_table_of_our_own_name_removed_as_a_whole():
    plan = fault_of("cut", "ccm-1").plan(TOPOLOGY, "cut-12ab")
    assert isinstance(plan.do, InNic)
    [command] = plan.do.commands
    assert command.argv == ("nft", "-f", "-")
    assert command.input == (
        "table netdev testbed_cut_12ab {\n"
        '  chain ingress { type filter hook ingress device "{device}" priority 0; policy accept; meta protocol { ip, ip6 } counter drop; }\n'
        '  chain egress { type filter hook egress device "{device}" priority 0; policy accept; meta protocol { ip, ip6 } counter drop; }\n'
        "}\n"
    )
    assert plan.undo == InNic(
        host="ccm-1",
        address="172.26.1.100",
        commands=(Command(argv=("nft", "delete", "table", "netdev", "testbed_cut_12ab")),),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_target_is_refused_before_anything_is_planned(kind: str):
    with pytest.raises(UsageError, match="ccm-9"):
        fault_of(kind, "ccm-9").plan(TOPOLOGY, "id")


def test_an_unknown_kind_lists_the_known_ones_and_the_closest():
    with pytest.raises(UsageError, match="freeze") as caught:
        fault_of("freze", "ccm-1")
    assert all(kind in caught.value.hint for kind in KINDS)
