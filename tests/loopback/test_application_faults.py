"""Application faults at the real roles, over sockets: what clients and phones get, and that it is over when it should be."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from role_processes import CCM_1, Bed, Role, free_port, wait_until

from testbed.faults import fault_of
from testbed.faults.base import AtRole
from testbed.topology import Host, Link, Topology
from testbed.topology import Role as HostRole

PHONES = 4


def requests_of(kind: str, host: str, role: HostRole, **parameters: object) -> AtRole:
    """What a scenario's fault asks of the role, as planned."""
    link = Link(host=host, network="n", address=CCM_1)
    topology = Topology(
        bed="t",
        prefix="127.0.0.0/8",
        profile="quick",
        hosts=(Host(name=host, role=role, links=(link,), image="testbed-node"),),
    )
    [act] = fault_of(kind, host, **parameters).plan(topology, f"{kind}-1").acts
    assert isinstance(act, AtRole)
    return act


class Site:
    """A web host as a process."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.control = folder / "web-1.sock"
        self.role = self.start()

    def start(self) -> Role:
        self.role = Role("web_host", "web-1", self.control, TESTBED_ADDRESS=CCM_1, TESTBED_HTTP_PORT=str(self.port))
        self.role.await_events(1, "RoleStarted")
        return self.role

    def get(self, path: str, timeout_s: float = 5) -> tuple[int, float]:
        """(status, seconds it took)."""
        began = time.monotonic()
        connection = http.client.HTTPConnection(CCM_1, self.port, timeout=timeout_s)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.headers["X-Served-By"] == "web-1"
            answer.read()
            return answer.status, time.monotonic() - began
        finally:
            connection.close()

    def fault(self, kind: str, **parameters: object) -> AtRole:
        act = requests_of(kind, "web-1", HostRole.WEB_HOST, **parameters)
        reply = self.role.ask(**act.do)
        assert reply["held"] is True, reply
        assert reply["began_s"] <= reply["effect_s"] <= time.time()
        return act


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    try:
        yield site
    finally:
        site.role.kill()


def statuses(site: Site, path: str, count: int = 1) -> list[int]:
    return [site.get(path)[0] for _ in range(count)]


def test_an_error_is_answered_for_the_share_of_one_path_and_the_health_page_stays_well(site: Site):
    act = site.fault("http-error", status=503, path="/text", share=50)
    assert statuses(site, "/text", 6) == [200, 503] * 3
    assert statuses(site, "/idle", 2) + statuses(site, "/health", 2) == [200] * 4
    assert site.role.ask(**act.undo)["effects"] == 3
    assert statuses(site, "/text", 4) == [200] * 4
    spoilt = site.role.await_events(3, "PageServed", fault_id="http-error-1")
    assert {(event["path"], event["status"]) for event in spoilt} == {("/text", 503)}
    assert [event["cause"] for event in site.role.seen("RoleFaultEnded")] == ["healed"]


def test_an_error_without_a_path_is_every_page_but_health_and_a_star_is_that_too(site: Site):
    act = site.fault("http-error", status=500)
    assert statuses(site, "/text") + statuses(site, "/no-such-page") + statuses(site, "/health") == [500, 500, 200]
    site.role.ask(**act.undo)
    site.fault("http-error", status=502, path="*")
    assert statuses(site, "/text") + statuses(site, "/health") == [502, 502]


def test_a_slow_page_is_late_by_what_was_asked_for_and_others_are_not(site: Site):
    site.fault("http-slow", by="400ms", path="/text")
    status, took_s = site.get("/text")
    assert status == 200
    assert 0.4 <= took_s < 1.5
    assert site.get("/idle")[1] < 0.4


def test_healing_lets_go_what_waits(site: Site):
    act = site.fault("http-slow", by="60s", path="/text")
    connection = http.client.HTTPConnection(CCM_1, site.port, timeout=5)
    connection.request("GET", "/text")
    time.sleep(0.1)
    site.role.ask(**act.undo)
    assert connection.getresponse().status == 200
    connection.close()


def test_a_fault_ends_with_its_lease_and_with_its_role(site: Site):
    act = requests_of("http-error", "web-1", HostRole.WEB_HOST, status=503)
    site.role.ask(**act.do, lease_s=0.3)
    assert statuses(site, "/text") == [503]
    site.role.await_events(1, "RoleFaultEnded", cause="lease ended")
    assert statuses(site, "/text") == [200]
    site.fault("http-error", status=503)
    site.role.kill()
    site.start()
    assert statuses(site, "/text") == [200]
    assert site.role.ask(**act.undo)["held"] is False


def relay(site: Site) -> subprocess.Popen[str]:
    """What the orchestrator keeps open into the container."""
    process = subprocess.Popen(
        [sys.executable, "-m", "testbed.roles.control", "hold"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TESTBED_CONTROL": str(site.control)},
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"ready": True}
    return process


def asked(process: subprocess.Popen[str], request: Mapping[str, object]) -> dict[str, object]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    reply: dict[str, object] = json.loads(process.stdout.readline())
    return reply


def test_what_was_asked_for_over_a_stream_is_healed_when_the_stream_ends(site: Site):
    first, second = (requests_of("http-error", "web-1", HostRole.WEB_HOST, path=path) for path in ("/text", "/idle"))
    with relay(site) as process:
        assert asked(process, {**first.do, "id": "a"})["held"] is True
        assert asked(process, {**second.do, "id": "b"})["held"] is True
        assert "error" in asked(process, {"op": "fault", "id": "c", "kind": "flu"})
        asked(process, {**second.undo, "id": "b"})
        assert statuses(site, "/text") + statuses(site, "/idle") == [500, 200]
        process.send_signal(signal.SIGINT)  # as from a dying orchestrator's terminal
        assert statuses(site, "/text") == [500]
    assert process.returncode == 0
    assert statuses(site, "/text") == [200]


def test_a_stream_to_a_role_that_is_gone_says_so_and_ends(site: Site):
    with relay(site) as process:
        site.role.kill()
        assert "error" in asked(process, {"op": "faults"})
        assert process.wait(5) == 4


def test_a_wrong_request_is_refused_by_the_role_itself(site: Site):
    for request in (
        {"op": "fault", "id": "f", "kind": "mute"},
        {"op": "fault", "id": "f", "kind": "http-error", "status": 200},
        {"op": "fault", "kind": "http-error", "status": 503},
    ):
        assert "error" in site.role.ask(**request)
    assert statuses(site, "/text") == [200]


def test_a_web_host_without_a_place_for_its_socket_serves_all_the_same(tmp_path: Path):
    port = free_port()
    role = Role("web_host", "web-1", tmp_path / "no" / "such.sock", TESTBED_ADDRESS=CCM_1, TESTBED_HTTP_PORT=str(port))
    try:
        role.await_events(1, "RoleStarted")
        assert role.end() == 0
    finally:
        role.kill()


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    bed = Bed(tmp_path, phones=PHONES)
    try:
        yield bed
    finally:
        bed.close()


def test_a_mute_call_control_is_left_after_three_keepalives_and_found_again_when_it_speaks(bed: Bed):
    first, _, phones = bed.all_roles()
    act = requests_of("mute", "ccm-1", HostRole.CALL_CONTROL)
    effect_s = first.ask(**act.do)["effect_s"]
    page = http.client.HTTPConnection(CCM_1, bed.http_port, timeout=0.5)
    page.request("GET", "/health")  # accepted
    with pytest.raises(TimeoutError):
        page.getresponse()
    rehomed = phones.await_events(PHONES, "Rehomed", to="ccm-bk")
    assert all(1.9 < event.time_s - effect_s < 3.5 for event in rehomed)
    assert {event["cause"] for event in phones.seen("CallControlLost", state="active")} == {"keepalive"}
    assert {event["message"] for event in first.await_events(PHONES, "MessageMuted")} <= {
        "KeepAlive",
        "RegisterTokenReq",
    }
    assert len(first.seen("PageMuted", path="/health")) == 1
    page.close()
    healed = first.ask(**act.undo)
    assert healed["effects"] >= 2 * PHONES + 1  # two KeepAlives of each phone, and the page
    phones.await_events(PHONES, "Rehomed", to="ccm-1", direction="fallback")
    assert len(first.ask(op="ls")["phones"]) == PHONES
    page = http.client.HTTPConnection(CCM_1, bed.http_port, timeout=5)
    page.request("GET", "/health")
    assert page.getresponse().status == 200
    page.close()


def test_a_mute_call_control_answers_no_registration_either(bed: Bed):
    first, _ = bed.call_control("ccm-1"), bed.call_control("ccm-bk").await_events(1, "RoleStarted")
    first.await_events(1, "RoleStarted")
    act = requests_of("mute", "ccm-1", HostRole.CALL_CONTROL)
    first.ask(**act.do)
    phones = bed.phones()
    phones.await_events(PHONES, "Registered", at="ccm-bk")
    assert {event["cause"] for event in phones.seen("CallControlLost", at="ccm-1")} == {"register-timeout"}
    first.await_events(PHONES, "MessageMuted", message="Alarm")
    assert first.ask(op="ls")["phones"] == []


def test_phones_that_are_reset_meet_the_refusal_and_go_to_the_backup_at_once(bed: Bed):
    first, _, phones = bed.all_roles()
    act = requests_of("register-reject", "ccm-1", HostRole.CALL_CONTROL, text="Error: DB Config", reset=True)
    began_s = first.ask(**act.do)["began_s"]
    registered = phones.await_events(PHONES, "Registered", at="ccm-bk")
    assert all(event.time_s - began_s < 1 for event in registered)
    assert {event["text"] for event in phones.seen("RegisterRejected", at="ccm-1")} == {"Error: DB Config"}
    refused = first.await_events(PHONES, "RegisterRefused", fault_id="register-reject-1")
    assert {event["phone"] for event in refused} == set(bed.names)
    assert first.ask(**act.undo)["effects"] >= PHONES
    phones.await_events(2 * PHONES, "Registered", at="ccm-1")


def test_registered_phones_notice_no_refusal_until_they_register_again(bed: Bed):
    first, _, phones = bed.all_roles()
    first.ask(**requests_of("register-reject", "ccm-1", HostRole.CALL_CONTROL).do)
    time.sleep(2.5)
    assert phones.seen("CallControlLost", state="active") == phones.seen("RegisterRejected") == []
    assert first.seen("RegisterRefused") == []


def test_a_refusal_of_the_owners_stays_when_the_fault_is_over(bed: Bed):
    first = bed.call_control("ccm-1", TESTBED_REJECT="Error: owner")
    first.await_events(1, "RoleStarted")
    act = requests_of("register-reject", "ccm-1", HostRole.CALL_CONTROL, text="Error: fault")
    first.ask(**act.do)
    first.ask(op="set", token=7)
    first.ask(**act.undo)
    assert first.ask(op="set") == {"reject": "Error: owner", "token": 7, "media_tos": 184}
    bed.call_control("ccm-bk").await_events(1, "RoleStarted")
    phones = bed.phones()
    phones.await_events(PHONES, "RegisterRejected", at="ccm-1", text="Error: owner")
    assert first.seen("RegisterRefused", fault_id="register-reject-1") == []


def test_a_mute_role_still_ends_in_order(bed: Bed):
    first, _, _ = bed.all_roles()
    first.ask(**requests_of("mute", "ccm-1", HostRole.CALL_CONTROL).do)
    assert first.end() == 0
    assert [event["cause"] for event in first.seen("RoleFaultEnded")] == ["role ended"]


def test_a_mute_call_control_that_is_killed_comes_back_speaking(bed: Bed):
    first, _, phones = bed.all_roles()
    first.ask(**requests_of("mute", "ccm-1", HostRole.CALL_CONTROL).do)
    first.send(signal.SIGKILL)
    phones.await_events(PHONES, "Rehomed", to="ccm-bk")
    again = bed.call_control("ccm-1")
    phones.await_events(PHONES, "Rehomed", to="ccm-1", direction="fallback")
    wait_until(lambda: len(again.ask(op="ls")["phones"]) == PHONES, "all phones back", again)
