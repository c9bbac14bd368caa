from __future__ import annotations

from typing import Any

import pytest

from testbed.errors import ScenarioError, UsageError
from testbed.topology import Role, Topology, device_name, topology_from_json, topology_of


def config() -> dict[str, Any]:
    return {
        "services": {
            "ccm-bk": {
                "labels": {"testbed.role": "call-control", "testbed.rank": "1"},
                "networks": {"voice": {"ipv4_address": "172.26.1.101"}},
            },
            "ccm-1": {
                "labels": ["testbed.role=call-control", "testbed.rank=0"],
                "networks": {"voice": {"ipv4_address": "172.26.1.100"}},
            },
            "slb": {
                "labels": {"testbed.role": "slb", "testbed.addresses": "172.26.1.2"},
                "networks": {"voice": {"ipv4_address": "172.26.1.1"}},
            },
            "phones-1": {
                "labels": {"testbed.role": "phone", "testbed.prefix": "172.26.16.0/21"},
                "networks": {"voice": {"ipv4_address": "172.26.2.1"}},
            },
            "phones-2": {
                "labels": {"testbed.role": "phone", "testbed.prefix": "172.26.24.0/21"},
                "networks": {"voice": {"ipv4_address": "172.26.3.1"}},
            },
            "plain": {"image": "redis"},
        }
    }


def topology(phones: int = 5) -> Topology:
    return topology_of(config(), bed="t", prefix="172.26.0.0/16", profile="quick", phones=phones, files=("bed.yaml",))


def test_phones_are_spread_over_the_phone_hosts_with_consecutive_names():
    found = topology(5)
    assert [(h.name, h.phones, h.first_phone) for h in found.with_role(Role.PHONE)] == [
        ("phones-1", 3, 1),
        ("phones-2", 2, 4),
    ]
    assert found.phones == tuple(device_name(n) for n in range(1, 6))
    assert found.phone_address("SEP020000000001") == "172.26.16.1"
    assert found.phone_address("SEP020000000004") == "172.26.24.1"


def test_hosts_of_a_role_come_in_order_of_rank_and_unlabelled_services_are_no_hosts():
    found = topology()
    assert [h.name for h in found.with_role(Role.CALL_CONTROL)] == ["ccm-1", "ccm-bk"]
    assert "plain" not in [h.name for h in found.hosts]


@pytest.mark.parametrize(
    ("address", "owner"),
    [
        ("172.26.1.100", "ccm-1"),
        ("172.26.1.2", "slb"),
        ("172.26.16.3", "phones-1"),
        ("172.26.24.9", "phones-2"),
        ("172.26.9.9", "172.26.9.9"),
    ],
)
def test_every_address_has_its_owner(address: str, owner: str):
    assert topology().host_of(address) == owner


def test_a_topology_survives_json():
    import json

    assert topology_from_json(json.loads(json.dumps(topology().to_json()))) == topology()


def test_an_unknown_host_is_refused_with_the_known_ones():
    with pytest.raises(UsageError) as caught:
        topology().host("ccm-2")
    assert "ccm-bk" in caught.value.hint


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"testbed.role": "phon"}, "unknown role 'phon'"),
        ({"testbed.role": "phone", "testbed.prefix": "172.26.16.0/33"}, "172.26.16.0/33"),
        ({"testbed.role": "slb", "testbed.addresses": "172.26.1"}, "172.26.1"),
        ({"testbed.role": "web-host", "testbed.rank": "first"}, "first"),
        ({"testbed.role": "phone", "testbed.prefix": "172.26.16.0/30"}, "do not fit"),
    ],
)
def test_a_bad_label_is_refused_with_file_and_path(labels: dict[str, str], said: str):
    with pytest.raises(ScenarioError) as caught:
        topology_of(
            {"services": {"x": {"labels": labels}}},
            bed="t",
            prefix="172.26.0.0/16",
            profile="quick",
            phones=3,
            files=("mine.yaml",),
        )
    assert said in str(caught.value)
    assert "mine.yaml: services.x.labels" in str(caught.value)


def test_a_compose_file_without_labels_is_refused_with_what_to_add():
    with pytest.raises(ScenarioError) as caught:
        topology_of({"services": {"web": {}}}, bed="t", prefix="172.26.0.0/16", profile="quick", phones=0)
    assert "testbed.host" in caught.value.hint
    assert "web" in caught.value.hint
