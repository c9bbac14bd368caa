from __future__ import annotations

import random
from collections.abc import Container
from dataclasses import replace
from pathlib import Path

import pytest
from call_stories import PHONE_HOSTS, PORTS, TALKERS, two_hosts
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from recordings import Recording

from testbed.checks import judge_expectation
from testbed.checks.carried import CarriedParams, carried
from testbed.rtp import PACKET_S, Receiver, Sender
from testbed.verdict import Status, Verdict

EF_TOS = 184
PACKETS = 100


def stream(
    recording: Recording,
    took_s: list[float | None],
    *,
    tos: int,
    port: int = PORTS[0],
    ssrc: int = 7,
    first: int = 65_500,
    dropped: Container[int] = (),
) -> None:
    """One from phones-1 to phones-2: how long each packet took, None where it was lost. ``dropped``: lost before they left the host."""
    sender = Sender(ssrc=ssrc, sequence=first, timestamp=0, now=0.0)
    for number, delay_s in enumerate(took_s):
        data, at_s = sender.packet(sender.due), 1.0 + number * PACKET_S
        assert data is not None
        here, there = (TALKERS[0], port), (TALKERS[1], port)
        if number in dropped:
            continue
        recording.wires[PHONE_HOSTS[0]].udp(at_s, here, there, data, tos=tos)
        if delay_s is not None:
            recording.wires[PHONE_HOSTS[1]].udp(at_s + delay_s, here, there, data, tos=tos)


def begun() -> Recording:
    recording = Recording(two_hosts())
    for host in PHONE_HOSTS:
        recording.capture(host, until_s=10.0)
    return recording


def judged(recording: Recording, path: Path, **params: object) -> Verdict:
    return judge_expectation(recording.write(path), "carried", CarriedParams.model_validate(params))


def test_what_is_marked_arrives_and_what_is_not_suffers(tmp_path: Path) -> None:
    recording = begun()
    stream(recording, [0.001] * PACKETS, tos=EF_TOS)
    stream(recording, [None if n % 10 == 9 else 0.01 * (n % 8) for n in range(PACKETS)], tos=0, port=PORTS[1])
    marked = judged(recording, tmp_path / "1", mark="EF")
    assert marked.status is Status.PASS, marked.summary
    assert marked.figures["packets"] == PACKETS
    assert marked.figures["delay_max_s"] == pytest.approx(0.0, abs=1e-5)
    unmarked = judged(recording, tmp_path / "2", mark="DEFAULT", lost=50)
    assert unmarked.status is Status.FAIL
    assert unmarked.figures["lost"] == PACKETS / 10
    assert unmarked.figures["jitter_s"] > 0.01
    assert "10 of 100 lost" in unmarked.evidence[0].text
    assert unmarked.evidence[0].frame == 2 * 9 + 3  # the canary, then both streams in turn


@pytest.mark.parametrize("lost", [[0], [PACKETS - 1], [50], list(range(60)), list(range(PACKETS))])
def test_a_lost_packet_fails_wherever_it_was(lost: list[int], tmp_path: Path) -> None:
    """The first ones too, also where the sequence number wraps around while they are lost; and all of them."""
    recording = begun()
    stream(recording, [None if n in lost else 0.001 for n in range(PACKETS)], tos=EF_TOS)
    verdict = judged(recording, tmp_path, mark="EF")
    assert verdict.status is Status.FAIL
    assert verdict.figures["lost"] == len(lost)


