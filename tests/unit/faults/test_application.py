"""Plans of application faults: requests to the roles, and who cannot have them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from recordings import bed

from testbed.errors import UsageError
from testbed.faults import KINDS, fault_of
from testbed.faults.base import AtRole, Plan
from testbed.topology import Topology

TOPOLOGY = bed()
APPLICATION = {name: kind for name, kind in KINDS.items() if kind.family == "application"}
NEEDED: dict[str, dict[str, Any]] = {"http-slow": {"by": "2s"}}


def of_the_user(topology: Topology, *names: str) -> Topology:
    return replace(topology, hosts=tuple(replace(host, ours=host.name not in names) for host in topology.hosts))


@pytest.mark.parametrize(
    ("kind", "target", "parameters", "request_"),
    [
        ("http-error", "web-1", {}, {"status": 500, "path": None, "share": 100.0}),
        (
            "http-error",
            "web-1",
            {"status": 503, "path": "/text", "share": 50},
            {"status": 503, "path": "/text", "share": 50.0},
        ),
        ("http-error", "ccm-1", {"path": "/CCMCIP/*"}, {"status": 500, "path": "/CCMCIP/*", "share": 100.0}),
        ("http-slow", "web-1", {"by": "2s"}, {"by_s": 2.0, "path": None, "share": 100.0}),
        ("http-slow", "web-1", {"by": "2 keepalives", "path": "*"}, {"by_s": 2.0, "path": "*", "share": 100.0}),
        ("register-reject", "ccm-1", {}, {"text": "Error: DB Config", "reset": False}),
        ("register-reject", "ccm-1", {"text": "No", "reset": True}, {"text": "No", "reset": True}),
        ("mute", "ccm-1", {}, {}),
    ],
)
def test_an_application_fault_is_a_request_to_the_role_and_one_that_takes_it_back(
    kind: str, target: str, parameters: dict[str, Any], request_: dict[str, Any]
):
    assert fault_of(kind, target, **parameters).plan(TOPOLOGY, "f-1") == Plan(
        acts=(
            AtRole(
                host=target,
                do={"op": "fault", "id": "f-1", "kind": kind, **request_},
                undo={"op": "heal", "id": "f-1"},
            ),
        )
    )


def test_a_role_word_means_each_of_its_hosts():
    assert fault_of("http-error", "web-host").hosts(TOPOLOGY) == ("web-1", "web-2")
    assert fault_of("mute", "call-control").hosts(TOPOLOGY) == ("ccm-1", "ccm-bk")


@pytest.mark.parametrize("kind", APPLICATION)
def test_a_host_of_the_users_own_is_refused_with_what_to_use_instead(kind: str):
    target = APPLICATION[kind].roles[0]  # type: ignore[attr-defined]
    host = TOPOLOGY.with_role(target)[0].name
    with pytest.raises(UsageError, match=f"{kind} at {host}: it runs an image or files of yours") as caught:
        fault_of(kind, host, **NEEDED.get(kind, {})).plan(of_the_user(TOPOLOGY, host), "id")
    assert caught.value.hint.startswith("instead: {")
    assert host in caught.value.hint


@pytest.mark.parametrize("kind", APPLICATION)
@pytest.mark.parametrize("target", ["slb", "tftp", "phones-1", "outside-web"])
def test_a_host_of_another_role_is_refused(kind: str, target: str):
    with pytest.raises(UsageError, match=f"{kind} is a fault of a "):
        fault_of(kind, target, **NEEDED.get(kind, {})).plan(TOPOLOGY, "id")


@pytest.mark.parametrize("target", ["phones->ccm-1", "tcp/80 at ccm-1", "slb<->ccm-1"])
def test_an_application_has_its_fault_towards_everybody(target: str):
    with pytest.raises(UsageError, match="towards everybody"):
        fault_of("mute", target).plan(TOPOLOGY, "id")


def test_only_call_controls_refuse_registrations_and_are_mute():
    for kind in ("register-reject", "mute"):
        with pytest.raises(UsageError, match="fault of a call-control, and web-1 is a web-host"):
            fault_of(kind, "web-1").plan(TOPOLOGY, "id")


def test_no_two_faults_of_one_application_overlap_nor_one_of_it_and_one_of_its_host():
    mute, freeze = fault_of("mute", "ccm-1"), fault_of("freeze", "ccm-1")
    assert mute.claims(TOPOLOGY) & fault_of("http-error", "ccm-1").claims(TOPOLOGY)
    assert mute.claims(TOPOLOGY) & freeze.claims(TOPOLOGY)
    assert not mute.claims(TOPOLOGY) & fault_of("mute", "ccm-bk").claims(TOPOLOGY)


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        ("http-error", {"status": 200}, "status"),
        ("http-error", {"status": 600}, "status"),
        ("http-error", {"status": "busy"}, "status"),
        ("http-error", {"share": 0}, "share"),
        ("http-error", {"share": 100.1}, "share"),
        ("http-error", {"share": -5}, "share"),
        ("http-error", {"path": "text"}, "path"),
        ("http-error", {"path": "/a*b"}, "path"),
        ("http-error", {"path": "/a b"}, "path"),
        ("http-error", {"path": ""}, "path"),
        ("http-slow", {}, "by"),
        ("http-slow", {"by": "0s"}, "by"),
        ("http-slow", {"by": "-1s"}, "negative"),
        ("http-slow", {"by": 2}, "unit"),
        ("http-slow", {"by": "3 min"}, "no client waits longer"),
        ("register-reject", {"text": ""}, "text"),
        ("register-reject", {"text": "x" * 33}, "text"),
        ("register-reject", {"text": "Błąd"}, "ASCII"),
        ("register-reject", {"reset": "perhaps"}, "reset"),
        ("mute", {"share": 50}, "share"),
    ],
)
def test_absurd_parameters_are_refused(kind: str, parameters: dict[str, Any], message: str):
    with pytest.raises(UsageError, match=message):
        fault_of(kind, "ccm-1", **parameters)
