"""Phones whose configuration does not come, or is nonsense, try again; nothing they read makes the process end."""

from __future__ import annotations

import signal
import time

import pytest
from role_processes import Bed, configuration

PHONES = 2


@pytest.fixture
def bed(tmp_path):
    bed = Bed(tmp_path, phones=PHONES)
    try:
        yield bed
    finally:
        bed.close()


def test_phone_with_a_broken_file_reports_it_and_registers_once_it_is_mended(bed):
    bad, good = bed.names
    bed.tftp.files[f"{good}.cnf.xml"] = bed.tftp.files["XMLDefault.cnf.xml"]
    mended = bed.tftp.files[f"{bad}.cnf.xml"]
    bed.tftp.files[f"{bad}.cnf.xml"] = b"<!DOCTYPE device [<!ENTITY a 'b'>]><device>&a;</device>"
    control = bed.call_control("ccm-1")
    control.await_events(1, "RoleStarted")
    phones = bed.phones()
    (failed,) = phones.await_events(1, "ConfigFailed", phone=bad)[:1]
    assert failed["file"] == f"{bad}.cnf.xml"
    phones.await_events(1, "Registered", phone=good)
    assert [row["state"] for row in phones.ask(op="ls")["phones"]] == ["configuring", "registered"]
    assert phones.ask(op="press", phones=[bad], keys=["services"])["results"][0]["error"] == "no configuration yet"
    bed.tftp.files[f"{bad}.cnf.xml"] = mended
    phones.await_events(1, "Registered", phone=bad)


def test_phone_whose_call_control_is_outside_the_bed_sends_nothing_there(bed):
    files = configuration(bed.sccp_port, bed.http_port, 0)
    outside = files["device"].replace(b"127.0.1.100", b"192.0.2.1").replace(b"127.0.1.101", b"ccm-9")
    bed.tftp.files[f"{bed.names[0]}.cnf.xml"] = outside
    phones = bed.phones()
    lost = phones.await_events(4, "CallControlLost", phone=bed.names[0])
    assert {(event["at"], event["cause"]) for event in lost} == {("192.0.2.1", "unreachable"), ("ccm-9", "unreachable")}


def test_phones_that_were_frozen_themselves_keep_their_registration(bed):
    _, _, phones = bed.all_roles()
    phones.send(signal.SIGSTOP)
    time.sleep(1.6)  # longer than a keepalive interval, shorter than the call control's patience
    phones.send(signal.SIGCONT)
    time.sleep(1.2)
    assert {row["state"] for row in phones.ask(op="ls")["phones"]} == {"registered"}
    assert not phones.seen("CallControlLost")
