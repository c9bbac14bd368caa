from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.errors import UsageError
from testbed.roles.page_faults import PageFault, PageFaults


@pytest.mark.parametrize(
    ("path", "about", "not_about"),
    [
        ("", ["/", "/text", "/healthy"], ["/health"]),
        ("*", ["/", "/text", "/health"], []),
        ("/text", ["/text"], ["/", "/text/", "/texts", "/health"]),
        ("/CCMCIP/*", ["/CCMCIP/", "/CCMCIP/a.asp"], ["/CCMCIP", "/health"]),
        ("/health", ["/health"], ["/text"]),
    ],
)
def test_a_path_says_which_requests_a_fault_is_about(path: str, about: list[str], not_about: list[str]):
    fault = PageFault(fault_id="f", path=path)
    assert [p for p in about + not_about if fault.is_about(p)] == about


@pytest.mark.parametrize(
    ("share", "taken"),
    [(100, "xxxxxxxxxx"), (50, ".x.x.x.x.x"), (30, "...x..x..x"), (10, ".........x"), (75, ".xxx.xxx.x")],
)
def test_a_share_is_taken_evenly_and_always_alike(share: float, taken: str):
    for _ in range(2):
        fault = PageFault(fault_id="f", share_percent=share)
        assert "".join("x" if fault.takes("/text") else "." for _ in range(10)) == taken
        assert fault.effects == taken.count("x")


@given(st.integers(1, 100), st.integers(0, 400))
def test_of_any_number_of_requests_the_share_is_taken(share: int, requests: int):
    fault = PageFault(fault_id="f", share_percent=share)
    assert sum(fault.takes("/") for _ in range(requests)) == requests * share // 100


def test_requests_it_is_not_about_are_not_counted():
    fault = PageFault(fault_id="f", path="/text", share_percent=50)
    assert [fault.takes(path) for path in ("/text", "/idle", "/health", "/idle", "/text")] == [
        False,
        False,
        False,
        False,
        True,
    ]


def test_a_delay_ends_with_its_fault():
    async def wait() -> float:
        fault = PageFault(fault_id="f", delay_s=60.0)
        loop = asyncio.get_running_loop()
        began = loop.time()
        loop.call_later(0.01, fault.end)
        await fault.wait()
        return loop.time() - began

    assert asyncio.run(wait()) < 5


def test_the_latest_of_several_faults_is_met_and_every_one_counts():
    faults = PageFaults()
    undo_error = faults.kinds["http-error"]("first", {"status": 503})
    undo_slow = faults.kinds["http-slow"]("second", {"by_s": 1, "path": "/text"})
    met = [faults.taking(path) for path in ("/text", "/idle")]
    assert [fault and fault.fault_id for fault in met] == ["second", "first"]
    assert (undo_slow(), undo_error()) == (1, 2)
    assert faults.taking("/text") is None


@pytest.mark.parametrize(
    ("kind", "request_"),
    [
        ("http-error", {}),
        ("http-error", {"status": 200}),
        ("http-error", {"status": 600}),
        ("http-error", {"status": "503"}),
        ("http-error", {"status": 503, "share": 0}),
        ("http-error", {"status": 503, "share": 101}),
        ("http-error", {"status": 503, "path": "text"}),
        ("http-error", {"status": 503, "path": 7}),
        ("http-slow", {}),
        ("http-slow", {"by_s": 0}),
        ("http-slow", {"by_s": -1}),
        ("http-slow", {"by_s": 1e9}),
        ("http-slow", {"by_s": float("nan")}),
    ],
)
def test_absurd_parameters_are_refused_and_nothing_is_held(kind: str, request_: dict[str, object]):
    faults = PageFaults()
    with pytest.raises(UsageError):
        faults.kinds[kind]("f", request_)
    assert faults.taking("/text") is None
