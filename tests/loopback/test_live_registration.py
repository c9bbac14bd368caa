"""Real processes, real sockets, profile quick: phones register, lose their call control, come back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from role_processes import CCM_1, ROOT, Bed

PHONES = 6


@pytest.fixture
def bed(tmp_path):
    bed = Bed(tmp_path, phones=PHONES)
    try:
        yield bed
    finally:
        bed.close()


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """(bed, primary, backup, phones) for tests that leave them as they were."""
    bed = Bed(tmp_path_factory.mktemp("standing"), phones=PHONES, idle_s=1)
    try:
        yield bed, *bed.all_roles()
    finally:
        bed.close()


def test_phones_register_survive_a_kill_come_back_and_unregister(bed):
    first, backup, phones = bed.all_roles()
    registered = phones.seen("Registered", at="ccm-1")
    assert {event["phone"] for event in registered} == set(bed.names)
    assert {event["keepalive_s"] for event in registered} == {1}
    assert [event["file"] for event in phones.seen("ConfigRead")].count("XMLDefault.cnf.xml") == PHONES // 2

    killed_s = time.time()
    first.kill()
    rehomed = phones.await_events(PHONES, "Rehomed", to="ccm-bk")
    assert max(event.time_s for event in rehomed) - killed_s < 1
    assert {event["cause"] for event in phones.seen("CallControlLost", state="active")} <= {"closed", "reset"}
    rows = phones.ask(op="ls")["phones"]
    assert {(row["state"], row["registered_at"], row["rank"]) for row in rows} == {("registered", "ccm-bk", 1)}
    results = phones.ask(op="press", phones=bed.names[:1], keys=["services", "idle"])["results"]
    assert [(result["ok"], result.get("served_by")) for result in results] == [(False, None), (True, "ccm-bk")]
    assert "refused" in results[0]["error"]

    first = bed.call_control("ccm-1")
    phones.await_events(PHONES, "Rehomed", to="ccm-1", direction="fallback")
    assert {event["phone"] for event in phones.seen("TokenGranted", at="ccm-1")} == set(bed.names)
    backup.await_events(PHONES, "PhoneUnregistered", cause="unregister")
    # The configuration was read once: nobody asked the TFTP server again.
    assert len(bed.tftp.asked) == PHONES + PHONES // 2

    assert phones.end() == 0
    assert len(phones.seen("Unregistered", reason="stop")) == PHONES
    first.await_events(PHONES, "PhoneUnregistered", cause="unregister")
    assert first.end() == 0
    assert backup.end() == 0


def test_frozen_call_control_is_left_after_three_keepalives_and_works_again_when_thawed(bed):
    first, _, phones = bed.all_roles()
    frozen_s = time.time()
    first.send(signal.SIGSTOP)
    rehomed = phones.await_events(PHONES, "Rehomed", to="ccm-bk")
    assert all(1.9 < event.time_s - frozen_s < 3.5 for event in rehomed)
    assert {event["cause"] for event in phones.seen("CallControlLost", state="active")} == {"keepalive"}
    first.send(signal.SIGCONT)
    phones.await_events(PHONES, "Rehomed", to="ccm-1", direction="fallback")
    assert len(first.ask(op="ls")["phones"]) == PHONES


def test_rejected_phones_register_elsewhere_and_refused_tokens_keep_them_there(bed):
    first, backup = (
        bed.call_control("ccm-1", TESTBED_REJECT="Error: No License", TESTBED_TOKEN="1"),
        bed.call_control("ccm-bk"),
    )
    first.await_events(1, "RoleStarted")
    backup.await_events(1, "RoleStarted")
    phones = bed.phones()
    phones.await_events(PHONES, "Registered", at="ccm-bk")
    assert {event["text"] for event in phones.seen("RegisterRejected")} == {"Error: No License"}
    phones.await_events(PHONES, "TokenRefused", at="ccm-1", wait_s=1)
    assert first.ask(op="set", reject=None, token="grant") == {"reject": None, "token": "grant", "media_tos": 184}
    phones.await_events(PHONES, "Registered", at="ccm-1")


def test_every_key_fetches_its_page(standing):
    bed, _, _, phones = standing
    results = phones.ask(op="press", phones=bed.names[:1], keys=["all-urls"])["results"]
    assert {result["url_name"]: result["ok"] for result in results} == {
        **dict.fromkeys(["services", "directory", "information", "messages", "authentication", "idle"], True),
        "proxy": False,
    }
    contents = {result["url_name"]: result.get("content") for result in results}
    assert (contents["services"], contents["authentication"]) == ("CiscoIPPhoneMenu", "text/html")
    assert results[-1]["error"] == "not set in the configuration file"


def test_idle_page_is_fetched_after_the_idle_time(standing):
    _, _, _, phones = standing
    idle = phones.await_events(PHONES, "UrlAnswered", url_name="idle", served_by="ccm-bk")
    began = {event["phone"]: event.time_s for event in phones.seen("Registered")}
    assert all(event.time_s - began[event["phone"]] > 0.9 for event in idle if event["phone"] != "SEP020000000001")


def test_browsing_phones_ask_at_the_interval_for_the_duration(standing):
    bed, _, _, phones = standing
    url = f"http://{CCM_1}:{bed.http_port}/CCMCIP/xmldirectory.asp"
    assert phones.ask(op="browse", phones=bed.names[:2], url=url, interval_s=0.1, duration_s=0.5)["phones"] == 2
    pages = phones.await_events(10, "UrlAnswered", url_name="page", url=url)
    assert [event["phone"] for event in pages].count(bed.names[0]) == 5


def test_reset_makes_the_phone_read_its_configuration_and_register_again(standing):
    bed, first, _, phones = standing
    assert first.ask(op="reset", phones=[bed.names[3]], kind=2) == {"phones": [bed.names[3]], "kind": 2}
    phones.await_events(2, "Registered", at="ccm-1", phone=bed.names[3])
    assert len(phones.seen("ConfigRead", phone=bed.names[3])) == 2
    assert phones.seen("Unregistered", phone=bed.names[3])[0]["reason"] == "reset"


def test_control_program_shows_a_phone(standing):
    bed, _, _, phones = standing
    done = subprocess.run(
        [sys.executable, "-m", "testbed.roles.control", json.dumps({"op": "show", "phone": bed.names[1]})],
        env={**os.environ, "TESTBED_CONTROL": str(phones.control)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    shown = json.loads(done.stdout)
    assert (shown["registered_at"], shown["standby"], shown["line"]) == ("ccm-1", "ccm-bk", "1002")
    assert shown["urls"]["services"].endswith("/CCMCIP/getservicesmenu.asp")
    assert shown["tos"] == {"signalling": 104, "services": 0}


def test_wrong_requests_get_an_error_and_the_known_words(standing):
    _, control, _, phones = standing
    assert phones.ask(op="dance") == {
        "error": "no such op",
        "known": ["answer", "browse", "call", "keys", "ls", "press", "screen", "show", "stop"],
    }
    assert "known: services" in phones.ask(op="press", keys=["coffee"])["hint"]
    assert "no phone 'SEP1' here" in phones.ask(op="show", phone="SEP1")["error"]
    assert "interval_s" in phones.ask(op="browse", url="http://web-1/", interval_s=0, duration_s=1)["error"]
    assert "token" in control.ask(op="set", token="maybe")["error"]


def test_role_with_a_wrong_environment_ends_with_status_2_and_names_the_variable():
    done = subprocess.run(
        [sys.executable, "-m", "testbed.roles.call_control"],
        env={**os.environ, "TESTBED_PROFILE": "slow"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 2
    assert "TESTBED_PROFILE='slow'" in done.stderr
    assert "quick" in done.stderr
