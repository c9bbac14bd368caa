from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from recordings import ADDRESSES, PHONES, Recording

from testbed.checks import judge_expectation
from testbed.checks.booted import BootedParams
from testbed.verdict import Status, Verdict

URLS = {"services": "http://172.26.1.2/", "idle": "http://172.26.1.2/idle"}
OTHER_URLS = {**URLS, "idle": "http://172.26.1.99/"}
TFTP = (ADDRESSES["tftp"], 69)


def asks(recording: Recording, at_s: float, number: int) -> None:
    request = b"\x00\x01" + PHONES[number].encode() + b".cnf.xml\x00octet\x00"
    recording.wires["phones-1"].udp(at_s, (f"172.26.16.{number + 1}", 40_000), TFTP, request)


def answers(recording: Recording, at_s: float, number: int) -> None:
    recording.wires["phones-1"].udp(
        at_s, (ADDRESSES["tftp"], 41_000), (f"172.26.16.{number + 1}", 40_000), b"\x00\x03\x00\x01<device/>"
    )


def story() -> Recording:
    """Phones read their files, boot from memory while the TFTP server is gone (4 to 8 s), and read them again afterwards."""
    recording = Recording()
    recording.capture("phones-1", until_s=20.0)
    recording.steps(2.0, 18.0)
    recording.fault("kill", "tftp", 4.0, 8.0, hosts=("tftp",))
    for number, phone in enumerate(PHONES):
        for at_s, event in ((1.0, "ConfigRead"), (6.0, "ConfigRecalled"), (12.0, "ConfigRead")):
            asks(recording, at_s - 0.5, number)
            if event == "ConfigRead":
                answers(recording, at_s - 0.4, number)
            recording.event(at_s, "phones-1", event, phone=phone, file=f"{phone}.cnf.xml", urls=URLS)
            recording.event(at_s + 0.2, "phones-1", "Registered", phone=phone, at="ccm-1", state="active")
    return recording


def judged(recording: Recording, path: Path, **params: str) -> Verdict:
    return judge_expectation(recording.write(path), "booted", BootedParams.model_validate(params))


@pytest.mark.parametrize(("config", "when"), [("tftp", "before"), ("memory", "during"), ("tftp", "after")])
def test_each_boot_is_by_where_its_configuration_came_from(config: str, when: str, tmp_path: Path) -> None:
    verdict = judged(story(), tmp_path, config=config, when=when)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures["boots"] == len(PHONES)


def _recalls_others(recording: Recording) -> None:
    recording.change("ConfigRecalled", where={"phone": PHONES[1]}, urls=OTHER_URLS)


def _stays_out(recording: Recording) -> None:
    recording.drop("Registered", phone=PHONES[1])


@pytest.mark.parametrize(
    ("spoil", "config", "when", "says"),
    [
        (_recalls_others, "memory", "during", "recalled other URLs"),
        (_stays_out, "memory", "during", "did not register"),
        (lambda recording: answers(recording, 5.0, 0), "memory", "during", "a block of a file for"),
        (lambda recording: None, "tftp", "during", "ConfigRecalled"),
        (lambda recording: None, "memory", "after", "ConfigRead"),
    ],
)
def test_a_boot_by_something_else_fails(
    spoil: Callable[[Recording], None], config: str, when: str, says: str, tmp_path: Path
) -> None:
    recording = story()
    spoil(recording)
    verdict = judged(recording, tmp_path, config=config, when=when)
    assert verdict.status is Status.FAIL
    assert any(says in item.text for item in verdict.evidence), verdict.evidence


def test_a_phone_that_does_not_boot_shows_nothing(tmp_path: Path) -> None:
    recording = story()
    recording.drop("ConfigRecalled", phone=PHONES[1])
    verdict = judged(recording, tmp_path, config="memory")
    assert verdict.status is Status.INCONCLUSIVE
    assert f"{PHONES[1]} did not boot" in verdict.summary


def test_a_boot_whose_request_nobody_captured_shows_nothing(tmp_path: Path) -> None:
    recording = story()
    recording.wires["phones-1"].frames = [
        one for one in recording.wires["phones-1"].frames if not (5.0 < one[0] < 6.0 and PHONES[0].encode() in one[1])
    ]
    assert judged(recording, tmp_path / "1", config="memory").status is Status.INCONCLUSIVE
    recording.wires.clear()
    verdict = judged(recording, tmp_path / "2", config="memory")
    assert verdict.status is Status.INCONCLUSIVE
    assert "no capture" in verdict.summary


def test_without_a_fault_there_is_no_during(tmp_path: Path) -> None:
    recording = story()
    for name in ("FaultIntended", "FaultConfirmed", "FaultHealed"):
        recording.drop(name)
    assert judged(recording, tmp_path, config="memory").status is Status.INCONCLUSIVE