def test_what_the_senders_own_queue_drops_is_lost_too_and_its_waits_are_jitter(tmp_path: Path) -> None:
    """The capture at the sender holds what its full link let go, when it let it go."""
    recording = begun()
    stream(recording, [0.001] * PACKETS, tos=EF_TOS, dropped=[10, 11, 50])
    verdict = judged(recording, tmp_path / "1", mark="EF")
    assert verdict.status is Status.FAIL
    assert verdict.figures["lost"] == 3
    assert f"sequence number {(65_500 + 10) % 65536}, did not even leave" in verdict.evidence[0].text
    assert verdict.evidence[0].frame == 2 + 10
    late = begun()
    sender = Sender(ssrc=7, sequence=1, timestamp=2**32 - 500, now=0.0)
    for number in range(PACKETS):
        data, at_s = sender.packet(sender.due), 1.0 + number * PACKET_S + 0.015 * (number % 2)
        assert data is not None
        for host, wait_s in zip(PHONE_HOSTS, (0.0, 0.0001), strict=True):
            late.wires[host].udp(at_s + wait_s, (TALKERS[0], PORTS[0]), (TALKERS[1], PORTS[0]), data, tos=EF_TOS)
    verdict = judged(late, tmp_path / "2", mark="EF")
    assert verdict.status is Status.FAIL
    assert verdict.figures["jitter_s"] == pytest.approx(0.015, abs=1e-3)
    assert verdict.figures["delay_p95_s"] == pytest.approx(0.015, abs=1e-4)


def test_jitter_of_a_sender_that_had_no_processor_shows_nothing(tmp_path: Path) -> None:
    recording = begun()
    stream(recording, [0.3 if number == 50 else 0.001 for number in range(PACKETS)], tos=EF_TOS)
    assert judged(recording, tmp_path / "1", mark="EF").status is Status.FAIL
    recording.event(2.0, PHONE_HOSTS[0], "MediaHeldUp", late_s=0.28, waited_s=0.28)
    assert judged(recording, tmp_path / "2", mark="EF").status is Status.INCONCLUSIVE
    assert recording.change("MediaHeldUp", waited_s=0.02)
    assert judged(recording, tmp_path / "3", mark="EF").status is Status.FAIL


def test_a_share_that_is_allowed_passes(tmp_path: Path) -> None:
    recording = begun()
    stream(recording, [None, *[0.001] * (PACKETS - 1)], tos=EF_TOS)
    assert judged(recording, tmp_path, mark="EF", lost=1).status is Status.PASS


@pytest.mark.parametrize("spoil", ["no stream", "short", "other mark", "one capture"])
def test_what_was_not_captured_at_both_ends_shows_nothing(spoil: str, tmp_path: Path) -> None:
    recording = begun()
    if spoil != "no stream":
        stream(recording, [0.001] * (10 if spoil == "short" else PACKETS), tos=0 if spoil == "other mark" else EF_TOS)
    if spoil == "one capture":
        del recording.wires[PHONE_HOSTS[1]]
        recording.drop("CaptureStarted", capture=PHONE_HOSTS[1])
    assert judged(recording, tmp_path, mark="EF").status is Status.INCONCLUSIVE


def test_a_mark_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="AF99"):
        CarriedParams.model_validate({"mark": "AF99"})


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_jitter_is_what_a_receiver_says(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The phones' own estimate, made packet by packet, and this one, made from two captures, are the same."""
    chance = random.Random(seed)
    took_s: list[float | None] = [chance.choice([None, *[chance.uniform(0, 0.019)] * 9]) for _ in range(PACKETS)]
    took_s[0] = 0.0
    recording = begun()
    stream(recording, took_s, tos=EF_TOS)
    run = recording.write(tmp_path_factory.mktemp("run"))
    found = next(iter(carried(run)))
    receiver, sender = Receiver(), Sender(ssrc=7, sequence=65_500, timestamp=0, now=0.0)
    for number, delay_s in enumerate(took_s):
        data = sender.packet(sender.due)
        assert data is not None
        if delay_s is not None:
            receiver.take(data, number * PACKET_S + delay_s)
    assert found.lost == took_s.count(None)
    assert found.jitter_s == pytest.approx(receiver.figures.largest_jitter_s, abs=2e-5)


def test_two_hosts_are_what_it_takes(tmp_path: Path) -> None:
    """A stream within one host crosses no link."""
    topology = two_hosts()
    one = replace(topology, hosts=tuple(host for host in topology.hosts if host.name != "phones-2"))
    recording = Recording(one)
    recording.capture("phones-1", until_s=10.0)
    recording.wires["phones-2"] = recording.wires["phones-1"]
    stream(recording, [0.001] * PACKETS, tos=EF_TOS)
    del recording.wires["phones-2"]
    assert judged(recording, tmp_path, mark="EF").status is Status.INCONCLUSIVE
