"""Parts of the roles that need an event loop or the environment, and no process."""

from __future__ import annotations

import asyncio
import errno
import time

import pytest

from testbed.errors import UsageError
from testbed.roles.call_control import token_wait
from testbed.roles.common import HostEnvironment
from testbed.roles.phone import FleetSettings
from testbed.roles.phone_link import cause_of
from testbed.roles.phone_timers import Timers
from testbed.roles.phone_web import KEYS, url_of
from testbed.sep_file import CallControlAddress, PhoneUrls, SepFile

BED = {
    "TESTBED_HOST": "phones-1",
    "TESTBED_PROFILE": "srnd",
    "TESTBED_PREFIX": "172.26.0.0/16",
    "TESTBED_HOSTS": '{"ccm-1": "172.26.1.100", "outside-web": "198.18.26.80"}',
}


def test_environment_of_a_host_is_read():
    host = HostEnvironment.read("phone", BED)
    assert (host.host, host.profile.name, host.control_path) == ("phones-1", "srnd", "/run/testbed/control.sock")
    assert host.name_of("172.26.1.100") == "ccm-1"
    assert host.name_of("172.26.9.9") == "172.26.9.9"


def test_only_addresses_of_the_bed_are_reached():
    host = HostEnvironment.read("phone", BED)
    assert host.address_of("ccm-1") == host.address_of("172.26.1.100") == "172.26.1.100"
    assert [host.address_of(name) for name in ("outside-web", "8.8.8.8", "example.com", "")] == [None] * 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TESTBED_PROFILE", "slow"),
        ("TESTBED_PREFIX", "172.26"),
        ("TESTBED_PREFIX", "172.26.1.1/16"),
        ("TESTBED_HOSTS", "ccm-1"),
        ("TESTBED_HOSTS", '["ccm-1"]'),
    ],
)
def test_wrong_variable_is_named(name, value):
    with pytest.raises(UsageError, match=name):
        HostEnvironment.read("phone", {**BED, name: value})


def test_phones_of_a_host_have_names_by_index_and_addresses_by_place():
    settings = FleetSettings.read(
        {
            "TESTBED_PHONE_COUNT": "2",
            "TESTBED_FIRST_PHONE": "7",
            "TESTBED_PHONE_PREFIX": "172.26.24.0/21",
            "TESTBED_TFTP_SERVER": "172.26.1.10",
        }
    )
    assert settings.phones == (("SEP020000000007", "172.26.24.1"), ("SEP020000000008", "172.26.24.2"))
    assert settings.tftp_server == ("172.26.1.10", 69)


def test_more_phones_than_addresses_are_refused():
    with pytest.raises(UsageError, match="no room for 255 phones"):
        FleetSettings.read({"TESTBED_PHONE_COUNT": "255", "TESTBED_PHONE_PREFIX": "172.26.16.0/24"})


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (None, "closed"),
        (ConnectionRefusedError(errno.ECONNREFUSED, ""), "refused"),
        (ConnectionResetError(errno.ECONNRESET, ""), "reset"),
        (BrokenPipeError(errno.EPIPE, ""), "reset"),
        (TimeoutError(errno.ETIMEDOUT, ""), "timeout"),
        (OSError(errno.EHOSTUNREACH, ""), "unreachable"),
        (OSError(errno.ENETUNREACH, ""), "unreachable"),
    ],
    ids=str,
)
def test_kernel_errors_are_causes(error, cause):
    assert cause_of(error) == cause


@pytest.mark.parametrize("value", ["maybe", 0, -1, 3601, 1.5, None, True])
def test_token_is_granted_or_a_number_of_seconds(value):
    with pytest.raises(UsageError, match="token"):
        token_wait(value)


def test_every_key_has_its_url():
    urls = PhoneUrls(
        services="http://a/s",
        directory="http://a/d",
        information="http://a/i",
        messages="http://a/m",
        authentication="http://a/auth?x=1",
        idle="http://b/",
        proxy="172.26.1.20:8080",
    )
    file = SepFile(root="device", call_controls=(CallControlAddress(priority=0, host="ccm-1"),), urls=urls)
    assert [url_of(key, file, "SEP1", {}) for key in KEYS] == [
        "http://a/s",
        "http://a/d",
        "http://a/i",
        "http://a/m",
        "http://a/auth?x=1&UserID=testbed&Password=testbed&devicename=SEP1",
        "http://b/",
        "http://outside-web/",
    ]


def test_timers_wake_each_phone_once_in_order_of_time():
    async def wake_three() -> list[int]:
        woken: list[int] = []
        timers = Timers(3, woken.append)
        now = time.monotonic()
        timers.at(2, now + 0.03)
        timers.at(1, now + 0.02)
        timers.at(0, now + 5)
        timers.at(0, now + 0.01)  # earlier than asked before
        timers.at(1, now + 0.04)  # later than asked before: no change
        await asyncio.sleep(0.06)
        timers.close()
        return woken

    assert asyncio.run(wake_three()) == [0, 1, 2]
