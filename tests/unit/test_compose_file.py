from __future__ import annotations

import json
from typing import Any

import pytest
from test_topology import config

from testbed.address_block import AddressBlock
from testbed.compose_file import active_services, with_nics, within_block
from testbed.errors import ScenarioError
from testbed.topology import topology_of

IMAGES = {name: f"testbed-{name}:abc" for name in ("nic", "node", "slb", "tftp", "proxy")}


def generated(change: dict[str, Any] | None = None) -> dict[str, Any]:
    source = config()
    source["services"]["ccm-1"] |= {
        "image": "testbed-node",
        "hostname": "callmanager",
        "ports": ["80:80"],
        "extra_hosts": ["a:1.2.3.4"],
        "environment": ["OWN=1", "EMPTY"],
        "sysctls": {"net.ipv4.tcp_retries2": 5, "kernel.msgmax": 1},
        **(change or {}),
    }
    topology = topology_of(source, bed="t", prefix="172.26.0.0/16", profile="quick", phones=5, files=("bed.yaml",))
    return with_nics(source, topology, IMAGES)["services"]


def test_the_nic_takes_over_all_that_belongs_to_the_namespace():
    services = generated()
    nic, workload = services["ccm-1-nic"], services["ccm-1"]
    assert nic["networks"] == {"voice": {"ipv4_address": "172.26.1.100", "aliases": ["ccm-1"]}}
    assert (nic["hostname"], nic["ports"], nic["extra_hosts"]) == ("callmanager", ["80:80"], ["a:1.2.3.4"])
    assert nic["sysctls"] == {"net.ipv4.tcp_retries2": 5}
    assert workload["network_mode"] == "service:ccm-1-nic"
    assert workload["sysctls"] == {"kernel.msgmax": 1}
    assert not {"networks", "hostname", "ports", "extra_hosts"} & set(workload)


def test_the_nic_has_the_two_capabilities_it_needs_and_no_more():
    nic = generated()["ccm-1-nic"]
    assert (nic["cap_drop"], nic["cap_add"]) == (["ALL"], ["NET_ADMIN", "NET_RAW"])
    assert nic["read_only"] is True


def test_the_nic_is_told_of_a_narrow_uplink_and_the_workload_is_not():
    assert "TESTBED_UPLINK" not in generated()["ccm-1-nic"]["environment"]
    labels = {"testbed.role": "call-control", "testbed.uplink": "2mbit", "testbed.uplink-queue": "fifo"}
    services = generated({"labels": labels})
    assert services["ccm-1-nic"]["environment"]["TESTBED_UPLINK"] == "2000000 fifo"
    assert "TESTBED_UPLINK" not in services["ccm-1"]["environment"]


def test_nics_are_started_one_after_another():
    services = generated()
    nics = [name for name in services if name.endswith("-nic")]
    assert len(nics) > 2
    assert [services[name]["depends_on"] for name in nics] == [[], *([earlier] for earlier in nics[:-1])]


def test_our_images_are_pinned_and_the_users_are_left_alone():
    services = generated()
    assert services["ccm-1"]["image"] == "testbed-node:abc"
    assert services["plain"] == {"image": "redis"}
    assert "plain-nic" not in services


def test_each_host_reaches_the_other_fleets_phones_via_the_fleets_own_address():
    services = generated()
    assert (
        services["ccm-1-nic"]["environment"]["TESTBED_ROUTES"]
        == "172.26.16.0/21 via 172.26.2.1,172.26.24.0/21 via 172.26.3.1"
    )
    assert services["phones-1-nic"]["environment"]["TESTBED_ROUTES"] == "172.26.24.0/21 via 172.26.3.1"
    assert services["phones-1-nic"]["environment"]["TESTBED_LOCAL_PREFIX"] == "172.26.16.0/21"
    assert services["slb-nic"]["environment"]["TESTBED_ADDRESSES"] == "172.26.1.2"


def test_a_workload_keeps_its_own_environment_and_is_told_about_the_bed():
    environment = generated()["ccm-1"]["environment"]
    assert (environment["OWN"], environment["EMPTY"]) == ("1", None)
    assert json.loads(environment["TESTBED_HOSTS"])["ccm-bk"] == "172.26.1.101"
    assert environment["TESTBED_PROFILE"] == "quick"


def test_a_phones_host_is_told_which_phones_are_its_own():
    environment = generated()["phones-2"]["environment"]
    assert (environment["TESTBED_PHONE_COUNT"], environment["TESTBED_FIRST_PHONE"]) == ("2", "4")
    assert environment["TESTBED_PHONE_PREFIX"] == "172.26.24.0/21"


def test_network_mode_of_a_labelled_service_is_refused():
    with pytest.raises(ScenarioError) as caught:
        generated({"network_mode": "host"})
    assert "services.ccm-1.network_mode" in str(caught.value)


def test_services_of_a_profile_nobody_asked_for_are_left_out():
    assert set(active_services({"services": {"a": {}, "b": {"profiles": ["x"]}}})["services"]) == {"a"}


def test_a_server_may_listen_on_a_further_address_before_the_nic_has_added_it():
    assert generated()["slb-nic"]["sysctls"] == {"net.ipv4.ip_nonlocal_bind": 1}


def test_a_users_networks_become_internal_get_addresses_of_the_bed_and_publish_nothing():
    config = {
        "services": {"web": {"ports": ["80:80"], "networks": {"default": None}}, "db": {"networks": ["back"]}},
        "networks": {"back": {"ipam": {"config": [{"subnet": "10.9.0.0/24"}]}}},
    }
    result = within_block(config, AddressBlock("172.30"))
    assert "ports" not in result["services"]["web"]
    assert result["networks"] == {
        "back": {"internal": True, "ipam": {"config": [{"subnet": "10.9.0.0/24"}]}},
        "default": {"internal": True, "ipam": {"config": [{"subnet": "172.30.101.0/24"}]}},
    }


def test_an_external_network_is_refused():
    with pytest.raises(ScenarioError, match=r"networks\.lan\.external"):
        within_block({"services": {}, "networks": {"lan": {"external": True}}}, AddressBlock("172.30"))


def test_a_service_with_the_name_of_a_nic_is_refused():
    source = config()
    source["services"]["ccm-1-nic"] = {"image": "redis"}
    topology = topology_of(source, bed="t", prefix="172.26.0.0/16", profile="quick", phones=0)
    with pytest.raises(ScenarioError, match=r"services\.ccm-1-nic"):
        with_nics(source, topology, IMAGES)
