"""Phones that boot take their configuration from the TFTP server, or from memory where no file is to be had."""

from __future__ import annotations

from typing import Literal

import numpy as np

from testbed.checks.base import CheckKind, Params
from testbed.checks.capture import captures
from testbed.checks.facts import FOREVER, Seen, fault_windows, first, seen, some
from testbed.checks.fetches import When
from testbed.packets import UDP, Packets
from testbed.packets.classes import TFTP_PORT, owned
from testbed.recording import Run
from testbed.topology import Role
from testbed.verdict import Evidence, Status, Verdict

_READ_REQUEST = b"\x00\x01"
_DATA = b"\x00\x03"
_EVENTS = {"tftp": "ConfigRead", "memory": "ConfigRecalled"}


class BootedParams(Params):
    """``config``: where each phone's configuration came from; ``when``: before, during or after the faults."""

    config: Literal["tftp", "memory"]
    when: When = "during"


def judge_booted(run: Run, params: BootedParams) -> Verdict:
    """Every phone boots in that time, its configuration comes from there and from nowhere else, and it registers with it."""
    check = f"booted from {params.config} {params.when}"
    phones, spans = run.topology.phones, _spans(run, params.when)
    looked = {host: packets for host, packets in captures(run).items() if host in _vantages(run)}
    if not phones or not spans or not looked:
        reason = "no capture at phones or TFTP server shows what was asked and answered"
        reason = f"no fault makes a part {params.when!r} of this run" if not spans else reason
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary=reason if phones else "the bed has no phones")
    wrong: list[Evidence] = []
    unseen: list[str] = []
    shown: list[Evidence] = []
    for since_s, until_s in spans:
        booted = seen(run, *_EVENTS.values(), since_s=since_s, until_s=until_s)
        wrong += [
            event.proves(f"{event['phone']}: {event.event.name}") for event in booted if not _is_by(event, params)
        ]
        wrong += _other_urls(run, booted)
        asked, answered = _on_the_wire(run, looked, since_s, until_s)
        wrong += answered if params.config == "memory" else []
        unseen += [f"{phone} did not boot" for phone in phones if not any(event["phone"] == phone for event in booted)]
        unseen += [f"no request of {phone} for its file was captured" for phone in phones if phone not in asked]
        for event in booted:
            later = seen(run, "Registered", phone=event["phone"], since_s=event.time_s, until_s=until_s)
            if later:
                shown.append(event.proves(f"{event['phone']}: {event.event.name} {event['file']}, then registered"))
            else:
                wrong.append(event.proves(f"{event['phone']} booted and did not register"))
    figures = {"boots": float(len(shown)), "wrong": float(len(wrong)), "unseen": float(len(unseen))}
    if wrong:
        summary = f"{len(wrong)} against expectation: {wrong[0].text}"
        return Verdict(check=check, status=Status.FAIL, summary=summary, evidence=first(wrong), figures=figures)
    if unseen:
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary=some(unseen), figures=figures)
    source = "the TFTP server" if params.config == "tftp" else "memory, the TFTP server answering nothing"
    summary = f"{len(shown)} boots with the configuration from {source}, each phone registered with it"
    return Verdict(check=check, status=Status.PASS, summary=summary, evidence=first(shown), figures=figures)


def _spans(run: Run, when: When) -> list[tuple[float, float]]:
    windows = fault_windows(run)
    if when == "before":
        return [(-FOREVER, min((window.began_s for window in windows), default=FOREVER))]
    if when == "during":
        return [(window.certain_s, window.healing_s if window.healed else FOREVER) for window in windows]
    if not windows or any(window.healed is None for window in windows):
        return []
    return [(max(window.healed_s for window in windows), FOREVER)]


def _vantages(run: Run) -> set[str]:
    return {host.name for role in (Role.PHONE, Role.TFTP_SERVER) for host in run.topology.with_role(role)}


def _is_by(event: Seen, params: BootedParams) -> bool:
    return event.event.name == _EVENTS[params.config]


def _other_urls(run: Run, booted: list[Seen]) -> list[Evidence]:
    """Boots by memory that recalled other URLs than the phone read last."""
    found = []
    for event in booted:
        reads = seen(run, "ConfigRead", phone=event["phone"], until_s=event.time_s)
        if event.event.name == "ConfigRecalled" and (not reads or reads[-1]["urls"] != event["urls"]):
            found.append(event.proves(f"{event['phone']} recalled other URLs than it had read"))
    return found


def _on_the_wire(
    run: Run, looked: dict[str, Packets], since_s: float, until_s: float
) -> tuple[set[str], list[Evidence]]:
    """(phones that asked for a file, answers with data to phones)."""
    fleets = run.topology.with_role(Role.PHONE)
    names = {run.topology.phone_address(phone): phone for phone in run.topology.phones}
    asked: set[str] = set()
    answers: list[Evidence] = []
    for packets in looked.values():
        inside = (packets.proto == UDP) & (packets.time_s >= since_s) & (packets.time_s <= until_s)
        for index in np.flatnonzero(inside & (packets.dport == TFTP_PORT) & owned(packets.src, fleets)).tolist():
            if packets.payload(index).startswith(_READ_REQUEST):
                asked.add(names.get(packets.addresses(index)[0], ""))
        for index in np.flatnonzero(inside & owned(packets.dst, fleets) & ~owned(packets.src, fleets)).tolist():
            if packets.payload(index).startswith(_DATA):
                text = f"a block of a file for {names.get(packets.addresses(index)[1], 'a phone')}"
                answers.append(Evidence(text=text, capture=packets.file, frame=int(packets.frame[index])))
    return asked, answers


BOOTED = CheckKind(
    name="booted",
    params=BootedParams,
    judge=judge_booted,
    help=(
        "every phone booted, with the configuration that the TFTP server gave it, or, where it got no answer,"
        " with the one it had read last; and registered with it. Requests and answers are looked for in the "
        "captures"
    ),
)
