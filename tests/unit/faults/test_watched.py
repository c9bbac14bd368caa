"""Where a run with faults looks: known before the bed is up."""

from __future__ import annotations

from dataclasses import replace

import plain_stories
import pytest
from recordings import bed

from testbed.faults import fault_of
from testbed.faults.probing import watched_hosts
from testbed.topology import Topology


def without_addresses(topology: Topology) -> Topology:
    """As it is before Docker has handed addresses out."""
    hosts = [
        replace(host, links=tuple(replace(link, address="") for link in host.links), addresses=())
        for host in topology.hosts
    ]
    return replace(topology, hosts=tuple(hosts))


@pytest.mark.parametrize(
    "target", ["slb", "client->slb", "tcp/80 at client->slb", "shop-1<->slb", "tcp/8000 at shop-1"]
)
@pytest.mark.parametrize("kind", ["cut", "delay", "bleach"])
def test_the_same_hosts_are_watched_before_docker_hands_out_addresses_as_after(kind: str, target: str):
    parameters = {"by": "50ms"} if kind == "delay" else {}
    fault, topology = fault_of(kind, target, **parameters), plain_stories.bed()
    after = watched_hosts(topology, [fault], ["client"])
    assert watched_hosts(without_addresses(topology), [fault], ["client"]) == after
    assert len(after) > 1


def test_a_bystander_is_watched_where_a_fault_is_about_one_peer_only():
    assert len(watched_hosts(bed(), [fault_of("cut", "slb<->web-1")])) == 3
