from __future__ import annotations

from pathlib import Path

import pytest
import stories
from recordings import PHONES, Recording, Wire, sccp
from stories import BEGAN_S, DEFINE_TIME_DATE, HEALING_S, KEEPALIVE, KEEPALIVE_ACK

from testbed.checks import judge_expectation
from testbed.checks.budget import failover_budget_s, fallback_budget_s, notice_of, slack_s
from testbed.checks.rehome import RehomedParams
from testbed.profile import PROFILES
from testbed.verdict import Status, Verdict

FAILOVER = {"from": "ccm-1", "to": "ccm-bk"}
FALLBACK = {"from": "ccm-bk", "to": "ccm-1", "direction": "fallback"}


def rehomed(recording: Recording, path: Path, **params: object) -> Verdict:
    return judge_expectation(recording.write(path), "rehomed", RehomedParams.model_validate(params))


@pytest.mark.parametrize("kind", ["stop", "kill", "freeze", "mute", "cut"])
def test_phones_that_rehome_within_their_class_pass(kind: str, tmp_path: Path) -> None:
    verdict = rehomed(stories.rehome(kind), tmp_path, **FAILOVER)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures["rehomed"] == 2


def test_the_time_is_split_into_detection_connection_and_registration(tmp_path: Path) -> None:
    figures = rehomed(stories.rehome("freeze"), tmp_path, **FAILOVER).figures
    assert figures["detection_max_s"] == pytest.approx(2.56, abs=1e-4)
    assert figures["connection_max_s"] == 0
    assert figures["registration_max_s"] == pytest.approx(0.2, abs=1e-4)
    assert figures["rehome_max_s"] == pytest.approx(2.76, abs=1e-4)


def refused(*, is_reset: bool = True) -> Recording:
    """Phones are reset and refused by ccm-1, which goes on answering."""
    recording = stories.rehome("kill")
    for name in ("FaultIntended", "FaultConfirmed", "FaultHealed"):
        recording.change(name, kind="register-reject", fault={"at": "ccm-1", "reset": is_reset})
    answering = stories.signalling(recording, 0, "ccm-1", 53_000)
    answering.send(BEGAN_S + 2.0, sccp(KEEPALIVE), up=True)
    answering.send(BEGAN_S + 2.002, sccp(KEEPALIVE_ACK), up=False)
    return recording


def test_phones_that_are_reset_and_refused_rehome_at_once_whatever_else_is_answered(tmp_path: Path) -> None:
    verdict = rehomed(refused(), tmp_path, **FAILOVER)
    assert verdict.status is Status.PASS, verdict.summary


def test_a_refused_phone_that_takes_its_time_fails(tmp_path: Path) -> None:
    recording = refused()
    recording.change("Registered", where={"phone": PHONES[0], "at": "ccm-bk"}, shift_s=1.0)
    assert rehomed(recording, tmp_path, **FAILOVER).status is Status.FAIL


def test_a_refusal_that_resets_nobody_has_no_budget_of_its_own(tmp_path: Path) -> None:
    verdict = rehomed(refused(is_reset=False), tmp_path / "a", **FAILOVER)
    assert (verdict.status, "within" in verdict.summary) == (Status.INCONCLUSIVE, True)
    assert rehomed(refused(is_reset=False), tmp_path / "b", **FAILOVER, within="5s").status is Status.PASS


def test_a_connection_made_after_the_loss_is_its_own_part(tmp_path: Path) -> None:
    recording = stories.rehome("freeze")
    connected = {"to": "ccm-bk", "rank": 1, "state": "active"}
    recording.event(BEGAN_S + 2.7, "phones-1", "CallControlConnected", phone=PHONES[0], **connected)
    figures = rehomed(recording, tmp_path, **FAILOVER).figures
    assert figures["connection_max_s"] == pytest.approx(0.1, abs=1e-4)
    assert figures["connection_p50_s"] == 0


def test_a_loss_seen_before_the_engine_confirms_is_the_effect(tmp_path: Path) -> None:
    """Lost 20 ms after the command, confirmed 50 ms after it: measured from the loss, not from a time after it."""
    figures = rehomed(stories.rehome("kill"), tmp_path, **FAILOVER).figures
    assert figures["rehome_p50_s"] == pytest.approx(0.2, abs=1e-4)
    assert figures["detection_p50_s"] == 0


