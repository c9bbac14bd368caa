"""A test suite with the test-bed's pytest plugin: copy it, and write your own beside it. `pytest examples/suite` runs it."""

from __future__ import annotations

import pytest


def test_phones_rehome_when_ccm_1_freezes(bed):
    with bed.fault.freeze("ccm-1"):
        bed.phones.wait_rehomed(to="ccm-bk")
    bed.phones.wait_returned()
    assert bed.check("rehomed", from_="ccm-1", to="ccm-bk").passed
    assert bed.check("marking", policy="srnd-table-11-4").passed


def test_urls_behind_the_slb_outlive_their_call_manager(bed):
    bed.phones.press("all-urls")
    with bed.fault.kill("ccm-1"):
        bed.phones.wait_rehomed()
        bed.phones.press("all-urls")
    verdict = bed.check("urls", work=["services", "directory", "idle", "proxy"], when="during")
    assert verdict.passed, verdict


def test_phones_that_are_cut_off_notice_by_tcp_giving_up(bed):
    with bed.fault.cut("phones<->ccm-1"):
        bed.phones.wait_rehomed()
    bed.phones.wait_returned()
    assert bed.check("rehomed", from_="ccm-1", to="ccm-bk", noticed=["timeout", "unreachable"]).passed


@pytest.mark.bed_scenario("standby-kill", profile="quick")
def test_the_hot_standby_answers(bed_run):
    assert bed_run.passed
