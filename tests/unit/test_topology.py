from __future__ import annotations

from typing import Any

import pytest

from testbed.errors import ScenarioError, UsageError
from testbed.topology import (
    Role,
    Topology,
    device_name,
    is_host,
    label_problem,
    topology_from_json,
    topology_of,
)


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
        ({"testbed.host": "true", "testbed.uplink": "2"}, "'2' is no rate"),
        ({"testbed.host": "true", "testbed.uplink": "1kbit"}, "not between 64kbit and 1gbit"),
        ({"testbed.host": "true", "testbed.uplink-queue": "red"}, "testbed.uplink-queue is 'red'"),
        ({"testbed.rol": "phone"}, "unknown label 'testbed.rol'"),
        ({"testbed.host": "maybe"}, "testbed.host is 'maybe'"),
        ({"testbed.host": "true", "testbed.nic": "x"}, "the label testbed.nic is the test-bed's own"),
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


def test_an_unknown_label_is_refused_with_the_closest_and_the_known_ones():
    problem = label_problem({"other.rol": "x", "testbed.rol": "phone"})
    assert problem is not None
    assert problem[1].startswith("did you mean 'testbed.role'? known labels: testbed.role, testbed.host, ")


def test_an_unknown_label_counts_also_on_a_service_that_is_no_host():
    services = {"a": {"labels": {"testbed.host": "true"}}, "b": {"labels": {"testbed.rol": "phone"}}}
    with pytest.raises(ScenarioError, match=r"services\.b\.labels: unknown label 'testbed\.rol'"):
        topology_of({"services": services}, bed="t", prefix="172.26.0.0/16", profile="quick", phones=0)


@pytest.mark.parametrize("word", ["true", "True", "yes", "1"])
def test_a_service_is_a_host_however_yaml_spells_true(word: str):
    assert label_problem({"testbed.host": word}) is None
    assert is_host({"testbed.host": word})


@pytest.mark.parametrize("word", ["false", "False", "no", "0"])
def test_a_service_is_no_host_however_yaml_spells_false_even_with_a_role(word: str):
    assert label_problem({"testbed.host": word}) is None
    assert not is_host({"testbed.host": word})
    assert not is_host({"testbed.host": word, "testbed.role": "slb"})


def test_an_address_that_is_none_is_refused_with_its_service():
    service = {"labels": {"testbed.host": "true"}, "networks": {"voice": {"ipv4_address": "172.26.1"}}}
    with pytest.raises(ScenarioError, match=r"services\.x\.networks: '172\.26\.1' does not appear"):
        topology_of({"services": {"x": service}}, bed="t", prefix="172.26.0.0/16", profile="quick", phones=0)


def test_phones_hosts_with_overlapping_prefixes_are_refused():
    source = config()
    source["services"]["phones-2"]["labels"]["testbed.prefix"] = "172.26.16.128/25"
    with pytest.raises(ScenarioError, match=r"overlaps that of phones-1"):
        topology_of(source, bed="t", prefix="172.26.0.0/16", profile="quick", phones=2, files=("mine.yaml",))
