"""What an impairment does to packets, and what happens when the process that does it, or the one that holds it, is killed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bench.impairment import Pair, pair

from testbed.errors import BedError, EngineError
from testbed.faults import fault_of

KILL = """
import os, pathlib, signal, sys
for path in pathlib.Path("/proc").iterdir():
    if path.name.isdigit() and b"testbed.roles.nic\\0serve" in (path / "cmdline").read_bytes():
        parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
        # The holder was started from outside the container, which is number 0 here; the impairer is a fork of it.
        if (parent == 0) == (sys.argv[1] == "holder"):
            os.kill(int(path.name), signal.SIGKILL)
"""
"""Kills the holder or the impairer of this NIC."""


@pytest.fixture(scope="module")
def hosts() -> Iterator[Pair]:
    with pair("e2e-impairment") as hosts:
        yield hosts


def test_a_delay_holds_its_time_and_loses_nothing_both_ways(hosts: Pair):
    for direction in ("out", "in"):
        found = hosts.measure(rate_s=500, seconds=2, kind="delay", by="50ms", direction=direction)
        assert (found.lost, found.back, found.in_order) == (0, found.sent, True)
        assert 0.0495 < found.delay_s(50) < 0.055


def test_shares_of_packets_are_lost_doubled_and_corrupted(hosts: Pair):
    lost = hosts.measure(rate_s=500, seconds=2, kind="loss", by=20)
    assert lost.arrived == lost.sent, "the capture sees what arrives, before it is lost"
    assert 0.1 < lost.lost / lost.sent < 0.3
    doubled = hosts.measure(rate_s=500, seconds=2, kind="duplicate", by=20)
    assert doubled.lost == 0
    assert 0.1 < (doubled.back - doubled.distinct) / doubled.sent < 0.3
    corrupted = hosts.measure(rate_s=500, seconds=2, kind="corrupt", by=20)
    assert 0.1 < corrupted.lost / corrupted.sent < 0.3


def test_what_is_meant_for_others_is_not_delayed(hosts: Pair):
    assert hosts.measure(rate_s=200, seconds=1, kind="delay", by="50ms", at="tcp at far").delay_s(50) < 0.02


def test_packets_pass_when_the_impairer_is_killed_and_healing_says_that_it_was(hosts: Pair):
    injected = hosts.bed.injector.inject(fault_of("delay", "far", by="50ms"))
    if "nfqueue" not in hosts.means():
        hosts.bed.injector.heal(injected)
        pytest.skip("this kernel has netem, and needs no process")
    hosts.in_nic("python3", "-c", KILL, "impairer")
    found = hosts.measure(rate_s=200, seconds=1)
    with pytest.raises(EngineError, match="ended by itself, with status -9"):
        hosts.bed.injector.heal(injected)
    assert found.delay_s(50) < 0.02
    assert "testbed_" not in hosts.in_nic("nft", "list", "ruleset")


def test_packets_pass_soon_after_the_holder_is_killed(hosts: Pair):
    """Last: the bed has no holder at far from here on."""
    injected = hosts.bed.injector.inject(fault_of("delay", "far", by="50ms"))
    hosts.in_nic("python3", "-c", KILL, "holder")
    found = hosts.measure(rate_s=200, seconds=4)
    assert hosts.means() == "netem" or sum(delay < 0.02 for delay in found.delays_s) > 0.6 * found.sent
    with pytest.raises(BedError):
        hosts.bed.injector.heal(injected)
