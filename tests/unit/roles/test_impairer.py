from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.roles import impairer as module
from testbed.roles.impairer import PARENT_CHECK_S, Impairer, corrupted, serve
from testbed.roles.impairer_schedule import Parameters

CONTENT = bytes([0x45, *range(1, 20)]) + bytes(range(100))
"""An IP header of 20 bytes, and 100 more."""


class Packet:
    """As much of netfilterqueue's as the impairer uses; ``log`` is shared, in the order in which things happened."""

    def __init__(self, name: str, log: list[str], content: bytes = CONTENT) -> None:
        self.name, self._log, self._content, self._retained = name, log, content, False

    def get_payload_len(self) -> int:
        return len(self._content)

    def retain(self) -> None:
        self._retained = True

    def get_payload(self) -> bytes:
        assert self._retained, "the content is gone once the callback has returned"
        return self._content

    def set_payload(self, content: bytes) -> None:
        self._log.append(f"changed {self.name}")
        self._content = content

    def accept(self) -> None:
        self._log.append(f"passed {self.name}")

    def drop(self) -> None:
        self._log.append(f"dropped {self.name}")


class Link:
    """An impairer at a clock of ours."""

    def __init__(self, **parameters: Any) -> None:
        self.now, self.log, self.copies = 50.0, [], []
        self.impairer = Impairer(Parameters(**parameters), send_copy=self._copied, clock=lambda: self.now)

    def _copied(self, content: bytes) -> None:
        self.log.append("copied")
        self.copies.append(content)

    def take(self, name: str) -> None:
        self.impairer.take(Packet(name, self.log))

    def at(self, seconds: float) -> None:
        self.now = 50 + seconds
        self.impairer.release(self.now)


def test_a_delayed_packet_passes_when_its_time_has_come_and_not_before():
    link = Link(delay_s=0.05)
    link.take("a")
    link.at(0.0499)
    assert link.log == []
    assert link.impairer.wait_s() == pytest.approx(0.0001)
    link.at(0.05)
    assert link.log == ["passed a"]
    assert link.impairer.wait_s() == PARENT_CHECK_S


def test_one_waking_lets_out_all_that_are_due():
    link = Link(delay_s=0.05)
    for name in "abc":
        link.take(name)
    link.at(0.06)
    assert link.log == ["passed a", "passed b", "passed c"]


def test_a_flood_of_arrivals_does_not_hold_up_what_is_due():
    link = Link(delay_s=0.05)
    link.take("a")
    link.now += 0.06
    link.take("b")
    assert link.log == ["passed a"]


def test_a_lost_packet_is_dropped_at_once():
    link = Link(loss_percent=100, delay_s=0.05)
    link.take("a")
    assert link.log == ["dropped a"]


def test_a_copy_has_the_same_content_and_the_original_passes_once():
    link = Link(duplicate_percent=100, delay_s=0.05)
    link.take("a")
    link.at(0.05)
    assert link.log == ["passed a", "copied"]
    assert link.copies == [CONTENT]


def test_a_corrupted_packet_passes_with_one_bit_flipped():
    link = Link(corrupt_percent=100)
    link.take("a")
    link.at(0.0)
    assert link.log == ["changed a", "passed a"]


def test_at_the_end_everything_passes_at_once_and_in_order_and_what_comes_after_too():
    link = Link(delay_s=5, loss_percent=0)
    link.take("a")
    link.take("b")
    link.impairer.end()
    link.take("c")
    assert link.log == ["passed a", "passed b", "passed c"]


@given(body=st.binary(max_size=60), share=st.floats(0, 1, exclude_max=True))
def test_corruption_flips_one_bit_behind_the_ip_header(body: bytes, share: float):
    content = CONTENT[:20] + body
    changed = corrupted(content, share)
    assert changed[:20] == content[:20]
    flipped = sum((a ^ b).bit_count() for a, b in zip(content, changed, strict=True))
    assert flipped == (1 if body else 0)


class Queue:
    """A queue at which nothing happens but what the test says."""

    def __init__(self) -> None:
        self.readable, self.writable = os.pipe()

    def get_fd(self) -> int:
        return self.readable

    def run(self, *, block: bool) -> None:
        assert not block
        os.read(self.readable, 100)
        os.write(self.on_run, b"x")

    on_run = -1


def test_it_serves_until_it_is_told_to_end():
    queue = Queue()
    ended, queue.on_run = os.pipe()
    os.write(queue.writable, b"packet")
    serve(Link().impairer, queue, ended)


def test_it_ends_when_whoever_started_it_is_gone(monkeypatch: pytest.MonkeyPatch):
    parents = iter([100, 100, 1])
    monkeypatch.setattr(module.os, "getppid", lambda: next(parents))
    monkeypatch.setattr(module, "PARENT_CHECK_S", 0.01)
    ended, _ = os.pipe()
    serve(Link().impairer, Queue(), ended)