@pytest.mark.catches("phones-rehome")
def test_a_phone_that_never_rehomes_fails_and_is_named(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.drop("Registered", phone=PHONES[1], at="ccm-bk")
    verdict = rehomed(recording, tmp_path, **FAILOVER)
    assert verdict.status is Status.FAIL
    assert PHONES[1] in verdict.summary
    assert verdict.figures["not_rehomed"] == 1


def test_a_phone_that_registers_elsewhere_fails(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.change("Registered", where={"phone": PHONES[1], "at": "ccm-bk"}, at="172.26.1.102")
    assert rehomed(recording, tmp_path, **FAILOVER).status is Status.FAIL


def test_a_phone_that_is_lost_again_before_healing_fails(tmp_path: Path) -> None:
    recording = stories.rehome()
    lost = {"phone": PHONES[0], "at": "ccm-bk", "cause": "closed", "state": "active"}
    recording.event(HEALING_S - 1, "phones-1", "CallControlLost", **lost)
    assert rehomed(recording, tmp_path, **FAILOVER).status is Status.FAIL


@pytest.mark.parametrize(("kind", "shift_s"), [("kill", 1.0), ("freeze", 1.3), ("mute", 1.3), ("cut", 2.2)])
@pytest.mark.catches("phones-rehome")
def test_a_phone_slower_than_its_class_fails(kind: str, shift_s: float, tmp_path: Path) -> None:
    recording = stories.rehome(kind)
    recording.change("Registered", where={"phone": PHONES[0], "at": "ccm-bk"}, shift_s=shift_s)
    verdict = rehomed(recording, tmp_path, **FAILOVER)
    assert verdict.status is Status.FAIL
    assert verdict.summary.startswith("1 of 2 phones out of time")


def test_a_phone_faster_than_a_freeze_can_be_noticed_fails(tmp_path: Path) -> None:
    recording = stories.rehome("freeze")
    for name in ("CallControlLost", "Registered", "Rehomed"):
        recording.change(
            name, where={"phone": PHONES[0], **({"at": "ccm-bk"} if name == "Registered" else {})}, shift_s=-1
        )
    assert rehomed(recording, tmp_path, **FAILOVER).status is Status.FAIL


def test_within_replaces_the_budget_of_the_class(tmp_path: Path) -> None:
    assert rehomed(stories.rehome("freeze"), tmp_path / "1", **FAILOVER, within="2s").status is Status.FAIL
    assert rehomed(stories.rehome("freeze"), tmp_path / "2", **FAILOVER, within="3 keepalives").status is Status.PASS


def test_from_and_to_follow_from_the_fault(tmp_path: Path) -> None:
    verdict = rehomed(stories.rehome(), tmp_path)
    assert verdict.status is Status.PASS
    assert "ccm-bk" in verdict.summary


def test_packets_bracket_the_effect_and_are_evidence(tmp_path: Path) -> None:
    verdict = rehomed(stories.rehome("freeze"), tmp_path, **FAILOVER)
    words = ("last answer", "first sign")
    packets = [item for item in verdict.evidence if item.capture == "phones-1.pcap" and item.text.startswith(words)]
    assert [item.text.partition(" ")[0] for item in packets] == ["last", "first"]
    assert all(item.frame for item in packets)


def test_packets_that_contradict_the_instant_make_it_inconclusive(tmp_path: Path) -> None:
    """An answer one second after the fault is said to be in effect."""
    recording = stories.rehome("freeze")
    late = stories.signalling(recording, 0, "ccm-1", 59_999)
    late.open(3.0)
    late.send(BEGAN_S + 1.0, sccp(KEEPALIVE_ACK), up=False)
    verdict = rehomed(recording, tmp_path, **FAILOVER)
    assert verdict.status is Status.INCONCLUSIVE
    assert "contradict" in verdict.summary


@pytest.mark.parametrize(("late_s", "status"), [(0.015, Status.PASS), (0.2, Status.INCONCLUSIVE)])
@pytest.mark.parametrize("params", [FAILOVER, FALLBACK], ids=["failover", "fallback"])
def test_a_report_far_from_its_packets_is_inconclusive_and_how_far_is_a_figure(
    params: dict[str, str], late_s: float, status: Status, tmp_path: Path
) -> None:
    recording = stories.rehome("freeze")
    assert recording.change("Registered", where={"phone": PHONES[0], "at": params["to"]}, shift_s=late_s)
    verdict = rehomed(recording, tmp_path, **params)
    assert verdict.status is status, verdict.summary
    assert verdict.figures["packets_differ_max_s"] == pytest.approx(late_s, abs=0.005)
    assert ("packets contradict the reported re-home times" in verdict.summary) is (status is Status.INCONCLUSIVE)


def test_a_registration_that_is_in_no_capture_makes_it_inconclusive(tmp_path: Path) -> None:
    recording = stories.rehome("freeze")
    own, other = sccp(DEFINE_TIME_DATE, bytes(36)), sccp(0x0FFF, bytes(36))
    for wire in recording.wires.values():
        wire.frames = [(at_s, frame.replace(own, other)) for at_s, frame in wire.frames]
    verdict = rehomed(recording, tmp_path, **FAILOVER)
    assert verdict.status is Status.INCONCLUSIVE
    assert "is in no capture" in verdict.summary


def test_silence_before_anything_was_done_makes_it_inconclusive(tmp_path: Path) -> None:
    recording = stories.rehome("freeze")
    early = stories.signalling(recording, 0, "ccm-1", 59_999)
    early.open(2.0)
    early.send(3.0, sccp(KEEPALIVE), up=True)
    assert rehomed(recording, tmp_path, **FAILOVER).status is Status.INCONCLUSIVE


def test_without_packets_of_call_control_it_is_inconclusive(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.wires = {"phones-1": Wire()}
    assert rehomed(recording, tmp_path, **FAILOVER).status is Status.INCONCLUSIVE


def test_without_a_confirmed_fault_it_is_inconclusive(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.drop("FaultConfirmed")
    assert rehomed(recording, tmp_path, **FAILOVER).status is Status.INCONCLUSIVE


def test_a_fault_of_another_host_says_nothing(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.change("FaultConfirmed", target="web-1")
    assert rehomed(recording, tmp_path, **FAILOVER).status is Status.INCONCLUSIVE


def test_a_bed_without_phones_is_inconclusive(tmp_path: Path) -> None:
    recording = stories.booted(phones=0)
    recording.fault("kill", "ccm-1", BEGAN_S, HEALING_S)
    assert rehomed(recording, tmp_path, **FAILOVER).status is Status.INCONCLUSIVE


def test_fallback_is_measured_from_healing(tmp_path: Path) -> None:
    verdict = rehomed(stories.rehome(), tmp_path, **FALLBACK)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures["rehome_p50_s"] == pytest.approx(1.65, abs=1e-4)
    assert verdict.figures["contact_p50_s"] == pytest.approx(1.45, abs=1e-4)
    assert verdict.figures["token_p50_s"] == pytest.approx(0.1, abs=1e-4)
    assert verdict.figures["registration_p50_s"] == pytest.approx(0.1, abs=1e-4)


def test_a_phone_that_never_comes_back_fails(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.drop("Registered", phone=PHONES[0], duration_s=0.09)
    verdict = rehomed(recording, tmp_path, **FALLBACK)
    assert verdict.status is Status.FAIL
    assert PHONES[0] in verdict.summary


def test_a_late_fallback_fails_unless_its_token_was_refused_that_long(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.change("Registered", where={"phone": PHONES[1], "duration_s": 0.09}, shift_s=4)
    assert rehomed(recording, tmp_path / "1", **FALLBACK).status is Status.FAIL
    recording.event(HEALING_S + 1.7, "phones-1", "TokenRefused", phone=PHONES[1], at="ccm-1", wait_s=4)
    late = stories.signalling(recording, 1, "ccm-1", 59_998)
    late.send(HEALING_S + 5.8, sccp(DEFINE_TIME_DATE, bytes(36)), up=False)
    assert rehomed(recording, tmp_path / "2", **FALLBACK).status is Status.PASS


def test_fallback_from_a_fault_that_was_not_healed_is_inconclusive(tmp_path: Path) -> None:
    recording = stories.rehome()
    recording.drop("FaultHealed")
    assert rehomed(recording, tmp_path, **FALLBACK).status is Status.INCONCLUSIVE


@pytest.mark.parametrize(
    ("kind", "parameters", "notice"),
    [
        ("kill", {}, "close"),
        ("freeze", {}, "keepalive"),
        ("power-off", {}, "tcp"),
        ("reject", {"by": "rst"}, "packet"),
        ("reject", {"by": "icmp"}, "tcp"),
        ("bleach", {}, None),
    ],
)
def test_what_a_phone_notices_a_fault_by_follows_from_its_kind(kind: str, parameters: dict[str, str], notice: str):
    assert notice_of(kind, parameters) == notice


def test_budgets_follow_the_class_of_failure_and_the_profile() -> None:
    srnd, quick = PROFILES["srnd"], PROFILES["quick"]
    assert failover_budget_s("close", srnd) == failover_budget_s("close", quick) == (0, 1)
    assert failover_budget_s("keepalive", srnd) == pytest.approx((59.9, 95))
    assert failover_budget_s("keepalive", quick) == pytest.approx((1.9, 4))
    assert failover_budget_s("tcp", quick)[1] == pytest.approx(quick.cut_detection_s[1] + 1)
    assert (slack_s(srnd), slack_s(quick)) == pytest.approx((5, 1))
    assert fallback_budget_s(quick, 1.0)[1] - fallback_budget_s(quick, 0.0)[1] == pytest.approx(1)
